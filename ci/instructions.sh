#!/bin/bash
# instructions.sh [--renew]: counts the instructions of each hot operation (callgrind) and holds them against those in
# ci/instructions-baseline.tsv that this compiler's code took: more than a tenth above, in any of them, fails. --renew
# writes them down anew: after a change that makes code faster, or slower for a good reason, or with a new compiler.
source "$(dirname "$0")/common.sh"
need valgrind

baseline=ci/instructions-baseline.tsv
case ${1:-} in
"" | --renew) ;;
*) fail "no such argument: $1; there is --renew, and none" ;;
esac

export CARGO_TARGET_DIR
CARGO_TARGET_DIR=$(realpath -m "$TARGET")
compiler="$(rustc --version) $(rustc -vV | sed -n 's/^host: //p')"
scratch

# of_compiler BASELINE: operation, count.
of_compiler() { awk -F'\t' -v OFS='\t' -v compiler="$compiler" '$1 == compiler { print $2, $3 }' "$1"; }

# compare BEFORE NOW: both operation, count. Fails if anything rose by more than a tenth, or is not in both.
compare() {
    awk -F'\t' '
        !now { before[$1] = $2; next }
        {
            seen[$1] = 1
            if (!($1 in before)) { verdict = "NOT IN THE BASELINE"; bad++ }
            else if ($2 * 100 > before[$1] * 110) { verdict = "ROSE"; bad++ }
            else if ($2 * 100 < before[$1] * 95) { verdict = "fewer"; fewer++ }
            else verdict = ""
            change = $1 in before && before[$1] > 0 ? sprintf("%+6.1f %%", ($2 / before[$1] - 1) * 100) : ""
            printf "%-58s %9.2f %9.2f %9s  %s\n", $1, before[$1], $2, change, verdict
        }
        END {
            for (one in before) if (!(one in seen)) { printf "%-58s %9.2f  NOT COUNTED ANY MORE\n", one, before[one]; bad++ }
            if (fewer && !bad) print "Fewer than before: ci/instructions.sh --renew, so that they stay so few."
            exit bad > 0
        }' now=0 "$1" now=1 "$2"
}

say "cargo build --release, benches/instructions"
cargo build --release --locked --manifest-path benches/instructions/Cargo.toml
program=$CARGO_TARGET_DIR/release/annulus-instructions

say "instructions of each operation, and rtrb's"
"$program"

say "twice the same"
"$program" --tsv >"$SCRATCH/now"
"$program" --tsv >"$SCRATCH/again"
diff "$SCRATCH/now" "$SCRATCH/again" || fail "two runs of one program do not give the same counts"

say "what the comparison must find: each operation, made to look as if it had risen by 11 %; one more; one less"
compare "$SCRATCH/now" "$SCRATCH/now" >/dev/null || fail "what is the same does not pass"
operations=$(wc -l <"$SCRATCH/now")
for ((row = 1; row <= operations; row++)); do
    awk -F'\t' -v OFS='\t' -v row=$row 'NR == row { $2 /= 1.11 } 1' "$SCRATCH/now" >"$SCRATCH/lower"
    found=$(! compare "$SCRATCH/lower" "$SCRATCH/now") || fail "a rise in operation $row passes"
    [ "$(grep -c ROSE <<<"$found")" = 1 ] || fail "a rise in operation $row is not said"
    awk -F'\t' -v OFS='\t' -v row=$row 'NR == row { $2 /= 1.09 } 1' "$SCRATCH/now" >"$SCRATCH/lower"
    compare "$SCRATCH/lower" "$SCRATCH/now" >/dev/null || fail "a rise by 9 % in operation $row does not pass"
done
sed 1d "$SCRATCH/now" >"$SCRATCH/fewer"
! compare "$SCRATCH/fewer" "$SCRATCH/now" >/dev/null || fail "an operation without a baseline passes"
! compare "$SCRATCH/now" "$SCRATCH/fewer" >/dev/null || fail "an operation that is not counted any more passes"

if [ "${1:-}" = --renew ]; then
    touch "$baseline"
    of_compiler "$baseline" >"$SCRATCH/before"
    compare "$SCRATCH/before" "$SCRATCH/now" || true
    {
        awk -F'\t' -v compiler="$compiler" '$1 != compiler' "$baseline"
        awk -v compiler="$compiler" '{ print compiler "\t" $0 }' "$SCRATCH/now"
    } >"$SCRATCH/renewed"
    cp "$SCRATCH/renewed" "$baseline"
    say "written to $baseline, for $compiler"
    exit
fi

say "held against $baseline, for $compiler: before, now"
of_compiler "$baseline" >"$SCRATCH/before"
if [ ! -s "$SCRATCH/before" ]; then
    printf 'There is no baseline for this compiler. There are some for:\n' >&2
    cut -f1 "$baseline" | sort -u | sed 's/^/    /' >&2
    fail "NO BASELINE for $compiler: run ci/instructions.sh --renew on a commit that is known to be good, and commit $baseline"
fi
compare "$SCRATCH/before" "$SCRATCH/now" || fail "more instructions than $baseline allows: see ROSE above; if that is meant, ci/instructions.sh --renew"
