"""PostgreSQL's binary copy, read without a server."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from roadspeed.roads.postgis import copy_format
from roadspeed.roads.postgis.copy_format import CopiedRows, CopyFormatError

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(4) + struct.pack("!I", 3) + b"ext"
END = b"\xff\xff"


def field(body: bytes | None) -> bytes:
    return struct.pack("!i", -1) if body is None else struct.pack("!i", len(body)) + body


def row(link: int, shape: bytes | None, *word: bytes | None) -> bytes:
    fields = [struct.pack("!q", link), shape, *word]
    return struct.pack("!h", len(fields)) + b"".join(map(field, fields))


def read(messages: list[bytes], *, has_class: bool) -> list[tuple[Any, ...]]:
    got: list[tuple[Any, ...]] = []

    def take(ids: Any, shapes: Any, words: Any) -> None:
        got.extend(zip(ids.tolist(), shapes.tolist(), words.tolist(), strict=True))

    rows = CopiedRows(take, has_class=has_class)
    for message in messages:
        rows.write(message)
    rows.close()
    return got


@pytest.mark.parametrize("batch_rows", [1, 2, 100])
def test_nulls_empty_texts_and_batches_are_read(
    batch_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_format, "BATCH_ROWS", batch_rows)
    messages = [
        HEADER + row(-5, b"shape", b"trunk"),
        row(2**62, None, b"trunk"),
        row(7, b"", None),
        row(8, None, b""),
        END,
    ]
    assert read(messages, has_class=True) == [
        (-5, b"shape", "trunk"),
        (2**62, None, "trunk"),
        (7, b"", None),
        (8, None, ""),
    ]
    assert read([HEADER, row(1, b"x"), END], has_class=False) == [(1, b"x", None)]
    assert read([HEADER, END], has_class=False) == []


@pytest.mark.parametrize(
    "messages",
    [
        [b"ERROR"],
        [HEADER, row(1, b"x")],
        [HEADER, row(1, b"x", b"y"), END],
        [HEADER, row(1, b"xyz")[:-1], END],
        [HEADER, row(1, b"x") + b"more", END],
        [HEADER, b"\x00\x02", END],
        [HEADER, struct.pack("!hi", 2, 4) + bytes(4) + field(b"12345678"), END],
        [HEADER, END, row(1, b"x")],
    ],
)
def test_anything_else_is_refused(messages: list[bytes]) -> None:
    with pytest.raises(CopyFormatError, match="expected"):
        read(messages, has_class=False)


def test_bytes_changed_at_random_never_read_beyond_their_message() -> None:
    random = np.random.default_rng(7)
    whole = row(1, b"shape" * 4, b"trunk")
    refused = 0
    for _ in range(2000):
        body = bytearray(whole)
        body[random.integers(len(body))] = random.integers(256)
        try:
            got = read([HEADER, bytes(body), END], has_class=True)
        except (CopyFormatError, UnicodeDecodeError):
            refused += 1
        else:
            assert len(got) == 1
    assert refused > 100
