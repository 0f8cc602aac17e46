"""The code a job is made of: its own file, and every module of the user's that it imports.

Sums made by two versions of this code must never be mixed. So a run's identity names each file with
a hash of its content, and every process compares the files before it maps (`code_guard`). The
user's own is what belongs neither to Python nor to installed packages; the package that the job
itself stands in is always their own, and this framework counts as one file.

Imports are followed as they are written, those inside functions too, without running anything. What
only `finish` needs does not count: it runs after the sums are made.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import sys
import sysconfig
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from importlib.machinery import ModuleSpec

OURS: Final = "mapreduce"
INSTALLED: Final = frozenset(("site-packages", "dist-packages"))
PYTHONS: Final = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
DIGITS: Final = 32  # of each SHA-256
BY_PATH: Final = "./"  # how the name of a job's own file begins that is loaded by its path
FILE_MODULE: Final = "mapreduce_job_file_"  # how the module of such a file is called


@dataclass(frozen=True, slots=True)
class JobCode:
    """Files by name, each with two hashes.

    Attributes
    ----------
    digests
        Of each file's bytes: what processes compare.
    meanings
        Of what it says, without comments, layout and `finish`: what makes two runs the same run.
    """

    digests: dict[str, str]
    meanings: dict[str, str]


def code_of(module: ModuleType, job: str) -> JobCode:
    """Gather the code of the job of that name which stands in a module.

    Files are named by their modules, `package/part.py`; a job's own file that is loaded by its path
    by its name, `./job.py`; this framework, as a whole, `mapreduce`.
    """
    walk = _Walk(module, job)
    walk.all()
    ours = framework_digest()
    return JobCode({**walk.digests, OURS: ours}, {**walk.meanings, OURS: ours})


def importable_name(module: ModuleType) -> str | None:
    """Give the name by which another process imports a module; None where it has only a path."""
    if module.__name__.startswith(FILE_MODULE):
        return None
    spec = module.__spec__
    if module.__name__ != "__main__":
        return module.__name__
    return None if spec is None else spec.name  # `python -m package.module`


def tops(files: Iterable[str]) -> set[str]:
    """Give the top-level packages and modules that a job's files belong to, but this framework."""
    inside = (name for name in files if not name.startswith(BY_PATH))
    return {name.partition("/")[0].removesuffix(".py") for name in inside} - {OURS}


def digest(content: bytes) -> str:
    """Name a file's content."""
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def framework_digest() -> str:
    """Name the sources of this framework as they lie here now; "" within an archive.

    An archive is named by its content, and so never another than it was.
    """
    home = Path(__file__).parents[1]
    if not home.is_dir():
        return ""
    sha = hashlib.sha256()
    for path in sorted(home.rglob("*.py")):
        inside = path.relative_to(home)
        if any(part.startswith(".") for part in inside.parts):
            continue  # an editor's own: nobody imports it, and no host is sent it
        content = path.read_bytes()
        sha.update(f"{inside.as_posix()}\0{len(content)}\0".encode())
        sha.update(content)
    return sha.hexdigest()[:DIGITS]


def file_name(spec: ModuleSpec) -> str:
    """Name a module's file by the module: `package/part.py`, on whichever machine."""
    stem = spec.name.replace(".", "/")
    if spec.submodule_search_locations is not None:
        return f"{stem}/__init__.py"
    if spec.origin is not None and spec.origin.endswith(tuple(EXTENSION_SUFFIXES)):
        return f"{stem}.so"
    return f"{stem}.py"


def is_installed(origin: str) -> bool:
    """Whether a file belongs to Python or to an installed package."""
    return not INSTALLED.isdisjoint(Path(origin).parts) or any(
        Path(origin).is_relative_to(python) for python in PYTHONS
    )


def _spec_of(name: str) -> ModuleSpec | None:
    """Find a module as an import would, but run nothing: not its packages either."""
    loaded = sys.modules.get(name)
    spec: ModuleSpec | None = getattr(loaded, "__spec__", None)
    if spec is not None:
        return spec
    parent, _, _ = name.rpartition(".")
    path = None
    if parent:
        above = _spec_of(parent)
        if above is None or above.submodule_search_locations is None:
            return None
        path = above.submodule_search_locations
    for finder in sys.meta_path:
        with contextlib.suppress(Exception):  # a finder of somebody's that fails finds nothing
            if (spec := finder.find_spec(name, path)) is not None:
                return spec
    return None


