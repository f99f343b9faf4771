#!/bin/bash
# recordings.sh [FILE.edf...]: each file (default: the one that is part of the command) played at 20 times its speed while
# record writes each kind of file, which the field's public readers then open: equal raw values, labels, units, scales,
# rates and start times. Gaps (a device loss, a lapped recorder, a restart) are where they were. A recorder killed at 200 random moments
# (KILLS=n for another number) leaves a file that its reader opens, and that lacks at most the last second. A full disk
# ends a recording with an error and a file that can be read. What a killed acquisition left is salvaged. At last the command's own
# tests, with each sample type in each kind of file.
source "$(dirname "$0")/common.sh"

need python3 python3-venv
venv=$CACHE/recordings
if ! "$venv/bin/python" -c 'import edfio, mne, pyedflib, pyxdf, sigmf, soundfile' 2>/dev/null; then
    say "the readers, into $venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q edfio==0.4.18 pyedflib==0.1.42 pyxdf==1.17.5 soundfile==0.14.0 sigmf==1.14.0 mne==1.13.2
fi
annulus=$(annulus_binary)
scratch
mkdir "$SCRATCH/files"
ANNULUS=$annulus FILES=$SCRATCH/files "$venv/bin/python" ci/recordings.py "${@:-cli/data/mitdb-208.edf}"
say "each sample type in each kind of file, recorded and played"
ANNULUS_ALL_RECORDINGS=1 cargo test -q -p annulus-cli --test record
left=$(find "$SCRATCH" -name '*.l1')
[ -z "$left" ] || fail "left behind: $left"
say "nothing was left behind"
