"""The configuration files that `ssh` reads, for a $HOME that is not the home the system knows.

OpenSSH takes the home folder from the system's list of users and leaves $HOME alone; everything
else here follows $HOME. Where both are the same, nothing is done and ssh reads its files itself.
Where not, it is given the files below $HOME, with those Include lines spelt out in copies that
would lead to the other home: line for line, so that what ssh says of a line holds for the file.
"""

from __future__ import annotations

import glob
import os
import pwd
import re
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

SYSTEM: Final = Path("/etc/ssh/ssh_config")
MOST_DEEP: Final = 16  # as OpenSSH allows
_INCLUDE = re.compile(rb"([ \t]*include(?:[ \t]+|[ \t]*=[ \t]*))(.*)", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(rb'"([^"]*)"|(\S+)')


def system_home() -> Path | None:
    """Give the home that the system's list of users names."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


class Files:
    """What `ssh` is to read, while in a `with`.

    Attributes
    ----------
    options
        What to put on its command line.
    """

    def __init__(self) -> None:
        self.options: list[str] = []
        self.home, self.other = Path.home(), system_home()
        self._copies: dict[Path, Path] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self.home == self.other:
            return self
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        user = self.home / ".ssh" / "config"
        tops = [(path, path.parent) for path in (user, SYSTEM) if path.is_file()]
        text = b"".join(b"Include %b\n" % _quoted(self._kept(*top)) for top in tops)
        top = self._folder / "config"
        top.write_bytes(text)
        self.options = ["-F", str(top)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def named(self, text: str) -> str:
        """Name the files themselves where ssh names their copies."""
        for copy, path in self._copies.items():
            text = text.replace(str(copy), str(path))
        return text

    def at(self, text: str) -> Path:
        """Give the path that a text of the configuration stands for."""
        return self.home / text[2:] if text.startswith("~/") else Path(text).expanduser()

    def at_home(self, text: str) -> str:
        """Give files that ssh counted from the other home, as they count from $HOME."""
        return text if self.home == self.other else text.replace(f"{self.other}/", f"{self.home}/")

    def _kept(self, path: Path, base: Path, depth: int = 0) -> Path:
        """Give a file, or a copy whose Include lines lead where those of $HOME do."""
        try:
            lines = path.read_bytes().split(b"\n")
        except OSError:
            return path  # ssh says what is wrong with it
        new = [self._line(line, base, depth) for line in lines]
        if new == lines or depth > MOST_DEEP:
            return path
        copy = self._folder / f"{len(self._copies)}"
        copy.write_bytes(b"\n".join(new))
        self._copies[copy] = path
        return copy

    def _line(self, line: bytes, base: Path, depth: int) -> bytes:
        found = _INCLUDE.fullmatch(line)
        if found is None or depth > MOST_DEEP:
            return line
        words = [os.fsdecode(quoted or plain) for quoted, plain in _WORD.findall(found[2])]
        if any(word.startswith("#") for word in words):
            words = words[: next(i for i, w in enumerate(words) if w.startswith("#"))]
        spelt = [self._place(word, base) for word in words]
        files = [Path(f) for pattern in spelt for f in sorted(glob.glob(pattern))]  # noqa: PTH207 - a pattern from the root
        kept = [self._kept(file, base, depth + 1) for file in files]
        if kept == files and spelt == words:
            return line
        return found[1] + b" ".join(map(_quoted, kept or [Path(p) for p in spelt]))

    def _place(self, word: str, base: Path) -> str:
        if word.startswith("~/"):
            return str(self.home / word[2:])
        return word if word.startswith(("/", "~")) else str(base / word)


def _quoted(path: Path) -> bytes:
    return b'"%b"' % os.fsencode(path)
