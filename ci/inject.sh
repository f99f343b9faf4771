#!/bin/bash
# inject.sh [EVERY]: each system call of each operation fails in turn, in each way that it can (default: all of them;
# else every so many-th).
source "$(dirname "$0")/common.sh"

export ANNULUS_FAULTS=${1:-1}
say "cargo test --release --test faults, one in $ANNULUS_FAULTS"
cargo test --release -q -p annulus --test faults -- --nocapture
