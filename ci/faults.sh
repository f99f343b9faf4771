#!/bin/bash
# faults.sh [NAME...]: does each proof fail when it should? Each patch in ci/faults is one mistake, and names in its
# first lines the command that must fail with it, and what that must say:
#     # what: ...
#     # run: ...
#     # says: ...
# It is applied to a copy of the tree. Fails if a mistake is not caught, or a patch does not apply any more. Without
# arguments, all of them; and without any mistake each of the commands must pass.
source "$(dirname "$0")/common.sh"

here=$PWD
export CARGO_TARGET_DIR
CARGO_TARGET_DIR=$(realpath -m "$TARGET")/faults
tree=$CARGO_TARGET_DIR/tree # always the same, or all would be compiled anew each time
rm -rf "$tree"
mkdir -p "$tree"
git ls-files -z --cached --others --exclude-standard --deduplicate | xargs -0 cp --parents -t "$tree"
patches=("${@/#/ci/faults/}")
patches=("${patches[@]/%/.patch}")
[ $# -gt 0 ] || patches=(ci/faults/*.patch)
# git would take the copy for a part of the repository that it lies in, and its patches for some of files elsewhere.
export GIT_CEILING_DIRECTORIES=$CARGO_TARGET_DIR
word() { sed -n "s/^# $1: //p" "$2"; }

caught=0
cd "$tree"
# What all of them need is compiled before their time begins.
cargo test -q -p annulus --no-run
for patch in "${patches[@]}"; do
    run=$(word run "$patch") says=$(word says "$patch")
    [ -n "$(word what "$patch")" ] && [ -n "$run" ] && [ -n "$says" ] || fail "$patch lacks one of what, run, says"
    git apply -C1 --unsafe-paths "$patch" || fail "$patch does not apply any more"
    ! diff -qr "$here/src" src >/dev/null || fail "$patch changes nothing"
    start=$SECONDS outcome=0
    timeout --kill-after=5s 300 bash -c "$run" >fault.log 2>&1 </dev/null || outcome=$?
    git apply -C1 --unsafe-paths -R "$patch"
    ! grep -q 'could not compile' fault.log || { tail -40 fault.log; fail "$patch does not compile any more"; }
    if [ $outcome -eq 0 ] || ! grep -qE -- "$says" fault.log; then
        tail -40 fault.log
        fail "$(basename "$patch" .patch) is not caught (exit status $outcome): $run"
    fi
    caught=$((caught + 1))
    printf '   %-34s %3d s  %s\n' "$(basename "$patch" .patch)" $((SECONDS - start)) "$(word what "$patch")"
done
[ $# -gt 0 ] || sed -n 's/^# run: //p' ci/faults/*.patch | sort -u | while read -r run; do
    bash -c "$run" >fault.log 2>&1 </dev/null || { tail -40 fault.log; fail "fails without a mistake, too: $run"; }
done
printf 'figures | seeded faults: caught | %d of %d | 0 | ci/faults\n' $caught ${#patches[@]}
