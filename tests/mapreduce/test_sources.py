"""Files of packages as they travel: all of them, each once, and nothing is run to find them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from mapreduce.errors import UsageError
from mapreduce.job import sources

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that ends whoever imports it, with what lies about in one."""
    folder = tmp_path / "travelling"
    (folder / "part").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    (folder / "part" / "__init__.py").write_text("")
    (folder / "words.txt").write_text("a")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("")
    (folder / ".hidden.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_a_package_is_read_without_being_imported(package: Path) -> None:
    assert [*sources.files_of("travelling")] == [
        "travelling/__init__.py", "travelling/part/__init__.py", "travelling/words.txt",
    ]  # fmt: skip
    assert "travelling/words.txt" not in sources.files_of("travelling", python_only=True)
    assert "travelling" not in sys.modules
    assert package.exists()


def test_a_link_to_a_folder_is_followed_but_never_in_a_circle(package: Path) -> None:
    elsewhere = package.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "more.py").write_text("")
    (package / "linked").symlink_to(elsewhere)
    (package / "part" / "back").symlink_to(package)
    assert [*sources.files_of("travelling", python_only=True)] == [
        "travelling/__init__.py", "travelling/linked/more.py", "travelling/part/__init__.py",
    ]  # fmt: skip


def test_what_is_more_than_code_is_refused(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_FILES", 2)
    with pytest.raises(UsageError, match=r"travelling \(.*more than 2 files"):
        sources.files_of("travelling")
    assert package.exists()


@pytest.mark.parametrize("name", ["nothing_such", "..", "_thread"])
def test_what_has_no_source_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=name.replace(".", r"\.")):
        sources.files_of(name)
