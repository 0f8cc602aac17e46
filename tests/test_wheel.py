"""What is published: a wheel that holds every room, and runs the demo where nothing else is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_OURS = shutil.ignore_patterns(
    ".venv", ".git", "demo", "build", "*.egg-info", ".*_cache", "*.so"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist from the tree, and the wheel from the sdist."""
    out, tree = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("tree") / "own"
    shutil.copytree(ROOT, tree, ignore=NOT_OURS)  # others build it too: its folders are used for it
    _done([sys.executable, "-m", "build", "--outdir", out, tree])
    (built,) = out.glob("*.whl")
    return built


@pytest.mark.timeout(600)
def test_the_wheel_holds_every_room_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {n for n in archive.namelist() if n.endswith(".py")}
        others = {Path(n).suffix for n in archive.namelist() if ".dist-info/" not in n}
    there = {
        path.relative_to(ROOT).as_posix()
        for top in ("mapreduce", "roadspeed")
        for path in (ROOT / top).rglob("*.py")
    }
    assert held == there
    assert others <= {".py", ".so", ".pyd"}


@pytest.mark.timeout(600)
def test_the_wheel_runs_the_demo_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    _done([sys.executable, "-m", "venv", tmp_path / "own"])
    python = tmp_path / "own" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _done([*install, "-c", ROOT / "constraints.txt", f"roadspeed[light] @ {wheel.as_uri()}"])
    _done([tmp_path / "own" / "bin" / "roadspeed", "demo", "--out", "demo"], cwd=tmp_path)
    made = {path.name for path in (tmp_path / "demo" / "speeds").iterdir()}
    assert {"speeds.csv", "speeds.parquet", "map.png", "receipt.json"} <= made


@pytest.mark.timeout(600)
@pytest.mark.parametrize("extra", ["all", "match", "zstd", "dask"])
def test_what_an_extra_asks_for_is_to_be_had(extra: str, wheel: Path) -> None:
    asked = f"roadspeed[{extra}] @ {wheel.as_uri()}"
    _done([sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", asked])


def _done(command: list[object], cwd: Path = ROOT) -> None:
    ended = subprocess.run(
        [*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
