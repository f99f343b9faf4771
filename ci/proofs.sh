#!/bin/bash
# proofs.sh [STEP...]: the short form of the long proofs, and one table of what they came to. Each step is a script in ci/
# that runs alone, too, and longer. The last one shows that the others fail when they should.
source "$(dirname "$0")/common.sh"

steps=("$@")
[ $# -gt 0 ] || steps=(kill soak loom fuzz inject security long mutants faults)
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT

# What takes longer than this place has for it.
declare -A short=([kill]="400 few" [fuzz]=12 [long]=150000 [faults]="
    kill-announced-late kill-linked-before-written kill-published-before-copied kill-seat-by-entry kill-unlinked-before-retired
    published-before-copied name-not-compared-inside-the-gate resumed-with-other-parameters
    fuzz-announced-forgotten fuzz-geometry-read-again gate-left-locked object-leaked
    life-by-pid removed-by-name positions-without-end two-consumers")

failed=()
for step in "${steps[@]}"; do
    start=$SECONDS
    # Who shows nothing has not been run.
    if ! bash "ci/$step.sh" ${short[$step]:-} </dev/null 2>&1 | tee "$log/$step" || ! grep -q 'figures | ' "$log/$step"; then
        failed+=("$step")
        printf 'figures | %s | - | FAILED | see above\n' "$step" >>"$log/$step"
    fi
    printf '== %s took %d s\n\n' "$step" $((SECONDS - start))
done

(
    printf 'what | how often | wrong |\n'
    for step in "${steps[@]}"; do
        sed -n 's/.*figures | //p' "$log/$step" # the test runner may have begun the line
    done
) | awk -F ' [|] ' '{ printf "%-38s %16s  %6s  %s\n", $1, $2, $3, $4 }'
printf 'in %d s, on %s processors\n' $SECONDS "$(nproc)"
[ ${#failed[@]} -eq 0 ] || fail "failed: ${failed[*]}"
