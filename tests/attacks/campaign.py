"""Attacks on decoders by the thousand: mutants in a process of their own, counted, and gone on with where they stopped.

    python tests/attacks/campaign.py --attacks 10000 --targets mse hific    so many for each, from number 0
    python tests/attacks/campaign.py --attacks 1000                         for all targets, what was done counts
    python tests/attacks/campaign.py --table                                README.md and counts.json from the counts

Counts and findings lie in $BENCHMARK_ATTACKS, or else `attacks` in the cache folder ($BENCHMARK_CACHE). A count belongs
to the seeds it was made with: with other seeds, as another version of an encoder writes them, it begins anew.
"""

import argparse
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from attacks.limits import PLACE, SOUND
from attacks.mutation import mutant
from attacks.target import open_target

from benchmark.fetching import cache_folder

HERE = Path(__file__).parent
CHILD = HERE / "child.py"
PATIENCE = 60.0
"""Seconds on the wall after which a mutant is a hang."""


@dataclass
class State:
    """What was done to a target. next: the first number that was not decoded. counts: outcome -> mutants."""

    target: str
    seeds: str = ""
    next: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def state_folder() -> Path:
    """Where counts and findings lie."""
    chosen = os.environ.get("BENCHMARK_ATTACKS")
    return Path(chosen).expanduser() if chosen else cache_folder() / "attacks"


def read_state(folder: Path, target: str) -> State:
    """What was done to `target`; nothing if it was never attacked."""
    path = folder / f"{_file_name(target)}.json"
    return State(**json.loads(path.read_text())) if path.is_file() else State(target)


def write_state(folder: Path, state: State) -> None:
    """In one move: an interruption leaves the old one or the new one."""
    path = folder / f"{_file_name(state.target)}.json"
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(state), indent=1) + "\n")
    new.replace(path)


def attack(folder: Path, plan: Iterable[tuple[str, int]], until: float = float("inf")) -> list[dict[str, Any]]:
    """Decodes mutants until each target of `plan` (name, number of mutants) has had so many; returns the findings.

    A process that dies or hangs is a finding of the mutant it was at; the next begins behind it. until: on the
    monotonic clock, when to stop in any case.
    """
    folder.mkdir(parents=True, exist_ok=True)
    states = {name: read_state(folder, name) for name, _ in plan}
    wanted = dict(plan)
    findings: list[dict[str, Any]] = []
    while time.monotonic() < until:
        rest = [(name, states[name].next, last) for name, last in wanted.items() if states[name].next < last]
        if not rest:
            break
        died = _one_process(folder, rest, states, findings, until)
        if died is not None:
            name, number, fault = died
            _find(folder, findings, {"target": name, "number": number, "fault": fault, "word": ""})
            state = states[name]
            # What the dead process had decoded since its last report is decoded again up to the mutant, by another.
            if number > state.next:
                again = [(name, state.next, number)]
                assert _one_process(folder, again, states, findings, until) is None, f"{name}: {number} dies not alone"
            if state.next == number:
                state.next = number + 1
                state.counts[fault] = state.counts.get(fault, 0) + 1
                write_state(folder, state)
    return findings


