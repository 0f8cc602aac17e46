"""Sources that an S3 Inventory lists: as S3's guide describes it, since no store here makes one."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mapreduce as mr
from mapreduce.errors import StoreError, UsageError
from mapreduce.objects.source import open_store
from tests.jobs.counting import PlainRows

if TYPE_CHECKING:
    from pathlib import Path

    from mapreduce.objects import Entry
    from tests.services.seaweed import Seaweed

LINE = b'{"id": 1}\n'
SCHEMA = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag"


@pytest.fixture
def store(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Seaweed]:
    seaweed.be_usual(monkeypatch)
    bucket = seaweed.bucket()
    seaweed.put(bucket, {f'a/{n} é+%,"q".jsonl': LINE * (n + 1) for n in range(30)})
    return bucket, seaweed


def rows(bucket: str) -> list[tuple[str, Entry]]:
    return [(entry.key, entry) for entry in open_store(f"s3://{bucket}").entries()]


def as_csv(bucket: str, entries: list[tuple[str, Entry]]) -> bytes:
    lines = []
    for key, entry in entries:
        cells = [bucket, quote_plus(key, safe="/"), "v1", "true", "false", str(entry.size_bytes),
                 "2026-01-01T00:00:00.000Z", entry.etag]  # fmt: skip
        lines.append(",".join(f'"{cell}"' for cell in cells))
    lines.append(f'"{bucket}","a/old.jsonl","v0","false","false","9","2026","x"')
    lines.append(f'"{bucket}","a/deleted.jsonl","v2","true","true","","2026",""')
    return gzip.compress("\n".join(lines).encode() + b"\n")


def as_parquet(bucket: str, entries: list[tuple[str, Entry]]) -> bytes:
    found = [
        {"bucket": bucket, "key": key, "is_latest": True, "is_delete_marker": False,
         "size": entry.size_bytes, "e_tag": entry.etag}
        for key, entry in entries
    ]  # fmt: skip
    found.append(found[0] | {"key": "a/old.jsonl", "is_latest": False})
    found.append(found[0] | {"key": "a/deleted.jsonl", "is_delete_marker": True, "size": None})
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(found), out, row_group_size=4)
    return out.getvalue()


FORMS: dict[str, Any] = {"CSV": (as_csv, "csv.gz", SCHEMA), "Parquet": (as_parquet, "parquet", "")}


def reported(store: tuple[str, Seaweed], form: str, **changes: Any) -> str:
    """Put an inventory of a bucket into another, in two reports; give its address."""
    bucket, seaweed = store
    make, ending, schema = FORMS[form]
    entries = rows(bucket)
    contents = {
        f"inv/data/{n}.{ending}": make(bucket, part)
        for n, part in enumerate((entries[:20], entries[20:]))
    }
    manifest = {
        "sourceBucket": bucket,
        "destinationBucket": f"arn:aws:s3:::{bucket}-inv",
        "version": "2016-11-30",
        "fileFormat": form,
        "fileSchema": schema,
        "files": [
            {"key": key, "size": len(content), "MD5checksum": hashlib.md5(content).hexdigest()}
            for key, content in contents.items()
        ],
        **changes,
    }
    seaweed.put(
        seaweed.bucket(f"{bucket}-inv"),
        {**contents, "inv/manifest.json": json.dumps(manifest).encode()},
    )
    return f"@s3://{bucket}-inv/inv/manifest.json"


@pytest.mark.parametrize("form", FORMS)
def test_a_run_over_an_inventory_is_that_over_the_bucket(
    form: str, store: tuple[str, Seaweed], tmp_path: Path
) -> None:
    source = reported(store, form)
    assert list(open_store(source).entries()) == [entry for _, entry in rows(store[0])]
    got = mr.run(PlainRows(), source, workers=2)
    assert got.digest == mr.run(PlainRows(), f"s3://{store[0]}", workers=1).digest
    assert got.receipt["objects"]["ok"] == 30
    bucket, seaweed = store
    answer = seaweed.client.get_object(f"{bucket}-inv", "inv/manifest.json")
    (tmp_path / "manifest.json").write_bytes(answer.read())
    answer.close()
    answer.release_conn()
    assert mr.run(PlainRows(), f"@{tmp_path}/manifest.json", workers=1).digest == got.digest


def test_objects_that_changed_or_went_since_are_told(store: tuple[str, Seaweed]) -> None:
    source = reported(store, "CSV")
    bucket, seaweed = store
    keys = [key for key, _ in rows(bucket)]
    seaweed.client.remove_object(bucket, keys[0])
    seaweed.put(bucket, {keys[1]: LINE * 100})
    got = mr.run(PlainRows(), source, workers=1)
    assert [(q.key, q.reason) for q in got.ledger.quarantined] == [
        (keys[0], "gone"),
        (keys[1], "changed"),
    ]
    assert got.receipt["objects"]["ok"] == 28


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"fileFormat": "ORC"}, "expected an inventory as CSV or Parquet, got ORC"),
        ({"fileSchema": "Bucket, Key"}, "the inventory has no column Size"),
        ({"files": None}, "expected the manifest of an S3 Inventory"),
        ({"sourceBucket": 7}, "expected the manifest of an S3 Inventory"),
    ],
)
def test_a_manifest_that_is_none_is_refused(
    changes: dict[str, Any], told: str, store: tuple[str, Seaweed]
) -> None:
    with pytest.raises(UsageError, match=told):
        open_store(reported(store, "CSV", **changes))


@pytest.mark.parametrize("form", FORMS)
def test_reports_that_are_not_what_the_manifest_says_end_the_listing(
    form: str, store: tuple[str, Seaweed]
) -> None:
    source, (bucket, seaweed) = reported(store, form), store
    key = f"inv/data/1.{FORMS[form][1]}"
    for content, told in (
        (FORMS[form][0](bucket, rows(bucket)[:3]), "its checksum is not the one in the manifest"),
        (b"words", "cannot be read"),
        (None, "is gone"),
    ):
        if content is None:
            seaweed.client.remove_object(f"{bucket}-inv", key)
        else:
            seaweed.put(f"{bucket}-inv", {key: content})
        with pytest.raises(StoreError, match=told):
            list(open_store(source).entries())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('"b","k"', r"expected 8 columns, got 2: \['b', 'k'\]"),
        ('"b","k","v","true","false","99999999999999999999","t","x"', "'k' with a size of '9999"),
        ('"b","k","v","true","false","-5","t","x"', "'k' with a size of '-5'"),
        ('"b","k","v","true","false","five","t","x"', "'k' with a size of 'five'"),
        ('"b","","v","true","false","5","t","x"', "lists '' with a size of '5'"),
    ],
)
def test_lines_that_can_be_no_object_end_the_listing(
    line: str, told: str, store: tuple[str, Seaweed], monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = {"CSV": (lambda *_: gzip.compress(line.encode() + b"\n"), "csv.gz", SCHEMA)}
    monkeypatch.setattr("tests.mapreduce.test_objects_inventory.FORMS", forms)
    with pytest.raises(StoreError, match=told):
        list(open_store(reported(store, "CSV")).entries())


@pytest.mark.parametrize("address", ["none/manifest.json", "s3://{}-none/manifest.json"])
def test_no_manifest_is_refused(address: str, store: tuple[str, Seaweed]) -> None:
    with pytest.raises((UsageError, StoreError), match=r"manifest|cannot be read|bucket"):
        open_store(f"@{address.format(store[0])}")
