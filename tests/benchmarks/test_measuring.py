"""What the benchmarks rely on: answers are compared, trees of processes watched, limits named."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow.csv
import pyarrow.parquet
import pytest

from benchmarks import answers, measures, page, scale, table_bounds, tables
from benchmarks.corpus import Corpus, corpus
from benchmarks.processes import memory_bytes, tree, watched

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return corpus(tmp_path_factory.mktemp("corpus"), files=2, objects=5)


def _rows(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_answers_within_a_millionth_agree(tmp_path: Path) -> None:
    one = _rows(tmp_path / "a.csv", "7,3,40.5\n8,1,2.0\n")
    assert not answers.difference(one, _rows(tmp_path / "b.csv", "7,3,40.5000009\n8,1,2.0\n"))


@pytest.mark.parametrize(
    "other",
    ["7,3,40.5\n", "7,4,40.5\n8,1,2.0\n", "6,3,40.5\n8,1,2.0\n", "7,3,40.50001\n8,1,2.0\n", ""],
)
def test_a_link_count_or_mean_that_differs_is_noticed(tmp_path: Path, other: str) -> None:
    one = _rows(tmp_path / "a.csv", "7,3,40.5\n8,1,2.0\n")
    assert answers.difference(one, _rows(tmp_path / "b.csv", other))


def test_a_mean_that_is_no_number_is_noticed(tmp_path: Path) -> None:
    one = _rows(tmp_path / "a.csv", "7,3,40.5\n")
    assert answers.difference(one, _rows(tmp_path / "b.csv", "7,3,nan\n"))


def test_a_corpus_is_found_again_as_it_was_made(few: Corpus) -> None:
    again = corpus(few.folder.parent, files=2, objects=5)
    assert again == few
    assert len(list(few.folder.glob("*/*.json"))) == 5


def test_this_project_and_a_plain_loop_agree(few: Corpus, tmp_path: Path) -> None:
    for name in ("with_roadspeed", "with_ujson"):
        run = watched(f"benchmarks.programs.{name}", str(few.folder), f"{tmp_path}/{name}", "1")
        assert run.said["work_s"] < run.whole_s
        assert run.peak_bytes > 10e6
    assert not answers.difference(tmp_path / "with_roadspeed", tmp_path / "with_ujson")


@pytest.mark.parametrize("format_", tables.FORMATS)
def test_tables_of_the_same_fixes_give_the_same_answer(
    format_: str, few: Corpus, tmp_path: Path
) -> None:
    made = tables.made(few.folder.parent, 2, 3, format_)
    paths = list(made.folder.rglob(f"*.{format_}"))
    assert made.objects == len(paths) == 3
    read = pyarrow.csv.read_csv if format_ == "csv" else pyarrow.parquet.read_table
    assert all(column.null_count == 0 for column in read(paths[0]).columns)
    for name in ("table_roadspeed", "table_polars"):
        watched(f"benchmarks.programs.{name}", str(made.folder), f"{tmp_path}/{name}", "1")
    assert not answers.difference(tmp_path / "table_roadspeed", tmp_path / "table_polars")
    watched("benchmarks.programs.with_ujson", str(few.folder), f"{tmp_path}/plain", "1")
    links, _ = answers.read(tmp_path / "plain")
    assert {link for link, _ in links.tolist()} == {
        link for link, _ in answers.read(tmp_path / "table_roadspeed")[0].tolist()
    }


def test_the_steps_of_a_run_over_tables_are_measured(few: Corpus) -> None:
    root = few.folder.parent
    paths = {f: tables.made(root, 2, 1, f).folder / f"0/000.{f}" for f in tables.FORMATS}
    told = table_bounds.measured(paths, rounds=1)
    assert [told.count(f"| {format_} |") for format_ in tables.FORMATS] == [6, 4]


def test_a_program_that_fails_says_why(few: Corpus) -> None:
    with pytest.raises(RuntimeError, match="ValueError"):
        watched("benchmarks.programs.with_ujson", str(few.folder), "nowhere", "many")


def test_descendants_are_part_of_the_tree() -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1); input()'])"
    with subprocess.Popen(
        [sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # the grandchild runs
        found = tree(process.pid)
        assert len(found) == 2
        assert all(0 < now <= peak for now, peak in map(memory_bytes, found))
        process.communicate(b"\n")
    assert memory_bytes(process.pid) == (0, 0)


def test_the_rate_of_each_tenth_comes_from_progress() -> None:
    steady = [(float(second), second * 1_000_000) for second in range(11)]
    assert scale.tenths(steady, 10_000_000) == pytest.approx([1.0] * 10)
    slow_end = [*steady[:10], (19.0, 10_000_000)]
    assert scale.tenths(slow_end, 10_000_000)[-1] == pytest.approx(0.1)


def test_a_broken_limit_is_named(few: Corpus) -> None:
    small, large = scale.measure(few.folder.parent, files=2, sizes=(2, 5), workers=1)
    assert not [fault for fault in scale.faults(small, large) if "rate" not in fault]
    assert large.receipt["objects"]["ok"] == 5
    swollen = scale.Measured(
        large.corpus, large.receipt, 1.0, (1.0,) * 9 + (0.5,), int(310e6), (int(90e6),)
    )
    told = "; ".join(scale.faults(small, swollen))
    assert "parent had 310 MB" in told
    assert "grew" in told
    assert "not steady" in told


def test_a_table_replaces_only_what_stands_between_its_markers(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- x:begin -->\nold\n<!-- x:end -->\nafter\n")
    page.write("x", page.table(("a", "b"), [("1", "2")]), path)
    text = path.read_text()
    assert "| 1 | 2 |" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("-->\nafter\n")
    with pytest.raises(ValueError, match="no markers"):
        page.write("y", "", path)


def test_all_measures_are_paired_with_the_plain_mean(few: Corpus) -> None:
    found = measures.measure(few, rounds=1, tell=lambda _: None)
    assert len(found.ratios(lambda run: run.cpu_s)) == 1
    assert found.pairs[0][1].said["rows"]["by_direction_week_hour"] > 20
    told = measures.report(found)
    assert "| all measures |" in told
    swollen = replace(found.pairs[0][1], cpu_s=found.pairs[0][0].cpu_s * 3)
    swollen.said["worker_bytes"] = 401e6
    slow = "; ".join(measures.faults(measures.Measured(few, [(found.pairs[0][0], swollen)])))
    assert "3.00 times the processor's time" in slow
    assert "a worker had 401 MB" in slow
