"""The objects that an S3 Inventory lists: buckets of any size without a listing of one's own.

`@s3://reports/…/manifest.json` names the manifest that S3 writes behind its reports (CSV packed
with gzip, or Parquet). Older versions and delete markers in it are no objects, and are left out.
Each report is held against the checksum of its manifest. Reports are streamed: memory is bounded
whatever the number of objects. What changed since the report was made is told when it is read.
Source: Amazon S3 User Guide, "Amazon S3 Inventory list" (2024).
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote_plus

import msgspec

from mapreduce.errors import ObjectError, StoreError, UsageError
from mapreduce.objects import Entry, Location
from mapreduce.objects.object_file import ObjectFile
from mapreduce.objects.reader import Reader
from mapreduce.objects.s3_pages import MOST_OBJECT_BYTES
from mapreduce.objects.unpacked import unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mapreduce.objects.body import Body
    from mapreduce.objects.key_list import Looked

MANIFEST: Final = "manifest.json"
S3: Final = "s3://"
ARN: Final = "arn:aws:s3:::"
BATCH_ROWS: Final = 1 << 16
MOST_BYTES: Final = 64 << 20  # of a manifest
PIECE_BYTES: Final = 1 << 20
COLUMNS: Final = {  # of CSV -> of Parquet
    "Key": "key", "Size": "size", "ETag": "e_tag", "IsLatest": "is_latest",
    "IsDeleteMarker": "is_delete_marker",
}  # fmt: skip


class _Report(msgspec.Struct):
    """One file of an inventory."""

    key: str
    md5: str = msgspec.field(name="MD5checksum")


class _Manifest(msgspec.Struct, rename="camel"):
    """What S3 writes of an inventory."""

    source_bucket: str
    destination_bucket: str
    file_format: str
    file_schema: str
    files: list[_Report]


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of a report."""

    key: str
    size_bytes: int
    etag: str
    is_object: bool