class _Walk:
    """Follows imports from a job's module, each file once."""

    def __init__(self, module: ModuleType, job: str) -> None:
        self.digests: dict[str, str] = {}
        self.meanings: dict[str, str] = {}
        self._seen: set[str] = {"__main__", module.__name__}
        self._foreign: set[str] = {OURS}  # top-level names that are not the user's
        self._waiting: list[str] = []
        self._root = module
        self._job = job
        self._name = importable_name(module)
        self._own_top = "" if self._name is None else self._name.partition(".")[0]
        self._foreign.discard(self._own_top)

    def all(self) -> None:
        root = self._root
        if self._name is None:
            file = Path(str(root.__file__))
            self._take(f"{BY_PATH}{file.name}", file.read_bytes(), "", job=self._job)
        else:
            self._seen.discard(self._name)
            self._want(self._name)
        self._want_values(root)
        while self._waiting:
            name = self._waiting.pop()
            if name.partition(".")[0] not in self._foreign:
                self._module(name)

    def _module(self, name: str) -> None:
        spec = self._root.__spec__ if name == self._name else _spec_of(name)
        if spec is None:
            return
        if self._is_foreign(spec):
            self._foreign.add(name)
            return
        content = _content(spec)
        if content is not None:
            package = spec.name if spec.submodule_search_locations is not None else spec.parent
            job = self._job if name == self._name else ""
            self._take(file_name(spec), content, package or "", job=job)
            if (loaded := sys.modules.get(name)) is not None:
                self._want_values(loaded)

    def _is_foreign(self, spec: ModuleSpec) -> bool:
        """Whether a module is Python's own or of an installed package."""
        if spec.submodule_search_locations is not None and not spec.has_location:
            return False  # a package of no file: its parts are looked at
        if spec.origin is None or not spec.has_location:
            return True
        return spec.name.partition(".")[0] != self._own_top and is_installed(spec.origin)

    def _take(self, name: str, content: bytes, package: str, *, job: str) -> None:
        self.digests[name] = self.meanings[name] = digest(content)
        if not name.endswith(tuple(SOURCE_SUFFIXES)):
            return
        with contextlib.suppress(SyntaxError, ValueError):  # told when it is imported, if it is
            tree = _mapping(ast.parse(content), job)
            self.meanings[name] = digest(ast.dump(tree).encode())
            for wanted in _imports(tree, package):
                self._want(wanted)

    def _want_values(self, module: ModuleType) -> None:
        """Follow what a module holds, too: it may have been imported by a name made at run time.

        A package holds its parts whoever imported them, so they say nothing.
        """
        parts = f"{module.__name__}."
        for value in list(vars(module).values()):
            home = value.__name__ if isinstance(value, ModuleType) else _home(value)
            if isinstance(home, str) and home in sys.modules and not home.startswith(parts):
                self._want(home)

    def _want(self, name: str) -> None:
        if name.partition(".")[0] in self._foreign:
            return
        while name and name not in self._seen:
            self._seen.add(name)
            self._waiting.append(name)  # taken from the end: packages before their parts
            name = name.rpartition(".")[0]


def _content(spec: ModuleSpec) -> bytes | None:
    """Read a module's file, in a folder or an archive; None for a package of no file."""
    if spec.origin is None or not spec.has_location:
        return None
    file = Path(spec.origin)
    if file.is_file():
        return file.read_bytes()
    content: bytes = getattr(spec.loader, "get_data")(spec.origin)  # noqa: B009 - of archives
    return content


def _home(value: object) -> object:
    return getattr(value, "__module__", None) if callable(value) else None


def _mapping(tree: ast.Module, job: str) -> ast.Module:
    """Leave of a file what can have a part in the sums: all but the job's own `finish`.

    That stays where the file names it anywhere, since `map` might call it.
    """
    if not any(
        isinstance(node, ast.Attribute) and node.attr == "finish" for node in ast.walk(tree)
    ):
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name == job:
                node.body = [
                    part
                    for part in node.body
                    if not (isinstance(part, ast.FunctionDef) and part.name == "finish")
                ]
    return _Running().visit(tree)  # type: ignore[no-any-return] # a module stays one


class _Running(ast.NodeTransformer):
    """Leaves out what is for type checkers alone."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        test = node.test
        name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
        self.generic_visit(node)
        return node.orelse if name == "TYPE_CHECKING" else node


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Give the names of modules that a file imports wherever in it, and names that may be some."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join(part for part in (*above, base) if part)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names if base)
        elif isinstance(node, ast.Call) and node.args:
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            first = node.args[0]
            if (
                name in ("import_module", "__import__")
                and isinstance(first, ast.Constant)
                and isinstance(first.value, str)
            ):
                yield first.value
