#!/bin/bash
# The benches run, and what they receive is right: one round of each. For figures: cargo bench.
source "$(dirname "$0")/common.sh"

say "cargo bench, one round of each"
cargo bench -p annulus --bench operations --bench throughput --bench latency --bench wakeup -- --test
