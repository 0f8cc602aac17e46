"""Bytes altered on their way over plain HTTP: noticed where the store tells what they are."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import threading
import zlib
from typing import TYPE_CHECKING

import pytest

from mapreduce.attempts.prefetch import SMALL_BYTES
from mapreduce.cluster.engine import Cluster
from mapreduce.engines.local import Local
from mapreduce.errors import AlteredError, StoreError
from mapreduce.objects import Entry
from mapreduce.objects.reader import Reader
from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_settings import Keys, Settings, find_settings
from mapreduce.runs.driver import Options, run
from tests.cluster.launching import Processes
from tests.jobs.counting import Lines, Links, PlainRows
from tests.services.proxy import Proxy, proxied
from tests.services.stores import Answer, entry, page, strange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.services.seaweed import Seaweed

MANY = 1000
PART_BYTES = 5 << 20


def trip(number: int) -> bytes:
    return json.dumps({"data": [{"link": number % 50, "v": 11.5 + number % 7}] * 5}).encode()


TRIPS = {f"{n:04}.json": trip(n) for n in range(MANY)}


def swapped(body: bytes) -> bytes:
    """Make a five of the last digit one: as long, and as valid, as before."""
    at = body.rindex(b"11.5") if b"11.5" in body else max(body.rfind(b"."), 0)
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


class Once:
    """Alters what is asked for by each path once, or always."""

    def __init__(self, *, always: bool = False) -> None:
        self.seen: set[str] = set()
        self.altered = 0
        self._always = always
        self._lock = threading.Lock()

    def __call__(self, path: str, body: bytes) -> bytes:
        path = path.partition("?")[0]
        if path.count("/") < 2 or not body:  # a page of the listing
            return body
        with self._lock:
            if path in self.seen and not self._always:
                return body
            self.seen.add(path)
            self.altered += 1
        return swapped(body)


@pytest.fixture
def proxy(seaweed: Seaweed) -> Iterator[Proxy]:
    with proxied(seaweed.endpoint.removeprefix("http://")) as running:
        yield running


@pytest.fixture(scope="module")
def trips(seaweed: Seaweed) -> str:
    bucket = seaweed.bucket()
    seaweed.put(bucket, TRIPS)
    return bucket


def through(
    proxy: Proxy, seaweed: Seaweed, bucket: str, *, checked: bool = True, prefix: str = ""
) -> S3:
    keys = Keys(seaweed.access, seaweed.secret)
    return S3(bucket, prefix, Settings(proxy.endpoint, keys=keys, checked=checked))


def test_each_of_a_thousand_altered_objects_is_noticed(
    seaweed: Seaweed, proxy: Proxy, trips: str
) -> None:
    sound = run(Links(), through(proxy, seaweed, trips), engine=Local(1))
    assert sound.receipt["objects"]["unchecked"] == 0
    proxy.alter = once = Once()
    got = run(Links(), through(proxy, seaweed, trips), engine=Local(2))
    assert once.altered == MANY
    assert got.digest == sound.digest
    assert got.receipt["objects"] == sound.receipt["objects"]
    # What unnoticed bytes would do, were they not looked at:
    proxy.alter = Once()
    unseen = run(Links(), through(proxy, seaweed, trips, checked=False), engine=Local(1))
    assert unseen.digest != sound.digest
    assert unseen.receipt["objects"]["unchecked"] == MANY


def test_what_comes_altered_again_and_again_is_the_ways_fault(
    seaweed: Seaweed, proxy: Proxy, trips: str, tmp_path: Path
) -> None:
    sound = run(Links(), through(proxy, seaweed, trips, prefix="00"), engine=Local(1))
    proxy.alter = Once(always=True)
    with pytest.raises(StoreError, match=r"differs from what it stores: its MD5 differs, 4 times"):
        run(Links(), through(proxy, seaweed, trips, prefix="00"), engine=Local(1), folder=tmp_path)
    proxy.alter = lambda _, body: body
    got = run(
        Links(), through(proxy, seaweed, trips, prefix="00"), engine=Local(1), folder=tmp_path
    )
    assert got.digest == sound.digest
    assert got.receipt["objects"]["quarantined"] == 0


def test_on_hosts_too(seaweed: Seaweed, proxy: Proxy, trips: str) -> None:
    sound = run(Links(), through(proxy, seaweed, trips, prefix="00"), engine=Local(1))
    proxy.alter = Once()
    engine = Cluster({"a": 1, "b": 1}, Processes(), address="127.0.0.3")
    got = run(Links(), through(proxy, seaweed, trips, prefix="00"), engine=engine)
    assert got.digest == sound.digest
    assert got.receipt["objects"] == sound.receipt["objects"]


LINES = b"".join(b"%d\n" % (n % 97) for n in range(400_000))
PACKED = gzip.compress(LINES, compresslevel=0, mtime=0)  # stored: long enough to be streamed


@pytest.mark.parametrize("key", ["lines.txt", "lines.txt.gz"])
def test_what_is_streamed_is_read_again_as_a_whole(
    seaweed: Seaweed, proxy: Proxy, key: str
) -> None:
    bucket = seaweed.bucket()
    seaweed.put(bucket, {key: PACKED if key.endswith(".gz") else LINES})
    sound = run(Lines(), through(proxy, seaweed, bucket), engine=Local(1))

    def spoilt(path: str, body: bytes) -> bytes:
        if key not in path:
            return body
        first, middle, rest = body[:200_000], body[200_000:400_000], body[400_000:]
        return first + bytes(byte ^ 1 for byte in middle) + rest  # breaks gzip there and then

    times = [2]

    def twice(path: str, body: bytes) -> bytes:
        if key in path and "partNumber" not in path and times[0]:
            times[0] -= 1
            return spoilt(path, body)
        return body

    proxy.alter = twice
    got = run(Lines(), through(proxy, seaweed, bucket), engine=Local(1))
    assert not times[0]
    assert got.digest == sound.digest
    assert got.receipt["objects"]["unchecked"] == 0
    proxy.alter = spoilt
    with pytest.raises(
        StoreError, match="differs from what it stores"
    ):  # and no object is called damaged
        run(Lines(), through(proxy, seaweed, bucket), engine=Local(1))


def test_ranges_of_a_divided_object_are_counted_as_one_unchecked(
    seaweed: Seaweed, proxy: Proxy
) -> None:
    bucket = seaweed.bucket()
    seaweed.put(bucket, {"a.txt": LINES, "b.txt": LINES[:100]})
    got = run(
        Lines(),
        through(proxy, seaweed, bucket),
        engine=Local(1),
        options=Options(split_bytes=1 << 17),
    )
    assert got.receipt["objects"]["ok"] == 2
    assert got.receipt["objects"]["unchecked"] == 1


def test_an_object_stored_in_parts_is_checked_by_them(seaweed: Seaweed, proxy: Proxy) -> None:
    bucket = seaweed.bucket()
    content = bytes(range(256)) * 45_000
    seaweed.client.put_object(
        bucket, "big", io.BytesIO(content), len(content), part_size=PART_BYTES
    )
    store = through(proxy, seaweed, bucket)
    (listed,) = store.entries()
    assert listed.etag.endswith("-3")
    with Reader() as reader:
        with reader.open(listed, store.locate(listed)) as body:
            assert body.read() == content
            assert not body.unchecked
        proxy.alter = once = Once()
        with reader.open(listed, store.locate(listed)) as body:
            assert body.read() == content
        assert once.altered
        proxy.alter = Once(always=True)
        with reader.open(listed, store.locate(listed)) as body, pytest.raises(AlteredError):
            body.read()
        proxy.alter = Once(always=True)
        with reader.open(listed, store.locate(listed)) as body, pytest.raises(AlteredError):
            for _ in iter(lambda: body.read(100_000), b""):
                pass


def test_a_checksum_of_the_store_s_own_is_asked_for(seaweed: Seaweed, proxy: Proxy) -> None:
    bucket = seaweed.bucket()
    seaweed.put(bucket, {"k": trip(1)})
    store = through(proxy, seaweed, bucket)
    (listed,) = store.entries()
    assert "x-amz-checksum-mode=ENABLED" in str(store.locate(listed).url)
    secure = S3(bucket, settings=Settings("https://h:1", keys=Keys("a", "b")))
    assert "checksum-mode" not in str(secure.locate(listed).url)


def test_another_node_is_asked_where_there_is_one(seaweed: Seaweed, trips: str) -> None:
    behind = seaweed.endpoint.removeprefix("http://")
    with proxied(behind) as bad, proxied(behind) as good, Reader() as reader:
        bad.alter = Once(always=True)
        keys = Keys(seaweed.access, seaweed.secret)
        both = (bad.endpoint, good.endpoint)
        store = S3(trips, settings=Settings(good.endpoint, keys=keys), endpoints=both)
        listed = Entry("0001.json", len(trip(1)), hashlib.md5(trip(1)).hexdigest())
        with reader.open(listed, store.locate_at(listed, both)) as body:
            assert body.read() == trip(1)
        assert len([a for a in bad.asked if "0001" in a.path]) == 1


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


CONTENT = trip(3)
CRC = zlib.crc32(CONTENT).to_bytes(4, "big")
MD5 = hashlib.md5(CONTENT).digest()
OF_ONE_PART = hashlib.md5(MD5).hexdigest() + "-1"


@pytest.mark.parametrize(
    ("etag", "headers", "is_checked"),
    [
        (MD5.hex(), {}, True),
        (MD5.hex(), {"x-amz-server-side-encryption": "AES256"}, True),
        (MD5.hex(), {"x-amz-server-side-encryption": "aws:kms"}, False),
        (MD5.hex(), {"x-amz-server-side-encryption-customer-algorithm": "AES256"}, False),
        (MD5.hex(), {"x-amz-storage-class": "EXPRESS_ONEZONE"}, False),
        (OF_ONE_PART, {}, True),
        (MD5.hex() + "-2", {}, False),  # and the server tells no size of parts
        ("opaque", {}, False),
        ("", {}, False),
        ("opaque", {"x-amz-checksum-crc32": b64(CRC)}, True),
        ("opaque", {"x-amz-checksum-sha1": b64(hashlib.sha1(CONTENT).digest())}, True),
        ("opaque", {"x-amz-checksum-sha256": b64(hashlib.sha256(CONTENT).digest())}, True),
        ("x-1", {"x-amz-checksum-crc32": b64(zlib.crc32(CRC).to_bytes(4, "big")) + "-1"}, True),
        ("opaque", {"x-amz-checksum-crc32": b64(CRC) + "-7"}, False),
    ],
)
def test_what_can_be_checked_is_and_the_rest_is_counted(
    etag: str, headers: Mapping[str, str], *, is_checked: bool
) -> None:
    answers = [CONTENT]

    def objects(_: str) -> Answer:
        return Answer(answers[0], headers={"ETag": f'"{etag}"', **headers})

    with strange(lambda _: page(entry("k", len(CONTENT), etag)), objects) as server:
        got = run(Links(), server.store(), engine=Local(1))
        assert got.receipt["objects"]["ok"] == 1
        assert got.receipt["objects"]["unchecked"] == (not is_checked)
        answers[0] = swapped(CONTENT)
        if is_checked:
            with pytest.raises(StoreError, match="differs from what it stores"):
                run(Links(), server.store(), engine=Local(1))
        else:
            altered = run(Links(), server.store(), engine=Local(1))
            assert altered.receipt["objects"]["unchecked"] == 1


def test_folders_and_empty_objects_are_not_called_unchecked(
    seaweed: Seaweed, proxy: Proxy, tmp_path: Path
) -> None:
    (tmp_path / "x.json").write_bytes(CONTENT)
    assert run(Links(), tmp_path, engine=Local(1)).receipt["objects"]["unchecked"] == 0
    bucket = seaweed.bucket()
    seaweed.put(bucket, {"a": b"", "b": CONTENT})
    receipt = run(Links(), through(proxy, seaweed, bucket), engine=Local(1)).receipt
    assert receipt["objects"]["unchecked"] == 0
    assert receipt["objects"]["quarantined"] == 1


@pytest.mark.parametrize(("told", "checked"), [("when_required", False), ("WHEN_SUPPORTED", True)])
def test_checking_is_set_where_s3_tools_look(told: str, *, checked: bool, tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "AWS_RESPONSE_CHECKSUM_VALIDATION": told}
    assert find_settings(environ=environ).checked is checked
    (tmp_path / ".aws").mkdir()
    config = f"[default]\nresponse_checksum_validation = {told}\n"
    (tmp_path / ".aws/config").write_text(config)
    assert find_settings(environ={"HOME": str(tmp_path)}).checked is checked


@pytest.mark.parametrize("lines", [3, 60_000])
@pytest.mark.parametrize("is_checked", [True, False])
def test_what_is_streamed_is_checked_and_counted_too(lines: int, *, is_checked: bool) -> None:
    content = b'{"id":1, "text": "x"}\n' * lines
    assert (len(content) > SMALL_BYTES) == (lines > 3)  # the others are fetched ahead
    etag = hashlib.md5(content).hexdigest() if is_checked else "opaque"

    def objects(_: str) -> Answer:
        return Answer(content, headers={"ETag": f'"{etag}"'})

    with strange(lambda _: page(entry("k", len(content), etag)), objects) as server:
        got = run(PlainRows(), server.store(), engine=Local(1))
    assert got.ledger.kept == lines
    assert got.receipt["objects"]["unchecked"] == (not is_checked)


@pytest.mark.parametrize("lines", [3, 60_000])
def test_what_is_streamed_is_quarantined_where_it_changed(lines: int) -> None:
    content = b'{"id":1, "text": "x"}\n' * lines

    def objects(asked: str) -> Answer:
        return Answer(content, headers={"ETag": '"new"' if asked.endswith("b") else '"old"'})

    listed = "".join(entry(key, len(content), "old") for key in "ab")
    with strange(lambda _: page(listed), objects) as server:
        got = run(PlainRows(), server.store(), engine=Local(1))
    assert got.ledger.kept == lines
    assert [(q.key, q.reason) for q in got.ledger.quarantined] == [("b", "changed")]
