"""How well a shelf of slow hosts is used: `python -m benchmarks.shelf scaling|mixed`.

Hosts are network namespaces with a share of a core each (`namespaces`); the folder is served by the
coordinator over TLS. `scaling`: 1, 2, 4, 8 hosts of 10 % of a core, each with as much to do as the
one: the time should stay. `mixed`: hosts of 50, 25, 12 and 3 %, against the ideal for their summed
speed: what one host of 50 % reads a second in the midst of a run of its own, times 90/50. Times
include the start of every agent.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.corpus import corpus, warm
from benchmarks.namespaces import Namespaces, hindrance
from mapreduce.cluster.engine import Cluster
from mapreduce.cluster.schedule.rules import Rules
from mapreduce.runs.driver import run
from roadspeed.speeds import Speeds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.corpus import Corpus
    from mapreduce.cluster.coordinator.status import Status
    from mapreduce.runs.progress import Progress

FILES = 24
SCALING_SHARE = 10.0
MIXED = {"fast": 50.0, "half": 25.0, "slow": 12.0, "old": 3.0}


@dataclass(frozen=True, slots=True)
class Seen:
    """One run: how long it took in all, bytes a second in its midst, and what each host did."""

    whole_s: float
    steady: float
    size_bytes: int
    digest: str
    tasks: dict[str, int]

    @property
    def mbs(self) -> float:
        """Rate of the whole run, starts included, in MB/s."""
        return self.size_bytes / self.whole_s / 1e6


def measure(shares: Mapping[str, float], trips: Corpus, *, show: bool = False) -> Seen:
    """Run the main job on hosts of these shares."""
    warm(trips)
    read: list[tuple[float, int]] = []
    said: list[float] = [0.0]
    with Namespaces(shares) as hosts:
        engine = Cluster(dict.fromkeys(shares, 1), hosts, address=hosts.address, rules=Rules())

        def look(_: Progress) -> None:
            status, now = engine.status, time.monotonic()
            if status is None:
                return
            if not read or status.read_bytes > read[-1][1]:
                read.append((now, status.read_bytes))
            if show and now - said[0] >= 10:
                said[0] = now
                sys.stderr.write(_line(status))

        began = time.monotonic()
        result = run(Speeds(), trips.folder, engine=engine, on_progress=look)
        ended = time.monotonic()
        status = engine.status
    done = {} if status is None else {h.host: h.done for h in status.hosts}
    return Seen(ended - began, _steady(read), trips.size_bytes, result.digest, done)


def _steady(read: Sequence[tuple[float, int]]) -> float:
    """Give bytes a second between a quarter and nine tenths of all that was read."""
    whole = read[-1][1]
    midst = [(at, done) for at, done in read if whole / 4 <= done <= whole * 0.9]
    if len(midst) < 2:
        return 0.0
    return (midst[-1][1] - midst[0][1]) / (midst[-1][0] - midst[0][0])


def _line(status: Status) -> str:
    hosts = " ".join(f"{h.host}:{h.state} {h.done} {h.bytes_per_s / 1e6:.1f}" for h in status.hosts)
    return (
        f"{status.seconds:5.0f} s, {status.read_bytes / 1e6:,.0f} MB, {status.committed} committed,"
        f" {status.running} run, {status.waiting} wait; {hosts}\n"
    )


def scaling(root: Path, objects: int) -> str:
    """Compare 1, 2, 4 and 8 hosts, each with as much to do."""
    lines = ["| Hosts | Objects | Seconds | MB/s | Of linear |", "|---|---|---|---|---|"]
    one = 0.0
    for count in (1, 2, 4, 8):
        trips = corpus(root, FILES, objects * count)
        seen = measure({f"h{n}": SCALING_SHARE for n in range(count)}, trips)
        one = one or seen.mbs
        lines.append(
            f"| {count} | {trips.objects:,} | {seen.whole_s:.1f} | {seen.mbs:.1f} |"
            f" {seen.mbs / one / count:.0%} |"
        )
    return "\n".join(lines)


def mixed(root: Path, objects: int, *, show: bool) -> str:
    """Compare hosts of very different speed with the ideal for their summed speed."""
    alone = measure({"fast": MIXED["fast"]}, corpus(root, FILES, objects // 8)).steady
    speed = alone * sum(MIXED.values()) / MIXED["fast"]
    trips = corpus(root, FILES, objects)
    seen = measure(MIXED, trips, show=show)
    ideal_s = trips.size_bytes / speed
    shares = ", ".join(f"{h} ({MIXED[h]:g} %): {n}" for h, n in seen.tasks.items())
    return (
        f"{trips.told}; alone the fast host reads {alone / 1e6:.1f} MB/s; ideal {ideal_s:.0f} s,"
        f" seen {seen.whole_s:.0f} s: {seen.whole_s / ideal_s:.2f} times. Tasks: {shares}."
    )


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("scaling", "mixed"))
    parser.add_argument("--objects", type=int, help="for one host, or for all of a mixed shelf")
    parser.add_argument("--show", action="store_true", help="how hosts fare, every ten seconds")
    parser.add_argument(
        "--corpus", type=Path, default=Path(tempfile.gettempdir(), "roadspeed-benchmarks")
    )
    asked = parser.parse_args()
    why_not = hindrance()
    if why_not is not None:
        sys.stdout.write(f"{why_not}\n")
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was made is removed then too
    with contextlib.suppress(KeyboardInterrupt):
        if asked.what == "scaling":
            text = scaling(asked.corpus, asked.objects or 600)
        else:
            text = mixed(asked.corpus, asked.objects or 26_000, show=asked.show)
        sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