def started(*program: str) -> "subprocess.Popen[bytes]":
    """The process that decodes. program: its file and its arguments."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, *program], stdout=subprocess.PIPE, env=environment)


def _one_process(
    folder: Path,
    plan: list[tuple[str, int, int]],
    states: dict[str, State],
    findings: list[dict[str, Any]],
    until: float,
) -> tuple[str, int, str] | None:
    """(target, number, fault) of the mutant at which the process ended before its time, else None."""
    with started(str(CHILD), str(folder), json.dumps(plan)) as process:
        assert process.stdout is not None
        hung = False
        begun = time.monotonic()
        buffer = b""
        while True:
            ready, _, _ = select.select([process.stdout], [], [], 1.0)
            if ready:
                chunk = os.read(process.stdout.fileno(), 2**20)
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    _take(folder, json.loads(line), states, findings)
                if not chunk:
                    break
            if time.monotonic() > until:
                process.kill()
                return None
            index, _, since = _place(folder)
            if index >= 0 and since >= begun and time.monotonic() - since > PATIENCE:
                hung = True
                process.kill()
        code = process.wait()
    if code == 0:
        return None
    index, number, since = _place(folder)
    if index < 0 or since < begun:
        raise RuntimeError(
            f"the process that decodes ended with {code} at rest: {(folder / 'said').read_text()[-2000:]}"
        )
    fault = "hang" if hung else signal.Signals(-code).name if code < 0 else f"exit {code}"
    return plan[index][0], number, fault


def _place(folder: Path) -> tuple[int, int, float]:
    path = folder / "place"
    data = path.read_bytes() if path.is_file() else b""
    return PLACE.unpack(data) if len(data) == PLACE.size else (-1, 0, 0.0)


def _take(folder: Path, line: dict[str, Any], states: dict[str, State], findings: list[dict[str, Any]]) -> None:
    state = states[line["target"]]
    if "seeds" in line:
        seeds = hashlib.sha256(json.dumps(line["seeds"]).encode()).hexdigest()
        if state.seeds and state.seeds != seeds:
            raise RuntimeError(
                f"{state.target}: its encoder writes other streams than those that were attacked; "
                f"remove {folder / _file_name(state.target)}.json to begin anew"
            )
        state.seeds = seeds
    elif "fault" in line:
        _find(folder, findings, line)
    else:
        state.next = line["next"]
        state.counts = dict(Counter(state.counts) + Counter(line["counts"]))
        state.seconds += line["seconds"]
        write_state(folder, state)


def _find(folder: Path, findings: list[dict[str, Any]], finding: dict[str, Any]) -> None:
    if "data" not in finding:
        target = open_target(finding["target"], folder / "weights")
        finding["data"] = mutant(target.name, finding["number"], target.seeds, target.format).hex()
    kept = folder / "findings"
    kept.mkdir(exist_ok=True)
    name = f"{_file_name(finding['target'])}-{finding['number']}-{finding['fault']}.json".replace(" ", "-")
    (kept / name).write_text(json.dumps(finding) + "\n")
    findings.append(finding)


def _file_name(target: str) -> str:
    return target.replace(":", "-").replace("~", "-")


def table(states: Iterable[State]) -> str:
    """Mutants and outcomes of each target, as Markdown."""
    lines = ["| target | mutants | image | header read | CorruptStream | refused | faults |", "| --- |" + 6 * " ---: |"]
    total = Counter[str]()
    for state in states:
        counts = Counter(state.counts)
        faults = sum(count for kind, count in counts.items() if kind not in SOUND)
        row = [state.next, *(counts[kind] for kind in SOUND), faults]
        total.update(dict(zip("abcdef", row, strict=True)))
        lines.append(f"| {state.target} | " + " | ".join(f"{number:,}" for number in row) + " |")
    lines.append("| **all** | " + " | ".join(f"{total[key]:,}" for key in "abcdef") + " |")
    return "\n".join(lines)


def main() -> None:
    """See the module."""
    from attacks.targets import NAMES  # and torch

    parser = argparse.ArgumentParser(description="Attacks decoders with mutated streams.")
    parser.add_argument("--attacks", type=int, help="mutants for each target, those of earlier calls included")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--targets", nargs="+", default=list(NAMES), choices=list(NAMES), metavar="NAME")
    parser.add_argument("--restore", action="store_true", help="go on from counts.json where nothing was done here")
    parser.add_argument("--table", action="store_true", help="write README.md and counts.json from the counts")
    chosen = parser.parse_args()
    folder = state_folder()
    if chosen.restore:
        folder.mkdir(parents=True, exist_ok=True)
        for state in json.loads((HERE / "counts.json").read_text()):
            if not (folder / f"{_file_name(state['target'])}.json").exists():
                write_state(folder, State(**state))
    if chosen.attacks is not None:
        plan = [(name, chosen.attacks) for name in chosen.targets]
        for finding in attack(folder, plan, time.monotonic() + chosen.seconds):
            print(finding["target"], finding["number"], finding["fault"], finding["word"][:150], flush=True)
    if chosen.table:
        states = [state for name in NAMES if (state := read_state(folder, name)).next]
        lines = ",\n".join(json.dumps(asdict(state)) for state in states)
        (HERE / "counts.json").write_text(f"[\n{lines}\n]\n")
        path = HERE / "README.md"
        head, mark, _ = path.read_text().partition("<!-- counts -->\n")
        path.write_text(head + mark + table(states) + "\n")


if __name__ == "__main__":
    main()
