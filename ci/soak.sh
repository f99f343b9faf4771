#!/bin/bash
# soak.sh [--seconds N | --minutes N | --hours N]: processes in all roles on streams of all kinds, killed and stopped at
# random; then races of creators, openers and removers of one name. Without a time: 40 s and 20 s; with one, two thirds
# of it are the soak's.
source "$(dirname "$0")/common.sh"

soak=40 races=20
if [ $# -gt 0 ]; then
    [ $# -gt 1 ] || set -- --seconds "$1"
    [[ $# -eq 2 && $2 =~ ^[0-9]+$ ]] || fail "usage: soak.sh [--seconds N | --minutes N | --hours N]"
    case $1 in
    --seconds) all=$2 ;;
    --minutes) all=$(($2 * 60)) ;;
    --hours) all=$(($2 * 3600)) ;;
    *) fail "no option $1" ;;
    esac
    races=$((all / 3)) soak=$((all - all / 3))
fi

say "cargo test --release --test soak: the soak for $soak s, the races for $races s"
cargo test --release -p annulus --test soak --no-run
ANNULUS_SOAK=$soak cargo test --release -p annulus --test soak -- soak_
ANNULUS_SOAK=$races cargo test --release -p annulus --test soak -- races_
