"""Archives that cannot be used: one reason and one remedy, whatever reads them."""

from __future__ import annotations

import gzip
import io
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

import mapreduce as mr
from mapreduce.errors import ObjectError
from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_settings import Keys, Settings
from roadspeed.inspect.inspect import inspected
from tests.jobs.counting import Links, PlainRows
from tests.mapreduce.test_objects_tar import tarred
from tests.mapreduce.test_objects_zip import lines

if TYPE_CHECKING:
    from pathlib import Path

    from mapreduce.objects import Entry, Location
    from tests.services.seaweed import Seaweed


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name in names:
            archive.writestr(name, lines(1))
    return out.getvalue()


ARCHIVES: dict[str, tuple[str, bytes, str]] = {
    "a tar without a file": ("a.tar", tarred({}), "it holds no file"),
    "a zip without a file": ("a.zip", zipped(), "it holds no file"),
    "a zip that begins with zeros": ("a.zip", bytes(600), "no directory at its end"),
    "a zip that is cut off": ("a.zip", zipped("x", "y")[:-30], "no directory at its end"),
    "a tar that is cut off": ("a.tar", tarred({"x": lines(200)})[:1000], "it is damaged"),
    "a name twice": ("a.zip", zipped("x", "y", "x"), "it holds x twice"),
    "no name": ("a.tar", tarred({"": lines(1)}), "it holds a file without a name"),
    "a packed tar": ("a.tar", gzip.compress(tarred({"x": lines(1)})), "compressed with gzip"),
    "a packed zip": ("a.zip", gzip.compress(zipped("x")), "compressed with gzip"),
}


@pytest.mark.parametrize("job", [PlainRows, Links])
@pytest.mark.parametrize("name", ARCHIVES)
def test_a_run_and_inspect_say_alike_what_is_wrong(
    name: str, job: type[mr.Job], tmp_path: Path
) -> None:
    key, content, told = ARCHIVES[name]
    (tmp_path / key).write_bytes(content)
    (bad,) = mr.run(job(), tmp_path, workers=1).ledger.quarantined
    assert bad.reason == "unreadable"
    assert bad.place.startswith(f"{key}: it is an archive that cannot be used: ")
    assert told in bad.place
    assert bad.place.endswith(". Make it anew, or unpack it")
    assert inspected(str(tmp_path)).faults == [f"{key}: could not be read: unreadable: {bad.place}"]


def test_an_archive_that_may_not_be_read_is_told_so_and_not_that_it_is_damaged(
    seaweed: Seaweed,
) -> None:
    bucket = seaweed.bucket()
    seaweed.put(bucket, {"a.zip": zipped("x")})
    store = S3(bucket, settings=Settings(endpoint=seaweed.endpoint, keys=Keys(*seaweed.lister)))
    (bad,) = mr.run(PlainRows(), store, workers=1).ledger.quarantined
    assert bad.reason == "unreadable"
    assert "access is denied" in bad.place
    assert "archive" not in bad.place


class Nowhere(mr.Memory):
    """A store one of whose objects has no location, as a key that cannot stand in a URL."""

    def locate(self, entry: Entry) -> Location:
        if "/../" in entry.key:
            raise ObjectError("unreadable", f"{entry.key}: it cannot stand in a URL")
        return super().locate(entry)


@pytest.mark.parametrize("ending", ["zip", "tar", "jsonl"])
def test_an_archive_without_a_location_is_one_bad_object(ending: str) -> None:
    objects: Any = {f"a/../b.{ending}": b"x", "c.jsonl": lines(3)}
    got = mr.run(PlainRows(), Nowhere(objects), workers=1)
    assert [bad.key for bad in got.ledger.quarantined] == [f"a/../b.{ending}"]
    assert got.ledger.read == 150


@pytest.mark.parametrize("inner", ["in.zip", "in.tar"])
def test_an_archive_within_an_archive_is_told_so(inner: str) -> None:
    content = zipped("x") if inner == "in.zip" else tarred({"x": lines(1)})
    store = mr.Memory({"out.tar": tarred({inner: content, "y": lines(1)})})
    got = mr.run(PlainRows(), store, workers=1)
    (bad,) = got.ledger.quarantined
    assert bad.key == f"out.tar!/{inner}"
    assert "archive within an archive: unpack the outer one" in bad.place
    assert got.ledger.ok == 1
