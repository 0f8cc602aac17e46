"""Folders, files and memory as stores, and reading from them."""

from __future__ import annotations

import os
import socket
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.errors import ObjectError, StoreError, UsageError
from mapreduce.objects import Entry, Location
from mapreduce.objects.directory import Directory
from mapreduce.objects.file_names import name_of, text_of
from mapreduce.objects.listing import wanted
from mapreduce.objects.memory import Memory
from mapreduce.objects.reader import Reader
from mapreduce.objects.unpacked import read_all


def fill(folder: Path, *keys: str) -> None:
    for key in keys:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(key.encode())


def handles() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def read(store: Directory | Memory, entry: Entry) -> bytes:
    with Reader() as reader, reader.open(entry, store.locate(entry)) as body:
        return body.read()


def test_entries_come_in_the_order_of_their_whole_keys(tmp_path: Path) -> None:
    keys = ["a/1", "a/b/2", "a-b", "a.json", "B", "a0", "ü", "_SUCCESS", "a/.hidden"]
    fill(tmp_path, *keys)
    assert [entry.key for entry in Directory(tmp_path).entries()] == sorted(keys)


def test_what_is_listed_can_be_read(tmp_path: Path) -> None:
    fill(tmp_path, "a/1", "b")
    store = Directory(tmp_path)
    assert {entry.key: read(store, entry) for entry in store.entries()} == {
        "a/1": b"a/1",
        "b": b"b",
    }


def test_one_file_is_a_source_too(tmp_path: Path) -> None:
    fill(tmp_path, "a/one.json")
    store = Directory(tmp_path / "a/one.json")
    (entry,) = store.entries()
    assert (entry.key, entry.size_bytes, read(store, entry)) == ("one.json", 10, b"a/one.json")


def test_a_missing_folder_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="s3://BUCKET/PREFIX"):
        Directory(tmp_path / "nowhere")


def listing(folder: Path) -> dict[str, bytes]:
    store = Directory(folder)
    entries = list(store.entries())
    assert [e.key for e in entries] == sorted({e.key for e in entries}), "in order, each once"
    return {e.key: read(store, e) for e in entries if not e.key.endswith("/")}


def test_no_file_is_listed_twice_by_way_of_links(tmp_path: Path) -> None:
    fill(tmp_path, "real/x", "other/y")
    (tmp_path / "real/up").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "other")
    (tmp_path / "a-file").symlink_to(tmp_path / "real/x")
    (tmp_path / "latest").symlink_to("link")  # a link to a link
    assert listing(tmp_path) == {"other/y": b"other/y", "real/x": b"real/x"}


def test_what_links_lead_to_outside_is_listed_once(tmp_path: Path) -> None:
    fill(tmp_path, "out/1", "out/deep/2", "out/deep/3", "in/own")
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "a").symlink_to(out / "deep/2")
    (source / "b").symlink_to(out)
    (source / "c").symlink_to(out / "deep")
    (source / "d").symlink_to(out / "deep/2")
    (out / "deep/back").symlink_to(source)
    (out / "deep/round").symlink_to(out)
    (out / "deep/hard").hardlink_to(out / "deep/3")
    assert set(listing(source)) == {"a", "b/1", "b/deep/3", "b/deep/hard", "own"}


def test_a_link_to_a_folder_around_the_source_lists_what_is_beside_it(tmp_path: Path) -> None:
    fill(tmp_path, "all/in/own", "all/in/deep/1", "all/beside")
    (tmp_path / "all/in/up").symlink_to("..")
    assert set(listing(tmp_path / "all/in")) == {"own", "deep/1", "up/beside"}


def test_hard_links_are_files_of_equal_right(tmp_path: Path) -> None:
    fill(tmp_path, "x", "a/y")
    (tmp_path / "a/x").hardlink_to(tmp_path / "x")
    assert set(listing(tmp_path)) == {"x", "a/x", "a/y"}


def test_a_link_to_what_is_hidden_gives_it_a_name(tmp_path: Path) -> None:
    fill(tmp_path, "..2024/1.json", "..2024/2.json")  # as Kubernetes lays out what it mounts
    (tmp_path / "..data").symlink_to("..2024")
    (tmp_path / "1.json").symlink_to("..data/1.json")
    (tmp_path / "2.json").symlink_to("..data/2.json")
    assert [e.key for e in wanted(Directory(tmp_path))] == ["1.json", "2.json"]


def test_a_hidden_link_takes_no_file_from_another_name(tmp_path: Path) -> None:
    fill(tmp_path, "out/1", "out/.hidden/2", "in/own")
    (tmp_path / "in/.cache").symlink_to(tmp_path / "out")
    (tmp_path / "in/data").symlink_to(tmp_path / "out")
    (tmp_path / "in/more").symlink_to(tmp_path / "out/.hidden")
    store = Directory(tmp_path / "in")
    assert [e.key for e in wanted(store)] == ["data/1", "more/2", "own"]
    assert sum(1 for _ in store.entries()) == 5  # those that are ignored, too


