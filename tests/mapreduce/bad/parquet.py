"""Parquet that is bad: cut, overwritten, of other types, and large in little."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import io
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.jobs.forms import OfParquet
from tests.mapreduce.bad.case import Cases, Form, refused, taken
from tests.mapreduce.bad.packed import bomb

TAIL: Final = 8  # the footer's length, and the sign


def written(columns: Any, **how: Any) -> bytes:
    out = io.BytesIO()
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    pq.write_table(table, out, **how)
    return out.getvalue()


def _ones(n: int) -> dict[str, Any]:
    return {"link": np.ones(n, np.int64), "v": np.ones(n)}


def plain(n: int) -> bytes:
    """Write n plain records."""
    return written(_ones(n))


def _between(link: Any = 1, v: Any = 1.0, types: Any = (None, None)) -> bytes:
    """Write an odd record between two plain ones."""
    links, speeds = pa.array([1, link, 1], types[0]), pa.array([1.0, v, 1.0], types[1])
    return written({"link": links, "v": speeds})


def footer_at(content: bytes) -> int:
    return len(content) - TAIL - int.from_bytes(content[-TAIL:-4], "little")


def over(content: bytes, at: int, new: bytes) -> bytes:
    """Overwrite a part."""
    return content[:at] + new + content[at + len(new) :]


def _flipped(content: bytes, at: int) -> bytes:
    return over(content, at, bytes([content[at] ^ 0xFF]))


GROUPS: Final = written(
    {"link": np.arange(3000), "v": np.arange(3000) % 400 / 2}, row_group_size=1000,
    compression="NONE", use_dictionary=False, write_statistics=False,
)  # fmt: skip
LAST: Final = GROUPS.rindex(np.arange(2000, 2900).tobytes())  # links of the third group
FOOTER: Final = footer_at(GROUPS)
SUMMED: Final = written(
    {"link": np.arange(3000), "v": np.ones(3000)}, compression="NONE", use_dictionary=False,
    write_page_checksum=True,
)  # fmt: skip
FEW: Final = plain(5)


def _packed(codec: str) -> bytes:
    """Spoil the middle of a compressed page that has a checksum: not every codec notices."""
    noise = {"link": np.random.default_rng(1).integers(0, 1 << 40, 5000), "v": np.ones(5000)}
    content = written(noise, compression=codec, use_dictionary=False, write_page_checksum=True)
    return over(content, 2000, bytes(999))


GOOD: Final = {
    "good": written({"link": [1, 2, 3], "v": [50.0, 51.5, 0.0]}),
    "good text": written({"x": [[1], []], "v": pa.array([7, 8], pa.int8()), "link": ["12", "13"]}),
    "good in groups": written({"link": [2, 4] * 9, "v": [5.0, 400.0] * 9}, row_group_size=4),
}
FILES: Final[Cases] = {
    "nothing": refused(b"", "empty", "0 bytes"),
    "a sign alone": refused(b"PAR1", "unreadable", "damaged"),
    "two signs": refused(b"PAR1PAR1", "unreadable", "damaged"),
    "signs and no footer": refused(b"PAR1" + bytes(4) + b"PAR1", "unreadable", "damaged"),
    "csv": refused(b"link,v\n1,1\n", "unreadable", "expected a Parquet file"),
    "json": refused(b'[{"link":1,"v":1}]', "unreadable", "expected a Parquet file"),
    "html": refused(b"<html>503</html>", "unreadable", "expected a Parquet file"),
    "zeros": refused(bytes(1000), "unreadable", "expected a Parquet file"),
    "packed.gz": refused(gzip.compress(FEW), "unreadable", "compressed with gzip"),
    "bomb.gz": refused(lambda: bomb(b"\0"), "unreadable", "compressed with gzip"),
    "orc": refused(b"ORC\x0a" + bytes(99), "unreadable", "ORC"),
    "an arrow file": refused(b"ARROW1\0\0" + bytes(99), "unreadable", "Arrow"),
    "encrypted": refused(
        over(over(FEW, 0, b"PARE"), len(FEW) - 4, b"PARE"), "unreadable", "encrypted"
    ),
    "a mark before": refused(b"\xef\xbb\xbf" + FEW, "unreadable", "expected a Parquet file"),
    "first sign overwritten": refused(over(FEW, 0, b"\0\0\0\0"), "unreadable", "expected"),
    "last sign overwritten": refused(over(FEW, len(FEW) - 4, b"PAR2"), "unreadable", "damaged"),
    "cut in the sign": refused(FEW[:-1], "unreadable", "damaged"),
    "cut in the footer": refused(FEW[:-20], "unreadable", "damaged"),
    "cut before the footer": refused(GROUPS[:FOOTER], "unreadable", "damaged"),
    "cut in a group": refused(GROUPS[:LAST], "unreadable", "damaged"),
    "cut in front": refused(b"PAR1" + GROUPS[2000:], "unreadable", "damaged"),
    "rubbish behind": refused(FEW + b"\n", "unreadable", "damaged"),
    "two files": refused(GROUPS + GROUPS[4:-900], "unreadable", "damaged"),
    "no footer length": refused(over(FEW, len(FEW) - TAIL, bytes(4)), "unreadable", "damaged"),
    "longest footer": refused(over(FEW, len(FEW) - TAIL, b"\xff" * 4), "unreadable", "damaged"),
    "footer too long": refused(
        over(FEW, len(FEW) - TAIL, b"\xff\0\xff\x7f"), "unreadable", "damaged"
    ),
    "footer of zeros": refused(
        over(FEW, footer_at(FEW), bytes(len(FEW) - footer_at(FEW) - TAIL)), "unreadable", "damaged"
    ),
    "footer of noise": refused(
        over(FEW, footer_at(FEW), b"\xa5" * (len(FEW) - footer_at(FEW) - TAIL)),
        "unreadable",
        "damaged",
    ),
    "footer of a larger file": refused(
        FEW[: footer_at(FEW)] + GROUPS[FOOTER:], "unreadable", "damaged"
    ),
    "first group of zeros": refused(over(GROUPS, 4, bytes(8000)), "unreadable", "damaged"),
    "last group of zeros": refused(over(GROUPS, LAST - 60, bytes(8000)), "unreadable", "damaged"),
    "last group of noise": refused(
        over(GROUPS, LAST - 60, b"\xa5" * 8000), "unreadable", "damaged"
    ),
    "a page that its checksum belies": refused(_flipped(SUMMED, 5000), "unreadable", "damaged"),
    "snappy spoilt": refused(_packed("SNAPPY"), "unreadable", "damaged"),
    "gzip spoilt": refused(_packed("GZIP"), "unreadable", "damaged"),
    "zstd spoilt": refused(_packed("ZSTD"), "unreadable", "damaged"),
    "brotli spoilt": refused(_packed("BROTLI"), "unreadable", "damaged"),
    "lz4 spoilt": refused(_packed("LZ4"), "unreadable", "damaged"),
    "no link": refused(written({"id": [1], "v": [1.0]}), "wrong_shape", 'there are: "id", "v"'),
    "no speed": refused(written({"link": [1]}), "wrong_shape", 'no column "v"'),
    "no columns": refused(written({}), "wrong_shape", "there are: none"),
    "another case": refused(written({"Link": [1], "v": [1.0]}), "wrong_shape", '"Link"'),
    "link twice": refused(
        written(pa.table([[1], [2], [1.0]], ["link", "link", "v"])), "wrong_shape", "2 times"
    ),
    "another twice": taken(written(pa.table([[1], [2], [3], [1]], ["link", "x", "x", "v"])), 1),
    "a list of links": refused(written({"link": [[1]], "v": [1.0]}), "wrong_shape", "one value"),
    "a link within": refused(written({"link": [{"x": 1}], "v": [1]}), "wrong_shape", "one value"),
    "a map of links": refused(
        written({"link": pa.array([[(1, 1)]], pa.map_(pa.int64(), pa.int64())), "v": [1.0]}),
        "wrong_shape",
        "one value",
    ),
    "no rows": taken(written({"link": pa.array([], pa.int64()), "v": pa.array([], pa.float64())})),
    "many columns": taken(written({**{f"x{n}": [0] for n in range(3000)}, **_ones(1)}), 1),
    "many groups": taken(written(_ones(2000), row_group_size=1), 2000),
}


def _all(column: Any, reason: str, speeds: Any = None) -> Any:
    """Give a file whose links are all of another type."""
    n = len(column)
    return taken(written({"link": column, "v": speeds or [1.0] * n}), **{reason: n})


RECORDS: Final[Cases] = {
    "null": taken(_between(link=None), 2, no_link=1),
    "null speed": taken(_between(v=None), 2, no_speed=1),
    "NaN": taken(_between(v=float("nan")), 2, bad_speed=1),
    "infinite": taken(_between(v=float("-inf")), 2, bad_speed=1),
    "too slow": taken(_between(v=-0.1), 2, speed_out_of_range=1),
    "too fast": taken(_between(v=1e300), 2, speed_out_of_range=1),
    "the lowest integer": taken(_between(link=-(2**63)), 2, bad_link=1),
    "unsigned and too large": taken(_between(2**64 - 1, types=(pa.uint64(), None)), 2, bad_link=1),
    "links that are floats": _all(pa.array([1.0, 2.0]), "bad_link"),
    "links that are booleans": _all(pa.array([True, False]), "bad_link"),
    "links that are dates": _all(pa.array([dt.date(2020, 1, 1)]), "bad_link"),
    "links that are times": _all(pa.array([1, 2], pa.timestamp("us")), "bad_link"),
    "links that are fractions": _all(
        pa.array([decimal.Decimal("1.5")], pa.decimal128(9, 1)), "bad_link"
    ),
    "links that are nothing": _all(pa.nulls(3), "no_link"),
    "links that are words": _all(pa.array(["a", " 1", "1_0", "+1", "\uff11", ""]), "bad_link"),
    "links with a NUL": _all(pa.array(["1\0", "\0"]), "bad_link"),
    "links that are no UTF-8": _all(pa.array([b"\xff", b"1\xff"]), "bad_link"),
    "links in latin-1 said to be text": _all(
        pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xe3"]).buffers()), "bad_link"
    ),
    "links that are long words": _all(pa.array(["7" * 5000, "x" * 900_000]), "bad_link"),
    "words that repeat": _all(pa.array(["x"] * 9).dictionary_encode(), "bad_link"),
    "speeds that are text": taken(written({"link": [1, 1], "v": ["1", "1.0"]}), bad_speed=2),
    "speeds that are booleans": taken(written({"link": [1], "v": [True]}), bad_speed=1),
    "speeds that are times": taken(
        written({"link": [1], "v": pa.array([1], pa.duration("s"))}), bad_speed=1
    ),
    "integers for both": taken(written({"link": pa.array([1], pa.int8()), "v": [1]}), 1),
    "texts of integers": taken(written({"link": ["1", "-0", "001"][::2], "v": [1.0, 1.0]}), 2),
}
BOMBS: Final[Cases] = {
    "a bomb of rows": taken(
        lambda: written({name: pa.nulls(3 << 20, pa.int64()) for name in ("link", "v")}),
        no_link=3 << 20,
    ),
    "a bomb of a column that nobody wants": taken(
        lambda: written({**_ones(2), "x": ["x" * (128 << 20), ""]}, compression="ZSTD"), 2
    ),
    "a bomb of a text": refused(
        lambda: written({"link": ["7" * (128 << 20)], "v": [1.0]}, compression="ZSTD"),
        "too_large", "column 'link' has a page of 134,217,",
    ),
    "a long text among short ones": refused(
        lambda: written({"link": ["x"] * 9999 + ["7" * (99 << 20)], "v": np.ones(10_000)}),
        "too_large", "page",
    ),
    "long texts by the thousand": refused(
        lambda: written(
            {"link": ["x" * 100_000] * 2000, "v": np.ones(2000)}, use_dictionary=False
        ),
        "too_large", "page",
    ),
    "texts in many pages": taken(
        lambda: written(
            {"link": ["x" * 1000] * 90_000, "v": np.ones(90_000)}, use_dictionary=False
        ),
        bad_link=90_000,
    ),
}  # fmt: skip
PARQUET: Final = Form(OfParquet, GOOD, plain, {**FILES, **RECORDS, **BOMBS})
