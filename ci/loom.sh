#!/bin/bash
# Explores the protocol with loom, and shows that each fence, ordering and check in it is needed: prints the
# executions of each model, and how many of its breaks were caught. Fails if one was not.
source "$(dirname "$0")/common.sh"

export RUSTFLAGS="${RUSTFLAGS:-} --cfg loom"
export CARGO_TARGET_DIR=$TARGET/loom
log=$(mktemp)
trap 'rm -f "$log"' EXIT

say "cargo test --lib models::, with --cfg loom"
cargo test --release -p annulus --lib --no-run
outcome=0
timeout 1800 cargo test --release -p annulus --lib models:: -- --nocapture --test-threads "$(nproc)" \
    >"$log" 2>&1 || outcome=$?

# Tests run side by side: what a model prints may share its line with what the test runner says.
grep -oE 'broken [a-z]+::[a-z_]+: .*' "$log" | sort || true
echo
awk '
    function words(line) { split(line, word, /[ :]+/); return word[2] "::" word[3] }
    match($0, /model [a-z]+::[a-z_]+: [0-9]+ executions in [0-9.]+ s/) {
        name = words(substr($0, RSTART, RLENGTH)); executions[name] = word[4]; seconds[name] = word[7]
    }
    match($0, /caught [a-z]+::[a-z_]+: [0-9]+\/[0-9]+/) { name = words(substr($0, RSTART, RLENGTH)); caught[name] = word[4] }
    END {
        for (name in caught) {
            printf "%-20s | %10s | %8s | %s\n", name, executions[name], seconds[name], caught[name] | "sort"
            split(caught[name], of, "/"); broken += of[2]; found += of[1]; all += executions[name]; models++
        }
        close("sort")
        printf "\nfigures | loom: executions | %d | %d | %d models; %d of %d fences, orderings and checks that were taken away are caught\n", \
            all, broken - found, models, found, broken
    }
    BEGIN { printf "%-20s | %10s | %8s | %s\n", "model", "executions", "seconds", "breaks caught"; fflush() }
' "$log"

if [ $outcome -ne 0 ] || grep -q 'NOT CAUGHT' "$log" || ! grep -q '^test result: ok' "$log"; then
    echo
    grep -A 2 -E 'panicked at|FAILED|^error|^test result' "$log" | cut -c1-300 | head -60
    fail "a model failed, or needs less than it claims to need (exit status $outcome)"
fi
