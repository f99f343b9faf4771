#!/bin/bash
# Other users, other namespaces, other clocks, names that are taken away: all of tests/security.rs and tests/clocks.rs, as
# root, where none of it may be left out; then once more with the kernel's protections for sticky directories the other
# way round, which are set back afterwards.
source "$(dirname "$0")/common.sh"

[ "$(id -u)" -eq 0 ] || fail "must be run as root, or it shows only a part: sudo --preserve-env=PATH ci/security.sh"
need util-linux

export ANNULUS_ALL_TESTS=1
say "cargo test --test clocks, --test security"
cargo test -q -p annulus --test clocks -- --nocapture
cargo test -q -p annulus --test security -- --nocapture

settings=(protected_hardlinks protected_regular protected_symlinks protected_fifos)
before=() changed=0
for setting in "${settings[@]}"; do before+=("$(cat "/proc/sys/fs/$setting")"); done
set_back() {
    local index
    for index in "${!settings[@]}"; do echo "${before[index]}" >"/proc/sys/fs/${settings[index]}" || true; done
}
trap set_back EXIT
for index in "${!settings[@]}"; do
    other=$((before[index] == 0 ? 1 : 0))
    if echo "$other" 2>/dev/null >"/proc/sys/fs/${settings[index]}"; then changed=$((changed + 1)); fi
done
if [ $changed -eq 0 ]; then
    say "fs.protected_* cannot be set here (a container?): shown only as they are"
else
    say "$changed of ${settings[*]} the other way round"
    cargo test -q -p annulus --test security squatted -- --nocapture
fi
