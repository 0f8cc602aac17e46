"""Mutated texts through two builds of the scans must agree: `sanitized.py FOLDER SO SO`."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from pathlib import Path
from typing import Any

TREE = {
    b"a": {b"data": [{b"db": {b"link": ("i", 8), b"h": ("f", 8)}, b"v": ("f", 8), b"w": ("t", 4)}]}
}
KINDS = b"-ii-ff"  # of the cells of a line
TIMES = 20_000


def load(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("_scan", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mutated(document: bytes, seeded: random.Random) -> bytes:
    changed = bytearray(document)
    for _ in range(seeded.randrange(3)):
        at = seeded.randrange(len(changed))
        match seeded.randrange(4):
            case 0:
                changed[at] = seeded.choice(b'"\\{}[]:,0123456789.-+eE ntfNI\x00\x80')
            case 1:
                del changed[at : at + seeded.randrange(40)]
            case 2:
                changed[at:at] = changed[at - seeded.randrange(40) : at]
            case _:
                del changed[at + 1 :]
    return bytes(changed)


def main() -> None:
    paths = sorted(p for p in Path(sys.argv[1]).iterdir() if p.suffix in {".json", ".csv"})
    contents = [(path.read_bytes(), path.suffix == ".csv") for path in paths]
    builds = [load(path) for path in sys.argv[2:]]
    plans = [build.plan(TREE, 1000, True) for build in builds]
    seeded = random.Random(2019)
    taken = 0
    for content, has_lines in contents * TIMES:
        one = mutated(content, seeded)
        if has_lines:
            start = seeded.choice((0, len(one) // 2, len(one)))
            results = [build.lines(one, start, KINDS, ",", ".") for build in builds]
        else:
            results = [build.scan(plan, one) for build, plan in zip(builds, plans, strict=True)]
        assert results[0] == results[1], one
        taken += results[0] is not None
    sys.stdout.write(json.dumps([TIMES * len(contents), taken]))


main()
