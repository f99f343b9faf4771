#!/bin/bash
# Waiting for many streams, by strace and the kernel's accounts: one system call to sleep on a hundred, woken for
# exactly those that are due; and nothing to be paid while nothing comes, for a WaitSet, a descriptor and a task.
source "$(dirname "$0")/common.sh"

need strace
annulus=$(annulus_binary)
say "asynchronous reads, in tasks of no runtime and of tokio's"
cargo test -p annulus --features async --test async --quiet
cargo build --release -p annulus --features async --example waitset --example poll --example tokio
examples=$(realpath "$TARGET")/release/examples
scratch

# set_of STREAMS SECONDS DUE [STRACE'S OPTIONS]: the example under strace, whose main thread is the one that waits.
# Leaves what it said and the calls of that thread.
set_of() {
    local streams=$1 seconds=$2 due=$3
    shift 3
    strace -ff -o "$SCRATCH/calls" -e trace=futex,futex_waitv,membarrier "$@" \
        "$examples/waitset" "$streams" "$seconds" "$due" >"$SCRATCH/said"
    printf '   %s\n' "$(cat "$SCRATCH/said")"
    calls=$(find "$SCRATCH" -name 'calls.*' | sort -t. -k3n | sed -n 1p)
    read -r blocks woken told <<<"$(sed -nE 's/.*: ([0-9]+) blocks came; woken ([0-9]+) times, told of ([0-9]+) .*/\1 \2 \3/p' "$SCRATCH/said")"
}
# Who is woken by what it waits for does not sleep until the slice is over, unless in vain, in the end.
woken_not_timed_out() {
    local late
    late=$(cat "$SCRATCH"/calls.* | grep -cE 'futex_waitv.*ETIMEDOUT' || true)
    printf '   %d of the sleeps lasted until a slice was over\n' "$late"
    [ "$late" -le "$1" ] || fail "it is not woken, but looks when a slice is over"
}
clean() { rm -f "$SCRATCH"/calls.*; }
count() { grep -cE "$1" "$calls" || true; }

say "100 streams, three of them due every 50 ms, for 4 s"
set_of 100 4 3
sleeps=$(count '^futex_waitv\(.*, 100, 0,') all=$(count '^futex_waitv') singles=$(count 'FUTEX_WAIT[^E]')
printf '   the waiting thread: %d futex_waitv of 100 words each, %d of other sizes, %d other futex waits\n' \
    "$sleeps" $((all - sleeps)) "$singles"
[ "$blocks" -gt 150 ] && [ "$told" -eq "$blocks" ] || fail "not told of exactly those that were due"
[ "$all" -eq "$sleeps" ] && [ "$singles" -le 5 ] || fail "a sleep that is not one call for all"
# One for each time it was woken, and for each slice of 100 ms of the last wait, which is in vain.
[ "$sleeps" -ge $((blocks / 12)) ] && [ "$sleeps" -le $((2 * woken + 80)) ] || fail "it sleeps again and again"
woken_not_timed_out 12 # the last waits in vain, for 0.5 s and more
clean

say "the same, with futex_waitv refused: it looks when frames are due, and misses nothing"
for error in ENOSYS EPERM; do
    set_of 100 3 3 -e inject=futex_waitv:error=$error
    refused=$(count 'futex_waitv.*INJECTED') waits=$(count 'FUTEX_WAIT[^E]')
    printf '   %s: refused %d times, %d short sleeps in about 4 s\n' $error "$refused" "$waits"
    [ "$refused" -gt 10 ] || fail "futex_waitv was never refused: this shows nothing"
    [ "$told" -eq "$blocks" ] && [ "$blocks" -gt 100 ] || fail "not told of exactly those that were due"
    [ "$waits" -lt 2000 ] || fail "that is polling without a pause" # 5 frames at 400 Hz: every 12.5 ms
    clean
done

