"""The folders of a bucket listed side by side, given in their order.

A page of a listing says where the next begins, so a plain listing waits for each page in turn. Here
some folders are listed at a time, where the first page shows that this is worth its requests. Each
is listed by its own prefix, and not by where a store would begin after a key (`start-after`), which
not every store keeps. Memory is bounded by the pages that wait.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from mapreduce.objects import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    Below = Callable[[str], Generator[Entry]]
    Level = Callable[[str], Iterator[Entry | str]]

AT_ONCE: Final = 8
PAGE: Final = 1000  # most keys of an answer
LEAST_KEYS: Final = 125  # of a folder: with fewer, eight at a time are no faster than one listing
MOST_FOLDERS: Final = 10_000  # that lie beside each other
PAGES_HELD: Final = 4  # of each folder that waits for its turn
NOTICE_S: Final = 0.1


def entries_below(prefix: str, below: Below, level: Level) -> Iterator[Entry]:
    """Give every object whose key begins with a prefix.

    Parameters
    ----------
    prefix
        What keys begin with.
    below
        Lists all objects below a prefix, in pages.
    level
        Lists the objects of a prefix up to the next slash, and the folders beside them (`str`).
    """
    with contextlib.closing(below(prefix)) as plain:
        first = list(itertools.islice(plain, PAGE))
        depth = 0 if len(first) < PAGE else depth_worth(first, prefix)
        if not depth:
            yield from first
            yield from plain
            return
    with contextlib.closing(_side_by_side(_units(prefix, depth, level), below)) as listed:
        yield from listed


def depth_worth(entries: Sequence[Entry], prefix: str) -> int:
    """Give how many slashes deep folders are large enough to be listed each; 0 for none."""
    most = len(entries) // LEAST_KEYS
    depth = 0
    while 0 < len(_folders(entries, len(prefix), depth + 1)) <= most:
        depth += 1
    return depth


def _folders(entries: Sequence[Entry], start: int, depth: int) -> set[str]:
    return {folder for entry in entries if (folder := _folder(entry.key, start, depth))}


def _folder(key: str, start: int, depth: int) -> str:
    """Give the folder so deep that a key is in; empty where it is in none."""
    place = start - 1
    for _ in range(depth):
        place = key.find("/", place + 1)
        if place < 0:
            return ""
    return key[: place + 1]


def _units(prefix: str, depth: int, level: Level) -> Iterator[Entry | str]:
    """Give what to take one by one: objects, and folders to list."""
    if not depth:
        yield prefix
        return
    found = list(itertools.islice(level(prefix), MOST_FOLDERS + 1))
    if len(found) > MOST_FOLDERS:
        yield prefix
        return
    for one in found:
        if isinstance(one, Entry):
            yield one
        else:
            yield from _units(one, depth - 1, level)


def _side_by_side(units: Iterable[Entry | str], below: Below) -> Generator[Entry]:
    ahead: deque[Entry | _Listing] = deque()
    try:
        for unit in units:
            ahead.append(unit if isinstance(unit, Entry) else _Listing(below(unit)))
            if len(ahead) >= AT_ONCE:
                yield from _taken(ahead.popleft())
        while ahead:
            yield from _taken(ahead.popleft())
    finally:
        for left in ahead:
            if isinstance(left, _Listing):
                left.stop()


def _taken(unit: Entry | _Listing) -> Iterator[Entry]:
    if isinstance(unit, Entry):
        yield unit
    else:
        with contextlib.closing(unit.entries()) as entries:
            yield from entries


class _Listing:
    """A folder that is listed in a thread of its own, some pages ahead of who takes them."""

    def __init__(self, entries: Generator[Entry]) -> None:
        self._pages: queue.Queue[list[Entry] | BaseException] = queue.Queue(PAGES_HELD)
        self._stopped = threading.Event()
        threading.Thread(target=self._list, args=(entries,), name="list", daemon=True).start()

    def entries(self) -> Generator[Entry]:
        """Give its objects, and raise what listing them raised."""
        try:
            while page := self._pages.get():
                if isinstance(page, BaseException):
                    raise page
                yield from page
        finally:
            self.stop()

    def stop(self) -> None:
        """Have it end at its next page."""
        self._stopped.set()

    def _list(self, entries: Generator[Entry]) -> None:
        try:
            with contextlib.closing(entries):
                while (page := list(itertools.islice(entries, PAGE))) and self._put(page):
                    pass
            self._put([])
        except BaseException as error:  # noqa: BLE001 - raised again where entries are taken
            self._put(error)

    def _put(self, page: list[Entry] | BaseException) -> bool:
        """Lay a page down; tell whether somebody will take it."""
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._pages.put(page, timeout=NOTICE_S)
                return True
        return False
