#!/bin/bash
# The library's tests as aarch64 programs, under qemu-user. What this shows: that code and layout are right there, that
# the system calls are called as that system wants them, and that two architectures' segments are byte for byte the
# same (the golden bytes). What it cannot show: weak memory, since qemu gives each load and store the order of the x86
# below (loom does that), and what only silicon does. The library's tests only, not the command's; and of these not kill
# (ptrace), soak (kills each process before an emulated one has begun), nor those of other users, namespaces and clocks.
source "$(dirname "$0")/common.sh"

need rustc-web cargo-web rust-web-src gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static ca-certificates
target=aarch64-unknown-linux-gnu
export PATH=/usr/bin:/bin:/usr/sbin:/sbin RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc RUSTC_BOOTSTRAP=1
export CARGO_TARGET_DIR=$TARGET/aarch64 QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=qemu-aarch64-static
export PROPTEST_CASES=${PROPTEST_CASES:-16} # of 256: what they look for is the same on any machine

# The tests start themselves as their own children: the kernel must know whom to ask.
formats=/proc/sys/fs/binfmt_misc
[ -e $formats/register ] || mount -t binfmt_misc none $formats || fail "the kernel lets nobody register qemu here (binfmt_misc)"
if [ ! -e $formats/qemu-aarch64 ]; then
    say "registers qemu for aarch64 programs, for as long as this runs"
    trap 'echo -1 >$formats/qemu-aarch64' EXIT
    printf '%s' ':qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:FP' >$formats/register
fi
# Debian 12's qemu 7.2 passes on what the library calls (membarrier, F_OFD_SETLK, O_TMPFILE, fallocate, linkat, eventfd, fork),
# but for two: futex_waitv is unknown to it, so that waiting on many streams takes the way of older kernels, and
# MADV_POPULATE_WRITE is left out without a word. It has no ptrace: tests/kill.rs is x86_64's.
skipped=(
    all_pages_are_there_from_the_start # they are not, by the above
    concurrent_observers_never_accept_a_torn_frame # wants to be lapped within 20 s, for which emulated threads are too slow
    readers_cannot_write_to_samples_and_positions # reads /proc/self/maps, which qemu makes up from its own tables
    who_is_stopped_in_a_shared_ring_holds_all_up # measures another kind of ring, against the clock
)
tests=(async bad_input house layout lossless polled processes queues streams waiting waitset)
say "cargo test, for $target under qemu"
log=$CARGO_TARGET_DIR/log
mkdir -p "$CARGO_TARGET_DIR"
/usr/bin/cargo test -p annulus --features async -Zbuild-std=std,panic_unwind --target $target --lib "${tests[@]/#/--test=}" --no-fail-fast \
    "$@" -- "${skipped[@]/#/--skip=}" 2>&1 | tee "$log"
awk -v skipped="${#skipped[@]}" '/^test result: ok/ { passed += $4 } END {
    printf "figures | aarch64 under qemu: tests | %d | 0 | of its own and eleven files; %d more cannot run there; shows nothing of weak memory\n", passed, skipped
}' "$log"
