"""The code of a job: what belongs to it, no two versions mixed, no run begun by a worker."""

from __future__ import annotations

import json
import os
import py_compile
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

import mapreduce as mr
from mapreduce.errors import JobError, UsageError
from mapreduce.job import code_guard
from mapreduce.job.code_files import OURS, framework_digest, tops
from mapreduce.job.loader import load
from mapreduce.job.name import job_code, name_of
from tests.jobs.counting import Links

if TYPE_CHECKING:
    from collections.abc import Iterator

CONSOLE = [str(Path(sys.executable).parent / "mapreduce")]
ONE_EACH = mr.Options(split_bytes=1)
JOB = """
import mapreduce as mr
{imports}

class Mine(mr.Job):
    records = mr.Json(at="data", link=mr.Int("link"))
    links = mr.Table(key="link", n=mr.Sum)

    def map(self, r):
        {lines}
        return self.links.fold(r.link, n=factor)

    def finish(self, t):
        import finishing
        return {{"link": t.link, "n": t.n}}
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder that modules are found in; they are forgotten afterwards."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name, module in list(sys.modules.items()):
        if str(folder) in str(getattr(module, "__spec__", None)):
            del sys.modules[name]


def _trips(folder: Path, count: int = 6) -> Path:
    folder.mkdir()
    for n in range(count):
        (folder / f"{n}.json").write_text(json.dumps({"data": [{"link": n}] * 3}))
    return folder


def _job(own: Path, imports: str, *lines: str) -> str:
    text = JOB.format(imports=imports, lines="\n        ".join(lines))
    (own / "job.py").write_text(text)
    _files(own, finishing="")
    return f"{own / 'job.py'}:Mine"


def _files(own: Path, **files: str) -> None:
    for name, text in files.items():
        path = own / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_every_file_of_the_users_that_a_job_imports_is_its_code(own: Path) -> None:
    _files(
        own,
        plain="import json, numpy, within.deep.one\n",
        within__init="", within__deep__init="from . import two\nfrom ..aside import *\n",
        within__deep__one="def f():\n    from within.late import x\n",
        within__deep__two="import plain\n", within__aside="import importlib\n"
        "importlib.import_module('within.named')\n",
        within__late="import pytest\nx = 1\n", within__named="", within__other="",
        typed="",
    )  # fmt: skip
    for folder in ("within", "within/deep"):
        (own / folder / "init.py").rename(own / folder / "__init__.py")
    imports = "from typing import TYPE_CHECKING\nimport plain\nif TYPE_CHECKING:\n    import typed"
    reference = _job(own, imports, "factor = 1")
    code = job_code(load(reference))
    inside = ("__init__", "deep/__init__", "deep/one", "deep/two", "aside", "late", "named")
    expected = {"./job.py", "plain.py", OURS, *(f"within/{name}.py" for name in inside)}
    assert set(code.digests) == set(code.meanings) == expected
    assert tops(code.digests) == {"plain", "within"}
    assert code.digests[OURS] == framework_digest()
    as_module = job_code(load("job:Mine"))
    assert set(as_module.digests) == expected - {"./job.py"} | {"job.py"}
    assert name_of(load("job:Mine")).reference == "job:Mine"


def test_a_package_without_a_file_and_the_jobs_own_package_count(own: Path) -> None:
    _files(own, space__part="factor = 2\n", other="")
    reference = _job(own, "from space.part import factor as f", "factor = f")
    assert set(job_code(load(reference)).digests) == {"./job.py", "space/part.py", OURS}
    assert set(job_code(Links()).digests) == {
        "tests/__init__.py", "tests/jobs/__init__.py", "tests/jobs/counting.py", OURS
    }  # fmt: skip


def test_only_the_jobs_own_finish_is_left_out_and_not_where_map_calls_it(own: Path) -> None:
    def meaning(helper: str, line: str, step: int) -> object:
        _files(own, helper=helper.format(step=step))
        return job_code(load(_job(own, "import helper", line))).meanings

    other = "class Other:\n    def finish(self):\n        return {step}\n"
    assert meaning(other, "factor = 1", 1) != meaning(other, "factor = 1", 2)
    path = _job(own, "import helper", "self.finish")
    called = job_code(load(path)).meanings["./job.py"]
    text = (own / "job.py").read_text()
    (own / "job.py").write_text(text.replace('"n": t.n', '"n": t.n + 1'))
    assert job_code(load(path)).meanings["./job.py"] != called


class _Stop(Exception):  # noqa: N818 - stands for a kill
    pass


def _interrupted(reference: str, trips: Path, folder: Path) -> None:
    def stop(progress: mr.Progress) -> None:
        if progress.phase == "map" and progress.done > 100:  # of the second object: one is done
            raise _Stop

    with pytest.raises(_Stop):
        mr.run(load(reference), trips, workers=1, folder=folder, options=ONE_EACH, on_progress=stop)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("helper", "factor = 3\n", "helper.py has changed"),
        ("deeper", "more = 1 + 1\n", "deeper.py has changed"),
        ("helper", "import deeper, new\nfactor = 2\n", "new.py is new in its code"),
    ],
)
def test_a_module_that_changes_between_two_halves_of_a_run_is_refused(
    own: Path, tmp_path: Path, name: str, text: str, said: str
) -> None:
    _files(own, helper="import deeper\nfactor = 2\n", deeper="more = 1\n", new="")
    reference = _job(own, "from helper import factor as f", "factor = f")
    trips, folder = _trips(tmp_path / "trips"), tmp_path / "out"
    _interrupted(reference, trips, folder)
    _files(own, **{name: text})
    with pytest.raises(UsageError, match=said):
        mr.run(load(reference), trips, workers=1, folder=folder, options=ONE_EACH)
    _files(own, helper="import deeper  # as it was\nfactor = 2\n", deeper="more = 1\n")
    result = mr.run(load(reference), trips, workers=1, folder=folder, options=ONE_EACH)
    assert result.rows["n"].tolist() == [6] * 6


@pytest.mark.parametrize("edited", ["job", "helper", "gone"])
def test_code_that_changes_under_a_run_is_not_loaded_by_the_next_process(
    own: Path, tmp_path: Path, edited: str
) -> None:
    """Each process dies after its first object; the file changes before the second starts."""
    _files(own, helper="factor = 2\n")
    lines = [
        "import os, pathlib",
        f"mark = pathlib.Path({str(tmp_path / 'mark')!r})",
        "if not mark.exists():",
        "    mark.touch()",
        f"    file = pathlib.Path({str(own)!r}, {edited!r} + '.py')",
        "    if file.exists(): file.write_text(file.read_text() + '\\nfactor = 9\\n')",
        f"    else: os.unlink({str(own / 'helper.py')!r})",
        "    os.kill(os.getpid(), 9)",
        "factor = f",
    ]
    reference = _job(own, "from helper import factor as f", *lines)
    said = {"gone": "No module named 'helper'"}.get(edited, rf"{edited}\.py has changed since")
    with pytest.raises(JobError, match=said):
        mr.run(load(reference), _trips(tmp_path / "trips"), workers=1)
    assert (tmp_path / "mark").exists()


def test_a_module_imported_in_the_middle_of_map_is_compared_too(own: Path, tmp_path: Path) -> None:
    _files(own, late="factor = 2\n")
    trips = _trips(tmp_path / "trips")
    lines = [
        f"if r.object.key == '3.json': open({str(own / 'late.py')!r}, 'a').write('factor = 5')",
        "if r.object.key > '3.json': from late import factor",
        "else: factor = 2",
    ]
    with pytest.raises(JobError, match=r"late\.py has changed since the run began"):
        mr.run(load(_job(own, "", *lines)), trips, workers=1)


def test_a_module_imported_by_a_name_made_at_run_time_is_refused_with_the_remedy(
    own: Path, tmp_path: Path
) -> None:
    _files(own, plugins__a="factor = 2\n", plugins__b="factor = 3\n")
    made = "factor = importlib.import_module('plugins.' + chr(97)).factor"
    reference = _job(own, "import importlib, plugins.b", made)
    with pytest.raises(JobError, match=r"plugins/a\.py is code.*Import it by its name"):
        mr.run(load(reference), _trips(tmp_path / "trips"), workers=1)
    named = _job(own, "import importlib, plugins.a, plugins.b", made)
    sys.modules.pop(load(named).__module__)
    assert mr.run(load(named), tmp_path / "trips", workers=1).rows["n"].tolist() == [6] * 6


@pytest.mark.parametrize(
    "imports",
    [
        "from importlib import import_module\nheld = {{1: import_module('plug_' + 'a')}}",
        (
            "import importlib.util\n_s = importlib.util.spec_from_file_location('w', {path!r})\n"
            "held = {{1: importlib.util.module_from_spec(_s)}}\n_s.loader.exec_module(held[1])"
        ),
        "import runpy\nheld = {{1: type('N', (), runpy.run_path({path!r}))}}",
        "import os, runpy\nheld = {{1: type('N', (), runpy.run_path(os.path.relpath({path!r})))}}",
    ],
)
def test_a_file_beside_the_job_that_no_import_names_is_refused(
    own: Path, tmp_path: Path, imports: str
) -> None:
    _files(own, plug_a="factor = 2\n")
    imports = imports.format(path=str(own / "plug_a.py"))
    reference = _job(own, imports, "factor = held[1].factor")
    with pytest.raises(JobError, match=r"plug_a\.py is code.*Import it by its name"):
        mr.run(load(reference), _trips(tmp_path / "trips"), workers=1)


def test_a_module_found_in_a_folder_below_the_job_is_known_by_its_own_name(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _files(own, below__helper="factor = 2\n")
    monkeypatch.syspath_prepend(str(own / "below"))
    reference = _job(own, "", "from helper import factor")
    result = mr.run(load(reference), _trips(tmp_path / "trips"), workers=1)
    assert result.rows["n"].tolist() == [6] * 6


def test_a_change_that_keeps_size_and_second_is_not_hidden_by_pythons_cache(
    own: Path, tmp_path: Path
) -> None:
    _files(own, helper="factor = 2\n")
    reference = _job(own, "from helper import factor as f", "factor = f")
    trips, at = _trips(tmp_path / "trips"), (own / "helper.py").stat().st_mtime_ns
    assert mr.run(load(reference), trips, workers=1).rows["n"].tolist() == [6] * 6
    py_compile.compile(str(own / "helper.py"))
    _files(own, helper="factor = 3\n")
    os.utime(own / "helper.py", ns=(at, at))
    assert mr.run(load(reference), trips, workers=1).rows["n"].tolist() == [9] * 6


def _environ(mark: str) -> dict[str, str]:
    return {**os.environ, "MARK_OF_TEST": mark}


def _marked(mark: str) -> list[psutil.Process]:
    """Give the processes that were started with a mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MARK_OF_TEST") == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _soon_none(mark: str) -> bool:
    until = time.monotonic() + 60
    while _marked(mark):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_a_job_whose_file_begins_a_run_is_refused_at_once_and_leaves_no_process(
    own: Path, tmp_path: Path
) -> None:
    trips = _trips(tmp_path / "trips")
    _job(own, "", "factor = 1")
    with (own / "job.py").open("a") as file:
        file.write(f"\nprint(mr.run(Mine(), {str(trips)!r}, workers=2).digest)\n")
    mark = str(tmp_path)
    command = [sys.executable, "job.py"]
    done = subprocess.run(
        command, cwd=own, env=_environ(mark), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert 'put that call under `if __name__ == "__main__":`' in done.stderr
    assert f"line 17 of {own / 'job.py'} starts a run while its file is loaded" in done.stderr
    assert _soon_none(mark)
    with pytest.raises(UsageError, match="starts a run while its file is loaded as a job"):
        load(f"{own / 'job.py'}:Mine")


def test_a_run_within_map_is_refused(own: Path, tmp_path: Path) -> None:
    trips = _trips(tmp_path / "trips")
    reference = _job(own, "", f"factor = mr.run(self, {str(trips)!r}, workers=1)")
    with pytest.raises(JobError, match="starts a run while its file is loaded"):
        mr.run(load(reference), trips, workers=1)


def test_a_slot_that_still_loads_the_job_ends_with_its_parent(own: Path, tmp_path: Path) -> None:
    trips, note = _trips(tmp_path / "trips"), tmp_path / "note"
    waiting = f"import os, time\nif os.environ.get('SLOW'):\n    open({str(note)!r}, 'a').close()\n"
    reference = _job(own, waiting + "    time.sleep(600)", "factor = 1")
    mark = str(tmp_path)
    code = (
        "import os, sys, mapreduce as mr\n"
        f"job = mr.load({reference!r})\nos.environ['SLOW'] = '1'\n"
        f"mr.run(job, {str(trips)!r}, workers=1)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], env=_environ(mark))
    while not note.exists():
        assert parent.poll() is None
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert _soon_none(mark)


def test_a_program_on_standard_input_is_told_to_be_a_file(tmp_path: Path) -> None:
    text = JOB.format(imports="", lines="factor = 1") + "mr.run(Mine(), '.')\n"
    done = subprocess.run(
        [sys.executable, "-"], input=text, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "Mine is not at the top level of a file" in done.stderr.splitlines()[-1]


def test_what_lies_in_the_current_folder_hides_nothing(tmp_path: Path) -> None:
    trips = _trips(tmp_path / "trips")
    for name in (
        "queue.py",
        "types.py",
        "mapreduce/__init__.py",
        "mapreduce/attempts/slot.py",
        "numpy.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise SystemExit('the file of the current folder was run')\n")
    (tmp_path / "finishing.py").touch()
    (tmp_path / "mine.py").write_text(JOB.format(imports="", lines="factor = 1"))
    done = subprocess.run(
        [*CONSOLE, "run", "mine:Mine", str(trips), "--out", "out"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "links.csv").read_text().splitlines()[1] == "0,3"
    again = subprocess.run(
        [*CONSOLE, "resume", "out"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "finished" in again.stdout + again.stderr


def test_what_is_run_with_the_modules_name_is_found_by_it(own: Path) -> None:
    """`python -m package.job`: its relative imports work in workers, too."""
    _files(own, package__init="", package__helper="factor = 2\n")
    (own / "package" / "init.py").rename(own / "package" / "__init__.py")
    text = JOB.format(imports="from .helper import factor as f", lines="factor = f")
    ending = "if __name__ == '__main__':\n    print(mr.run(Mine(), 'trips').rows['n'])\n"
    (own / "package" / "job.py").write_text(text + ending)
    _files(own, finishing="")
    _trips(own / "trips")
    done: Any = subprocess.run(
        [sys.executable, "-m", "package.job"], cwd=own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_an_editor_leaves_among_our_files_is_no_part_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mapreduce.job.code_files.__file__", str(tmp_path / "job_code.py"))
    (tmp_path / "job_code.py").write_text("x = 1")
    known = framework_digest()
    (tmp_path / ".#job_code.py").symlink_to("somebody@here.1234")  # as Emacs locks a file
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "job_code-checkpoint.py").write_text("x = 0")
    assert framework_digest() == known
    (tmp_path / "other.py").write_text("")
    assert framework_digest() != known


@pytest.mark.parametrize(
    ("name", "is_refused"), [("mapreduce/time_zone.py", False), ("own/new.py", True)]
)
def test_the_framework_beside_a_job_is_no_code_of_the_job(
    name: str, is_refused: bool, tmp_path: Path
) -> None:
    """Dask's workers get it in the archive that has the job, and may load a part of it late."""
    watch = code_guard.Watch({"own/job.py": "0"}, (tmp_path / "sent.zip",))
    code = compile("", str(tmp_path / "sent.zip" / name), "exec")
    refused = pytest.raises(code_guard.ChangedCodeError) if is_refused else nullcontext()
    with refused:
        watch.look("exec", (code,))