def test_the_source_itself_may_be_a_link(tmp_path: Path) -> None:
    fill(tmp_path, "real/_x/1", "real/y")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real/self").symlink_to(tmp_path / "link")
    assert set(listing(tmp_path / "link")) == {"_x/1", "y"}
    assert [e.key for e in wanted(Directory(tmp_path / "link/_x"))] == ["1"]


def test_a_file_that_was_typed_is_never_hidden(tmp_path: Path) -> None:
    fill(tmp_path, "_x.json")
    assert [e.key for e in wanted(Directory(tmp_path / "_x.json"))] == ["_x.json"]


def test_links_in_a_circle_are_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    store = Directory(tmp_path)
    for entry in store.entries():
        with pytest.raises(ObjectError, match="unreadable"):
            read(store, entry)
    assert sum(1 for _ in store.entries()) == 2


def test_many_links_take_little_memory(tmp_path: Path) -> None:
    fill(tmp_path, *(f"out/{n // 100:02}/{n:05}" for n in range(4000)))
    (tmp_path / "in").mkdir()
    for n in range(40):
        (tmp_path / f"in/{n:02}").mkdir()
        for m in range(100):
            (tmp_path / f"in/{n:02}/{m:02}").symlink_to(tmp_path / f"out/{n:02}/{n * 100 + m:05}")
    tracemalloc.start()
    try:
        count = sum(1 for _ in Directory(tmp_path / "in").entries())
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 4000
    assert peak_bytes < 300_000


def test_a_broken_link_is_listed_and_gone(tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    store = Directory(tmp_path)
    (entry,) = store.entries()
    with pytest.raises(ObjectError) as caught:
        read(store, entry)
    assert caught.value.reason == "gone"


def test_a_pipe_and_a_socket_are_unreadable_and_hang_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        store = Directory(tmp_path)
        reasons = []
        for entry in store.entries():
            with pytest.raises(ObjectError) as caught:
                read(store, entry)
            reasons.append(caught.value.reason)
    assert reasons == ["unreadable", "unreadable"]


def test_an_operating_system_that_says_no_is_told_apart_from_one_out_of_handles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "x")
    (entry,) = Directory(tmp_path).entries()

    def refuse(number: int) -> None:
        def refused(*_: object) -> int:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("mapreduce.objects.file_body.os.open", refused)

    refuse(13)
    with pytest.raises(ObjectError, match="unreadable: x: Permission denied"):
        read(Directory(tmp_path), entry)
    refuse(24)
    with pytest.raises(StoreError, match="Too many open files"):
        read(Directory(tmp_path), entry)


def test_a_file_replaced_since_it_was_listed_is_changed(tmp_path: Path) -> None:
    fill(tmp_path, "x")
    store = Directory(tmp_path)
    (entry,) = store.entries()
    (tmp_path / "x").write_bytes(b"something longer")
    with pytest.raises(ObjectError, match="changed"):
        read(store, entry)


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_changed(tmp_path: Path) -> None:
    fill(tmp_path, "x", "y")
    store = Directory(tmp_path)
    entry = next(store.entries())
    times = (tmp_path / "x").stat()
    (tmp_path / "y").write_bytes(b"X")
    os.utime(tmp_path / "y", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tmp_path / "y").rename(tmp_path / "x")
    with pytest.raises(ObjectError, match=r"changed.*renamed"):
        read(store, entry)
    (again,) = store.entries()
    assert read(store, again) == b"X"


def test_another_machine_is_held_to_what_all_see_alike(tmp_path: Path) -> None:
    fill(tmp_path, "x")
    store = Directory(tmp_path)
    (entry,) = store.entries()
    shared = store.locate(entry).afar()
    (tmp_path / "x").chmod(0o600)  # stands for a status that a network file system tells otherwise
    with Reader() as reader:
        with reader.open(entry, shared) as body:
            assert body.read() == b"x"
        (tmp_path / "x").write_bytes(b"longer")
        with pytest.raises(ObjectError, match="changed"):
            reader.open(entry, shared)
    assert not Location(url="http://x").afar().elsewhere


def test_a_file_written_to_under_way_is_changed(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(100_000))
    store = Directory(tmp_path)
    (entry,) = store.entries()
    with Reader() as reader, reader.open(entry, store.locate(entry)) as body:
        assert len(body.read(10)) == 10
        with (tmp_path / "x").open("ab") as file:
            file.write(b"more")
        with pytest.raises(ObjectError, match="changed"):
            body.read()


def test_a_file_cut_short_under_way_is_changed(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(100_000))
    store = Directory(tmp_path)
    (entry,) = store.entries()
    with Reader() as reader, reader.open(entry, store.locate(entry)) as body:
        os.truncate(tmp_path / "x", 5)
        with pytest.raises(ObjectError, match="was truncated"):
            body.read()


