"""Bad input in every format among good: accounted for, nothing swells, the sums unchanged."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

import mapreduce as mr
from mapreduce.attempts.attempt import AttemptRunner
from mapreduce.formats import csv
from mapreduce.objects.listing import objects_of
from mapreduce.objects.members import located
from mapreduce.objects.memory import Memory
from mapreduce.objects.reader import Reader
from mapreduce.plan import Piece
from tests.mapreduce.bad import compressed, json_lines
from tests.mapreduce.bad.case import LIMITS, SWELLING_BYTES, Case, Form
from tests.mapreduce.bad.csv import CSV
from tests.mapreduce.bad.gpx import GPX
from tests.mapreduce.bad.json_columns import COLUMNS
from tests.mapreduce.bad.lists_in_lists import LISTS
from tests.mapreduce.bad.parquet import PARQUET
from tests.mapreduce.bad.zips import ZIP

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMS: Final[Mapping[str, Form]] = {
    "csv": CSV,
    "parquet": PARQUET,
    "lines": json_lines.LINES,
    "trip lines": json_lines.TRIPS,
    "columns": COLUMNS,
    "lists in lists": LISTS,
    "gpx": GPX,
    **compressed.FORMS,
    "zip": ZIP,
}
EACH: Final = [(form, name) for form, found in FORMS.items() for name in found.cases]
OPTIONS: Final = mr.Options(limits=LIMITS)


def folder(path: Path, objects: Mapping[str, bytes]) -> Path:
    path.mkdir()
    for name, body in objects.items():
        (path / name).write_bytes(body)
    return path


@pytest.mark.parametrize("name", FORMS)
def test_every_format_has_cases_enough(name: str) -> None:
    assert len(FORMS[name].good) == 3
    assert len(FORMS[name].cases) >= 40


@pytest.mark.parametrize(("form", "name"), EACH, ids=[" ".join(one) for one in EACH])
def test_each_bad_object_has_its_account(form: str, name: str) -> None:
    check_account(FORMS[form], name)


@pytest.mark.parametrize("name", CSV.cases)
def test_csv_has_the_same_account_without_pyarrow(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv, "arrow_csv", lambda: None)
    check_account(CSV, name)


def check_account(form: Form, name: str) -> None:
    case = form.cases[name]
    store = Memory({name: case.body})
    entries = list(objects_of(store))
    pieces = [Piece(n, e.key, e.size_bytes, e.etag) for n, e in enumerate(entries)]
    run = AttemptRunner(form.job(), Reader(), LIMITS)
    try:
        _, ledger = run.run(pieces, [located(store, entry) for entry in entries])
    finally:
        run.close()
    found = [(bad.key, bad.reason) for bad in ledger.quarantined]
    assert found == ([(name + case.within, case.reason)] if case.reason else [])
    assert (ledger.ok, ledger.kept, ledger.dropped) == (case.ok, case.kept, case.dropped)
    assert ledger.read == case.kept + sum(case.dropped.values())
    for bad in ledger.quarantined:
        assert bad.place
        assert case.told in bad.place


@pytest.mark.parametrize("split_bytes", [None, 1], ids=["whole", "divided"])
@pytest.mark.parametrize("name", FORMS)
def test_bad_objects_among_good_change_nothing(
    name: str, split_bytes: int | None, tmp_path: Path
) -> None:
    form = FORMS[name]
    cases = form.cases
    kept = sum(case.kept for case in cases.values())
    alone = mr.run(
        form.job(),
        folder(tmp_path / "good", {**form.good, "kept": form.plain(kept)}),
        workers=1,
        options=OPTIONS,
    )
    assert not alone.ledger.quarantined
    assert not alone.ledger.dropped
    mixed = folder(tmp_path / "mixed", {**form.good, **{n: c.body for n, c in cases.items()}})
    (mixed / "_SUCCESS").write_bytes(b"")
    got = mr.run(
        form.job(), mixed, workers=2, options=mr.Options(limits=LIMITS, split_bytes=split_bytes)
    )
    assert got.digest == alone.digest
    assert {bad.key: bad.reason for bad in got.ledger.quarantined} == _reasons(cases)
    assert got.receipt["objects"] == {**got.receipt["objects"], **_objects(form)}
    records = got.receipt["records"]
    assert records["dropped"] == dict(sorted(_dropped(cases).items()))
    assert records["kept"] == alone.receipt["records"]["kept"]
    assert records["read"] == records["kept"] + sum(records["dropped"].values())
    usual_bytes = alone.receipt["work"]["worker_peak_bytes"]
    assert got.receipt["work"]["worker_peak_bytes"] < usual_bytes + SWELLING_BYTES


def _reasons(cases: Mapping[str, Case]) -> dict[str, str]:
    return {name + case.within: case.reason for name, case in cases.items() if case.reason}


def _dropped(cases: Mapping[str, Case]) -> Counter[str]:
    total: Counter[str] = Counter()
    for case in cases.values():
        total.update(case.dropped)
    return total


def _objects(form: Form) -> dict[str, int]:
    ok = len(form.good) + sum(case.ok for case in form.cases.values())
    bad = sum(bool(case.reason) for case in form.cases.values())
    return {"listed": ok + bad + 1, "ok": ok, "quarantined": bad, "ignored": 1}