say "300 streams: more than one call takes"
set_of 300 5 5
[ "$told" -eq "$blocks" ] && [ "$blocks" -gt 100 ] || fail "not told of exactly those that were due"
printf '   %d threads were started to help, two for each sleep\n' $(($(find "$SCRATCH" -name 'calls.*' | wc -l) - 2))
woken_not_timed_out 18 # three threads, of which more than one may see that a slice is over
clean

# idle WHAT PID: processor time over some seconds, in ticks of 10 ms, and how often its threads slept.
idle() {
    local ticks_before switches_before ticks switches
    ticks_before=$(awk '{ print $14 }' "/proc/$2/stat") switches_before=$(switches "$2")
    sleep 5
    ticks=$(($(awk '{ print $14 }' "/proc/$2/stat") - ticks_before)) switches=$(($(switches "$2") - switches_before))
    printf '   %-28s utime %d ticks in 5 s, %d sleeps\n' "$1:" "$ticks" "$switches"
    [ $ticks -le 5 ] || fail "$1 costs time while nothing comes"
    # One in 100 ms for the thread that waits, and what a timer of 1 s is; not one for each stream.
    [ $switches -le 90 ] || fail "$1 wakes more than once a slice"
}
switches() { cat /proc/"$1"/task/*/status | awk '/^voluntary_ctxt_switches/ { sum += $2 } END { print sum }'; }

say "nothing comes: what waiting costs then"
"$annulus" gen --name silent --type i16 --rate 1 --chunk 100 2>/dev/null &
wait_for 5 "$annulus" info silent
"$examples/waitset" 100 40 0 >/dev/null &
pids=($!)
"$examples/tokio" silent 40 >"$SCRATCH/tokio.said" &
pids+=($!)
sleep 40 | "$examples/poll" silent >"$SCRATCH/poll.said" &
pids+=($!)
wait_for 5 grep -q 'press Enter' "$SCRATCH/poll.said"
wait_for 5 grep -q '1 s:' "$SCRATCH/tokio.said"
idle "WaitSet of 100 streams" "${pids[0]}"
idle "task (tokio), with a timer" "${pids[1]}"
idle "descriptor (poll)" "${pids[2]}"
kill "${pids[@]}"
wait "${pids[@]}" 2>/dev/null || true

say "tokio: a stream of 1 kHz and a timer in one task"
"$annulus" gen --name lively --type i16 --rate 1000 --chunk 1 2>/dev/null &
wait_for 5 "$annulus" info lively
"$examples/tokio" lively 4 >"$SCRATCH/tokio.said"
sed 's/^/   /' "$SCRATCH/tokio.said"
read -r frames wakes ticks <<<"$(sed -nE 's/in all ([0-9]+) frames, woken ([0-9]+) times, ([0-9]+) ticks/\1 \2 \3/p' "$SCRATCH/tokio.said")"
[ "$frames" -ge 3000 ] && [ "$ticks" -ge 4 ] || fail "the stream or the timer starved"
[ "$wakes" -le $((frames / 20 + 5)) ] || fail "woken before its 20 frames were there"
[ "$wakes" -ge $((frames / 40)) ] || fail "not woken when its 20 frames were there"

say "poll: the same stream and standard input"
{ sleep 2; echo; sleep 1; } | "$examples/poll" lively >"$SCRATCH/poll.said"
sed 's/^/   /' "$SCRATCH/poll.said"
[ "$(grep -c frames, "$SCRATCH/poll.said")" -eq 2 ] || fail "no answer to the line"
read -r frames wakes <<<"$(sed -nE 's/.*in all ([0-9]+) frames, told ([0-9]+) times/\1 \2/p' "$SCRATCH/poll.said")"
[ "$frames" -ge 2000 ] && [ "$wakes" -le $((frames / 20 + 5)) ] && [ "$wakes" -ge $((frames / 40)) ] ||
    fail "not told once for each 20 frames"
