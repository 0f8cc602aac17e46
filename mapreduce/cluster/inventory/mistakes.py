"""The text of a hosts.toml: turns what is wrong with it, and where, into a line for people."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Final

from mapreduce.cluster.inventory.hosts_toml import ClusterTable, File, HostTable, StoreTable
from mapreduce.errors import UsageError

LONG: Final = 10**12  # nobody reads more digits than that
TABLES: Final = {"cluster": ClusterTable, "store": StoreTable, "hosts": HostTable}
WORDS: Final = {
    "int": "a whole number",
    "float": "a number with a point",
    "str": 'text in "quotes"',
    "bool": "true or false",
    "array": "a [list]",
    "object": "a [table]",
    "date": "a date",
    "datetime": "a date and time",
    "time": "a time of day",
}


class TomlText:
    """A text, and the path it is or will be at."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()

    def of_toml(self, said: str) -> UsageError:
        """Place a complaint of tomllib: `Cannot overwrite a value (at line 3, column 9)`."""
        found = re.search(r"at line (\d+)", said)
        line = int(found[1]) if found else len(self.lines)
        return UsageError(f"{self.path}:{line}: not TOML: {said}")

    def of_python(self, error: Exception) -> UsageError:
        """Place what Python itself refuses to read."""
        signs = (
            (r"\d{1000}", "a number of fewer digits")
            if isinstance(error, ValueError)
            else (r"[\[{]{50}", "fewer brackets")
        )
        sign, expected = signs
        numbered = enumerate(self.lines, 1)
        line = next((n for n, text in numbered if re.search(sign, text.replace("_", ""))), 1)
        return UsageError(f"{self.path}:{line}: expected {expected}")

    def of_shape(self, said: str) -> UsageError:
        """Place a complaint of msgspec: `Expected `int`, got `str` - at `$.hosts[0].slots``."""
        what, _, at = said.partition(" - at `$")
        steps = re.match(r"\.?(\w*)(?:\[(\d+)\])?\.?(\w*)", at)
        table, index, key = steps.groups() if steps else ("", None, "")
        unknown = re.search(r"unknown field `([^`]*)`", what)
        if unknown:
            key, spot = unknown[1], table or unknown[1]
            known = ", ".join(TABLES.get(table, File).__struct_fields__)
            lacks = f"unknown key; expected one of: {known}"
            return self.refusal(spot, int(index or 0), key, lacks, repr(key))
        missing = re.search(r"missing required field `([^`]*)`", what)
        if missing:
            lacks = f"expected {missing[1]}, which is required"
            return self.refusal(table or missing[1], int(index or 0), None, lacks, "none")
        wrong = re.fullmatch(r"Expected `([^`]*)`, got `([^`]*)`", what)
        if wrong and (table, wrong[1], wrong[2]) == ("hosts", "array", "object"):
            return self.refusal(
                "hosts", 0, None, "expected two brackets each, [[hosts]]", "[hosts]"
            )
        if wrong:  # in TOML's words; null cannot be written there
            wanted = [WORDS.get(kind, kind) for kind in wrong[1].split(" | ") if kind != "null"]
            expected, found = f"expected {' or '.join(wanted)}", WORDS.get(wrong[2], wrong[2])
            return self.refusal(table, int(index or 0), key or None, expected, found)
        return self.refusal(table, int(index or 0), key or None, what.replace("`", ""), None)

    def refusal(
        self, table: str, i: int, key: str | None, expected: str, found: str | None
    ) -> UsageError:
        """Say where, what was expected and what was found."""
        line = self._line(table, i, key)
        shown = f"[[{table}]] {i + 1}" if table == "hosts" else f"[{table}]"
        place = f"{self.path}:{line}: {shown}{f' {key}' if key else ''}"
        return UsageError(f"{place}: {expected}{f', found {found}' if found else ''}")

    def _line(self, table: str, i: int, key: str | None) -> int:
        """Find the line of a key, or of its table's heading; 1 where there is neither."""
        heading = re.compile(rf"\s*\[\[?\s*{re.escape(table)}\s*\]\]?\s*(#.*)?")
        found, count = 1, -1
        for number, line in enumerate(self.lines, 1):
            if heading.fullmatch(line):
                count += 1
                if count == i:
                    found = number
            elif line.lstrip().startswith("["):
                if count == i:
                    break
            elif count == i and key and _is_of(line, key):
                return number
        if count < 0:  # the table is written in one line, or by its keys' whole names
            found = next((n for n, s in enumerate(self.lines, 1) if _is_of(s, table)), found)
        return found


def _is_of(line: str, key: str) -> bool:
    """Tell whether a line gives a key a value."""
    return re.match(rf"""\s*(["']?){re.escape(key)}\1\s*[=.]""", line) is not None


def shown(number: int) -> str:
    """Write a number so that a person can read it, however long it is."""
    if abs(number) < LONG:
        return str(number)
    return f"a number of about {int(abs(number).bit_length() * math.log10(2)) + 1} digits"
