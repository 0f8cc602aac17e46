"""How much may be bad of a run: what was typed, and the exit code of a run that exceeded it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mapreduce.console.terminal import OVER_LIMIT
from mapreduce.errors import UsageError
from mapreduce.output import say


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How many may be bad: a number, or a share of all."""

    text: str

    def exceeded(self, bad: int, of: int) -> bool:
        """Tell whether `bad` of `of` are more than this allows."""
        share = self.text.endswith("%")
        try:
            most = Fraction(self.text[:-1].strip()) if share else int(self.text)
        except (ValueError, ZeroDivisionError):
            most = -1
        if most < 0 or (share and most > 100):  # noqa: PLR2004 - percent
            raise UsageError(f"expected a number or a percentage up to 100 %, got {self.text!r}")
        return bad * 100 > most * of if share else bad > most


def over_limits(receipt: dict[str, Any], max_bad: str, max_dropped: str | None) -> list[str]:
    """Say which limits a finished run exceeded: the outputs are written all the same."""
    objects, records = receipt["objects"], receipt["records"]
    said = []
    bad, whole = objects["quarantined"], objects["listed"] - objects["ignored"]
    if Tolerance(max_bad).exceeded(bad, whole):
        said.append(
            f"{bad:,} of {whole:,} objects were quarantined, more than --max-bad-objects {max_bad}"
            " allows: see quarantine.csv"
        )
    dropped = records["read"] - records["kept"]
    if max_dropped is not None and Tolerance(max_dropped).exceeded(dropped, records["read"]):
        said.append(
            f"{dropped:,} of {records['read']:,} records were dropped, more than --max-dropped"
            f" {max_dropped} allows: see dropped.csv"
        )
    return said


def end_over_limits(receipt: dict[str, Any], max_bad: str, max_dropped: str | None) -> None:
    """End a command whose run exceeded a limit: say which, exit code 3."""
    over = over_limits(receipt, max_bad, max_dropped)
    for text in over:
        say(text, err=True)
    if over:
        raise SystemExit(OVER_LIMIT)


def check_tolerances(max_bad: str, max_dropped: str | None) -> None:
    """Refuse tolerances that mean nothing before the work begins."""
    for text in (max_bad, max_dropped or "0"):
        Tolerance(text).exceeded(0, 1)
