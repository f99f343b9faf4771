"""Recordings, as the field's public readers see them. Run by recordings.sh."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import warnings
from datetime import datetime, timezone
from pathlib import Path

import edfio
import mne
import numpy as np
import pyedflib
import pyxdf
import sigmf
import soundfile

warnings.simplefilter("ignore")
mne.set_log_level("ERROR")

ANNULUS, FILES = os.environ["ANNULUS"], Path(os.environ["FILES"])
KILLS = int(os.environ.get("KILLS", "200"))
FORMS = ["edf", "bdf", "xdf", "wav", "sigmf", "csv"]
START = datetime(2002, 3, 2, 14, 27, 5, tzinfo=timezone.utc)


def say(text):
    print(f"== {text}", flush=True)


def check(what, fine):
    if not fine:
        sys.exit(f"recordings: {what}")


def run(*words, fails=False):
    done = subprocess.run([ANNULUS, *map(str, words)], capture_output=True, text=True)
    check(f"annulus {words}: {done.stderr}", (done.returncode != 0) == fails)
    return done


def start(*words):
    return subprocess.Popen([ANNULUS, *map(str, words)], stderr=subprocess.PIPE, text=True)


def end(process, how=signal.SIGINT):
    process.send_signal(how)
    return process.communicate()[1]


def info(name):
    done = subprocess.run([ANNULUS, "info", "--json", name], capture_output=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def until(what, fine, patience=30):
    begun = time.monotonic()
    while not fine():
        check(f"waited in vain: {what}", time.monotonic() < begun + patience)
        time.sleep(0.01)


class Read:
    """What a reader says: raw values (channels x frames), the rate, and perhaps labels, units, ranges, the start."""

    def __init__(self, by, raw, rate=None, labels=None, units=None, scales=None, start=None):
        self.by, self.raw, self.rate = by, np.asarray(raw), rate
        self.labels, self.units, self.scales, self.start = labels, units, scales, start


def utc(date, clock):
    return datetime.combine(date, clock, tzinfo=timezone.utc)


def by_edfio(path):
    read = edfio.read_bdf if path.suffix == ".bdf" else edfio.read_edf
    file = read(path)
    one = file.signals
    scales = [(s.physical_max - s.physical_min) / (s.digital_max - s.digital_min) for s in one]
    when = utc(file.startdate, file.starttime)
    return Read("edfio", [s.digital for s in one], one[0].sampling_frequency, [s.label for s in one],
                [s.physical_dimension for s in one], scales, when)


def by_pyedflib(path):
    with pyedflib.EdfReader(str(path)) as file:
        several = range(file.signals_in_file)
        raw = [file.readSignal(index, digital=True) for index in several]
        units = [file.getPhysicalDimension(index) for index in several]
        when = file.getStartdatetime().replace(tzinfo=timezone.utc)
        return Read("pyedflib", raw, file.getSampleFrequency(0), file.getSignalLabels(), units, None, when)


def by_mne(path, like):
    read = mne.io.read_raw_bdf if path.suffix == ".bdf" else mne.io.read_raw_edf
    file = read(path, preload=True)
    # It gives volts, or whatever the unit is: compared by their scale, to a tenth of a count.
    volts = {"uV": 1e-6, "mV": 1e-3, "V": 1.0}
    rows = []
    for row, raw, scale, unit in zip(file.get_data(), like.raw, like.scales, like.units):
        counts = row / (scale * volts.get(unit, 1.0))
        offset = np.round(np.median(raw - counts) * 1e6) / 1e6
        check(f"{path.name}: MNE has other values", np.abs(counts + offset - raw).max() < 0.1)
        rows.append(raw)
    return Read("mne", rows, file.info["sfreq"], file.ch_names, None, None, file.info["meas_date"])


def by_pyxdf(path):
    streams, header = pyxdf.load_xdf(str(path), dejitter_timestamps=False)
    one = next(s for s in streams if s["info"]["type"] != ["Markers"])
    channels = one["info"]["desc"][0]["channels"][0]["channel"]
    when = datetime.fromisoformat(header["info"]["datetime"][0].replace("Z", "+00:00"))
    read = Read("pyxdf", one["time_series"].T, float(one["info"]["nominal_srate"][0]), [c["label"][0] for c in channels],
                [c.get("unit", [""])[0] for c in channels], [float(c["scaling_factor"][0]) for c in channels], when)
    read.stamps = one["time_stamps"]
    return read


def by_soundfile(path):
    kind = soundfile.info(str(path)).subtype
    dtype, shift = {"PCM_16": ("int16", 0), "PCM_24": ("int32", 8), "PCM_32": ("int32", 0)}[kind]
    raw, rate = soundfile.read(str(path), dtype=dtype, always_2d=True)
    return Read("soundfile", (raw >> shift).T, rate)


def by_sigmf(path):
    file = sigmf.fromfile(str(path.with_suffix(".sigmf-meta")), autoscale=False)
    file.validate()
    own = file.get_global_info()["annulus:channels"]
    raw = file.read_samples().reshape(-1, len(own)).T
    when = datetime.fromisoformat(file.get_captures()[0]["core:datetime"].replace("Z", "+00:00"))
    read = Read("sigmf", raw, file.get_global_info()["core:sample_rate"], [c["label"] for c in own],
                [c.get("unit", "") for c in own], [c["scale"] for c in own], when)
    read.captures = file.get_captures()
    return read


def by_numpy(path):
    table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    times = table[:, 0]
    read = Read("numpy", table[:, 1:].T.astype(np.int64), round((len(times) - 1) / (times[-1] - times[0]), 3))
    read.times = times
    return read


def read(path):
    """By all readers of that kind of file."""
    if path.suffix in (".edf", ".bdf"):
        first = by_edfio(path)
        return [first, by_pyedflib(path), by_mne(path, first)]
    one = {".xdf": by_pyxdf, ".wav": by_soundfile, ".sigmf": by_sigmf, ".csv": by_numpy}
    return [one[path.suffix](path)]


def play_and_record(source):
    """Shows: what is recorded of a played file is equal in all that the kind of file holds."""
    say(f"{source.name} at 20x, into {', '.join(FORMS)} at once")
    # The same file with a date: these here have none.
    dated = bytearray(source.read_bytes())
    dated[88:168] = b"Startdate 02-MAR-2002 X X MIT-BIH".ljust(80)
    dated[168:184] = b"02.03.0214.27.05"
    (FILES / "source.edf").write_bytes(dated)
    want = by_edfio(FILES / "source.edf")
    player = start("play", FILES / "source.edf", "--name", "a", "--speed", 20, "--retain", "120s", "--recorders", 6)
    until("the stream is there", lambda: info("a"))
    recorders = [start("record", "a", "-o", FILES / f"a.{form}", "--as-recorded", "--from", "oldest") for form in FORMS]
    check(player.stderr.read(), player.wait() == 0)
    for recorder in recorders:
        said = recorder.communicate()[1]
        check(said, recorder.returncode == 0 and f": {want.raw.shape[1]} frames, 0 lost" in said)
    for form in FORMS:
        path = FILES / f"a.{form}"
        for got in read(path):
            compare(path, want, got)
    again(want)
    for path in FILES.iterdir():
        path.unlink()


def compare(path, want, got):
    name, frames = f"{path.name} by {got.by}", want.raw.shape[1]
    # A data record is filled up at the end of the file.
    filled = got.raw.shape[1] - frames
    check(f"{name}: {filled} frames more", 0 <= filled < 0.1 * want.rate if got.by in ("edfio", "pyedflib", "mne") else filled == 0)
    check(f"{name}: other values", np.array_equal(got.raw[:, :frames], want.raw))
    check(f"{name}: rate {got.rate}", abs(got.rate / want.rate - 1) < 1e-9)
    bare = [label.split(" ")[-1] for label in want.labels]
    check(f"{name}: labels {got.labels}", got.labels in (None, want.labels, bare))
    check(f"{name}: units {got.units}", got.units in (None, want.units))
    check(f"{name}: scales {got.scales}", got.scales is None or np.allclose(got.scales, want.scales, rtol=1e-9, atol=0))
    check(f"{name}: start {got.start}", got.start in (None, START))
    has = [what for what, value in (("labels", got.labels), ("units", got.units), ("scales", got.scales), ("start", got.start)) if value]
    print(f"   {name}: {want.raw.shape[0]} ch x {frames} frames at {got.rate:g} Hz, equal" + (f"; {', '.join(has)}" if has else ""))


def again(want):
    """What play makes of 24 bits is recorded with 24 bits."""
    run("play", FILES / "a.bdf", "--name", "b", "--speed", "max", "--retain", want.raw.shape[1], "--keep")
    for form in ("bdf", "wav"):
        path = FILES / f"b.{form}"
        run("record", "b", "-o", path, "--as-recorded")
        for got in read(path):
            compare(path, want, got)
    run("rm", "b")


def gaps():
    """Shows: a lapped recorder and a restart of the producer, in each kind of file."""
    say("a lapped recorder, and a restart of the producer")
    shape = ["--name", "g", "--wave", "counter", "--type", "i16", "--channels", 2, "--rate", 2000, "--retain", 500, "--keep"]
    producer = start("gen", *shape)
    until("the stream is there", lambda: info("g"))
    recorders = {form: start("record", "g", "-o", FILES / f"g.{form}") for form in FORMS}
    time.sleep(0.7)
    for recorder in recorders.values():
        recorder.send_signal(signal.SIGSTOP)
    time.sleep(1)
    for recorder in recorders.values():
        recorder.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    end(producer, signal.SIGKILL)
    time.sleep(0.5)
    producer = start("gen", *shape)
    time.sleep(0.5)
    end(producer)
    for form, recorder in recorders.items():
        said = recorder.communicate()[1]
        lost, after = map(int, re.search(r"lost (\d+) frames before position (\d+)", said).groups())
        restart = int(re.search(r"carries on at position (\d+)", said).group(1))
        path = FILES / f"g.{form}"
        # The counter says the positions, so each frame says where it should be.
        if form in ("edf", "bdf"):
            file = (edfio.read_bdf if form == "bdf" else edfio.read_edf)(path)
            check(f"{path.name}: {file.reserved}", file.reserved == f"{form.upper()}+D")
            first = int(file.signals[0].digital[0])
            texts = [(a.onset, a.duration, a.text) for a in file.annotations if a.text.startswith("BAD_ACQ_SKIP")]
            offset = texts[0][0] - (after - lost - first) / 2000
            check(f"{path.name}: {texts}", 0 <= offset < 1 and texts[0][1] == lost / 2000 and texts[0][2].endswith(f"{lost} frames missing: lapped"))
            check(f"{path.name}: {texts}", abs(texts[1][0] - offset - (restart - first) / 2000) < 1e-6 and texts[1][2].endswith("restart"))
            print(f"   {path.name}: " + "; ".join(f"{onset:.4f} s, {duration:.4f} s: {text}" for onset, duration, text in texts))
        elif form == "xdf":
            got = by_pyxdf(path)
            leaps = np.nonzero(np.diff(got.stamps) > 1.5 / 2000)[0]
            check(f"{path.name}: {leaps}", [int(got.raw[0, at + 1]) for at in leaps] == [after, restart])
            check(f"{path.name}: {np.diff(got.stamps)[leaps]}", round(np.diff(got.stamps)[leaps[0]] * 2000) == lost + 1)
            smooth = pyxdf.load_xdf(str(path))[0]
            smooth = next(s for s in smooth if s["info"]["type"] != ["Markers"])["time_stamps"]
            check(f"{path.name}: smoothed away", np.array_equal(np.nonzero(np.diff(smooth) > 1.5 / 2000)[0], leaps))
            print(f"   {path.name}: leaps of {', '.join(f'{d:.4f} s' for d in np.diff(got.stamps)[leaps])}, also when pyxdf smooths")
        elif form == "sigmf":
            got = by_sigmf(path)
            begins = [(c["core:sample_start"], c["core:global_index"]) for c in got.captures]
            check(f"{path.name}: {begins}", [int(got.raw[0, at]) for at, _ in begins[1:]] == [after, restart])
            check(f"{path.name}: {begins}", begins[1][1] == after and begins[1][1] - begins[1][0] - begins[0][1] == lost)
            print(f"   {path.name}: captures {begins}")
        elif form == "csv":
            got = by_numpy(path)
            leaps = np.nonzero(np.diff(got.times) > 1.5 / 2000)[0]
            check(f"{path.name}: {leaps}", [int(got.raw[0, at + 1]) for at in leaps] == [after, restart])
            print(f"   {path.name}: leaps of {', '.join(f'{d:.4f} s' for d in np.diff(got.times)[leaps])}")
        else:
            told = soundfile.info(str(path), verbose=True).extra_info
            check(f"{path.name}: {told}", f"{lost} frames missing: lapped" in told and "restart" in told)
            print(f"   {path.name}: cue points with labels")
        path.unlink(missing_ok=True)
    run("rm", "g")
    for path in FILES.iterdir():
        path.unlink()


def declared():
    """Shows: 47 frames that a device lost, declared by a producer that is killed, and by its successor."""
    say("a device loss of 47 frames, before and after a restart")
    rate, loss, after, whole = 1000, 300, 347, 3000
    # A table with the device's count: its time leaps where the device lost frames.
    lines = [f"{at / rate:.3f},{at}" for at in (*range(loss), *range(after, whole))]
    (FILES / "source.csv").write_text("time,count\n" + "\n".join(lines) + "\n")
    shape = ["play", FILES / "source.csv", "--name", "l", "--type", "i16", "--retain", 10 * rate, "--keep", "--repeat"]
    producer = start(*shape)
    until("the stream is there", lambda: info("l"))
    recorders = {form: start("record", "l", "-o", FILES / f"l.{form}", "--from", "oldest") for form in FORMS}
    until("the loss is behind", lambda: info("l")["position"] > loss + 100)
    end(producer, signal.SIGKILL)
    restart = info("l")["position"]
    check(f"killed too late, at {restart}", restart < whole - 47)
    second = restart + loss
    time.sleep(0.5)
    producer = start(*shape)
    until("the next loss is behind", lambda: info("l")["position"] > second + 100)
    end(producer)
    known = [(gap["position"], gap["cause"], gap["missing"]) for gap in info("l")["each_lane"][0]["gaps"]]
    check(f"info: {known}", known == [(loss, "device", 47), (restart, "restart", None), (second, "device", 47)])
    text = run("info", "l").stdout
    check(text, f"before {loss}: 47 frames missing: device loss" in text and "gaps        3, 94 frames missing" in text)
    print("   info: " + "; ".join(line.strip() for line in text.splitlines() if line.startswith(("gaps", "  gap"))))
    said = run("cat", "l", "--no-follow").stderr
    check(said, f"before position {second}: 47 frames missing: device loss" in said and said.endswith("94 missing\n"))
    places = [loss, restart, second]
    for form, recorder in recorders.items():
        said = recorder.communicate()[1]
        check(said, recorder.returncode == 0 and "0 lost, 1 restarts, 94 missing" in said)
        path = FILES / f"l.{form}"
        if form in ("edf", "bdf"):
            file = (edfio.read_bdf if form == "bdf" else edfio.read_edf)(path)
            check(f"{path.name}: {file.reserved}", file.reserved == f"{form.upper()}+D")
            skips = [(a.onset, a.duration, a.text) for a in file.annotations if a.text.startswith("BAD_ACQ_SKIP")]
            texts = [skip for skip in skips if "frames missing" in skip[2]]
            zero = texts[0][0] - loss / rate
            check(f"{path.name}: {texts}", 0 <= zero < 1 and [round(duration * rate) for _, duration, _ in (texts[0], texts[2])] == [47, 47])
            check(f"{path.name}: {texts}", [text.split(": ")[-1] for _, _, text in texts] == ["device loss", "restart", "device loss"])
            missing = [round(duration * rate) for _, duration, _ in texts]
            # The annotations are where the frames are not.
            begins = [round((onset - zero) * rate) - sum(missing[:nth]) for nth, (onset, _, _) in enumerate(texts)]
            check(f"{path.name}: {begins}", begins == places)
            print(f"   {path.name}: " + "; ".join(f"{onset:.4f} s, {duration:.4f} s: {text}" for onset, duration, text in texts))
        elif form in ("xdf", "csv"):
            got = by_pyxdf(path) if form == "xdf" else by_numpy(path)
            steps = np.diff(got.stamps if form == "xdf" else got.times)
            leaps = np.nonzero(steps > 1.5 / rate)[0]
            missing = [round(step * rate) - 1 for step in steps[leaps]]
            check(f"{path.name}: {leaps}", list(leaps + 1) == places and missing[::2] == [47, 47])
            check(f"{path.name}: {steps[leaps]}", missing[1] > 0)
            if form == "xdf":
                marks = next(s for s in pyxdf.load_xdf(str(path), dejitter_timestamps=False)[0] if s["info"]["type"] == ["Markers"])
                texts = [text for (text,) in marks["time_series"] if "frames missing" in text]
                check(f"{path.name}: {texts}", [text.split(": ")[-1] for text in texts] == ["device loss", "restart", "device loss"])
            print(f"   {path.name}: {missing} frames missing before {places}")
        elif form == "sigmf":
            got = by_sigmf(path)
            begins = [(c["core:sample_start"], c["core:global_index"], c.get("annulus:gap")) for c in got.captures]
            leaps = [b[1] - b[0] - a[1] + a[0] for a, b in zip(begins, begins[1:])]
            check(f"{path.name}: {begins}", [begin[0] for begin in begins[1:]] == places and leaps[::2] == [47, 47])
            causes = [begin[2]["cause"] for begin in begins[1:]]
            check(f"{path.name}: {begins}", causes == ["device loss", "restart", "device loss"])
            print(f"   {path.name}: captures {begins}")
        else:
            told = soundfile.info(str(path), verbose=True).extra_info
            check(f"{path.name}: {told}", told.count("47 frames missing: device loss") == 2 and "restart" in told)
            print(f"   {path.name}: cue points with labels")
    run("rm", "l")
    for path in FILES.iterdir():
        path.unlink()


def several():
    """Two streams of different rates in one file."""
    say("two streams in one file")
    shapes = {"slow": ("f32", 3, 100, 250), "fast": ("i16", 1, 4000, 10000)}
    for name, (kind, channels, rate, frames) in shapes.items():
        run("gen", "--name", name, "--wave", "counter", "--type", kind, "--channels", channels, "--rate", rate, "--frames", frames,
            "--retain", frames, "--speed", "max", "--keep")
    path = FILES / "both.xdf"
    run("record", *shapes, "-o", path)
    for stream in pyxdf.load_xdf(str(path))[0]:
        name = stream["info"]["name"][0].split("@")[0]
        _, channels, rate, frames = shapes.pop(name)
        counted = np.arange(frames)[:, None] + np.arange(channels)[None, :]
        check(f"{path.name}: {name}", np.array_equal(stream["time_series"], counted))
        check(f"{path.name}: {name}", abs(stream["info"]["effective_srate"] / rate - 1) < 1e-6)
        print(f"   {name}: {channels} ch x {frames} frames at {stream['info']['effective_srate']:.6f} Hz, equal")
        run("rm", name)
    check("both.xdf lacks a stream", not shapes)
    path.unlink()


def salvage():
    """Shows: what an acquisition left that was killed."""
    say("salvage after kill -9 of an acquisition of 64 channels")
    rate, retained = 2000, 3
    shape = ["--wave", "counter", "--type", "i16", "--channels", 64, "--rate", rate, "--retain", f"{retained}s", "--keep"]
    producer = start("gen", "--name", "s", *shape)
    until("the ring is full", lambda: (info("s") or {"position": 0})["position"] > (retained + 1) * rate)
    end(producer, signal.SIGKILL)
    left = info("s")
    for form in FORMS:
        path = FILES / f"s.{form}"
        run("salvage", "s", "-o", path)
        for got in read(path):
            frames = left["position"] - left["oldest"]
            counted = (left["oldest"] + np.arange(frames)[None, :] + np.arange(64)[:, None]) % (1 << 15)
            check(f"{path.name} by {got.by}", np.array_equal(got.raw[:, :frames], counted))
            print(f"   {path.name} by {got.by}: {frames} frames ({frames / rate:.3f} s), {left['oldest']} to {left['position']}")
        for old in FILES.iterdir():
            old.unlink()
    run("rm", "s")


def kills():
    """Shows: kill -9 of the recorder at random moments."""
    say(f"kill -9 of a recorder at {KILLS} random moments")
    rate, channels, period = 1000, 8, 1 << 15
    producer = start("gen", "--name", "k", "--wave", "counter", "--type", "i16", "--channels", channels, "--rate", rate, "--recorders", 6)
    until("the stream is there", lambda: info("k"))
    longest, sizes, done = 0, 0, 0
    dice = random.Random(7)
    while done < KILLS:
        batch = []
        for form in FORMS[: KILLS - done]:
            path = FILES / f"{done}.{form}"
            recorder = start("record", "k", "-o", path)
            data = path.with_suffix(".sigmf-data") if form == "sigmf" else path
            begin = 256 * (channels + 2) + 1 if form in ("edf", "bdf") else 720
            until("the recording has begun", lambda: data.exists() and data.stat().st_size > begin)
            batch.append((time.monotonic() + dice.uniform(0, 2), recorder, path))
            done += 1
        for when, recorder, path in sorted(batch, key=lambda one: one[0]):
            time.sleep(max(0, when - time.monotonic()))
            position = info("k")["position"]
            end(recorder, signal.SIGKILL)
            raw, size = killed(path)
            sizes += size
            first = int(raw[0, 0])
            # Where the counter begins again, positions do not.
            first += (position - first) // period * period
            if first > position:
                first -= period
            counted = (first + np.arange(raw.shape[1])[None, :] + np.arange(channels)[:, None]) % period
            check(f"{path.name}: other values", np.array_equal(raw, counted))
            missed = position - (first + raw.shape[1])
            check(f"{path.name}: the last {missed} of {position} frames are missing", missed <= rate)
            longest = max(longest, missed)
        for path in FILES.iterdir():
            path.unlink()
    end(producer)
    # It is kept for a successor of the dead recorders, who did not get everything.
    run("rm", "k")
    print(f"   {done} files opened; at most the last {1000 * longest / rate:.0f} ms were missing; "
          f"{sizes} had bytes after the last whole record that pyedflib wants gone (REPAIR_FILE_SIZE_IF_WRONG)")


def killed(path):
    """The raw values, and whether pyedflib found fault with the file's size."""
    if path.suffix not in (".edf", ".bdf"):
        return read(path)[0].raw, 0
    got = by_edfio(path)
    by_mne(path, got)
    try:
        by_pyedflib(path)
        return got.raw, 0
    except OSError:
        with pyedflib.EdfReader(str(path), check_file_size=pyedflib.REPAIR_FILE_SIZE_IF_WRONG) as file:
            check(f"{path.name}: pyedflib", file.getNSamples()[0] == got.raw.shape[1])
        return got.raw, 1


