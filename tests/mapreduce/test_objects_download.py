"""Reading over HTTP when the way is bad: a real store behind a proxy that spoils answers."""

from __future__ import annotations

import gzip
import os
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mapreduce.errors import ExpiredError, MapReduceError, ObjectError, StoreError
from mapreduce.objects import Entry, Location
from mapreduce.objects.patience import Patience, RetryPolicy
from mapreduce.objects.reader import Reader
from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_settings import Keys, Settings
from mapreduce.objects.unpacked import read_all, unpacked
from tests.services.proxy import Fault, Proxy, proxied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.seaweed import Seaweed

CONTENT = os.urandom(300_000)
QUICK = RetryPolicy(first_s=0.01, longest_s=0.05, deadline_s=60.0)
HASTY = RetryPolicy(first_s=0.01, longest_s=0.05, deadline_s=0.6)  # where it will not be answered


@pytest.fixture(scope="module")
def bucket(seaweed: Seaweed) -> str:
    name = seaweed.bucket()
    seaweed.put(name, {"k": CONTENT, "empty": b""})
    return name


@pytest.fixture
def proxy(seaweed: Seaweed) -> Iterator[Proxy]:
    with proxied(seaweed.endpoint.removeprefix("http://")) as running:
        yield running


@pytest.fixture
def found(seaweed: Seaweed, bucket: str, proxy: Proxy) -> tuple[Entry, Location]:
    """The object, to be read through the proxy."""
    keys = Keys(seaweed.access, seaweed.secret)
    through = S3(bucket, settings=Settings(proxy.endpoint, keys=keys))
    entry = next(e for e in through.entries() if e.key == "k")
    proxy.asked.clear()
    return entry, through.locate(entry)


@pytest.fixture
def reader() -> Iterator[Reader]:
    with Reader(Patience(retry=QUICK, seed=1)) as running:
        yield running


@pytest.fixture
def hasty() -> Iterator[Reader]:
    with Reader(Patience(retry=HASTY, seed=1)) as running:
        yield running


def test_every_request_names_the_version(
    reader: Reader, proxy: Proxy, found: tuple[Entry, Location]
) -> None:
    with reader.open(*found) as body:
        assert body.read() == CONTENT
    assert [asked.headers["If-Match"] for asked in proxy.asked] == [f'"{found[0].etag}"']


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut_at=0),
        Fault(cut_at=150_001),
        Fault(cut_at=150_001, reset=True),
        Fault(cut_at=299_999),
        Fault(claim=1000),
        Fault(claim=1000, cut_at=500),
        Fault(drop=True),
    ],
    ids=str,
)
@pytest.mark.parametrize("n", [-1, 70_000])
def test_a_short_body_is_noticed_and_gone_on_with(
    reader: Reader, proxy: Proxy, found: tuple[Entry, Location], fault: Fault, n: int
) -> None:
    proxy.lay(fault, Fault(status=500), fault)
    with reader.open(*found) as body:
        assert b"".join(iter(lambda: body.read(n), b"")) == CONTENT
    assert len(proxy.asked) >= 3
    assert all(asked.headers["If-Match"] for asked in proxy.asked)


def test_a_cut_body_is_asked_for_from_where_it_stopped(
    reader: Reader, proxy: Proxy, found: tuple[Entry, Location]
) -> None:
    proxy.lay(Fault(cut_at=200_000))
    with reader.open(*found) as body:
        assert body.read() == CONTENT
    assert proxy.asked[1].headers["Range"] == "bytes=200000-299999"


def test_a_server_without_ranges_is_read_over(
    reader: Reader, proxy: Proxy, found: tuple[Entry, Location]
) -> None:
    proxy.lay(Fault(cut_at=200_000), Fault(whole=True))
    with reader.open(*found) as body:
        assert body.read() == CONTENT
    proxy.lay(Fault(whole=True))
    with reader.open(*found, 1000, 2000) as body:
        assert body.read() == CONTENT[1000:2000]


