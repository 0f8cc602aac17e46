"""Eight real sshd hosts on loopback, from bare to a result: `python -m benchmarks.hosts`.

Each has an address, keys and a home of its own; `--pythons PATH …` gives hosts
others in turn. Commands are typed as a person types them. Fails where a digest differs
from the local engine's or a host needs two seconds or more to be deployed to again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import page
from roadspeed.town import make_town
from tests.services.seaweed import private_seaweed
from tests.services.sshd import shelf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.services.sshd import Shelf

HOSTS, TRIPS = 8, 120
AGAIN_S = 2.0  # most that an unchanged host may take


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pythons", nargs="*", default=(), help="for the hosts in turn")
    options = parser.parse_args()
    with shelf(HOSTS) as hosts, private_seaweed() as store, tempfile.TemporaryDirectory() as name:
        for number, python in enumerate(options.pythons):
            for host in hosts.hosts[number + 1 :: len(options.pythons) + 1]:
                hosts.overrides[host.name] = {"python": python}
        hosts.inventory()
        made = make_town(Path(name, "town"), TRIPS)
        bucket = store.bucket()
        store.put_folder(bucket, made.trips)
        print(measure(hosts, Path(name), made.trips, f"s3://{bucket}", store.environ))


def measure(hosts: Shelf, folder: Path, trips: Path, bucket: str, keys: dict[str, str]) -> str:
    """Enrol, deploy, deploy again, and run over the folder and the bucket."""
    there = ("--inventory", str(hosts.folder / "hosts.toml"))
    rows = [(f"enrol {HOSTS} hosts", _typed(["cluster", "enrol", "--yes", *there]))]
    rows.append(("deploy to them, bare", _typed(["cluster", "deploy", *there])))
    rows.append(("deploy again", _typed(["cluster", "deploy", *there])))
    again_s = rows[-1][1]
    run = ["run", "roadspeed.speeds:Speeds"]
    digests = set()
    for where, source, more in (("a folder", str(trips), {}), ("a bucket", bucket, keys)):
        for engine in ((), ("--engine", "ssh", *there)):
            out = folder / f"{where[2:]}-{len(engine)}"
            seconds = _typed([*run, source, "--out", str(out), *engine], **more)
            receipt = json.loads((out / "receipt.json").read_text())
            digests.add(receipt["digest"])
            rows.append((f"run over {where}, engine {receipt['engine']}", seconds))
    if len(digests) != 1:
        raise RuntimeError(f"digests differ: {digests}")
    broken = [] if again_s < AGAIN_S * HOSTS else [f"Broken: deployed again in {again_s:.1f} s"]
    pythons = sorted({host.get("python", "its own") for host in hosts.overrides.values()})
    told = f"{HOSTS} sshd hosts on loopback, {TRIPS} trips; other Pythons: {pythons or 'none'}."
    table = page.table(("step", "seconds"), [(what, f"{s:.1f}") for what, s in rows])
    return "\n\n".join([f"{page.machine()} {told}", table, f"One digest: {digests.pop()}", *broken])


def _typed(words: Sequence[str], **more: Any) -> float:
    """Type a command of `mapreduce`; say how long it took."""
    began = time.monotonic()
    command = [sys.executable, "-m", "mapreduce.cli", *words]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, **more}
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return time.monotonic() - began


if __name__ == "__main__":
    main()
