"""A job's side inputs onto hosts: each file once a host, under the name that its content makes.

On a host it is `ROOT/inputs/SHA256`, read-only, checked when it came, and the same for every run
and release that wants it; the last few stay, and those that a running agent reads. A host that has
it is asked nothing more; hosts that share a home take turns, so the second finds it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from mapreduce.cluster.fleet.deploy import SLOWEST_BYTES_PER_S, see_room
from mapreduce.cluster.ssh.ssh import STEP_S, Remote
from mapreduce.job.side_file import CHUNK_BYTES, Seal

FOLDER: Final = "inputs"


def place_of(seal: Seal) -> str:
    """Give where a side input is under a host's ROOT."""
    return f"{FOLDER}/{seal.sha256}"


def bring_inputs(
    remote: Remote,
    files: Mapping[str, Seal],
    turn_of: Callable[[str | None], AbstractContextManager[Any]],
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Seal]:
    """Send a connected host the side inputs it lacks; give them, by parameter, as they are there.

    `turn_of` gives what is held while something is sent into a home that hosts may share. `facts`
    are what the host has just told. Raises HostError where there is no room, or what came is not
    what was sealed.
    """
    facts = facts or remote.ask("facts", {"mark": True})
    if _missing(facts, files.values()):
        with turn_of(facts["home"]):
            facts = remote.ask("facts", {"mark": True})
            _send_all(remote, facts, _missing(facts, files.values()), [*files.values()])
    root = facts["root"]
    return {
        name: Seal(f"{root}/{place_of(seal)}", seal.sha256, seal.size_bytes)
        for name, seal in files.items()
    }


def _missing(facts: Mapping[str, Any], seals: Iterable[Seal]) -> list[Seal]:
    return [*{s.sha256: s for s in seals if s.sha256 not in facts["inputs"]}.values()]


def _send_all(
    remote: Remote, facts: Mapping[str, Any], missing: list[Seal], wanted: list[Seal]
) -> None:
    if missing:
        see_room(facts, sum(s.size_bytes for s in missing))
    for seal in missing:
        asked = {"input": seal.sha256, "prune": True, "keep": [s.sha256 for s in wanted]}
        timeout_s = STEP_S + seal.size_bytes / SLOWEST_BYTES_PER_S
        remote.ask("unpack", asked, _chunks(seal), timeout_s=timeout_s)


def _chunks(seal: Seal) -> Iterator[bytes]:
    with Path(seal.path).open("rb") as file:
        while body := file.read(CHUNK_BYTES):
            yield body
