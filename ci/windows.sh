#!/bin/bash
# Windows: streams, and shared memory for its own sake. The library's tests, the command, and a program in C that shares memory
# with us, as x86_64-pc-windows-gnu programs under Wine. What this shows: that the calls are called as Windows wants them, that
# names, locks, sections and events come and go with their processes, that acquisition and viewer are told of each other, and
# that programs which use CreateFileMapping by themselves find our memory, and we theirs. What it cannot show: what Wine does otherwise than Windows; files'
# access lists; sessions. Left out are tests of what is Unix' alone: forks, signals, modes, /proc, ptrace, other backends.
source "$(dirname "$0")/common.sh"

need rustc-web cargo-web rust-web-src gcc-mingw-w64-x86-64-win32 wine64 ca-certificates
target=x86_64-pc-windows-gnu
export PATH=/usr/bin:/bin:/usr/sbin:/sbin RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc RUSTC_BOOTSTRAP=1
export CARGO_TARGET_DIR=$(realpath -m "$TARGET")/windows
export PROPTEST_CASES=${PROPTEST_CASES:-16} # of 256: what they look for is the same on any machine
std=(-Zbuild-std=std,panic_unwind --target "$target")

ulimit -n 16384 2>/dev/null || ulimit -n "$(ulimit -Hn)" # to Wine a handle is a file; a hundred streams in one process are many

mkdir -p "$CARGO_TARGET_DIR"
export WINEPREFIX=$CARGO_TARGET_DIR/wineprefix WINEARCH=win64 WINEDEBUG=${WINEDEBUG:--all}
export WINEDLLOVERRIDES="mscoree,mshtml,winemenubuilder.exe=" WINESERVER=/usr/lib/wine/wineserver64
wine=/usr/lib/wine/wine64
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=$wine
if [ ! -f "$WINEPREFIX/system.reg" ]; then
    say "makes a Windows for Wine"
    $wine wineboot -i >/dev/null 2>&1 || true
    $WINESERVER -w
fi
# Rust's std draws random numbers by bcryptprimitives.dll, which Wine 8 does not have. This one has what is asked of it.
random=$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll
if [ ! -f "$random" ]; then
    cat >"$CARGO_TARGET_DIR/random.c" <<'C'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG); /* RtlGenRandom, in advapi32 */
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) {
    while (count) {
        ULONG some = count > 0x10000000 ? 0x10000000 : (ULONG)count;
        if (!SystemFunction036(bytes, some)) return FALSE;
        bytes += some;
        count -= some;
    }
    return TRUE;
}
BOOL WINAPI DllMain(HINSTANCE dll, DWORD reason, LPVOID reserved) { return TRUE; }
C
    x86_64-w64-mingw32-gcc -shared -O2 -o "$random" "$CARGO_TARGET_DIR/random.c" -ladvapi32
fi
# For as long as this runs: to start it anew for each program takes longer than most of them. One that runs already is left alone.
end_server=true
if $WINESERVER -p 2>/dev/null; then end_server="$WINESERVER -k"; fi
trap '$end_server || true' EXIT

tests=(async bad_input lossless polled processes queues streams waiting waitset)
# Of shared memory for its own sake: they choose their kinds themselves.
shared=(shm win32)
skipped=(
    who_is_stopped_in_a_shared_ring_holds_all_up # measures another kind of ring, against the clock
)
run() {
    /usr/bin/cargo test -p annulus --features async "${std[@]}" --no-fail-fast "$@" -- "${skipped[@]/#/--skip=}"
}
say "mingw: tests/interop/win32.c"
export ANNULUS_INTEROP_WIN32=$CARGO_TARGET_DIR/win32.exe
x86_64-w64-mingw32-gcc -Wall -Wextra -Werror -O1 -o "$ANNULUS_INTEROP_WIN32" tests/interop/win32.c
say "cargo test, for $target under Wine: shared memory for its own sake, and with a program in C"
outcome=0 # no pipe: Wine's services have it open for as long as they live
run "${shared[@]/#/--test=}" >"$CARGO_TARGET_DIR/shared.log" 2>&1 || outcome=$?
cat "$CARGO_TARGET_DIR/shared.log"
[ $outcome -eq 0 ] || fail "see above"
! grep -q 'NOT RUN' "$CARGO_TARGET_DIR/shared.log" || fail "some tests were not run"
say "the same of streams: in the page file"
run --lib "${tests[@]/#/--test=}"
say "the same in files that are mapped, as far as it differs"
ANNULUS_TEST_BACKEND=file run --test=lossless --test=processes --test=streams

