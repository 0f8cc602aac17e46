"""Reading a document with a stack of its own, where the caller's is nearly used up.

msgspec counts the levels of a document on the caller's recursion limit, so a document that is
well within `structure.MAX_DEPTH` could be refused for where it was read from. A new thread begins
with an empty stack. Nothing else runs there.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mapreduce.errors import ObjectError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mapreduce.formats.parsed import Parsed


def parsed(parse: Callable[[bytes], Parsed], raw: bytes) -> Parsed:
    """Give what `parse` gives, whatever the caller's stack.

    Raises
    ------
    ObjectError
        What `parse` raises, or `too_deep` where no stack would do.
    """
    try:
        return parse(raw)
    except RecursionError:
        with ThreadPoolExecutor(1, thread_name_prefix="parse") as one:
            try:
                return one.submit(parse, raw).result()
            except RecursionError:
                raise ObjectError("too_deep", "nested too deeply") from None