def test_a_range_is_read_as_one_and_gone_on_with_too(
    reader: Reader, proxy: Proxy, found: tuple[Entry, Location]
) -> None:
    proxy.lay(Fault(cut_at=10))
    with reader.open(*found, 1000, 2000) as body:
        assert body.read() == CONTENT[1000:2000]
    ranges = [asked.headers["Range"] for asked in proxy.asked]
    assert ranges == ["bytes=1000-1999", "bytes=1010-1999"]
    with reader.open(*found, 300_000, 400_000) as body:
        assert body.read() == b""
    assert len(proxy.asked) == 2


def test_another_range_than_asked_for_is_refused(
    reader: Reader, proxy: Proxy, found: tuple[Entry, Location]
) -> None:
    proxy.lay(Fault(headers={"Content-Range": "bytes 0-999/300000"}))
    with pytest.raises(StoreError, match="a different range"):
        reader.open(*found, 1000, 2000)
    proxy.lay(Fault(headers={"Content-Range": "bytes 1000-1999/200000"}))
    with pytest.raises(ObjectError, match="changed"):
        reader.open(*found, 1000, 2000)


def test_another_etag_is_a_change_even_where_if_match_is_not_known(
    reader: Reader, proxy: Proxy, found: tuple[Entry, Location]
) -> None:
    proxy.lay(Fault(headers={"ETag": '"other"'}))
    with pytest.raises(ObjectError, match="changed"):
        reader.open(*found)
    proxy.lay(Fault(headers={"ETag": f'W/"{found[0].etag}"'}))
    with reader.open(*found) as body:
        assert body.read() == CONTENT


def test_more_bytes_than_were_listed_are_a_change(
    reader: Reader, proxy: Proxy, found: tuple[Entry, Location]
) -> None:
    shorter = Entry(found[0].key, 1000, found[0].etag)
    with pytest.raises(ObjectError, match="1000 bytes were listed, 300000 were received"):
        reader.open(shorter, found[1])
    proxy.lay(Fault(chunked=b"more"))
    with reader.open(*found) as body, pytest.raises(ObjectError, match="changed"):
        body.read()
    proxy.lay(Fault(chunked=b""))
    with reader.open(*found) as body:
        assert body.read() == CONTENT


def test_fewer_bytes_than_were_listed_are_a_change(
    reader: Reader, found: tuple[Entry, Location]
) -> None:
    longer = Entry(found[0].key, 300_001, found[0].etag)
    with reader.open(longer, found[1]) as body, pytest.raises(ObjectError) as caught:
        body.read()
    assert caught.value.reason == "changed"


def test_a_version_replaced_between_two_halves_is_never_mixed(
    seaweed: Seaweed, bucket: str, reader: Reader, proxy: Proxy
) -> None:
    seaweed.put(bucket, {"two": bytes(100_000)})
    keys = Keys(seaweed.access, seaweed.secret)
    store = S3(bucket, settings=Settings(proxy.endpoint, keys=keys))
    entry = next(e for e in store.entries() if e.key == "two")
    proxy.lay(Fault(cut_at=50_000))
    with reader.open(entry, store.locate(entry)) as body:
        assert body.read(50_000) == bytes(50_000)
        seaweed.put(bucket, {"two": b"1" * 100_000})
        with pytest.raises(ObjectError) as caught:
            body.read()
    assert caught.value.reason == "changed"


def test_an_empty_object_is_asked_for_and_empty(
    seaweed: Seaweed, bucket: str, reader: Reader
) -> None:
    store = S3(
        bucket, settings=Settings(seaweed.endpoint, keys=Keys(seaweed.access, seaweed.secret))
    )
    entry = next(e for e in store.entries() if e.key == "empty")
    with reader.open(entry, store.locate(entry)) as body:
        assert body.read() == b""
    with pytest.raises(ObjectError):
        reader.open(Entry("empty", 0, "other"), store.locate(entry))


