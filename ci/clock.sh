#!/bin/bash
# clock.sh [SEEDS]: the sample clock before simulated devices, so many runs of each (default 1000): rates from 1 Hz to 10 MHz, in
# blocks and frame by frame, late, stalled, drifting; how often the true rate and times lie within what it says (tests/clock.rs).
source "$(dirname "$0")/common.sh"

export ANNULUS_CLOCK_SEEDS=${1:-1000}
say "cargo test --release --test clock, $ANNULUS_CLOCK_SEEDS seeds"
cargo test --release -q -p annulus --test clock -- --nocapture
