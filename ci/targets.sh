#!/bin/bash
# Where positions cannot be shared as they are, the compiler says so in our words: on a 32-bit and on a
# big-endian target. On other 64-bit little-endian ones the library type-checks, without a warning: on Linux elsewhere
# (ci/aarch64.sh runs it there), and on macOS, where nothing of it was ever run.
# Debian's rustc-web comes with the sources of std, which it type-checks for a target that nobody has installed.
source "$(dirname "$0")/common.sh"

need rustc-web cargo-web rust-web-src ca-certificates
export PATH=/usr/bin:/bin:/usr/sbin:/sbin RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$TARGET/targets
words=$(sed -n 's/^ *compile_error!("\(.*\)");$/\1/p' src/layout.rs)
[ -n "$words" ] || fail "src/layout.rs has no compile_error"

check() {
    /usr/bin/cargo check -p annulus --lib -Zbuild-std=std,panic_unwind --target "$@" 2>&1
}

for target in i686-unknown-linux-gnu powerpc64-unknown-linux-gnu; do
    say "$target: \"$words\""
    if log=$(check $target); then
        fail "$target compiles"
    fi
    grep -qF "error: $words" <<<"$log" || { tail -40 <<<"$log"; fail "$target fails, but not in these words"; }
done

for target in aarch64-unknown-linux-gnu aarch64-apple-darwin; do
    say "$target: type-checks"
    log=$(check $target --all-features) || { tail -40 <<<"$log"; fail "$target does not type-check"; }
    ! grep -q '^warning' <<<"$log" || { tail -40 <<<"$log"; fail "$target: warnings"; }
done
