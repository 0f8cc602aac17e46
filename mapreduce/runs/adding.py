"""Runs add up: the sums of finished runs over different objects, merged as those of one run.

Sums are integers and merging them is exact, so the digest is that of a run over all the objects,
in whatever order and grouping runs are added. What could make it another is refused before anything
is merged: another job, parameter or code, and an object that more than one run covers, in whatever
version, since it would count twice. What is made can be added again. No object is read.
"""

from __future__ import annotations

import heapq
import json
import shutil
import tempfile
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mapreduce.errors import MapReduceError, UsageError
from mapreduce.job.job import finished
from mapreduce.job.loader import load
from mapreduce.job.name import job_code
from mapreduce.job.side_file import SideFile
from mapreduce.ledger import Ledger, merged
from mapreduce.runs.aggregator import Aggregator
from mapreduce.runs.fingerprint import difference, hash_of, summed_of
from mapreduce.runs.finished import FinishedRun, finished_run
from mapreduce.runs.folder import typed
from mapreduce.runs.folder_lock import claimed, made
from mapreduce.runs.journal_file import NAME as JOURNAL
from mapreduce.runs.object_list import Coverage, head_in, objects_in
from mapreduce.runs.receipt import Phases, objects_of, records_of, rounded, run_id, versions
from mapreduce.runs.result import Result
from mapreduce.runs.sums import OBJECTS, PARTIAL, SUMS, read_partial
from mapreduce.tables import encoding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mapreduce.job.job import Job
    from mapreduce.ledger import Dropped, Quarantined
    from mapreduce.runs.object_list import Covered, Head

TOLD: Final = 3  # objects of two runs that are named
ENGINE: Final = "add"


@dataclass(frozen=True, slots=True)
class Summed:
    """A finished run with its sums."""

    run: FinishedRun
    head: Head

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.run.folder

    def objects(self) -> Iterator[Covered]:
        """Give what it covers, ascending by address."""
        return objects_in(self.folder / OBJECTS)

    def numbered(self, number: int) -> Iterator[tuple[Covered, int]]:
        """Give each with a number."""
        return ((one, number) for one in self.objects())


