#!/bin/bash
# queues.sh [ITEMS] [STOPS]: 4 processes push and 4 take items of 64 bytes (default 40 million), each checked; then
# processes are stopped for a second each (default 12), and what the others do meanwhile is told; the same on a ring of
# the usual design, which must stall.
source "$(dirname "$0")/common.sh"

export ANNULUS_QUEUE_ITEMS=${1:-40000000} ANNULUS_QUEUE_STOPS=${2:-12} ANNULUS_QUEUE_STOP_MS=1000
say "cargo test --release --test queues, $ANNULUS_QUEUE_ITEMS items, $ANNULUS_QUEUE_STOPS stops"
cargo test --release -q -p annulus --test queues each_frame -- --nocapture
cargo test --release -q -p annulus --test queues who_is_stopped -- --nocapture --test-threads 1
