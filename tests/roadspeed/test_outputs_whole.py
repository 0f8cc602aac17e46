"""A file is written whole or not at all, whatever goes wrong."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mapreduce.atomic_file import whole
from mapreduce.errors import UsageError
from mapreduce.json_file import write_json
from mapreduce.runs.report import QUARANTINE, write_rows
from roadspeed.outputs.geopackage import write_geopackage
from roadspeed.outputs.parquet import write_parquet
from roadspeed.outputs.qgis_style import write_style
from roadspeed.outputs.speeds_csv import write_csv
from tests.roadspeed.link_tables import large, small

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from roadspeed.outputs import LinkTable

WRITERS = {"csv": write_csv, "parquet": write_parquet, "gpkg": write_geopackage}


def test_what_was_written_replaces_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with whole(target) as partial:
        partial.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail() -> None:
        with whole(target) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_killed_process_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    program = (
        "import os, signal, sys\n"
        "from mapreduce.atomic_file import whole\n"
        "with whole(sys.argv[1]) as partial:\n"
        "    partial.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == ["a.txt"]


def test_a_file_reaches_the_disk_before_it_has_its_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def replaced(self: Path, target: Path) -> Path:
        done.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    with whole(tmp_path / "a.txt") as partial:
        partial.write_text("new")
    assert done == ["file", "name", "folder"]


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with whole(tmp_path / "whole") as partial:
        partial.write_text("")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_missing_folder_and_a_folder_in_the_way_are_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected its folder to exist"), whole(tmp_path / "x/y"):
        pass
    with pytest.raises(UsageError, match="found a folder"), whole(tmp_path):
        pass


def test_a_writer_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []


@contextmanager
def no_file_beyond(size_bytes: int) -> Iterator[None]:
    """Let no file grow beyond a size, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# GDAL once lost the spatial index without a word between 0.85 and 0.95.
@pytest.mark.parametrize("share", [0.1, 0.5, 0.85, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("kind", WRITERS)
def test_a_disk_that_fills_up_under_way_leaves_the_old_file(
    kind: str, share: float, tmp_path: Path
) -> None:
    write: Callable[[Path, LinkTable], object] = WRITERS[kind]
    target, table = tmp_path / f"speeds.{kind}", large(4000)
    write(target, table)
    size_bytes = target.stat().st_size
    write(target, small())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with (
        pytest.raises(OSError, match=r"(?i)too large|disk full"),
        no_file_beyond(int(share * size_bytes)),
    ):
        write(target, table)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("kind", WRITERS)
def test_equal_tables_give_equal_bytes(kind: str, tmp_path: Path) -> None:
    write: Callable[[Path, LinkTable], object] = WRITERS[kind]
    first, second = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    write(first, large())
    write(second, large())
    assert first.read_bytes() == second.read_bytes()


def test_a_list_that_breaks_off_leaves_the_old_one(tmp_path: Path) -> None:
    def rows() -> Iterator[tuple[str, ...]]:
        yield ("k", "e", "empty", "")
        raise ConnectionError

    target = tmp_path / "quarantine.csv"
    target.write_text("old")
    with pytest.raises(ConnectionError):
        write_rows(target, QUARANTINE, rows())
    assert target.read_text() == "old"


def test_json_keeps_its_order_and_refuses_what_json_cannot_say(tmp_path: Path) -> None:
    target = tmp_path / "receipt.json"
    write_json(target, {"b": 1, "a": {"d": [1.5, None, "é/\ud800"], "c": 2**63}})
    text = target.read_text(encoding="ascii")
    assert text.splitlines()[:3] == ["{", ' "b": 1,', ' "a": {']
    assert text.endswith("}\n")
    with pytest.raises(OverflowError):
        write_json(target, {"mean": float("nan")})
    assert target.read_text(encoding="ascii") == text


def test_a_style_file_is_written_whole(tmp_path: Path) -> None:
    write_style(tmp_path / "speeds.qml", "mph")
    assert "mph" in (tmp_path / "speeds.qml").read_text(encoding="utf-8")
