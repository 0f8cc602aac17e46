"""Stores that list wrongly: nothing is counted twice or left out, no listing is endless."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from mapreduce.cluster.engine import Cluster
from mapreduce.engines.dask import Dask
from mapreduce.engines.local import Local
from mapreduce.engines.spark import Spark
from mapreduce.errors import MapReduceError, StoreError
from mapreduce.objects.listing import listed, wanted
from mapreduce.objects.memory import Memory
from mapreduce.objects.seen_texts import InOrder, Seen
from mapreduce.runs.driver import Options, run
from mapreduce.runs.journal import progress_of
from tests.cluster.launching import Processes
from tests.jobs.counting import Links
from tests.services.stores import Answer, entry, page, strange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mapreduce.engine import Engine
    from mapreduce.objects import Entry

TRIP = json.dumps({"data": [{"link": 1, "v": 50.0}] * 20}).encode()
KEYS = [f"t/{n:03}.json" for n in range(10)]
ONE_EACH = Options(split_bytes=1)


class Listing(Memory):
    """Lists the given keys, whatever they are; each holds a trip."""

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(dict.fromkeys(keys, TRIP))
        self.keys = keys

    def entries(self) -> Iterator[Entry]:
        known = {one.key: one for one in super().entries()}
        yield from (known[key] for key in self.keys)


def trips(keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(entry(key, len(TRIP), "") for key in keys)


def two_pages(first: Sequence[str], second: Sequence[str]) -> Callable[[str | None], Answer]:
    def listing(token: str | None) -> Answer:
        if token is None:
            return page(*trips(first), more="true", token="1")
        return page(*trips(second))

    return listing


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (KEYS[:5], KEYS[4:]),  # on both pages, as rustfs#2439 lists
        ([*KEYS[:5], KEYS[4]], KEYS[5:]),  # twice on one page
        (KEYS, KEYS[:1]),  # the first comes again at the end
        (KEYS[::-1], KEYS[3:4]),  # in no order
    ],
    ids=["pages", "page", "far", "unordered"],
)
def test_a_key_listed_twice_ends_the_run_and_is_told(
    first: list[str], second: list[str], tmp_path: Path
) -> None:
    with (
        strange(two_pages(first, second), lambda _: Answer(TRIP)) as server,
        pytest.raises(StoreError, match=r"lists t/\d\d\d.json twice"),
    ):
        run(Links(), server.store("t/"), folder=tmp_path / "out", engine=Local(1))
    assert len(server.read) == len(set(server.read)), "an object was read twice"


def test_the_run_goes_on_once_the_store_lists_rightly(tmp_path: Path) -> None:
    bad = [True]

    def listing(token: str | None) -> Answer:
        return two_pages(KEYS[:5], KEYS[4:] if bad[0] else KEYS[5:])(token)

    with strange(listing, lambda _: Answer(TRIP)) as server:
        for _ in range(2):  # resumed, the listing begins anew: it is refused again
            with pytest.raises(StoreError, match="twice"):
                run(Links(), server.store(), folder=tmp_path, engine=Local(1), options=ONE_EACH)
        assert progress_of(tmp_path).splits == 4  # the fifth key was not yet packed
        bad[0] = False
        result = run(Links(), server.store(), folder=tmp_path, engine=Local(1), options=ONE_EACH)
    assert result.receipt["objects"]["ok"] == 10
    assert result.rows["n"].tolist() == [200]


@pytest.mark.parametrize(
    "name", ["ssh", "dask", pytest.param("spark", marks=pytest.mark.xdist_group("spark"))]
)
def test_so_it_does_on_every_engine(name: str, request: pytest.FixtureRequest) -> None:
    engine: Engine
    if name == "dask":
        engine = Dask(request.getfixturevalue("dask_address"))
    elif name == "spark":
        engine = Spark(context=request.getfixturevalue("spark_context"))
    else:
        engine = Cluster({"a": 1}, Processes(), address="127.0.0.3")
    with pytest.raises(StoreError, match="lists b twice"):
        run(Links(), Listing(["a", "b", "c", "b", "d"]), engine=engine, options=ONE_EACH)


def same_for_ever(_: str | None) -> Answer:
    return page(*trips(KEYS[:5]), more="true", token="1")


def in_turns(token: str | None) -> Answer:
    return page(more="true", token="b" if token == "a" else "a")


def in_a_long_circle(token: str | None) -> Answer:
    return page(more="true", token=str((int(token or 0) + 1) % 300))


def ever_new_and_empty(token: str | None) -> Answer:
    return page(more="true", token=str(int(token or 0) + 1))


def no_token(_: str | None) -> Answer:
    return page(*trips(KEYS[:5]), more="true")


def no_token_and_empty(_: str | None) -> Answer:
    return page(more="true")


def unsaid_whether_last(_: str | None) -> Answer:
    return page(*trips(KEYS[:5]), more=None, token="1")


@pytest.mark.parametrize(
    ("listing", "told"),
    [
        (same_for_ever, "twice|cycle"),
        (in_turns, "cycle"),
        (in_a_long_circle, "cycle"),
        (ever_new_and_empty, "1,001 pages in a row held no object"),
        (no_token, "not how to continue"),
        (no_token_and_empty, "not how to continue"),
        (unsaid_whether_last, "does not say whether it is the last"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_listing_that_leads_nowhere_ends(
    listing: Callable[[str | None], Answer], told: str
) -> None:
    with strange(listing) as server, pytest.raises(StoreError, match=told):
        list(listed(server.store()))


def test_pages_without_objects_are_gone_over() -> None:
    def listing(token: str | None) -> Answer:
        number = int(token or 0)
        inside = trips([f"{number:04}"]) if number % 40 == 39 else ()
        return page(*inside, more="true" if number < 400 else "false", token=str(number + 1))

    with strange(listing) as server:
        assert len(list(listed(server.store()))) == 10


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        (
            entry("other/1.json"),
            r"lists other/1.json, which does not begin with the requested prefix t/",
        ),
        (entry(""), "without a key"),
        (entry("t/1", size=-5), "with a size of -5 bytes"),
        (entry("t/1", size=10**30), "with a size of 1000"),
        (entry("t/1", size="many"), "not that of an S3-compatible store"),
        (entry("t/1", size=None), "with a size of None bytes"),
        ("<CommonPrefixes><Prefix>t/a/</Prefix></CommonPrefixes>", "the folder t/a/ instead of"),
        ("<DeleteMarker><Key>t/1</Key></DeleteMarker>", "a deleted object"),
    ],
)
def test_what_cannot_be_an_object_of_the_source_is_the_store_s_fault(
    inside: str, told: str
) -> None:
    with (
        strange(lambda _: page(entry("t/0"), inside)) as server,
        pytest.raises(StoreError, match=told),
    ):
        list(listed(server.store("t/")))


def test_encoded_keys_and_lying_counts_are_read_as_meant() -> None:
    encoded = "<EncodingType>url</EncodingType><KeyCount>7</KeyCount>"
    with strange(lambda _: page(encoded, entry("t/a%2Bb%20c+d%25.json"))) as server:
        (found,) = listed(server.store("t/"))
    assert found.key == "t/a+b c d%.json"


def test_versions_of_one_key_are_a_key_listed_twice() -> None:
    def version(number: int) -> str:
        return (
            f"<Version><Key>k</Key><VersionId>{number}</VersionId><Size>2</Size>"
            f"<ETag>{number}</ETag></Version>"
        )

    with (
        strange(lambda _: page(version(1), version(2))) as server,
        pytest.raises(StoreError, match="lists k twice"),
    ):
        list(listed(server.store()))


HTML = {"Content-Type": "text/html"}
PAGE = b"<!DOCTYPE html>\n<html><head><title>MinIO\x1b[31m Console</title></head></html>"
XHTML = b'<?xml version="1.0"?>\n<!-- x --><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML">\n<html/>'


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(PAGE, headers=HTML), r'answered 200 with a web page, "MinIO \[31m Console"'),
        (Answer(PAGE), "web console uses another"),
        (Answer(XHTML), "a web page"),
        (Answer(PAGE, 403, HTML), "answered 403 with a web page"),
        (Answer(PAGE, 404, HTML), "answered 404 with a web page"),
        (Answer(b"", 200), "answered 200 with nothing"),
        (Answer(b"", 403, {}), "answered 403 with nothing"),
        (Answer(b'{"error":"no"}', 200), "with JSON"),
        (Answer(b'{"error":"no"}', 401, {"Content-Type": "application/json"}), "401 with JSON"),
        (Answer(b"<?xml version='1.0'?><feed xmlns='x'>\n</feed>"), "an XML document <feed>"),
        (Answer(b"\x89PNG\r\n"), "not an S3-compatible store"),
        (
            Answer(b"Client sent an HTTP request to an HTTPS server.\n", 400, {}),
            "begin .* https://",
        ),
        (Answer(b"<Error><Code>AccessDenied</Code><Message>x</Message></Error>"), "AccessDenied"),
        (
            Answer(
                b"<Error><Code>PermanentRedirect</Code><Message>x</Message></Error>",
                301,
                {"Content-Type": "application/xml", "x-amz-bucket-region": "eu-west-3"},
            ),
            r"set AWS_REGION or the endpoint \(it says eu-west-3\)",
        ),
        (
            Answer(b"<Error><Code>RequestTimeTooSkewed</Code><Message>x</Message></Error>", 403),
            "the clock of the machine that signs requests is wrong",
        ),
        (Answer(b"<ListBucketResult><Contents>", 200), "not an S3-compatible store"),
    ],
)
def test_what_answers_and_is_no_store_is_told(answer: Answer, told: str) -> None:
    with strange(lambda _: answer) as server, pytest.raises(StoreError, match=told) as caught:
        list(listed(server.store()))
    assert str(caught.value).isprintable()


def test_a_login_page_behind_a_redirect_is_told_with_its_host() -> None:
    with strange(lambda _: Answer(PAGE, headers=HTML)) as login:
        there = Answer(b"", 302, {"Location": f"{login.endpoint}/?list-type=2"})
        with strange(lambda _: there) as server:
            host = login.endpoint.removeprefix("http://")
            with pytest.raises(StoreError, match=f"{host} answered 200 with a web page"):
                list(listed(server.store()))


def test_a_redirect_to_itself_ends() -> None:
    with (
        strange(lambda _: Answer(b"", 302, {"Location": "/trips?list-type=2"})) as server,
        pytest.raises(StoreError, match="it redirects endlessly"),
    ):
        list(listed(server.store()))


HIDDEN = [
    "t/_temporary/0/part.json",
    "t/.ipynb_checkpoints/a.json",
    "t/a/_SUCCESS",
    "t/a/.b/c/d.json",
    "t/2019_$folder$",
    "t/folder/",
    "t/_",
]
SHOWN = ["t/a.json", "t/a/b_.json", "t/a_/b.json", "t/x.y/z", "t/2019$folder$"]


def test_what_is_hidden_below_the_prefix_is_ignored_and_counted() -> None:
    keys = sorted(HIDDEN + SHOWN)
    with strange(lambda _: page(*trips(keys)), lambda _: Answer(TRIP)) as server:
        result = run(Links(), server.store("t/"), engine=Local(1))
        assert [one.key for one in wanted(server.store("t/"))] == sorted(SHOWN)
    assert result.receipt["objects"]["ok"] == len(SHOWN)
    assert result.receipt["objects"]["ignored"] == len(HIDDEN)


@pytest.mark.parametrize(
    ("prefix", "keys", "shown"),
    [
        ("_raw/", ["_raw/a", "_raw/_b", "_raw/c/.d/e"], ["_raw/a"]),
        ("a/.x/_y/", ["a/.x/_y/z"], ["a/.x/_y/z"]),
        ("_ra", ["_raw/a", "_rau", "_raw/_b"], ["_rau", "_raw/a"]),
        ("a", ["a/_b", "a/c"], ["a/c"]),
        ("", ["_a/b", ".c", "d"], ["d"]),
        ("", ["a/../b", "./c"], ["./c", "a/../b"]),  # no names: refused where they are read
    ],
)
def test_what_was_typed_hides_nothing(prefix: str, keys: list[str], shown: list[str]) -> None:
    with strange(lambda _: page(*trips(sorted(keys)))) as server:
        assert [one.key for one in wanted(server.store(prefix))] == shown


@pytest.mark.parametrize("order", ["bytes", "path", "utf-16", "none"])
def test_keys_are_told_apart_in_any_order_in_bounded_memory(order: str) -> None:
    names = ["a", "a-", "a/", "é", "\ufffd", "\U0001f600"]
    keys = ["".join(parts) + f"{n:03}" for parts in itertools.product(names, repeat=3)
            for n in range(100)]  # fmt: skip
    by: dict[str, Any] = {
        "bytes": lambda key: key.encode(),
        "path": lambda key: key.replace("/", "\0"),
        "utf-16": lambda key: key.encode("utf-16-be"),
        "none": lambda key: random.Random(key).random(),
    }
    keys.sort(key=by[order])
    seen = InOrder()
    tracemalloc.start()
    try:
        assert all(seen.add(key) for key in keys)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 500_000
    for key in (keys[0], keys[1000], keys[-1]):
        assert not seen.add(key)
    seen.close()


def test_a_full_disk_of_temporary_files_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Seen._opened

    def small(self: Seen) -> Any:
        base = opened(self)
        base.execute("pragma max_page_count = 8")  # SQLite then says that the disk is full
        return base

    monkeypatch.setattr(Seen, "_opened", small)
    with contextlib.closing(Seen()) as seen, pytest.raises(MapReduceError, match="TMPDIR"):
        seen.take(range(10_000))
