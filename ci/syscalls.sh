#!/bin/bash
# What reading costs the producer, by strace: a push makes no system call; and a reader that wants 20 ms of data
# wakes 50 times a second, whatever the rate.
source "$(dirname "$0")/common.sh"

need strace
annulus=$(annulus_binary)
scratch
blocks=1000000

# The sum, or one call's count, of strace -c's table.
calls() { awk -v name="$2" '$NF == name { print $4; found = 1 } END { if (!found) print 0 }' "$1"; }
# What a cat says at its end: "NAME@v1: 5 frames, 0 lost, ..."
frames() { sed -n 's/.*: \([0-9]*\) frames, .*/\1/p' "$1"; }

# push HOW: blocks of one frame, as fast as it goes, to a reader that waits so. Leaves strace's table in
# $SCRATCH/HOW.calls. The stream is there before, from a producer that was killed: so the reader is, too.
push() {
    local how=$1 shape=(--name "push-$1" --wave counter --type i16 --channels 4 --rate 1000 --retain $((blocks + 100000)) --chunk 1)
    "$annulus" gen "${shape[@]}" 2>/dev/null &
    local first=$!
    wait_for 5 "$annulus" cat "push-$how" --from oldest --frames 1
    kill -9 $first
    wait $first 2>/dev/null || true
    "$annulus" cat "push-$how" --wait "$how" --format raw >/dev/null 2>"$SCRATCH/$how.cat" &
    local reader=$!
    wait_for 5 grep -qs died "$SCRATCH/$how.cat"
    strace -f -c -o "$SCRATCH/$how.calls" "$annulus" gen "${shape[@]}" --speed max --frames $blocks 2>"$SCRATCH/$how.gen"
    wait_for 20 grep -qs lost "$SCRATCH/$how.cat"
    wait $reader || true
    local read
    read=$(frames "$SCRATCH/$how.cat")
    printf '   %-6s reader: gen pushed %d blocks with %d system calls in all, %d of them futex; the reader got %d\n' \
        "$how" $blocks "$(calls "$SCRATCH/$how.calls" total)" "$(calls "$SCRATCH/$how.calls" futex)" "$read"
    [ "$read" -ge $blocks ] || fail "the reader missed some of $blocks: $(cat "$SCRATCH/$how.cat")"
}

say "gen --speed max, $blocks blocks, under strace"
push spin
[ "$(calls "$SCRATCH/spin.calls" total)" -lt 2000 ] || { cat "$SCRATCH/spin.calls"; fail "system calls in the push path"; }
[ "$(calls "$SCRATCH/spin.calls" futex)" -lt 10 ] || { cat "$SCRATCH/spin.calls"; fail "a reader that does not sleep is woken"; }
push block
[ "$(calls "$SCRATCH/block.calls" futex)" -gt 0 ] || fail "a sleeping reader is never woken: this measures nothing"

# wakes RATE: a reader that wants 20 ms at a time, counted by the kernel, and one counted by strace. Each has a
# stream of its own: a wake-up is for all who sleep on a stream, so two readers would wake each other, too.
seconds=6
switches() { awk '/^voluntary_ctxt_switches/ { print $2 }' "/proc/$1/status"; }
wakes() {
    local one=wakes-$1-counted other=wakes-$1-traced pids=()
    for name in $one $other; do
        "$annulus" gen --name "$name" --wave counter --type i16 --channels 4 --rate "$1" --chunk 1 2>/dev/null &
        pids+=($!)
        wait_for 5 "$annulus" info "$name"
    done
    "$annulus" cat $one --wait block --chunk 20ms --format raw >/dev/null 2>&1 &
    local counted=$!
    strace -o "$SCRATCH/$1.futex" -ttt -e trace=futex "$annulus" cat $other --wait block --chunk 20ms --format raw >/dev/null 2>&1 &
    pids+=($counted $!)
    wait_for 5 grep -qs FUTEX_WAIT "$SCRATCH/$1.futex"
    sleep 1
    local before after from to
    from=$(date +%s.%N) before=$(switches $counted)
    sleep $seconds
    to=$(date +%s.%N) after=$(switches $counted)
    kill "${pids[@]}"
    wait "${pids[@]}" 2>/dev/null || true
    python3 - "$1" "$from" "$to" "$((after - before))" "$SCRATCH/$1.futex" <<'P'
import sys
rate, start, end, switches, path = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
waits = sum("FUTEX_WAIT" in line and start <= float(line.split()[0]) < end for line in open(path))
by_kernel, by_strace = switches / (end - start), waits / (end - start)
print(f"   at {rate} Hz, over {end - start:.2f} s: {by_kernel:.1f} sleeps a second (voluntary switches), {by_strace:.1f} returns from futex a second (strace)")
sys.exit(not (45 <= by_kernel <= 55 and 45 <= by_strace <= 55))
P
}

say "cat --wait block --chunk 20ms: 45 to 55 wake-ups a second"
wakes 1000 || fail "not 45 to 55 at 1 kHz"
wakes 30000 || fail "not 45 to 55 at 30 kHz"

# A sleeper whose membarrier is refused (an old seccomp profile) sleeps one short slice after arming, then long
# ones. With a short one each time this would be thousands of waits.
say "cat --wait block beside a silent producer, membarrier refused"
"$annulus" gen --name silent --rate 1 --chunk 100 2>/dev/null &
wait_for 5 "$annulus" info silent
timeout 4 strace -f -o "$SCRATCH/refused" -e trace=futex,membarrier -e inject=membarrier:error=EPERM \
    "$annulus" cat silent --wait block --format raw >/dev/null 2>&1 || true
refused=$(grep -c 'membarrier.*INJECTED' "$SCRATCH/refused" || true)
waits=$(grep -c FUTEX_WAIT "$SCRATCH/refused" || true)
printf '   %d futex waits in about 4 s, membarrier refused %d times\n' "$waits" "$refused"
[ "$refused" -gt 0 ] || fail "membarrier was never refused: this shows nothing"
[ "$waits" -gt 10 ] && [ "$waits" -lt 200 ] || fail "not some forty waits"
