"""A mapping as a JSON file: receipts and what describes other files.

Keys keep the mapping's order and lines are indented by one space, so that equal mappings give
equal bytes and a difference between two files can be read. What JSON cannot say (NaN, infinity)
is refused. What goes into a receipt is the framework's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ujson

from mapreduce.atomic_file import whole

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping


def write_json(
    path: str | os.PathLike[str], mapping: Mapping[str, Any], *, private: bool = False
) -> None:
    """Write a mapping as JSON, whole or not at all, in ASCII with a newline at the end.

    With `private` its owner alone may read it.

    Raises
    ------
    OverflowError
        Where a number is NaN or infinite.
    TypeError
        Where a value is no JSON type.
    """
    text = ujson.dumps(dict(mapping), indent=1, allow_nan=False, escape_forward_slashes=False)
    with whole(path, private=private) as partial:
        partial.write_text(text + "\n", encoding="ascii")