say "the command: an acquisition and a viewer exchange an ECG"
/usr/bin/cargo build -p annulus-cli "${std[@]}"
annulus=$CARGO_TARGET_DIR/$target/debug/annulus.exe
scratch=$(mktemp -d "$CARGO_TARGET_DIR/scratch.XXXXXX")
trap 'kill -KILL $(jobs -p) 2>/dev/null || true; rm -rf "$scratch"; $end_server || true' EXIT
mkdir "$scratch/streams"
export ANNULUS_DIR="Z:$scratch/streams"
said() { $wine "$annulus" "$@" </dev/null | tr -d '\r'; }
$wine "$annulus" gen --name ecg --wave ecg </dev/null >"$scratch/gen" 2>&1 &
acquisition=$!
wait_for 60 test -f "$scratch/streams/ecg@v1.l1"
$wine "$annulus" cat ecg </dev/null >"$scratch/viewed" 2>"$scratch/viewer" &
viewer=$!
wait_for 60 test -s "$scratch/viewed"
[ "$(said cat ecg --from oldest --frames 360 2>/dev/null | wc -l)" -eq 361 ] || fail "a second of it is not 360 frames, and a line that says of what"
said ls | tee "$scratch/ls"
grep -q 'ecg@v1 *live' "$scratch/ls" || fail "ls does not show a live stream"
said info ecg | tee "$scratch/info"
grep -qF 'page-file:Local\annulus-' "$scratch/info" || fail "info does not say what its memory is"
said view ecg --snapshot "Z:$scratch/ecg.png"
[ "$(head -c 4 "$scratch/ecg.png" | tail -c 3)" = PNG ] || fail "no picture of it"

say "other programs' shared memory: a file is removed, a stream is not, and what Windows cannot do it says"
refused() { # WORDS COMMAND...
    local words=$1
    shift
    ! $wine "$annulus" "$@" </dev/null >"$scratch/refused" 2>&1 || fail "annulus $* does not fail"
    cat "$scratch/refused"
    grep -qF "$words" "$scratch/refused" || fail "annulus $* does not say: $words"
}
echo "of another program" >"$scratch/foreign"
said rm --foreign "file:Z:$scratch/foreign"
[ ! -e "$scratch/foreign" ] || fail "it is there still"
refused "there is no such object" rm --foreign "file:Z:$scratch/foreign"
refused "it is a stream" rm --foreign "file:Z:$scratch/streams/ecg@v1.l1"
refused "Windows has no POSIX objects" rm --foreign posix:/x
memory=$(said info ecg | grep -oE 'page-file:[^ ]+')
refused "it is a stream" rm --foreign "$memory"
refused "Windows does not tell which sections there are" ls --all

say "the acquisition is killed: its viewer is told, and reads on from the next one"
kill -KILL $acquisition
wait_for 20 grep -q 'died at position' "$scratch/viewer"
said ls | tee "$scratch/ls"
grep -q 'ecg@v1 *dead' "$scratch/ls" || fail "ls does not show that its producer is dead"
said gen --name ecg --wave ecg --duration 1s
wait_for 20 grep -q 'carries on' "$scratch/viewer"
wait $viewer || fail "the viewer does not end with the stream"
cat "$scratch/viewer"
[ -z "$(ls "$scratch/streams")" ] || fail "something is left: $(ls "$scratch/streams")"
say "streams work under Wine, and their processes learn of each other's death"