def test_a_file_deleted_since_is_gone_and_a_folder_gone_as_a_whole_is_the_store_s_fault(
    tmp_path: Path,
) -> None:
    fill(tmp_path, "trips/a/x", "trips/y")
    store = Directory(tmp_path / "trips")
    entry = next(store.entries())
    (tmp_path / "trips/a/x").unlink()
    with pytest.raises(ObjectError, match="gone"):
        read(store, entry)
    (tmp_path / "trips").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="mounted"):
        read(store, entry)


def test_a_folder_that_may_not_be_listed_stops_rather_than_hiding_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "a/x", "b/y")
    real = os.scandir

    def scandir(folder: str) -> object:
        if folder.endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr("mapreduce.objects.directory.os.scandir", scandir)
    with pytest.raises(StoreError, match="grant read permission"):
        list(Directory(tmp_path).entries())


def test_names_that_are_not_utf8_are_listed_and_read(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.json"
    with open(name, "wb") as file:  # noqa: PTH123 - pathlib takes no bytes
        file.write(b"odd")
    store = Directory(tmp_path)
    (entry,) = store.entries()
    assert entry.key == "caf\\xe9.json"
    assert entry.key.encode("utf-8")
    assert read(store, entry) == b"odd"


def test_names_that_look_like_the_escapes_of_others_are_told_apart(tmp_path: Path) -> None:
    names = [rb"caf\xe9", b"caf\xe9", rb"caf\x5cxe9", rb"caf\x5c", rb"\x41", b"caf\\\xe9",
             b"\xff\xfe", "caf\u00e9".encode(), rb"a\\xe9b", b"line\nbreak"]  # fmt: skip
    folder = os.fsencode(tmp_path) + rb"/in \xe9 " + b"\xe9"
    os.mkdir(folder)  # noqa: PTH102 - pathlib takes no bytes
    for name in names:
        with open(folder + b"/" + name, "wb") as file:  # noqa: PTH123 - as above
            file.write(name)
    found = listing(Path(os.fsdecode(folder)))
    assert sorted(found.values()) == sorted(names)
    assert all(name_of(key) == content for key, content in found.items())


@given(st.binary(max_size=40) | st.from_regex(rb"([a\\x5ce9\xe9]{0,12})", fullmatch=True))
def test_every_name_has_a_text_of_its_own(raw: bytes) -> None:
    text = text_of(os.fsdecode(raw))
    assert name_of(text) == raw
    text.encode("utf-8")  # holds nothing that cannot be written


def test_listing_many_files_takes_little_memory(tmp_path: Path) -> None:
    for folder in range(40):
        (tmp_path / f"{folder:02}").mkdir()
        for number in range(100):
            (tmp_path / f"{folder:02}/{number:03}").touch()
    tracemalloc.start()
    try:
        count = sum(1 for _ in Directory(tmp_path).entries())
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 4000
    assert peak_bytes < 300_000


@settings(max_examples=200)
@given(
    content=st.binary(max_size=200),
    start=st.integers(0, 250),
    stop=st.none() | st.integers(0, 250),
    n=st.integers(1, 60),
)
def test_ranges_of_files_and_of_memory_are_slices(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, start: int, stop: int | None, n: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "range"
    path.write_bytes(content)
    stores = (Directory(path), Memory({"range": content}))
    with Reader() as reader:
        for store in stores:
            (entry,) = store.entries()
            with reader.open(entry, store.locate(entry), start, stop) as body:
                assert body.read() == content[start:stop]
            with reader.open(entry, store.locate(entry), start, stop) as body:
                pieces = list(iter(lambda: body.read(n), b""))
            assert b"".join(pieces) == content[start:stop]
            assert all(len(piece) <= n for piece in pieces)


def test_memory_names_its_content() -> None:
    (one,), (other,) = Memory({"a": b"1"}).entries(), Memory({"a": b"2"}).entries()
    assert one.etag != other.etag
    assert Memory({"a": b"1"}).locate(one).body == b"1"
    with pytest.raises(ObjectError, match="gone"):
        Memory({}).locate(one)


def test_a_location_that_says_nothing_is_refused() -> None:
    with Reader() as reader, pytest.raises(UsageError, match="neither url, path nor body"):
        reader.open(Entry("k", 1, "e"), Location())


def test_reading_many_files_leaves_none_open(tmp_path: Path) -> None:
    fill(tmp_path, "x")
    store = Directory(tmp_path)
    (entry,) = store.entries()
    before = handles()
    with Reader() as reader:
        for _ in range(2000):
            with reader.open(entry, store.locate(entry)) as body:
                assert read_all(body, "x", 100) == b"x"
    after = handles()
    assert after <= before + 1
