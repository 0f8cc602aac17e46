"""What makes two runs the same run: only such a run goes on with a journal's commits.

All that a commit depends on counts: job, parameters, code, source, selection, division into splits,
caps, release. What it does not depend on is left out, so a run may be gone on with by another
engine, with more workers, a higher `--max-keys` or a mended `finish`. No secret is in it.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

import msgspec

from mapreduce.job.code_files import BY_PATH, OURS
from mapreduce.runs.receipt import versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mapreduce.job.name import JobName
    from mapreduce.runs.result import Options

OF_OBJECTS: Final = ("source", "match", "exclude", "sample", "limit", "split_bytes", "added")
OF_CODE: Final = ("code", "roadspeed")


def identity_of(job: JobName, code: Mapping[str, str], source: str, options: Options) -> str:
    """Give a run's identity as JSON: equal texts, equal runs.

    Parameters
    ----------
    job
        Class and parameters.
    code
        What each file of the job's code means: `JobCode.meanings`.
    source
        The store's name.
    options
        Selection, caps, split size.
    """
    selection, limits = options.selection, options.limits
    identity = {
        "job": job.shown,
        "parameters": job.parameters,
        "code": dict(code),
        "source": source,
        "match": selection.match,
        "exclude": selection.exclude,
        "sample": None if selection.sample is None else str(selection.sample),
        "limit": selection.limit,
        "split_bytes": options.split_bytes,
        "object_cap_bytes": limits.object_cap_bytes,
        "line_cap_bytes": limits.line_cap_bytes,
        "quarantine_map_errors": limits.quarantine_map_errors,
        "allow_nan": limits.allow_nan,
        "roadspeed": versions()["roadspeed"],
    }
    return msgspec.json.encode(identity, order="sorted").decode()


def summed_of(identity: str, *, code: bool = True) -> str:
    """Give the part of an identity on which sums of other objects depend too.

    Which objects are read, and how they are divided, is left out: runs that differ in nothing else
    have sums that add up. Without `code` it is left out what code made them.
    """
    said = json.loads(identity)
    left_out = OF_OBJECTS if code else (*OF_OBJECTS, *OF_CODE)
    return json.dumps({k: v for k, v in said.items() if k not in left_out}, sort_keys=True)


def hash_of(identity: str) -> str:
    """Give the fingerprint: `sha256:…`."""
    return f"sha256:{hashlib.sha256(identity.encode()).hexdigest()}"


def difference(was: str, now: str, *, then: str = "was", there: str = "now it is") -> str:
    """Say where two identities differ, name by name."""
    old, new = json.loads(was), json.loads(now)
    pairs = [
        (name.replace("_", "-"), old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if name not in ("parameters", "code")
    ]
    old_set, new_set = old.get("parameters", {}), new.get("parameters", {})
    pairs += [
        (f"parameter {name}", old_set.get(name), new_set.get(name))
        for name in sorted(old_set.keys() | new_set.keys())
    ]
    said = [f"its {what} {then} {a!r}, {there} {b!r}" for what, a, b in pairs if a != b]
    return "; ".join((*said, *_code_differences(old.get("code", {}), new.get("code", {}))))


def _code_differences(was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(was.keys() | now.keys()):
        what = "this program itself" if name == OURS else name.removeprefix(BY_PATH)
        if name not in was:
            yield f"{what} is new in its code"
        elif name not in now:
            yield f"{what} is no longer in its code"
        elif was[name] != now[name]:
            yield f"{what} has changed"