def test_a_busy_store_is_asked_again_when_it_said(
    reader: Reader, proxy: Proxy, found: tuple[Entry, Location]
) -> None:
    busy = Fault(status=503, headers={"Retry-After": "1"}, body=b"<Code>SlowDown</Code>")
    proxy.lay(busy)
    started_s = time.monotonic()
    with reader.open(*found) as body:
        assert body.read() == CONTENT
    assert time.monotonic() - started_s >= 0.99
    proxy.lay(Fault(status=503), Fault(status=429), Fault(status=500), Fault(status=502))
    with reader.open(*found) as body:
        assert body.read() == CONTENT


def test_a_retry_after_beyond_the_deadline_is_cut_to_it(
    hasty: Reader, proxy: Proxy, found: tuple[Entry, Location]
) -> None:
    proxy.lay(*[Fault(status=503, headers={"Retry-After": "3600"})] * 5)
    with pytest.raises(StoreError, match="answered 503"):  # not after an hour
        hasty.open(*found)
    assert len(proxy.asked) == 2


def test_a_store_that_stays_busy_is_given_up_and_no_object_is_blamed(
    hasty: Reader, proxy: Proxy, found: tuple[Entry, Location]
) -> None:
    proxy.lay(*[Fault(status=500)] * 500)
    with pytest.raises(StoreError, match=r"this was retried for 0\.6 s"):
        hasty.open(*found)
    assert len(proxy.asked) >= 2  # how many more fit in is the machine's affair


def test_a_store_that_is_gone_is_given_up(hasty: Reader, found: tuple[Entry, Location]) -> None:
    with proxied("127.0.0.1:1") as gone:
        url = f"{gone.endpoint}/trips/k"
    with pytest.raises(StoreError, match="no answer"):
        hasty.open(found[0], Location(url=url))


def test_a_store_that_is_restarted_is_waited_for(
    seaweed: Seaweed, proxy: Proxy, found: tuple[Entry, Location]
) -> None:
    assert seaweed.endpoint
    with Reader(Patience(retry=RetryPolicy(first_s=0.01, longest_s=0.05, deadline_s=20))) as reader:
        with reader.open(*found) as body:
            body.read()
        proxy.hang_up()  # the kept connection is dead now
        with reader.open(*found) as body:
            assert body.read(1) == CONTENT[:1]
            proxy.hang_up()
            assert body.read() == CONTENT[1:]


def test_a_silent_server_is_asked_again(proxy: Proxy, found: tuple[Entry, Location]) -> None:
    hold = threading.Event()
    proxy.lay(Fault(hold=hold))
    with Reader(Patience(retry=QUICK, read_s=1.0)) as reader, reader.open(*found) as body:
        assert body.read() == CONTENT
    hold.set()
    assert len(proxy.asked) >= 2


def test_stopping_ends_a_long_pause(proxy: Proxy, found: tuple[Entry, Location]) -> None:
    proxy.lay(Fault(status=503, headers={"Retry-After": "100"}))
    with (
        Reader(Patience(retry=RetryPolicy(deadline_s=100))) as reader,
        ThreadPoolExecutor(1) as pool,
    ):
        opening = pool.submit(reader.open, *found)
        while proxy.faults:  # until the refusal is on its way
            assert not opening.done()
        reader.stop()
        with pytest.raises(StoreError, match="stopped"):
            opening.result(10)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=403, body=b"<Code>AccessDenied</Code><Message>Request has expired</Message>"),
        Fault(status=403, body=b"<Code>SignatureDoesNotMatch</Code>"),
        Fault(status=412),
        Fault(status=404),
        Fault(status=418),
        Fault(drop=True),
        Fault(headers={"ETag": "other"}),
    ],
    ids=str,
)
def test_no_error_shows_a_signature(
    proxy: Proxy, found: tuple[Entry, Location], fault: Fault
) -> None:
    url = str(found[1].url)
    signature = url.partition("X-Amz-Signature=")[2]
    assert len(signature) == 64
    proxy.lay(*[fault] * 50)
    with (
        Reader(Patience(retry=RetryPolicy(deadline_s=0.05))) as reader,
        pytest.raises(MapReduceError) as caught,
    ):
        reader.open(*found)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert signature not in shown
    assert "X-Amz" not in shown


