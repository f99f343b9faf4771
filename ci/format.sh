#!/bin/bash
# The layout of the code.
source "$(dirname "$0")/common.sh"

say "cargo fmt --all --check"
cargo fmt --all --check
cargo fmt --manifest-path fuzz/Cargo.toml --check -- --config-path .
