"""Puts the mistakes that cargo-mutants thinks of into the source, and sees which of them the tests notice.

To build the tests for each of more than a thousand takes hours. So all are built at once: a function becomes a choice
among itself and its mutants, and the environment (ANNULUS_MUTANT, a number) says which it is. What cannot be chosen so, in
constants for instance, is built one at a time.
"""

import concurrent.futures
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

CHOICE = """
pub(crate) mod mutants {
    pub(crate) fn chosen() -> u32 {
        static CHOSEN: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
        *CHOSEN.get_or_init(|| std::env::var("ANNULUS_MUTANT").map_or(0, |number| number.parse().unwrap()))
    }
}
"""

# What the tests are told: to stop at the first failure; and what takes long is for the last step.
AT_ONCE = ["-Zunstable-options", "--fail-fast", "--test-threads=8"]
LONG = ["keep_each_other_going", "concurrent_observers", "scribbled", "all_pages", "nobody_pushes", "who_dies", "of_many", "private_directory_comes"]
BRIEF = AT_ONCE + [f"--skip={name}" for name in LONG]
LATER = AT_ONCE + LONG
OWN = AT_ONCE + ["ring::", "wait::", "seat::", "lifecycle::", "--skip=models"]
# The steps, from fast to slow; what one has noticed does not come to the next.
STEPS = {
    "lib": [("annulus", BRIEF)],
    "quick": [("annulus", OWN), ("quick", BRIEF)],
    "rest": [("annulus", LATER), ("waiting", []), ("queues", ["--skip=shared_ring"]), ("processes", []), ("quick", LATER)],
    "others": [("security", []), ("faults", []), ("kill", [])],
    "models": [("annulus", ["models::", "--skip=broken"])],
}
TESTS = ["lib", "quick", "rest", "others"]
# Whose tests are the library's own; those of the others go through streams.
PURE = ("src/index.rs", "src/lane.rs")
# What the models run.
MODELLED = (*PURE, "src/ring/", "src/wait/")


class Mutant:
    def __init__(self, number, found, text):
        self.number, self.file, self.place = number, found["file"], found["name"].split(": ", 1)[0]
        self.what = found["name"].split(": ", 1)[1]
        self.replacement = found["replacement"]
        self.start, self.end = (offset(text, found["span"][edge]) for edge in ("start", "end"))
        self.function = found["function"] and tuple(offset(text, found["function"]["span"][edge]) for edge in ("start", "end"))
        self.code = text.split("\n")[found["span"]["start"]["line"] - 1].strip()

    def applied(self, text, start, end):
        """`text` from `start` to `end`, with the mistake."""
        return text[start : self.start] + self.replacement + text[self.end : end]


def offset(text, place):
    lines = text.split("\n")
    return sum(len(line) + 1 for line in lines[: place["line"] - 1]) + place["column"] - 1


def body(text, start, end):
    """Where the block of the function begins that lies between `start` and `end`."""
    tokens = r"//[^\n]*|/\*.*?\*/|r#*\".*?\"#*|\"(?:\\.|[^\"\\])*\"|'(?:\\.[^']*|[^'\\])'|[{}]"
    opened, last = [], None
    for token in re.finditer(tokens, text[start:end], re.S):
        if token[0] == "{":
            opened.append(start + token.start())
        elif token[0] == "}":
            last = opened.pop()
    return last


def woven(text, mutants):
    """The file with a choice in each function, and of each line of it the mutants that it belongs to."""
    out, lines, at = [], [], 0

    def add(part, whose):
        out.append(part)
        lines.extend([whose] * part.count("\n"))

    functions = {}
    for one in mutants:
        functions.setdefault(one.function, []).append(one)
    for (start, end), of_it in sorted(functions.items()):
        block = body(text, start, end)
        everyone = [one.number for one in of_it]
        add(text[at:block], None)
        add("{ match crate::mutants::chosen() {\n", everyone)
        for one in of_it:
            add(f"{one.number} => {one.applied(text, block, end)}\n", [one.number])
        add(f"_ => {text[block:end]}\n}} }}", everyone)
        at = end
    add(text[at:], None)
    return re.sub(r"\bconst (?=fn\b)", "", "".join(out)), lines