def test_an_expired_url_is_an_error_of_its_own(
    reader: Reader, proxy: Proxy, found: tuple[Entry, Location]
) -> None:
    proxy.lay(Fault(status=400, body=b"<Code>ExpiredToken</Code>"))
    with pytest.raises(ExpiredError, match="sign again"):
        reader.open(*found)


def test_gzip_cut_on_its_way_is_gone_on_with_and_right(
    seaweed: Seaweed, bucket: str, reader: Reader, proxy: Proxy
) -> None:
    text = b'{"data": [1, 2, 3]}\n' * 50_000
    seaweed.put(bucket, {"z.gz": gzip.compress(text) + gzip.compress(text)})
    keys = Keys(seaweed.access, seaweed.secret)
    store = S3(bucket, settings=Settings(proxy.endpoint, keys=keys))
    entry = next(e for e in store.entries() if e.key == "z.gz")
    proxy.lay(Fault(cut_at=1), Fault(cut_at=1), Fault(cut_at=1000))
    with reader.open(entry, store.locate(entry)) as body:
        assert read_all(body, entry.key, 1 << 22) == text * 2
    proxy.lay(Fault(cut_at=1), Fault(cut_at=1), Fault(cut_at=1000))
    with unpacked(reader.open(entry, store.locate(entry)), entry.key) as stream:
        assert b"".join(iter(lambda: stream.read(4096), b"")) == text * 2


def sockets() -> int:
    """How many sockets this process has open."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            count += str(link.readlink()).startswith("socket:")
        except FileNotFoundError:  # the handle of this very listing
            continue
    return count


def waiting(port: int) -> int:
    """How many ports of this machine are bound to connections with `port`, closing ones too."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[2].endswith(f":{port:04X}") for line in lines)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="counts ports as Linux shows them")
def test_three_thousand_reads_use_up_no_sockets_and_no_ports(seaweed: Seaweed) -> None:
    bucket = seaweed.bucket()
    seaweed.put(bucket, {f"{n:02}": b"x" * 2000 for n in range(50)})
    store = S3(
        bucket, settings=Settings(seaweed.endpoint, keys=Keys(seaweed.access, seaweed.secret))
    )
    places = [(entry, store.locate(entry)) for entry in store.entries()]
    port = int(seaweed.endpoint.rpartition(":")[2])
    before = (sockets(), waiting(port))

    with Reader(Patience(connections=4)) as one, ThreadPoolExecutor(4) as pool:

        def read(number: int) -> int:
            with one.open(*places[number % 50]) as body:
                return len(body.read())

        assert set(pool.map(read, range(3000))) == {2000}
        assert sockets() <= before[0] + 4
        assert waiting(port) <= before[1] + 4
    assert sockets() <= before[0]


def test_bodies_left_early_give_their_sockets_back(
    seaweed: Seaweed, bucket: str, reader: Reader
) -> None:
    # Without the proxy, whose own sockets would be counted too.
    keys = Keys(seaweed.access, seaweed.secret)
    store = S3(bucket, settings=Settings(seaweed.endpoint, keys=keys))
    entry = next(e for e in store.entries() if e.key == "k")
    before = sockets()
    left = []
    for _ in range(50):
        body = reader.open(entry, store.locate(entry))
        body.read(10)
        body.close()
        left.append(body)  # kept, so that closing is what helps and not the garbage collector
    assert sockets() <= before + 1
