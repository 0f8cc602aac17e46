"""The configuration files that `ssh` reads, for a $HOME that is not the home the system knows.

OpenSSH finds `~/.ssh/config` by the system's list of users and leaves $HOME alone, but for the
`~` of Include; everything else here follows $HOME. Where both are the same, nothing is done and ssh
finds its files itself. Where not, it is told of the file below $HOME, and of the system's after it.
"""

from __future__ import annotations

import os
import pwd
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

SYSTEM: Final = Path("/etc/ssh/ssh_config")


def system_home() -> Path | None:
    """Give the home that the system's list of users names."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


class Files:
    """What `ssh` is to read, while in a `with`: `options` are for its command line."""

    def __init__(self) -> None:
        self.options: list[str] = []
        self.home, self.other = Path.home(), system_home()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self.home != self.other:
            top = self._stack.enter_context(tempfile.NamedTemporaryFile())
            for path in (self.home / ".ssh" / "config", SYSTEM):
                top.write(b'Include "%b"\n' % os.fsencode(path))
            top.flush()
            self.options = ["-F", top.name]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def at(self, text: str) -> Path:
        """Give the path that a text of the configuration stands for."""
        return self.home / text[2:] if text.startswith("~/") else Path(text).expanduser()

    def at_home(self, text: str) -> str:
        """Give files that ssh counted from the other home, as they count from $HOME."""
        if self.home == self.other:
            return text
        return text.replace(f"{self.other}/", f"{self.home}/")
