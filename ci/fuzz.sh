#!/bin/bash
# fuzz.sh [SECONDS]: each fuzz target for so long (default 30 s), from its seeds. What it finds is kept in
# fuzz/corpus; an input that fails lies in fuzz/artifacts. No input is a reason to allocate much.
source "$(dirname "$0")/common.sh"
seconds=${1:-30}
version=0.13.2

if [ ! -x "$CACHE/cargo-fuzz-$version/bin/cargo-fuzz" ]; then
    say "cargo install cargo-fuzz"
    cargo install --quiet --locked cargo-fuzz --version $version --root "$CACHE/cargo-fuzz-$version"
fi
export PATH=$CACHE/cargo-fuzz-$version/bin:$PATH RUSTC_BOOTSTRAP=1
[ -z "${CARGO_TARGET_DIR:-}" ] || export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/fuzz

targets=$(cargo fuzz list)
[ -n "$targets" ] || fail "there is no fuzz target"
for target in $targets; do
    seeds=fuzz/seeds/$target
    [ -n "$(ls -A "$seeds" 2>/dev/null)" ] || fail "$seeds is empty"
    say "$target: $(find "$seeds" -type f | wc -l) seeds, $seconds s"
    mkdir -p "fuzz/corpus/$target"
    log=$(mktemp)
    if ! cargo fuzz run "$target" "fuzz/corpus/$target" "$seeds" -- -max_total_time="$seconds" -malloc_limit_mb=64 -print_final_stats=1 >"$log" 2>&1; then
        cat "$log"
        rm "$log"
        fail "$target found something"
    fi
    grep -E '^(Done|stat::number_of_executed_units|#[0-9]+.*DONE)' "$log"
    rm "$log"
done
