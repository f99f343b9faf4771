#!/bin/bash
# The layout of the code.
source "$(dirname "$0")/common.sh"

say "cargo fmt --all --check"
cargo fmt --all --check
for apart in fuzz benches/compare benches/instructions; do
    cargo fmt --manifest-path $apart/Cargo.toml --check -- --config-path .
done
