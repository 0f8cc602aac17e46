"""Random rows through a build with sanitizers, against dicts: `sanitized_grouping.py SO`.

numpy is not loaded: arrays are Python's own, each in a block of malloc's for itself.
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from array import array
from typing import Any

TIMES = 3000
SUM, MIN, MAX, WIDE, HIGH, LOW, DISTINCT = range(7)
EXTREMES = (-(2**63), -(2**63) + 1, -(2**32), -1, 0, 1, 2**32 - 1, 2**32, 2**62, 2**63 - 1)


def load(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("_group", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numbers(seeded: random.Random, n: int) -> list[int]:
    kind = seeded.randrange(5)
    if kind == 0:
        return [seeded.choice(EXTREMES) for _ in range(n)]
    if kind == 1:
        return [seeded.randrange(-(2**63), 2**63) for _ in range(n)]
    if kind == 2:
        return sorted(seeded.randrange(n + 1) for _ in range(n))
    most = seeded.choice((1, 2, 7, 1000))
    return [seeded.randrange(-most, most) for _ in range(n)]


def expected(rule: int, values: list[int]) -> list[int]:
    """Give what a group's values come to."""
    if rule == MIN:
        return [min(values)]
    if rule == MAX:
        return [max(values)]
    if rule == WIDE:
        return [sum(values) >> 32, sum(values) & 0xFFFFFFFF]
    if rule == DISTINCT:
        return [sum(i == 0 or v != values[i - 1] for i, v in enumerate(values))]
    return [sum(values)]


def check(found: list[list[int]], keys: list[list[int]], columns: list[Any]) -> None:
    """Compare with dicts; limbs, which come in pairs, are compared as the sum they are."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, key in enumerate(zip(*keys, strict=True)):
        groups.setdefault(key, []).append(row)
    assert list(zip(*found[: len(keys)], strict=True)) == sorted(groups)
    for at, key in enumerate(sorted(groups)):
        wanted: list[int] = []
        high = 0
        for rule, values in columns:
            mine = [values[row] for row in groups[key]]
            if rule == HIGH:
                high = sum(mine)
            elif rule == LOW:
                wanted += [high + (sum(mine) >> 32), sum(mine) & 0xFFFFFFFF]
            else:
                wanted += expected(rule, mine)
        assert [column[at] for column in found[len(keys) :]] == wanted


def check_scaling(module: Any, seeded: random.Random) -> None:
    """Compare with Python's own rounding, which is half to even too."""
    for n in (0, 1, 7, 5000):
        values = [seeded.choice((seeded.uniform(-1e9, 1e9), n / 2, -0.5)) for _ in range(n)]
        found = module.scale(array("d", values), 1000.0, 1e15)
        assert memoryview(found).cast("q").tolist() == [round(v * 1000.0) for v in values]
        for bad in (float("nan"), float("inf"), -1e15, 1e300):
            assert module.scale(array("d", [*values, bad]), 1000.0, 1e15) is None


def main() -> None:
    module, seeded = load(sys.argv[1]), random.Random(2019)
    check_scaling(module, seeded)
    given_up = 0
    for turn in range(TIMES):
        n = seeded.choice((0, 1, 2, 5, 40, 300)) if turn % 100 else 5000
        keys = [numbers(seeded, n) for _ in range(seeded.choice((1, 1, 2, 4)))]
        rules = [seeded.choice((SUM, MIN, MAX, WIDE, DISTINCT)) for _ in range(seeded.randrange(6))]
        shared = numbers(seeded, n)
        columns = [(rule, seeded.choice((shared, numbers(seeded, n)))) for rule in rules]
        if seeded.randrange(2):
            low = [seeded.randrange(2**32) for _ in range(n)]
            columns += [(HIGH, numbers(seeded, n)), (LOW, low)]
        arrays = {id(values): array("q", values) for _, values in columns}
        given = tuple((rule, arrays[id(values)]) for rule, values in columns)
        found = module.group(tuple(array("q", key) for key in keys), given, True)
        if found is None:
            given_up += 1
            continue
        check([memoryview(raw).cast("q").tolist() for raw in found], keys, columns)
    sys.stdout.write(json.dumps([TIMES, given_up]))


main()