class Build:
    """A copy of the project, and how it is built. `models`: for the models, which run under loom."""

    def __init__(self, work, tests, models=False):
        self.tree, self.selected, self.programs = work / ("models" if models else "tree"), tests, {}
        self.log = work / f"{self.tree.name}.log"
        self.environment = {**os.environ, "CARGO_TARGET_DIR": str(work / f"{self.tree.name}-target")}
        if models:
            self.selected = [*tests, "--release"]
            self.environment["RUSTFLAGS"] = os.environ.get("RUSTFLAGS", "") + " --cfg loom"

    def cargo(self, *arguments):
        """Runs cargo; what it made, and what it found wrong."""
        command = ["cargo", *arguments, "-p", "annulus", "--message-format=json"]
        with self.log.open("w") as log:
            done = subprocess.run(
                command, cwd=self.tree, env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        errors = [one["message"] for one in said if one["reason"] == "compiler-message" and one["message"]["level"] == "error"]
        programs = {one["target"]["name"]: one["executable"] for one in said if one.get("executable")}
        return done.returncode == 0, programs, errors

    def tests(self):
        """Builds all tests. False: this cannot be built."""
        built, self.programs, _ = self.cargo("test", "--no-run", *self.selected)
        return built

    def run(self, number, step, limits):
        """Whether the tests of this step notice a mistake: "caught", "timeout" or "missed"."""
        for program, arguments in STEPS[step]:
            wall, cpu = limits[program, step]
            outcome = self.run_one(number, self.programs[program], arguments, wall, cpu)
            if outcome == "caught" and step != "lib":  # where time plays a part, not by accident
                outcome = self.run_one(number, self.programs[program], arguments, wall, cpu)
            if outcome != "missed":
                return outcome
        return "missed"

    def run_one(self, number, program, arguments, wall, cpu):
        def confined():
            resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 31, 1 << 31))  # it may want more than there is

        child = subprocess.Popen(
            [program, *arguments],
            cwd=self.tree,
            env={**os.environ, "ANNULUS_MUTANT": str(number)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=confined,
        )
        try:
            status = child.wait(wall)
            if status == -signal.SIGXCPU or status == -signal.SIGKILL:
                return "timeout"
            return "missed" if status == 0 else "caught"
        except subprocess.TimeoutExpired:
            return "timeout"
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()
            sweep()

    def limits(self, steps):
        """How long the tests may take: by how long they take without a mistake."""
        limits = {}
        for step in steps:
            for program, arguments in STEPS[step]:
                before, spent = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
                if not any(self.run_one(0, self.programs[program], arguments, 600, 600) == "missed" for _ in range(3)):
                    sys.exit(f"mutants.py: without a mistake, too, {program} {' '.join(arguments)} fails")
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                cpu = after.ru_utime + after.ru_stime - spent.ru_utime - spent.ru_stime
                wall = time.monotonic() - before
                limits[program, step] = (60 + 5 * wall, int(20 + 5 * cpu))
                print(f"   {step}: {program} takes {wall:.1f} s, {cpu:.1f} s of a processor", flush=True)
        return limits


def sweep():
    """Takes away what tests that were killed have left."""
    for left in Path("/dev/shm").glob("annulus-test-*"):
        pid = re.search(r"\d+", left.name)
        if pid and not Path("/proc", pid[0]).exists():
            subprocess.run(["rm", "-rf", str(left)], check=False)


def weave(build, texts, mutants):
    """Puts all mutants into the tree that can be there at once. The others: those to be built one at a time."""
    alone = [one for one in mutants if not one.function]
    inside = {one.number: one for one in mutants if one.function}
    library = build.tree / "src/lib.rs"
    library.write_text(library.read_text() + CHOICE)
    for _ in range(30):
        maps = {}
        for file, text in texts.items():
            new, maps[file] = woven(text, [one for one in inside.values() if one.file == file])
            (build.tree / file).write_text(new)
        fine, _, errors = build.cargo("check", "--lib", "--profile=test")
        if fine:
            return list(inside.values()), alone
        out = set()
        for error in errors:
            places = [span for span in error["spans"] if span["is_primary"] and span["file_name"] in maps]
            for span in places:
                lines = maps[span["file_name"]]
                out.update(lines[span["line_start"] - 1] or [] if span["line_start"] <= len(lines) else [])
        if not out:
            sys.exit("mutants.py: cannot build them together:\n" + "\n".join(error["rendered"] for error in errors)[:3000])
        alone += [inside.pop(number) for number in out]
    sys.exit("mutants.py: cannot build them together")


def keys(mutants):
    """What each is called in the list: what it does, and the code where; of several alike all but the first are numbered."""
    seen, names = Counter(), {}
    for one in mutants:
        alike = (one.file, one.what, one.code)
        seen[alike] += 1
        nth = f" ({seen[alike]})" if seen[alike] > 1 else ""
        names[one] = (f"{one.file}: {one.what}{nth}", one.code)
    return names


def listed(path):
    """The list: of each survivor the reason."""
    reasons, pending, name = {}, [], None
    for line in path.read_text().splitlines():
        if line.startswith("    # "):
            reasons.update((one, line[6:]) for one in pending)
            pending = []
        elif line.startswith("    "):
            pending.append((name, line.strip()))
        elif line and not line.startswith("#"):
            name = line
    return reasons


# How the reasons begin of those that the tests of the short form do not notice, or not each time, but others do: slower
# tests, or the models.
ELSEWHERE = "elsewhere: "


def attempt(build, step, mutants, limits, outcomes):
    """Tries mutants that were built together."""
    print(f"== {len(mutants)} mutants, step {step}", flush=True)
    # Most of the later steps is waiting.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() * (3 if step in ("quick", "rest", "others") else 1)) as pool:
        for one, outcome in zip(mutants, pool.map(lambda one: build.run(one.number, step, limits), mutants)):
            outcomes[one] = step if outcome == "caught" else outcome
            if outcome != "caught":
                print("   ", step, outcome, one.place, one.what, flush=True)


def one_at_a_time(build, texts, mutants, limits, outcomes):
    print(f"== {len(mutants)} mutants, one at a time", flush=True)
    for one in mutants:
        for file, text in texts.items():
            new = one.applied(text, 0, len(text)) if file == one.file else text
            if (build.tree / file).read_text() != new:
                (build.tree / file).write_text(new)
        outcomes[one] = "missed" if build.tests() else "unviable"
        for step in TESTS:
            if outcomes[one] == "missed":
                attempt(build, step, [one], limits, outcomes)


def try_models(work, mutants, outcomes):
    """Those that no test notices, by the models."""
    build = Build(work, ["--lib"], models=True)
    texts = {file: (build.tree / file).read_text() for file in {one.file for one in mutants}}
    found = json.loads((work / "mutants.json").read_text())
    originals = [Mutant(one.number, found[one.number - 1], texts[one.file]) for one in mutants if one.function]
    inside, _ = weave(build, texts, originals)
    if not build.tests():
        sys.exit(build.log.read_text()[-3000:])
    seen = {}
    attempt(build, "models", inside, build.limits(["models"]), seen)
    numbers = {one.number for one, outcome in seen.items() if outcome != "missed"}
    outcomes.update((one, "models") for one in mutants if one.number in numbers)


def judge(outcomes, names, reasons, files, short):
    """Prints what is not as the list says, and how much that is."""
    wrong = []
    for one, outcome in outcomes.items():
        reason = reasons.get(names[one])
        late = outcome in ("rest", "others", "models") or one.file in PURE and outcome == "quick"
        if not reason and (outcome in ("missed", "models") or one.file in PURE and late):
            wrong.append((f"not in the list ({outcome}, {one.place})", names[one]))
        elif reason and outcome != "missed" and not (late and reason.startswith(ELSEWHERE)):
            wrong.append((f"in the list, but noticed ({outcome})", names[one]))
        elif reason and outcome == "missed" and not short and reason.startswith(ELSEWHERE):
            wrong.append(("noticed nowhere else", names[one]))
    for gone in sorted(set(reasons) - set(names.values())):
        if gone[0].split(":")[0] in files:
            wrong.append(("in the list, but there is no such mutant", gone))
    for why, (name, code) in wrong:
        print(f"{why}:\n{name}\n    {code}")
    return len(wrong)


def main():
    work, survivors, form, *files = sys.argv[1:]
    work, short = Path(work), form == "short"
    steps = ["lib"] if short else TESTS
    programs = sorted({program for step in steps for program, _ in STEPS[step] if program != "annulus"})
    build = Build(work, ["--lib", *(f"--test={program}" for program in programs)])
    texts = {file: (build.tree / file).read_text() for file in files}
    found = json.loads((work / "mutants.json").read_text())
    mutants = [Mutant(number, one, texts[one["file"]]) for number, one in enumerate(found, 1)]
    mutants = [one for one in mutants if "\n#[cfg(all(test" not in texts[one.file][: one.start]]  # not in the tests
    names, reasons = keys(mutants), listed(Path(survivors))

    print(f"== {len(mutants)} mutants, built together", flush=True)
    outcomes = {}
    inside, alone = weave(build, texts, mutants)
    if not build.tests():
        sys.exit(build.log.read_text()[-3000:])
    limits = build.limits(steps)
    for step in steps:
        todo = [one for one in inside if outcomes.get(one, "missed") == "missed" and (step != "lib" or one.file in PURE)]
        attempt(build, step, todo, limits, outcomes)
    if not short:
        one_at_a_time(build, texts, alone, limits, outcomes)
        todo = [one for one, outcome in outcomes.items() if outcome == "missed" and one.file.startswith(MODELLED)]
        todo = [one for one in todo if reasons.get(names[one], ELSEWHERE).startswith(ELSEWHERE)]
        if todo:
            try_models(work, todo, outcomes)

    wrong = judge(outcomes, names, reasons, files, short)
    (work / "outcomes.json").write_text(json.dumps([(*names[one], one.place, outcome) for one, outcome in outcomes.items()]))
    count = Counter(outcomes.values())
    tried = len(outcomes) - count["unviable"]
    print(
        f"figures | mutants: caught | {tried - count['missed']} of {tried} | {wrong} | {count['missed']} listed survivors, "
        f"{count['timeout']} of the caught by a timeout, {count['models']} by the models alone"
        + (f"; {len(alone)} that are built one at a time not tried" if short else f", {count['unviable']} do not compile")
    )
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
