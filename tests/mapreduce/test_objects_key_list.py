"""Sources that a file names: each object once, in order, and what is not there is accounted for."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

import mapreduce as mr
from mapreduce.cli import app
from mapreduce.commands.options import StoreOptions
from mapreduce.errors import StoreError, UsageError
from mapreduce.objects import key_list
from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_settings import Keys, Settings, find_settings
from mapreduce.objects.source import open_store
from tests.jobs.counting import PlainRows

if TYPE_CHECKING:
    from tests.services.seaweed import Seaweed

LINE = b'{"id": 1}\n'


@pytest.fixture
def store(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Seaweed]:
    seaweed.be_usual(monkeypatch)
    bucket = seaweed.bucket()
    seaweed.put(bucket, {f"a/{n} é+%.jsonl": LINE * (n + 1) for n in range(40)})
    return bucket, seaweed


def listed(folder: Path, *lines: str, end: str = "\n") -> str:
    path = folder / "keys.txt"
    path.write_text("".join(line + end for line in lines), encoding="utf-8", newline="")
    return f"@{path}"


def run(source: str, **options: Any) -> mr.Result:
    return mr.run(PlainRows(), source, workers=1, options=mr.Options(**options))


def test_objects_of_a_bucket_are_those_of_the_list_in_its_order(
    store: tuple[str, Seaweed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_list, "CHUNK", 7)
    bucket, _ = store
    whole = {entry.key: entry for entry in open_store(f"s3://{bucket}").entries()}
    keys = sorted(whole, reverse=True)[:30]
    source = listed(tmp_path, *(f"s3://{bucket}/{key}" for key in keys), end="\r\n")
    assert list(open_store(source).entries()) == [whole[key] for key in keys]
    got = run(source)
    assert got.receipt["objects"]["ok"] == 30
    assert got.ledger.read == sum(whole[key].size_bytes // len(LINE) for key in keys)


def test_what_is_not_there_is_gone(store: tuple[str, Seaweed], tmp_path: Path) -> None:
    bucket, _ = store
    keys = ["a/0 é+%.jsonl", "a/none.jsonl", "a/1 é+%.jsonl", "b"]
    source = listed(tmp_path, *(f"s3://{bucket}/{key}" for key in keys), "")
    got = run(source)
    assert [(q.key, q.reason) for q in got.ledger.quarantined] == [
        ("a/none.jsonl", "gone"),
        ("b", "gone"),
    ]
    assert (got.receipt["objects"]["ok"], got.ledger.read) == (2, 3)


def test_files_are_named_by_their_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.jsonl", "b.jsonl", "c.jsonl"):
        (tmp_path / name).write_bytes(LINE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inner").mkdir()
    source = listed(tmp_path, "b.jsonl", str(tmp_path / "a.jsonl"), "inner/../none.jsonl")
    got = run(source)
    start = str(tmp_path).removeprefix("/")
    assert [entry.key for entry in open_store(source).entries()] == [
        f"{start}/b.jsonl", f"{start}/a.jsonl", f"{start}/none.jsonl",
    ]  # fmt: skip
    assert (got.receipt["objects"]["ok"], got.ledger.read) == (2, 2)
    assert [q.reason for q in got.ledger.quarantined] == ["gone"]
    assert run(source, selection=mr.Selection(limit=1)).ledger.read == 1


def test_what_was_typed_is_not_hidden_by_its_name(tmp_path: Path) -> None:
    folder = tmp_path / ".cache" / "_raw"
    folder.mkdir(parents=True)
    (folder / "_a.jsonl").write_bytes(LINE)
    with zipfile.ZipFile(folder / "b.zip", "w") as archive:
        archive.writestr("b.jsonl", LINE)
        archive.writestr("__MACOSX/._b.jsonl", b"x")
    got = run(listed(tmp_path, str(folder / "_a.jsonl"), str(folder / "b.zip")))
    assert (got.receipt["objects"]["ok"], got.receipt["objects"]["ignored"]) == (2, 1)
    assert got.ledger.read == 2


def test_a_file_whose_name_begins_so_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("@trips").mkdir()
    Path("@trips/a.jsonl").write_bytes(LINE)
    assert run("@trips").ledger.read == 1


def test_one_that_is_named_twice_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINE)
    source = listed(tmp_path, *[str(tmp_path / "a.jsonl")] * 2)
    with pytest.raises(UsageError, match=r"names .*a\.jsonl twice: remove one of its lines"):
        run(source)


@pytest.mark.parametrize("name", ["é.jsonl", "caf\udce9.jsonl", r"a\xe9.jsonl", r"\x5c.jsonl"])
def test_a_name_of_any_bytes_is_found(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(LINE)
    (tmp_path / "keys.txt").write_bytes(os.fsencode(f"{tmp_path}/in/{name}\n"))
    (entry,) = open_store(f"@{tmp_path}/keys.txt").entries()
    (same,) = open_store(tmp_path / "in").entries()
    assert entry.key.endswith(f"/in/{same.key}")
    assert run(f"@{tmp_path}/keys.txt").ledger.read == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("s3://bucket/a\n".encode("utf-16"), "line 1: it holds a NUL.* save it as UTF-8"),
        (b"/a\n/b\0c\n", "line 2: it holds a NUL"),
        (bytes(99), "line 1: it holds a NUL"),
        (b"s3://bucket/a\ns3://bucket/caf\xe9\n", r"line 2: .*caf.* is not UTF-8, as keys are"),
        (b"/a.zip!/b\n", "line 1: '/a.zip!/b' is a member of an archive: name the archive"),
    ],
)
def test_a_file_that_is_no_list_is_refused(
    content: bytes, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setattr(S3, "entry_of", lambda *_: None)  # nobody is asked
    (tmp_path / "keys.txt").write_bytes(content)
    with pytest.raises(UsageError, match=told):
        list(open_store(f"@{tmp_path}/keys.txt").entries())


def test_a_mark_of_the_byte_order_is_no_part_of_an_address(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINE)
    (tmp_path / "keys.txt").write_bytes(f"\ufeff{tmp_path}/a.jsonl\r\n".encode())
    assert run(f"@{tmp_path}/keys.txt").ledger.read == 1


def test_a_key_that_cannot_be_asked_for_is_one_bad_object(
    store: tuple[str, Seaweed], tmp_path: Path
) -> None:
    bucket, _ = store
    source = listed(tmp_path, f"s3://{bucket}/a/../b", f"s3://{bucket}/a/1 é+%.jsonl")
    got = run(source)
    assert [(bad.key, bad.reason) for bad in got.ledger.quarantined] == [("a/../b", "unreadable")]
    assert got.ledger.read == 2


def test_a_list_that_lies_in_a_bucket_is_to_be_copied() -> None:
    with pytest.raises(UsageError, match="a file on this machine: copy it here"):
        open_store("@s3://bucket/keys.txt")


@pytest.mark.parametrize("source", ["in/a.zip!/b.csv", "s3://bucket/a.tar!/b.csv"])
def test_a_member_is_no_source(source: str) -> None:
    with pytest.raises(UsageError, match=r"name the archive, and choose members with --match"):
        open_store(source)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "expected one address per line"),
        (["", ""], "expected one address per line"),
        (["s3://bucket"], "line 1: expected s3://bucket/key"),
        (["s3:///key"], "line 1: expected s3://bucket/key"),
        (["s3://bucket/a", "s3://other/b"], "line 2: expected an object such as s3://bucket/key"),
        (["s3://bucket/a", "b"], "line 2: expected an object such as s3://bucket/key"),
        (["s3://bucket/"], "line 1: expected an object such as s3://bucket/key"),
        (["/a", "", "s3://bucket/b"], "line 3: expected a file"),
        (["http://server/a"], "line 1: expected a file"),
    ],
)
def test_lines_that_name_nothing_are_refused(
    lines: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setattr(S3, "entry_of", lambda *_: None)  # nobody is asked
    source = listed(tmp_path, *lines)
    with pytest.raises(UsageError, match=told):
        list(open_store(source).entries())


def test_no_list_is_refused_by_the_command(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    job = f"{Path(__file__).parents[1] / 'jobs' / 'counting.py'}:PlainRows"
    said = CliRunner().invoke(app, ["run", job, "@none.txt", "--out", out])
    assert said.exit_code == 2
    assert "no file none.txt" in said.output


def test_a_store_that_is_silent_ends_the_run(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with pytest.raises(StoreError, match="no answer"):
        run(listed(tmp_path, "s3://bucket/a"))


def test_who_pays_is_said_in_every_request(
    store: tuple[str, Seaweed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REQUEST_PAYER", "")  # put back at the end
    bucket, seaweed = store
    keys = Keys(seaweed.access, seaweed.secret)
    paid = S3(bucket, settings=Settings(endpoint=seaweed.endpoint, keys=keys, requester_pays=True))
    entries = list(paid.entries())
    url = paid.locate(entries[0]).url
    assert url is not None
    assert "x-amz-request-payer=requester" in url
    assert paid.entry_of(entries[0].key) == entries[0]
    assert mr.run(PlainRows(), paid, workers=1).receipt["objects"]["ok"] == 40
    assert not find_settings(environ={}).requester_pays
    assert find_settings(environ={"AWS_REQUEST_PAYER": "requester"}).requester_pays
    with pytest.raises(UsageError, match="AWS_REQUEST_PAYER is requester"):
        find_settings(environ={"AWS_REQUEST_PAYER": "me"})
    found = StoreOptions(requester_pays=True)  # as a command makes it of --requester-pays
    assert found.endpoint is None
    assert len(list(open_store(f"s3://{bucket}").entries())) == 40
    assert os.environ["AWS_REQUEST_PAYER"] == "requester"
