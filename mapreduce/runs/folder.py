"""A folder to write in, as people name it: a path of this machine, whatever it is called.

Any name is good that can be shown and typed: with colons, spaces, `%` or `?`. `~` is understood.
What no folder can be meant by is refused before anything is read. Nothing is looked for here.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Final

from mapreduce.errors import UsageError

URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://|(s3a?|gs|https?|ftp|file|hdfs|abfss?):/")
UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
LONGEST_BYTES: Final = 255  # of one part of a path, on every file system in use
OURS_BYTES: Final = 4096 - 255  # of a whole path: room is left for the files below


def folder_named(given: str | os.PathLike[str], what: str = "--out") -> Path:
    """Give the folder that is meant.

    Raises
    ------
    UsageError
        Where none can be: an address, nothing, a name that cannot be shown.
    """
    text = os.fspath(given)
    if not text:
        raise UsageError(f"{what}: it is empty; name a folder ('.' for the one you are in)")
    shown = text.encode("utf-8", "backslashreplace").decode()
    if UNSEEN.search(text) or shown != text:
        raise UsageError(
            f"{what} {UNSEEN.sub(lambda m: ascii(m[0])[1:-1], shown)} contains a character that"
            " cannot be displayed, or is not UTF-8: name another folder"
        )
    if URL.match(text):
        raise UsageError(
            f"{what} {text} is a URL, but files are written only to folders on this machine:"
            " name a folder, and copy it after the run (`aws s3 sync`, `rclone copy`)"
        )
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise UsageError(
            f"{what} {text}: there is no such user here; name the whole path"
        ) from None
    if any(len(os.fsencode(part)) > LONGEST_BYTES for part in path.parts) or (
        len(os.fsencode(path.absolute())) > OURS_BYTES
    ):
        raise UsageError(f"{what} {text[:40]}… is too long for a folder name: name another")
    return path


def typed(path: Path) -> str:
    """Give a path as it can be typed after a command."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
