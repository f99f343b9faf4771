#!/bin/bash
# What must not compile fails for the right reason: only a nightly rustdoc compares the error codes that the
# examples name, so this asks the stable one to be nightly.
source "$(dirname "$0")/common.sh"

say "cargo test --doc, with the error codes"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$TARGET/compile-fail cargo test --doc -p annulus 2>&1 | tee "$log"

coded=$(grep -rhE '^ *//[/!] *```.*compile_fail,E[0-9]{4}' src | wc -l)
uncoded=$(grep -rhE '^ *//[/!] *```.*compile_fail' src | grep -vcE 'compile_fail,E[0-9]{4}' || true)
ran=$(grep -cE 'compile fail \.\.\. ok' "$log" || true)
say "$coded examples name the error that they expect, $uncoded do not; $ran ran"
[ "$coded" -gt 0 ] || fail "there is no example with compile_fail and an error code"
[ "$uncoded" -eq 0 ] || fail "write compile_fail,E0277 (or whichever): any other mistake would pass too"
[ "$ran" -eq "$coded" ] || fail "$coded examples, but $ran ran"
