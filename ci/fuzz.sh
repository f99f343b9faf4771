#!/bin/bash
# fuzz.sh [SECONDS [TARGET...]]: each fuzz target for so long (default 20 s), from its seeds. What it finds is kept in
# fuzz/corpus; an input that fails lies in fuzz/artifacts. No input is a reason to allocate much, or to hang.
source "$(dirname "$0")/common.sh"
seconds=${1:-20}
version=0.13.2

if [ ! -x "$CACHE/cargo-fuzz-$version/bin/cargo-fuzz" ]; then
    say "cargo install cargo-fuzz"
    cargo install --quiet --locked cargo-fuzz --version $version --root "$CACHE/cargo-fuzz-$version"
fi
export PATH=$CACHE/cargo-fuzz-$version/bin:$PATH RUSTC_BOOTSTRAP=1
[ -z "${CARGO_TARGET_DIR:-}" ] || export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/fuzz

# What a target that found something had in shared memory.
leftovers() {
    local left
    for left in /dev/shm/annulus-fuzz-*; do
        [ ! -d "$left" ] || [ -e "/proc/${left##*-}" ] || rm -r "$left"
    done
}
trap leftovers EXIT

targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
[ ${#targets[@]} -gt 0 ] || fail "there is no fuzz target"
for target in "${targets[@]}"; do
    seeds=fuzz/seeds/$target
    [ -n "$(ls -A "$seeds" 2>/dev/null)" ] || fail "$seeds is empty"
    say "$target: $(find "$seeds" -type f | wc -l) seeds, $seconds s"
    mkdir -p "fuzz/corpus/$target"
    log=$(mktemp)
    if ! cargo fuzz run "$target" "fuzz/corpus/$target" "$seeds" -- -max_total_time="$seconds" -timeout=30 -malloc_limit_mb=64 -print_final_stats=1 >"$log" 2>&1; then
        cat "$log"
        rm "$log"
        fail "$target found something"
    fi
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    covered=$(sed -nE 's/^#[0-9]+\s+DONE\s+cov: ([0-9]+) ft: ([0-9]+).*/coverage \1, features \2/p' "$log")
    [ -n "$executions" ] && [ -n "$covered" ] || fail "$target says nothing of what it did"
    echo "figures | fuzz: $target | $executions | 0 | $seconds s, $covered"
    rm "$log"
done