class Addition:
    """Finished runs that can be added, which is known once this is made.

    Parameters
    ----------
    folders
        Two or more, each the `--out` of a run.
    other_code
        Whether runs may be of different code, or of other code than is here now.

    Attributes
    ----------
    job, parameters
        What all of them ran.

    Raises
    ------
    UsageError
        Where a folder holds no finished run with sums, and where runs do not add up.
    MapReduceError
        Where files of theirs were changed.
    """

    def __init__(self, folders: Sequence[Path], *, other_code: bool = False) -> None:
        _check_folders(folders)
        self.other_code = other_code
        self.runs = [_summed(folder) for folder in folders]
        _check_same(self.runs, code=not other_code)
        said = json.loads(self.runs[0].head.identity)
        self.job: str = said["job"]
        self.parameters: dict[str, Any] = said["parameters"]

    def loaded(self, reference: str, given: Mapping[str, str] | None = None) -> Job:
        """Load the job, with the parameters that the runs had.

        Parameters
        ----------
        reference
            `package.module:Class` or `./file.py:Class`.
        given
            Large side inputs, where `finish` needs them, by parameter; small ones are kept.

        Raises
        ------
        UsageError
            Where it is another job than the runs', or has other code by now.
        """
        kept = self._side_files(self.runs[0].head.files)
        job = load(reference, {**self.parameters, **kept, **(given or {})}, files=bool(given))
        code = dict(job_code(job).meanings)
        where, _, name = reference.rpartition(":")
        shown = f"{where.rpartition('/')[2]}:{name}"
        first = self.runs[0]
        if shown != self.job:
            raise UsageError(f"{first.folder} is of the job {self.job}, not {shown}")
        now = {
            **json.loads(first.head.identity),
            "code": code,
            "roadspeed": versions()["roadspeed"],
        }
        was = summed_of(first.head.identity)
        if not self.other_code and (told := difference(was, summed_of(json.dumps(now)))):
            raise UsageError(
                f"{first.folder} was run by other code than is here: {told}. Sums might mean"
                " something else: run again, or add --other-code if you know that they do not"
            )
        return job

    def result(self, job: Job, out: Path, max_keys: int) -> Result:
        """Add them up, for a folder that is claimed for it.

        Raises
        ------
        UsageError
            Where objects are in two runs, or another run is in the folder.
        JobError
            Where a sum passes int64, or a table outgrows `max_keys`.
        """
        started = time.monotonic()
        _claim(out, self.runs)
        places = self._checked_apart()
        ledger = merged(_placed(one.head, places) for one in self.runs)
        gather = Aggregator(job.schemas(), max_keys)
        for one in self.runs:
            gather.keep(read_partial(one.folder / PARTIAL, job.schemas()), one.head.ledger)
        sums = gather.result()
        digest = encoding.digest(sums)
        tables = finished(job, sums)
        seconds = time.monotonic() - started
        receipt = self._receipt(digest, ledger, Phases(merge=seconds, total=seconds))
        return Result(tables, digest, receipt, sums, ledger, covers=self._coverage())

    def _side_files(self, files: Mapping[str, bytes]) -> dict[str, SideFile]:
        """Lay the side inputs that were kept down as files, for as long as this is there."""
        found = {}
        room = Path(tempfile.mkdtemp(prefix="mapreduce-"))
        weakref.finalize(self, shutil.rmtree, room)
        for number, (name, content) in enumerate(sorted(files.items())):
            path = room / str(number)
            path.write_bytes(content)
            found[name] = SideFile(path)
        return found

    def _merged(self) -> Iterator[tuple[Covered, int]]:
        """Give the objects of all runs, ascending by address, with the number of the run."""
        numbered = (run.numbered(number) for number, run in enumerate(self.runs))
        return heapq.merge(*numbered, key=lambda pair: pair[0].address)

    def _checked_apart(self) -> dict[str, int]:
        """See that no object is in two runs; give the places of those that accounts name."""
        wanted = {address for one in self.runs for address in _named(one.head)}
        twice = _Twice(self.runs)
        places: dict[str, int] = {}
        last: tuple[Covered, int] | None = None
        for place, (one, number) in enumerate(self._merged()):
            if last is not None and last[0].address == one.address:
                twice.note(last[1], number, last[0], one)
            if one.address in wanted:
                places[one.address] = place
            last = one, number
        twice.refuse()
        return places

    def _coverage(self) -> Coverage:
        heads = [one.head for one in self.runs]
        said = json.loads(summed_of(heads[0].identity))
        if self.other_code:
            said |= {"code": {}, "roadspeed": sorted(_versions(heads))}
        leaves = sorted(leaf for head in heads for leaf in _leaves(head.identity))
        return Coverage(
            identity=json.dumps({**said, "added": leaves}, sort_keys=True),
            base="",
            listed=sum(head.listed for head in heads),
            ignored=sum(head.ignored for head in heads),
            objects=lambda: (one for one, _ in self._merged()),
            files=heads[0].files,
        )

    def _receipt(self, digest: str, ledger: Ledger, phases: Phases) -> dict[str, Any]:
        covers = self._coverage()
        said = [one.run.said for one in self.runs]
        sources = sorted({source for one in said for source in one["source"].split(", ")})
        return {
            "run": run_id(),
            "job": self.job,
            "parameters": self.parameters,
            "source": ", ".join(sources),
            "engine": ENGINE,
            "digest": digest,
            "complete": all(one["complete"] for one in said),
            "selection": _selection([one["selection"] for one in said]),
            "allow_nan": said[0]["allow_nan"],
            "objects": objects_of(ledger, listed=covers.listed, ignored=covers.ignored),
            "records": records_of(ledger),
            "times_s": rounded(phases),
            "resumed": None,
            "retried": None,
            "added": [_noted(one) for one in self.runs],
            "other_code": self.other_code,
            "work": {},
            "versions": versions(),
        }


class _Twice:
    """Objects that are in two runs: how many, and the first of each pair of runs."""

    def __init__(self, runs: Sequence[Summed]) -> None:
        self._runs = runs
        self._same = self._other = 0
        self._first: list[str] = []

    def note(self, before: int, number: int, was: Covered, one: Covered) -> None:
        """Take an object that run `before` has, and run `number` too."""
        same = was.etag == one.etag
        self._same, self._other = self._same + same, self._other + (not same)
        if len(self._first) < TOLD:
            how = "" if same else f" (as {was.etag} and as {one.etag})"
            a, b = self._runs[before].folder, self._runs[number].folder
            self._first.append(f"{one.address}{how} in {a} and {b}")

    def refuse(self) -> None:
        """Refuse to add where there are any."""
        if not self._first:
            return
        kinds = [f"{self._same:,} in the same version"] if self._same else []
        kinds += [f"{self._other:,} in another version"] if self._other else []
        more = self._same + self._other - len(self._first)
        listed = "; ".join(self._first) + (f"; and {more:,} more" if more else "")
        hint = (
            " An object with another etag was corrected or replaced between the runs."
            if self._other
            else ""
        )
        raise UsageError(
            f"{self._same + self._other:,} objects are in more than one of the runs"
            f" ({', '.join(kinds)}), and would count twice: {listed}.{hint} Run again over objects"
            " that no other run has (--match, --exclude, or another SOURCE), then add"
        )


def add(
    folders: Sequence[Path],
    reference: str,
    out: Path,
    *,
    max_keys: int,
    given: Mapping[str, str] | None = None,
    other_code: bool = False,
) -> Result:
    """Add finished runs of a job; parameters and errors are those of `Addition`."""
    addition = Addition(folders, other_code=other_code)
    return addition.result(addition.loaded(reference, given), out, max_keys)


