#!/bin/bash
# Clippy and the compiler's lints, on everything; atomics are taken from src/sync.rs alone.
source "$(dirname "$0")/common.sh"

say "cargo clippy, warnings are errors"
cargo clippy --workspace --all-targets -- -D warnings
cargo clippy -p annulus --all-targets --all-features -- -D warnings
cargo clippy --manifest-path benches/instructions/Cargo.toml --target-dir "$TARGET" -- -D warnings
need g++ libboost-dev libclang-dev libconcurrentqueue-dev libreaderwriterqueue-dev
cargo clippy --manifest-path benches/compare/Cargo.toml --target-dir "$TARGET/compare" -- -D warnings

say "src/sync.rs alone names the standard library's atomics"
if grep -rnE '\b(core|std)::sync::atomic' src --include='*.rs' | grep -v '^src/sync\.rs:' | grep -vE ':[0-9]+: *//'; then
    fail "the lines above must take atomics from crate::sync, or the models do not see them"
fi
