"""What a store lists, held against what a listing must be: each object once, with a size.

A store that lists a key twice would have it counted twice, and one that never comes to an end would
be listed for ever: both are the store's fault and end the run. Memory is bounded whatever comes.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mapreduce.errors import StoreError, UsageError
from mapreduce.objects import Based, Prefixed
from mapreduce.objects.archives import expanded
from mapreduce.objects.key_list import KeyList
from mapreduce.objects.seen_texts import InOrder
from mapreduce.objects.selection import Selection, ignored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mapreduce.objects import Entry, Store


def listed(store: Store) -> Iterator[Entry]:
    """Give every entry of a store, each key once.

    Raises
    ------
    StoreError
        The store lists a key twice, or something that is no object; or as its own `entries`.
    UsageError
        A list that a user wrote names a key twice.
    """
    with contextlib.closing(InOrder()) as keys:
        for entry in store.entries():
            if not keys.add(entry.key):
                if isinstance(store, KeyList):
                    raise UsageError(
                        f"{store.name} names {entry.key} twice: remove one of its lines"
                    )
                raise StoreError(
                    f"{store.name} lists {entry.key} twice: its listing cannot be trusted, and"
                    " nothing was counted twice. Repair the store, or name a part of it whose"
                    " listing is correct; the same command resumes the run"
                )
            yield entry


def objects_of(store: Store) -> Iterator[Entry]:
    """Give every object of a store, the members of archives too; raises as `listed`."""
    return expanded(listed(store), store)


def nothing_in(store: Store, selection: Selection | None = None) -> UsageError:
    """Give what is said where there is nothing to read."""
    chosen = "" if selection is None or selection.whole else " that matches the selection"
    return UsageError(f"{store.name} holds no object{chosen}: is the folder or prefix right?")


def prefix_of(store: Store) -> str | None:
    """Give what its user typed of every key: it hides nothing (see `selection.ignored`)."""
    return store.prefix if isinstance(store, Prefixed) else ""


def base_of(store: Store) -> str:
    """Give what makes an address of each key, the same for the store of a part of it."""
    return store.base if isinstance(store, Based) else f"{store.name}/"


def wanted(store: Store, selection: Selection | None = None) -> Iterator[Entry]:
    """Give the entries that a run would read.

    Raises
    ------
    StoreError
        As `listed`.
    """
    prefix = prefix_of(store)
    for entry in (selection or Selection()).take(objects_of(store), prefix):
        if not ignored(entry.key, prefix):
            yield entry
