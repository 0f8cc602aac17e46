"""Who may import whom, and what may be called nowhere."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for top in ("mapreduce", "roadspeed") for p in (ROOT / top).rglob("*.py"))
# What is executable or could be: nothing of the kind crosses the wire or is read from a disk.
EXECUTABLE = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "cPickle", "joblib", "yaml"}
CALLS = {"eval", "exec", "compile", "__import__"}
# A package -> the only files that may import it.
ALONE = {
    "minio": {f"mapreduce/objects/{name}.py" for name in ("s3", "s3_credentials", "s3_failures")},
    "psycopg2": {
        f"roadspeed/roads/postgis/{name}.py"
        for name in ("read", "errors", "queries", "transaction")
    },
    "osmium": {"roadspeed/osm/extract.py"},
    "valhalla": {"roadspeed/osm/valhalla.py"},
    "distributed": {f"mapreduce/engines/{name}.py" for name in ("dask", "dask_tree")},
    "pyspark": {f"mapreduce/engines/{name}.py" for name in ("spark", "spark_batches")},
    "zoneinfo": {"mapreduce/time_zone.py"},
    "fabric": {f"mapreduce/cluster/{name}.py" for name in ("ssh/route", "ssh/ssh", "fab")},
}


def imported(path: Path) -> set[str]:
    """Top-level names of what a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def called(path: Path) -> set[str]:
    """Names that a file calls."""
    return {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text(), str(path)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def test_layers_are_as_the_contracts_say() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_executable_is_read_or_written(path: Path) -> None:
    assert not imported(path) & EXECUTABLE
    assert not called(path) & CALLS
    assert "allow_pickle=True" not in path.read_text()


@pytest.mark.parametrize("package", ALONE)
def test_a_package_is_known_to_its_own_file_alone(package: str) -> None:
    users = {str(p.relative_to(ROOT)) for p in SOURCES if package in imported(p)}
    assert users <= ALONE[package]


CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]


def test_the_contracts_hold_every_room_and_every_file_of_it() -> None:
    """A room that moves away leaves no contract behind that holds nothing."""
    layered = {place for c in CONTRACTS for place in c.get("containers", ())}
    assert {"mapreduce", "mapreduce.cluster", "roadspeed", "roadspeed.roads"} <= layered
    assert all(c["exhaustive"] for c in CONTRACTS if c["type"] == "layers")
    for contract in CONTRACTS:
        for module in contract.get("source_modules", ()):
            assert covered(module), module


def covered(module: str) -> set[Path]:
    """Files of a room, or of one module."""
    place = ROOT.joinpath(*module.split("."))
    return (
        {*place.rglob("*.py")} if place.is_dir() else {*ROOT.glob(f"{module.replace('.', '/')}.py")}
    )


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("pure rooms", 45),
        ("measures", 4),
        ("the core knows", 30),
        ("what runs on a worker", 16),
    ],
)
def test_a_contract_covers_no_fewer_files_than_it_did(name: str, files: int) -> None:
    (contract,) = (c for c in CONTRACTS if c["name"].startswith(name))
    assert len({f for m in contract["source_modules"] for f in covered(m)}) >= files


def test_the_pure_rooms_are_pure_by_contract() -> None:
    (pure,) = (c for c in CONTRACTS if c["name"].startswith("pure rooms"))
    rooms = {"mapreduce.tables", "mapreduce.formats", "mapreduce.cluster.schedule"}
    assert rooms <= set(pure["source_modules"])
    assert {"time", "random", "socket", "threading", "os"} <= set(pure["forbidden_modules"])


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("mapreduce", "roadspeed", exclude_type_checking_imports=False)
    doors = {"mapreduce", "roadspeed"}  # their names load when they are used
    order = TopologicalSorter(
        {m: graph.find_modules_directly_imported_by(m) - doors for m in graph.modules - doors}
    )
    order.prepare()  # raises a CycleError that names them


def test_importing_the_framework_is_light() -> None:
    code = "import sys, mapreduce; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"numpy", "minio", "urllib3", "typer", "rich", "shapely", "pandas", "matplotlib"}
    assert not {name for name in heavy if f"'{name}'" in done.stdout}
