#!/bin/bash
# mutants.sh [--all | FILE...]: puts mistakes into the source, one at a time, and sees whether a test notices. What none
# can notice stands in ci/mutants-survivors.txt, with the reason: nothing else may survive, and nothing that stands there
# may be noticed, or gone. Without arguments the short form: src/index.rs and src/lane.rs, by the library's own tests.
# --all takes long; FILE... are some of the files in full.
source "$(dirname "$0")/common.sh"

version=27.1.0
form=all
case ${1:-} in
'') form=short files=(src/index.rs src/lane.rs) ;;
--all)
    files=(src/index.rs src/lane.rs src/seat.rs src/ring/*.rs src/wait/mod.rs src/wait/futex.rs src/wait/event/eventfd.rs
        src/lifecycle/*.rs)
    ;;
*) files=("$@") ;;
esac
need python3
if [ ! -x "$CACHE/cargo-mutants-$version/bin/cargo-mutants" ]; then
    say "cargo install cargo-mutants"
    cargo install --quiet --locked cargo-mutants --version $version --root "$CACHE/cargo-mutants-$version"
fi

# Two copies of the project to work on, one of them for the models. In the other what is compiled for the models only is
# gone (its lines are empty), what a macro hides from cargo-mutants is not hidden, and the tests that need no process of
# their own are one program.
work=$(realpath -m "$TARGET")/mutants
tree=$work/tree
for copy in "$tree" "$work/models"; do
    rm -rf "$copy"
    mkdir -p "$copy"
    tar -c --exclude=./.git --exclude=./target --exclude=./fuzz . | tar -x -m -C "$copy"
    sed -i -e '/^criterion =/d' -e '/^\[\[bench\]\]$/,/^$/d' "$copy/Cargo.toml" # nothing here needs them
done
for file in "${files[@]}"; do
    awk '
        { line[NR] = $0 }
        !skip && /^ *#\[cfg\(all\(loom, test\)\)\]$/ {
            skip = 1; end = $0; sub(/#.*/, "}", end)
            for (at = NR; at == NR || line[at] ~ /^ *\/\/\//; at--) line[at] = ""
            next
        }
        skip { skip = $0 != end; line[NR] = "" }
        END { for (at = 1; at <= NR; at++) print line[at] }' "$file" >"$tree/$file"
done
sed -i -e '/^macro_rules! outside_of_models/,/^}$/d' \
    -e '/^outside_of_models! {$/,/^}$/{/^outside_of_models! {$/d;/^}$/d}' "$tree/src/lib.rs"
echo 'mod support;' >"$tree/tests/quick.rs"
for file in streams lossless bad_input polled waitset; do
    sed -i 's/^mod support;$/use crate::support;/' "$tree/tests/$file.rs"
    printf '#[path = "%s.rs"]\nmod %s;\n' $file $file >>"$tree/tests/quick.rs"
done

(
    cd "$tree"
    "$CACHE/cargo-mutants-$version/bin/cargo-mutants" mutants --no-config --list --json --package annulus \
        "${files[@]/#/--file=}" --exclude-re 'impl fmt::Display'
) >"$work/mutants.json"

# The same each time, and no time for finding the smallest example. RUSTC_BOOTSTRAP is for the tests' --fail-fast.
export PROPTEST_CASES=48 PROPTEST_RNG_SEED=1 PROPTEST_MAX_SHRINK_ITERS=0 PROPTEST_DISABLE_FAILURE_PERSISTENCE=1
export CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0 RUSTC_BOOTSTRAP=1
python3 ci/mutants.py "$work" ci/mutants-survivors.txt $form "${files[@]}"
