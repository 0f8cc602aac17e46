"""Whatever a commit depends on tells one run from another; what it does not, does not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from mapreduce.errors import UsageError
from mapreduce.job.name import name_of
from mapreduce.ledger import Cost, Ledger
from mapreduce.limits import Limits
from mapreduce.objects.selection import Selection
from mapreduce.plan import Piece, Split
from mapreduce.runs import receipt
from mapreduce.runs.driver import Options
from mapreduce.runs.fingerprint import difference, identity_of
from mapreduce.runs.journal import Journal
from tests.jobs.counting import Lines, Links

if TYPE_CHECKING:
    from pathlib import Path

CODE = {"j.py": "1", "helper.py": "2"}
NAME = name_of(Links())
USUAL: dict[str, Any] = {"job": NAME, "code": CODE, "source": "s3://a", "options": Options()}


def _with(**options: Any) -> dict[str, Any]:
    return {"options": Options(**options)}


OTHERS: dict[str, dict[str, Any]] = {
    "job": {"job": name_of(Lines())},
    "parameters": {"job": msgspec.structs.replace(NAME, parameters={"limit": 3})},
    "the code": {"code": CODE | {"helper.py": "3"}},
    "another file of code": {"code": CODE | {"more.py": "3"}},
    "source": {"source": "s3://b"},
    "match": _with(selection=Selection(match=("a*",))),
    "exclude": _with(selection=Selection(exclude=("a*",))),
    "sample": _with(selection=Selection(sample=0.5)),
    "limit": _with(selection=Selection(limit=5)),
    "split_bytes": _with(split_bytes=77),
    "object_cap_bytes": _with(limits=Limits(object_cap_bytes=77)),
    "line_cap_bytes": _with(limits=Limits(line_cap_bytes=77)),
    "quarantine_map_errors": _with(limits=Limits(quarantine_map_errors=True)),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_run_that_would_commit_otherwise_is_another(what: str, tmp_path: Path) -> None:
    mine, other = identity_of(**USUAL), identity_of(**(USUAL | OTHERS[what]))
    assert mine != other
    assert difference(mine, other)
    journal = Journal(tmp_path, mine)
    journal.plan(Split(0, (Piece(0, "k", 5, "e"),)))
    journal.commit((0,), b"", Ledger(), Cost())
    journal.close()
    with pytest.raises(UsageError, match="belongs to another run"):
        Journal(tmp_path, other)
    Journal(tmp_path, mine).close()


def test_another_release_is_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = identity_of(**USUAL)
    monkeypatch.setattr(receipt, "__version__", "99.0")
    assert "its roadspeed was '0.1.0', now it is '99.0'" in difference(mine, identity_of(**USUAL))


def test_what_no_commit_depends_on_makes_no_other_run() -> None:
    limits = replace(Limits(), max_keys=7)
    same = Options(limits=limits, endpoint="http://elsewhere:9000", region="eu")
    assert identity_of(**USUAL) == identity_of(**(USUAL | {"options": same}))