def _check_folders(folders: Sequence[Path]) -> None:
    if len(folders) < 2:  # noqa: PLR2004 - two are added
        raise UsageError(f"add takes two runs or more, got {len(folders)}")
    seen: dict[Path, Path] = {}
    for folder in folders:
        if (other := seen.setdefault(folder.resolve(), folder)) is not folder:
            raise UsageError(f"{folder} and {other} are one folder: a run counts once")


def _summed(folder: Path) -> Summed:
    run = finished_run(folder)
    missing = [name for name in SUMS if not run.has(name)]
    if missing:
        raise UsageError(
            f"the run in {folder} kept no sums ({', '.join(missing)}): it was run with"
            " --no-keep-sums, by a version that had none, or was retried after such a run. Type its"
            f" command again, without --no-keep-sums ({typed(folder / 'command.json')} has it);"
            " that reads its objects again"
        )
    partial, objects = (run.file(name) for name in SUMS)
    if run.receipt.digest != f"sha256:{run.receipt.files[PARTIAL].sha256}":
        raise MapReduceError(f"{partial} does not hold the sums whose digest the receipt tells")
    return Summed(run, head_in(objects))


def _check_same(runs: Sequence[Summed], *, code: bool) -> None:
    """Refuse runs of another job, other parameters or other code."""
    first = runs[0]
    was = summed_of(first.head.identity, code=code)
    for one in runs[1:]:
        now = summed_of(one.head.identity, code=code)
        if was == now:
            continue
        told = difference(was, now, then="is", there="there it is")
        only_code = code and summed_of(first.head.identity, code=False) == summed_of(
            one.head.identity, code=False
        )
        hint = (
            "run one of them again with this code, or add --other-code if you know that the sums"
            " mean the same"
            if only_code
            else "only runs of one job with the same parameters have sums that add up"
        )
        raise UsageError(f"{first.folder} and {one.folder} cannot be added: {told}; {hint}")


def _claim(out: Path, runs: Sequence[Summed]) -> None:
    """Have the folder for this alone, and see that no other work is lost by it."""
    made(out)
    if out.resolve() in {one.folder.resolve() for one in runs}:
        raise UsageError(f"--out {out} is one of the runs that are added: choose another folder")
    with claimed(out):
        if (out / JOURNAL).exists():
            raise UsageError(
                f"--out {out} holds a run that is not finished (mapreduce resume {typed(out)}):"
                " choose another folder"
            )


def _named(head: Head) -> Iterator[str]:
    """Give the addresses of the objects that an account names."""
    ledger = head.ledger
    each: list[Quarantined | Dropped] = [*ledger.quarantined, *ledger.samples]
    each += [] if ledger.nan.first is None else [ledger.nan.first]
    return (head.base + one.key for one in each)


def _placed(head: Head, places: Mapping[str, int]) -> Ledger:
    """Give an account with addresses for keys, and places among the objects of all runs."""

    def placed(one: Any) -> Any:
        address = head.base + one.key
        if address not in places:
            raise MapReduceError(
                f"{address} is in an account, but not among the objects of its run"
            )
        return msgspec.structs.replace(one, key=address, ordinal=places[address])

    ledger, nan = head.ledger, head.ledger.nan
    if nan.first is not None:
        nan = msgspec.structs.replace(nan, first=placed(nan.first))
    return msgspec.structs.replace(
        ledger,
        nan=nan,
        quarantined=[placed(bad) for bad in ledger.quarantined],
        samples=[placed(one) for one in ledger.samples],
    )


def _leaves(identity: str) -> list[str]:
    """Give the fingerprints of the runs that a run was made of: its own, where of none."""
    leaves: list[str] = json.loads(identity).get("added") or [hash_of(identity)]
    return leaves


def _versions(heads: Iterable[Head]) -> set[str]:
    found: set[str] = set()
    for head in heads:
        said = json.loads(head.identity)["roadspeed"]
        found |= {said} if isinstance(said, str) else set(said)
    return found


def _noted(one: Summed) -> dict[str, Any]:
    """Give what the receipt says of a run that was added, and of those it was made of."""
    said = one.run.said
    noted = {
        "folder": str(one.folder.resolve()),
        "run": one.run.receipt.run,
        "fingerprint": hash_of(one.head.identity),
        "digest": one.run.receipt.digest,
        "objects": one.run.receipt.objects.listed,
    }
    return noted | ({"added": said["added"]} if said.get("added") else {})


def _selection(each: Sequence[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Give which objects were taken; where runs differ in that, what each took."""
    if all(one == each[0] for one in each):
        return each[0]
    taken = [one for some in each for one in ((some or {}).get("runs") or [some])]
    distinct = [one for n, one in enumerate(taken) if one not in taken[:n]]
    return {"match": [], "exclude": [], "sample": None, "limit": None, "runs": distinct}
