"""What finding a file's destinations costs with 1, 10, 100 and 1,000 rules.

Every set of rules sees the same files, of which one in ten meets one rule of each kind, whatever the number of rules:
so only that number changes from column to column. First the match alone; then the least that the switch does with a
file (read its tags, identify it as far as the rules ask, match, write the tags, rename); then what a process holds.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mfdata.switch.identify import SYSTEM_MAGIC, ContentTags
from mfdata.switch.rules import Destination, Rule, RuleSet, to_json

COUNTS = (1, 10, 100, 1000)
NAME = "first.core.original_basename"
FILES = 2000

#: Type of rule and pattern of rule number {0}; number 0 is the one that is met.
KINDS: dict[str, tuple[str, str]] = {
    "equal": ("equal", "T_PAGC{0:04}_C_LFPW.bin"),
    "notequal": ("notequal", "T_PAGC{0:04}_C_LFPW.bin"),
    "fnmatch A*": ("fnmatch", "T_PAGC{0:04}*"),
    "fnmatch *.a": ("fnmatch", "*.b{0:04}"),
    "fnmatch A*B*": ("fnmatch", "T_*_{0:04}_*.b*"),
    "fnmatch *B*": ("fnmatch", "*_{0:04}_*"),
    "regex ^A": ("regex", r"^T_PAGC{0:04}_"),
    "regex A.*B$": ("regex", r"^T_.*_{0:04}_.*\.b\d+$"),
    "condition": ("python", "( x['first.core.original_basename'].startswith(b'T_PAGC{0:04}_') )"),
    "condition, any": ("python", "len(x['first.core.original_basename']) > 1000 and b'{0}' < b'a'"),
}
MAGIC = ("magic", "PNG image data, {0} x *")
MIXED = [KINDS[title] for title in KINDS if title not in ("notequal", "condition, any")]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="turns, of which the median counts (default %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the switch's file lies (default: the system's for such)")
    options = parser.parse_args()
    files = names()
    print("µs for one file (rate with so many rules / rate with 1)\n")
    print(f"{'match':26}" + "".join(f"{f'{count:,} rules':>17}" for count in COUNTS))
    for title, kind in KINDS.items():
        _show(title, options.rounds, lambda declared: matching(declared, files), [kind])
    print(f"{'':26}" + "".join(f"{f'{count:,} of each':>17}" for count in COUNTS))
    _show("all but notequal and any", options.rounds, lambda declared: matching(declared, files), MIXED)
    print(f"\n{'least work of the switch':26}" + "".join(f"{f'{count:,} of each':>17}" for count in COUNTS))
    print("goal: >= 0.9 in each line")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "image"
        of_one_kind = [(title, [kind]) for title, kind in KINDS.items() if title != "condition, any"]
        mixed = [("by all names", MIXED), ("by content (PNG)", [MAGIC]), ("by both", [*MIXED, MAGIC])]
        for title, kinds in of_one_kind + mixed:
            path.write_bytes(_PNG)
            _show(title, options.rounds, lambda declared: routing(declared, files, path), kinds)
    print(
        f"\n{'memory of a process, PSS':26}"
        + "".join(f"{_memory(rules(count, [*MIXED, MAGIC])):>17}" for count in COUNTS)
    )
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"
    )


def names() -> list[bytes]:
    """Names of which each tenth meets rule 0 of every kind but "equal", which knows one name only."""
    chance = random.Random(1)
    met, others = "T_PAGC0000_C_LFPW_{0}_0000_x.b0000", "T_PAHR9999_C_LFPW_{0}_9999_x.b9999"
    return [(met if n % 10 == 0 else others).format(chance.randrange(10**12)).encode() for n in range(FILES)]


def rules(count: int, kinds: Sequence[tuple[str, str]]) -> list[Rule]:
    """So many rules of each kind."""
    return [rule(number, kind, pattern) for kind, pattern in kinds for number in range(count)]


def rule(number: int, kind: str, pattern: str) -> Rule:
    """Rule *number* of one kind."""
    tag = {"magic": SYSTEM_MAGIC, "python": ""}.get(kind, NAME)
    return Rule("p", f"c:{number}", kind, tag, pattern.format(number), (Destination("p", f"s{number}"),))


def compiled(declared: list[Rule]) -> RuleSet:
    """The rules, all of whose destinations exist."""
    return RuleSet(declared, {str(target) for one in declared for target in one.destinations})


def matching(declared: list[Rule], files: list[bytes]) -> Callable[[], float]:
    """What gives the seconds that matching one file takes."""
    match = compiled(declared).match
    tags: list[Mapping[str, bytes]] = [{NAME: name, "first.core.original_dirname": b"incoming"} for name in files]
    return lambda: _timed(match, tags)


def routing(declared: list[Rule], files: list[bytes], path: Path) -> Callable[[], float]:
    """What gives the seconds that the least work of the switch on one file takes."""
    match = compiled(declared).match
    here, there = os.fspath(path), f"{path}.routed"

    def route(name: bytes) -> None:
        os.setxattr(here, "user.metwork", name)
        match(ContentTags(path, {NAME: os.getxattr(here, "user.metwork")}))
        os.rename(here, there)  # noqa: PTH104 -- as the switch does
        os.rename(there, here)  # noqa: PTH104

    return lambda: _timed(route, files)


def _timed(act: Callable[..., object], things: Sequence[object]) -> float:
    gc.collect()
    start = time.perf_counter()
    for thing in things:
        act(thing)
    return (time.perf_counter() - start) / len(things)


def _show(
    title: str, rounds: int, measuring: Callable[[list[Rule]], Callable[[], float]], kinds: Sequence[tuple[str, str]]
) -> None:
    runs = {count: measuring(rules(count, kinds)) for count in COUNTS}
    for run in runs.values():
        run()
    turns = [{count: run() for count, run in runs.items()} for _ in range(rounds)]
    cost = {count: statistics.median(turn[count] for turn in turns) for count in COUNTS}
    ratio = {count: statistics.median(turn[1] / turn[count] for turn in turns) for count in COUNTS}
    print(f"{title:26}" + "".join(f"{cost[count] * 1e6:10.2f} ({ratio[count]:4.2f})" for count in COUNTS), flush=True)


def _memory(declared: list[Rule]) -> str:
    code = (
        "import sys; from pathlib import Path; from mfdata.switch import identify\n"
        "from mfdata.switch.rules import RuleSet, from_json\n"
        "rules = from_json(sys.stdin.read()); steps = {str(to) for rule in rules for to in rule.destinations}\n"
        "RuleSet(rules, steps).match(identify.ContentTags(Path(sys.executable), {}))\n"
        "print(next(line for line in Path('/proc/self/smaps_rollup').read_text().splitlines() if line[:4] == 'Pss:'))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], input=to_json(declared), text=True, capture_output=True, check=True
    )
    return f"{int(run.stdout.split()[1]) / 1024:.1f} MB"


#: A picture of one pixel as far as libmagic looks.
_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00" + bytes(4000)


if __name__ == "__main__":
    main()
