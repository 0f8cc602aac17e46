"""Folders of a bucket listed side by side: each object once, whatever the tree, in few requests."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.errors import StoreError
from mapreduce.objects import Entry, folders
from mapreduce.objects.folders import AT_ONCE, PAGE, depth_worth, entries_below
from mapreduce.objects.listing import listed
from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_settings import Keys, Settings
from tests.services.proxy import Fault, proxied

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.services.seaweed import Seaweed

DENIED: Final = Fault(
    status=403,
    headers={"Content-Type": "application/xml"},
    body=b"<Error><Code>AccessDenied</Code></Error>",
)


class Tree:
    """Keys as a store lists them, in pages; counts what is asked."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = sorted(keys)
        self.requests: list[tuple[str, str]] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def below(self, prefix: str) -> Generator[Entry]:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for place, key in enumerate(key for key in self.keys if key.startswith(prefix)):
                if place % PAGE == 0:
                    self.requests.append((prefix, ""))
                    time.sleep(0.001)
                yield Entry(key, 1, "e")
        finally:
            with self._lock:
                self.at_once -= 1

    def level(self, prefix: str) -> Iterator[Entry | str]:
        self.requests.append((prefix, "/"))
        seen = set()
        for key in self.keys:
            if key.startswith(prefix):
                head, slash, _ = key[len(prefix) :].partition("/")
                if not slash:
                    yield Entry(key, 1, "e")
                elif head not in seen:
                    seen.add(head)
                    yield f"{prefix}{head}/"


def all_of(tree: Tree, prefix: str = "") -> list[str]:
    return [entry.key for entry in entries_below(prefix, tree.below, tree.level)]


@given(
    keys=st.sets(st.text("ab/", min_size=1, max_size=7), max_size=90),
    prefix=st.sampled_from(["", "a", "a/", "b/a"]),
    page=st.integers(1, 30),
    most=st.integers(0, 5),
)
def test_each_object_is_given_once(keys: set[str], prefix: str, page: int, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folders, "PAGE", page)
        patch.setattr(folders, "LEAST_KEYS", max(1, page // 8))
        patch.setattr(folders, "MOST_FOLDERS", most)
        found = all_of(Tree(sorted(keys)), prefix)
    assert sorted(found) == sorted(key for key in keys if key.startswith(prefix))


def test_days_are_listed_side_by_side_and_stay_in_order() -> None:
    days = [f"2019/{month:02}/{day:02}/" for month in range(1, 4) for day in range(1, 11)]
    tree = Tree([f"{day}{n:04}" for day in days for n in range(1_200)] + ["2019/02/readme", "top"])
    assert all_of(tree) == sorted(tree.keys)
    assert 2 < tree.most_at_once <= AT_ONCE
    plain = -(-len(tree.keys) // PAGE)
    assert len(tree.requests) < 2 * plain


@pytest.mark.parametrize("name", ["{0:05}", "{0:05}/trip", "all/{0:05}", "all/{0:05}/trip"])
def test_what_gains_nothing_is_listed_as_ever(name: str) -> None:
    tree = Tree([name.format(n) for n in range(5_000)])
    assert all_of(tree) == tree.keys
    assert len(tree.requests) <= 5 + 2


def test_the_depth_is_that_at_which_folders_are_large() -> None:
    def depth(*keys: str) -> int:
        return depth_worth([Entry(key, 1, "") for key in keys], "t/")

    month = [f"t/2019/01/{n:04}" for n in range(1000)]
    assert depth(*month) == 2
    assert depth(*[f"t/2019/01/{n % 8}/{n}" for n in range(1000)]) == 3
    assert depth(*[f"t/2019/01/{n % 9}/{n}" for n in range(1000)]) == 2
    assert depth(*[f"t/{n}" for n in range(1000)]) == 0


def test_a_fault_in_a_folder_is_raised_and_threads_end() -> None:
    class Broken(Tree):
        def below(self, prefix: str) -> Generator[Entry]:
            for place, entry in enumerate(super().below(prefix)):
                if prefix == "c/" and place == 1_500:
                    raise StoreError("broken")
                yield entry

    keys = [f"{letter}/{n:05}" for letter in "abcdefghijklmnop" for n in range(9_000)]
    with pytest.raises(StoreError, match="broken"):
        all_of(Broken(keys))
    some = list(itertools.islice(entries_below("", Tree(keys).below, Tree(keys).level), 10_000))
    assert len({entry.key for entry in some}) == 10_000
    until = time.monotonic() + 10
    while any(thread.name == "list" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_real_store_gives_each_object_once_and_a_fault_is_its_own(seaweed: Seaweed) -> None:
    bucket = seaweed.bucket()
    keys = [f"t/{day}/{n:04}" for day in ("1", "1-2", "2", "3") for n in range(400)] + ["t/loose"]
    seaweed.put(bucket, dict.fromkeys(keys, b"x"))
    with proxied(seaweed.endpoint.removeprefix("http://")) as proxy:
        settings = Settings(endpoint=proxy.endpoint, keys=Keys(seaweed.access, seaweed.secret))
        found = [entry.key for entry in listed(S3(bucket, "t/", settings))]
        assert sorted(found) == sorted(keys)
        assert sum("delimiter=%2F" in asked.path for asked in proxy.asked) == 1
        proxy.lay(*[Fault()] * 5, *[DENIED] * 9)
        with pytest.raises(StoreError, match="may not list"):
            list(S3(bucket, "t/", settings).entries())