def full_disk():
    """A small file system, where we may mount one."""
    disk = FILES / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], capture_output=True)
    if mounted.returncode != 0:
        say("no full disk: a file system cannot be mounted here; the tests limit the size of a file")
        disk.rmdir()
        return
    say("a full disk")
    try:
        shape = ["--wave", "counter", "--type", "i16", "--channels", 8, "--rate", 20000, "--frames", 100000, "--retain", 100000]
        producer = start("gen", "--name", "d", *shape, "--keep")
        until("it ended", lambda: (info("d") or {}).get("state") == "ended")
        producer.communicate()
        for form in FORMS:
            path = disk / f"d.{form}"
            said = run("record", "d", "-o", path, fails=True).stderr.splitlines()[-1]
            check(said, "No space left on device" in said and "ends here" in said)
            for got in read(path):
                frames = got.raw.shape[1]
                counted = (np.arange(frames)[None, :] + np.arange(8)[:, None]) % (1 << 15)
                check(f"{path.name} by {got.by}", frames > 1000 and np.array_equal(got.raw, counted))
            print(f"   {path.name}: {frames} frames; {said.split(': ', 2)[2]}")
            for left in disk.iterdir():
                left.unlink()
        run("rm", "d")
    finally:
        subprocess.run(["umount", disk], check=True)
        disk.rmdir()


for source in sys.argv[1:]:
    play_and_record(Path(source))
gaps()
declared()
several()
salvage()
kills()
full_disk()
