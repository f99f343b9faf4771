#!/bin/bash
# long.sh [CYCLES]: handles of every role come and go (default 1,000,000 times), and leave no descriptor, mapping, lock,
# seat, nor any memory behind; and all else that years bring (tests/endurance.rs), in release.
source "$(dirname "$0")/common.sh"

export ANNULUS_CYCLES=${1:-1000000}
say "cargo test --release --test endurance, $ANNULUS_CYCLES cycles"
cargo test --release -q -p annulus --test endurance -- --nocapture