class S3Inventory:
    """A store of the objects that an inventory lists.

    Parameters
    ----------
    address
        The manifest: `s3://bucket/…/manifest.json`, or a copy of it on this machine.
    bucket_of
        Gives the store of a bucket by its name.

    Raises
    ------
    UsageError
        There is no manifest, or it is none of an inventory that can be read.
    """

    def __init__(self, address: str, bucket_of: Callable[[str], Looked]) -> None:
        self._address = address
        self._bucket_of = bucket_of
        try:
            self._manifest = msgspec.json.decode(self._read(), type=_Manifest)
        except msgspec.MsgspecError as error:
            raise UsageError(
                f"{address}: expected the manifest of an S3 Inventory; {error}"
            ) from None
        if self._manifest.file_format not in {"CSV", "Parquet"}:
            raise UsageError(
                f"{address}: expected an inventory as CSV or Parquet, got"
                f" {self._manifest.file_format}"
            )
        if self._manifest.file_format == "CSV":
            self._columns = [name.strip() for name in self._manifest.file_schema.split(",")]
            missing = [name for name in ("Key", "Size") if name not in self._columns]
            if missing:
                raise UsageError(f"{address}: the inventory has no column {' or '.join(missing)}")
        self._store = bucket_of(self._manifest.source_bucket)

    @property
    def name(self) -> str:
        """The manifest, as it is typed."""
        return f"@{self._address}"

    @property
    def base(self) -> str:
        """What stands before each key: the bucket that the inventory is of."""
        return f"{S3}{self._manifest.source_bucket}/"

    def entries(self) -> Iterator[Entry]:
        """Every object, in the order of the reports.

        Raises
        ------
        StoreError
            A report cannot be read, or is not what the manifest says.
        """
        reports = self._bucket_of(self._manifest.destination_bucket.removeprefix(ARN))
        of_file = self._of_csv if self._manifest.file_format == "CSV" else self._of_parquet
        with Reader() as reader:
            for report in self._manifest.files:
                entry = reports.entry_of(report.key)
                if entry is None:
                    raise StoreError(f"{self._address}: its report {report.key} is gone")
                try:
                    yield from of_file(reader, entry, reports.locate(entry), report)
                except (ObjectError, ValueError, csv.Error) as error:
                    raise StoreError(f"the report {report.key} cannot be read: {error}") from None

    def locate(self, entry: Entry) -> Location:
        """Where it is read."""
        return self._store.locate(entry)

    def _read(self) -> bytes:
        if not self._address.startswith(S3):
            try:
                return Path(self._address).read_bytes()
            except OSError as error:
                raise UsageError(f"{self._address} cannot be read: {error.strerror}") from None
        bucket, _, key = self._address[len(S3) :].partition("/")
        store = self._bucket_of(bucket)
        entry = store.entry_of(key)
        if entry is None or entry.size_bytes > MOST_BYTES:
            raise UsageError(f"{self._address}: expected the manifest of an S3 Inventory there")
        with Reader() as reader, reader.open(entry, store.locate(entry)) as body:
            return body.read()

    def _of_csv(
        self, reader: Reader, entry: Entry, location: Location, report: _Report
    ) -> Iterator[Entry]:
        with reader.open(entry, location) as body:
            checked = _Checked(body, report)
            text = io.TextIOWrapper(
                io.BufferedReader(_File(unpacked(checked, entry.key)), PIECE_BYTES),
                encoding="utf-8",
                newline="",
            )
            for cells in csv.reader(text, strict=True):
                if len(cells) != len(self._columns):
                    raise ValueError(
                        f"expected {len(self._columns)} columns, got {len(cells)}: {cells!r:.80}"
                    )
                row = dict(zip(self._columns, cells, strict=True))
                found = _row(row, unquote_plus(row["Key"]))
                if found.is_object:
                    yield Entry(found.key, found.size_bytes, found.etag)
            checked.finish()

    def _of_parquet(
        self, reader: Reader, entry: Entry, location: Location, report: _Report
    ) -> Iterator[Entry]:
        with reader.open(entry, location) as body:
            checked = _Checked(body, report)
            while checked.read(PIECE_BYTES):
                pass
            checked.finish()
        with ObjectFile(reader, entry, location) as file:
            opened = _parquet().ParquetFile(file)
            names = [n for n in COLUMNS.values() if n in opened.schema_arrow.names]
            if not {"key", "size"} <= {*names}:
                raise ValueError("it has no column key or size")
            back = {ours: theirs for theirs, ours in COLUMNS.items()}
            for batch in opened.iter_batches(BATCH_ROWS, columns=names, use_threads=False):
                for row in batch.to_pylist():
                    found = _row({back[name]: value for name, value in row.items()}, row["key"])
                    if found.is_object:
                        yield Entry(found.key, found.size_bytes, found.etag)


def _parquet() -> Any:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise UsageError(
            "an inventory as Parquet needs pyarrow, which is not installed: pip install pyarrow"
        ) from None


def _row(row: dict[str, Any], key: str) -> _Row:
    is_latest = str(row.get("IsLatest", "true")).lower() != "false"
    is_marker = str(row.get("IsDeleteMarker", "false")).lower() == "true"
    etag = str(row.get("ETag") or "").strip('"')
    said = str(row["Size"] or 0)
    size_bytes = int(said) if said.isdecimal() else -1
    if not key or not 0 <= size_bytes <= MOST_OBJECT_BYTES:
        raise ValueError(f"it lists {key!r} with a size of {said!r}")
    return _Row(key, size_bytes, etag, is_latest and not is_marker)


class _Checked:
    """A report's bytes, held against the checksum of the manifest at the end."""

    unchecked = False

    def __init__(self, body: Body, report: _Report) -> None:
        self._body = body
        self._report = report
        self._seen = hashlib.md5(usedforsecurity=False)

    def read(self, n: int = -1, /) -> bytes:
        piece = self._body.read(n)
        self._seen.update(piece)
        return piece

    def finish(self) -> None:
        """Read what is left, and compare."""
        while self.read(PIECE_BYTES):
            pass
        if self._seen.hexdigest() != self._report.md5.lower():
            raise ValueError("its checksum is not the one in the manifest")

    def close(self) -> None:
        self._body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _File(io.RawIOBase):
    """A body as a file that is read forwards."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
