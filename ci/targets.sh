#!/bin/bash
# Where positions cannot be shared as they are, the compiler says so in our words: on a 32-bit and on a
# big-endian target. On another 64-bit little-endian one the library type-checks.
# Debian's rustc-web comes with the sources of std, which it type-checks for a target that nobody has installed.
source "$(dirname "$0")/common.sh"

need rustc-web cargo-web rust-web-src ca-certificates
export PATH=/usr/bin:/bin:/usr/sbin:/sbin RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$TARGET/targets
words=$(sed -n 's/^ *compile_error!("\(.*\)");$/\1/p' src/layout.rs)
[ -n "$words" ] || fail "src/layout.rs has no compile_error"

check() {
    /usr/bin/cargo check -p annulus --lib -Zbuild-std=std,panic_unwind --target "$1" 2>&1
}

for target in i686-unknown-linux-gnu powerpc64-unknown-linux-gnu; do
    say "$target: \"$words\""
    if log=$(check $target); then
        fail "$target compiles"
    fi
    grep -qF "error: $words" <<<"$log" || { tail -40 <<<"$log"; fail "$target fails, but not in these words"; }
done

say "aarch64-unknown-linux-gnu: type-checks"
log=$(check aarch64-unknown-linux-gnu) || { tail -40 <<<"$log"; fail "does not type-check"; }
