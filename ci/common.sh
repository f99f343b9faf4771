# Sourced by the other scripts here: they stop at the first error, and run in the project's root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Tools that are built for these checks alone.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/annulus
TARGET=${CARGO_TARGET_DIR:-target}

say() { printf '== %s\n' "$*"; }
fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# need PACKAGE...: Debian packages, installed if they are missing.
need() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null || fail "needs Debian's packages ${missing[*]}, and there is no apt-get"
    [ "$(id -u)" -eq 0 ] || fail "needs Debian's packages: sudo apt-get install ${missing[*]}"
    say "apt-get install ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# wait_for SECONDS COMMAND...: until the command succeeds; it is asked again and again.
wait_for() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -le $until ] || fail "waited in vain for: $*"
        sleep 0.02
    done
}

# Builds the command, and says where it is.
annulus_binary() {
    cargo build --release -p annulus-cli >&2
    printf '%s/release/annulus\n' "$(realpath "$TARGET")"
}

# A directory for the streams and files of one script; it is gone, with the script's processes, at the end.
scratch() {
    SCRATCH=$(mktemp -d /dev/shm/annulus-ci.XXXXXX)
    export ANNULUS_DIR=$SCRATCH
    trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$SCRATCH"' EXIT
}
