"""Bad input of every kind among good: accounted for, nothing swells, the sums unchanged."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mapreduce.errors import StoreError
from mapreduce.limits import Limits
from mapreduce.objects.directory import Directory
from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_settings import Keys, Settings
from mapreduce.runs.driver import Options, run
from tests.jobs.counting import Links, PlainRows
from tests.mapreduce.bad.records import ODD, OF_ONE
from tests.services.proxy import Fault, proxied

if TYPE_CHECKING:
    from collections.abc import Callable

    import mapreduce as mr
    from mapreduce.objects import Entry, Location
    from tests.services.seaweed import Seaweed

SUITE = Path(__file__).parents[2] / "../shared/data/jsontestsuite/test_parsing"
CAP = 8 << 20
OPTIONS = Options(limits=Limits(object_cap_bytes=CAP))


def trip(*links: object) -> bytes:
    return json.dumps({"data": [{"link": link, "v": 50.0} for link in links]}).encode()


GOOD = {
    "000 good": trip(1, "2", 3),
    "333 good": b"\xef\xbb\xbf" + trip(1, 1),
    "555 good.gz": gzip.compress(trip(2, 4)),
    "777 packed without a name for it": gzip.compress(trip(2, 5)),
    "zzz good \u00e9": trip(6),
}


def _bomb() -> bytes:
    """256 MiB of spaces before a trip, in a quarter of a megabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    blank = b" " * (1 << 20)
    return b"".join(packer.compress(blank) for _ in range(256)) + packer.flush()


# What an object holds -> why it is quarantined.
BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "empty"),
    "white space": (b" \r\n\t ", "empty"),
    "a mark alone": (b"\xef\xbb\xbf", "empty"),
    "nothing packed.gz": (gzip.compress(b""), "empty"),
    "cut in the list": (trip(1, 2)[:-20], "not_json"),
    "cut in a text": (b'{"data":[{"link":"1', "not_json"),
    "cut before the end": (trip(1)[:-1], "not_json"),
    "half a letter": (b'{"data":[],"x":"\xc3', "not_json"),
    "rubbish behind": (trip(1) + b"}", "not_json"),
    "two documents": (trip(1) + trip(2), "not_json"),
    "two marks": (b"\xef\xbb\xbf" * 2 + trip(1), "not_json"),
    "html": (b"<html>503</html>", "not_json"),
    "xml error": (b'<?xml version="1.0"?><Error/>', "not_json"),
    "csv": (b"link,v\n1,2\n", "not_json"),
    "python": (b"{'data': []}", "not_json"),
    "comment": (b'{"data":[]/* none */}', "not_json"),
    "comma too many": (b'{"data":[{"link":1,"v":1},]}', "not_json"),
    "NaN beside": (b'{"data":[],"mean":NaN}', "not_json"),
    "number with a zero": (b'{"data":[],"x":01}', "not_json"),
    "zeros": (bytes(1000), "bad_encoding"),
    "noise": (bytes(range(128, 256)) * 50, "not_json"),
    "quotes without end": (b'{"data":["' + b'\\"' * 500_000, "not_json"),
    "utf-16": (trip(1).decode().encode("utf-16"), "bad_encoding"),
    "utf-16-le": (trip(1).decode().encode("utf-16-le"), "bad_encoding"),
    "utf-32": (trip(1).decode().encode("utf-32"), "bad_encoding"),
    "latin-1 beside": (b'{"data":[],"name":"S\xe3o"}', "bad_encoding"),
    "null": (b"null", "wrong_shape"),
    "number": (b"5", "wrong_shape"),
    "list": (b"[" + OF_ONE + b"]", "wrong_shape"),
    "no list": (b'{"date":[]}', "wrong_shape"),
    "null list": (b'{"data":null}', "wrong_shape"),
    "object for a list": (b'{"data":{"0":1}}', "wrong_shape"),
    "text for a list": (b'{"data":"[]"}', "wrong_shape"),
    "list, then not": (b'{"data":[' + OF_ONE + b'],"data":0}', "wrong_shape"),
    "deep": (b'{"data":[{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}", "too_deep"),
    "deep and cut": (b"[" * 100_000, "too_deep"),
    "deep objects": (b'{"data":' * 100_000, "too_deep"),
    "deep for no use": (b'{"data":[],"x":' + b"[" * 200 + b"]" * 200 + b"}", "too_deep"),
    "large": (b" " * CAP + trip(1), "too_large"),
    "bomb.gz": (_bomb(), "too_large"),
    "bomb without a name": (_bomb(), "too_large"),
    "bomb in a bomb.gz": (gzip.compress(_bomb()), "unreadable"),
    "named gz.gz": (trip(1), "unreadable"),
    "cut.gz": (gzip.compress(os.urandom(1) * 9 + trip(1))[:-9], "unreadable"),
    "broken.gz": (
        gzip.compress(trip(1))[:12] + b"\0\0\0" + gzip.compress(trip(1))[15:],
        "unreadable",
    ),
    "wrong sum.gz": (gzip.compress(trip(1))[:-8] + bytes(8), "unreadable"),
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> mr.Result:
    """What the good objects give by themselves."""
    return run(Links(), _folder(tmp_path_factory.mktemp("good"), GOOD), workers=1, options=OPTIONS)


def _folder(folder: Path, objects: dict[str, bytes]) -> Path:
    for name, body in objects.items():
        (folder / name).write_bytes(body)
    return folder


def _reasons(result: mr.Result) -> dict[str, str]:
    return {q.key: q.reason for q in result.ledger.quarantined}


def test_bad_objects_are_each_accounted_for_and_change_nothing(
    alone: mr.Result, tmp_path: Path
) -> None:
    _folder(tmp_path, GOOD | {name: body for name, (body, _) in BAD.items()})
    (tmp_path / "_SUCCESS").write_bytes(b"")
    (tmp_path / "broken link").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    got = run(Links(), tmp_path, workers=2, options=OPTIONS)
    expected = {name: reason for name, (_, reason) in BAD.items()}
    expected |= {"broken link": "gone", "pipe": "unreadable"}
    assert _reasons(got) == expected
    assert got.digest == alone.digest
    assert got.receipt["objects"]["ok"] == len(GOOD)
    assert got.receipt["objects"]["listed"] == len(GOOD) + len(expected) + 1
    assert got.receipt["records"] == alone.receipt["records"]
    assert got.receipt["work"]["worker_peak_bytes"] < 200 << 20
    assert all(q.place for q in got.ledger.quarantined)


@pytest.mark.skipif(not SUITE.is_dir(), reason="JSONTestSuite is not beside this checkout")
def test_jsontestsuite_among_good_objects_changes_nothing(alone: mr.Result, tmp_path: Path) -> None:
    cases = {path.name: path.read_bytes() for path in SUITE.glob("*.json")}
    inside = {f"in {name}": b'{"data":[' + body + b"]}" for name, body in cases.items()}
    got = run(Links(), _folder(tmp_path, GOOD | cases | inside), workers=2, options=OPTIONS)
    reasons = _reasons(got)
    assert got.digest == alone.digest
    assert len(cases) > 300
    for name in cases:
        if name.startswith("n_"):
            assert reasons[name] in {"not_json", "too_deep", "bad_encoding", "empty"}
        elif name.startswith("y_"):
            assert reasons[name] == "wrong_shape"
            assert f"in {name}" not in reasons  # a document whose one record is none
    objects = got.receipt["objects"]
    assert objects["ok"] + objects["quarantined"] == len(GOOD) + 2 * len(cases)


def test_odd_records_cost_themselves_alone(tmp_path: Path) -> None:
    raws = list(ODD)
    document = b'{"data":[' + b",".join(OF_ONE + b"," + raw for raw in raws) + b"]}"
    got = run(Links(), _folder(tmp_path, {"odd": document}), workers=1, options=OPTIONS)
    expected: dict[str, int] = {}
    for reason in ODD.values():
        if reason is not None:
            expected[reason] = expected.get(reason, 0) + 1
    assert got.receipt["records"]["dropped"] == dict(sorted(expected.items()))
    assert got.receipt["records"]["read"] == 2 * len(raws)
    where = {(s.reason, s.row) for s in got.ledger.samples}
    assert where == {(r, 2 * n + 1) for n, r in enumerate(ODD.values()) if r is not None}
    links = dict(zip(got.rows["link"].tolist(), got.rows["n"].tolist(), strict=True))
    assert links == {0: 2, 1: len(raws) + 2, 2**63 - 1: 1}


class Meddled(Directory):
    """A folder in which something happens to an object just before it is read."""

    def __init__(self, path: Path, deeds: dict[str, Callable[[Path], Any]]) -> None:
        super().__init__(path)
        self.deeds = deeds

    def locate(self, entry: Entry) -> Location:
        if deed := self.deeds.pop(entry.key, None):
            deed(self.path / entry.key)
        return super().locate(entry)


def _rewrite(body: bytes) -> Callable[[Path], Any]:
    def deed(path: Path) -> None:
        path.write_bytes(body)
        os.utime(path, ns=(1, 1))

    return deed


def test_objects_that_change_under_way_are_noticed(alone: mr.Result, tmp_path: Path) -> None:
    victims = ("a", "b", "c", "d")
    _folder(tmp_path, GOOD | dict.fromkeys(victims, trip(9)))
    deeds: dict[str, Callable[[Path], Any]] = {
        "a": _rewrite(trip(8)),
        "b": Path.unlink,
        "c": _rewrite(trip(9) * 2),
        "d": _rewrite(b""),
    }
    got = run(Links(), Meddled(tmp_path, deeds), workers=1, options=OPTIONS)
    assert _reasons(got) == {"a": "changed", "b": "gone", "c": "changed", "d": "changed"}
    assert got.digest == alone.digest


def _store(seaweed: Seaweed, endpoint: str, bucket: str) -> S3:
    keys = Keys(seaweed.access, seaweed.secret)
    return S3(bucket, settings=Settings(endpoint=endpoint, region="us-east-1", keys=keys))


class Laid:
    """A bucket whose first reads, not whose listing, meet faults."""

    def __init__(self, store: S3, lay: Callable[[], object]) -> None:
        self.store = store
        self.lay: Callable[[], object] | None = lay

    @property
    def name(self) -> str:
        return self.store.name

    def entries(self) -> Any:
        return self.store.entries()

    def locate(self, entry: Entry) -> Location:
        if self.lay is not None:
            self.lay()
            self.lay = None
        return self.store.locate(entry)


def test_a_busy_and_a_cutting_server_cost_time_alone(alone: mr.Result, seaweed: Seaweed) -> None:
    bucket = seaweed.bucket()
    seaweed.put(bucket, GOOD)
    with proxied(seaweed.endpoint.removeprefix("http://")) as proxy:
        faults = (
            Fault(status=503, headers={"Retry-After": "0"}),
            Fault(cut_at=5),
            Fault(cut_at=3, reset=True),
            Fault(drop=True),
            Fault(claim=4),
            Fault(status=500),
        )
        store = Laid(_store(seaweed, proxy.endpoint, bucket), lambda: proxy.lay(*faults))
        got = run(Links(), store, workers=1, options=OPTIONS)
        assert not proxy.faults
    assert got.ledger.quarantined == []
    assert got.digest == alone.digest


EXPIRED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


def test_urls_that_expire_are_signed_anew(alone: mr.Result, seaweed: Seaweed) -> None:
    bucket = seaweed.bucket()
    seaweed.put(bucket, GOOD)
    with proxied(seaweed.endpoint.removeprefix("http://")) as proxy:
        faults = [Fault(status=403, body=EXPIRED)]
        store = Laid(_store(seaweed, proxy.endpoint, bucket), lambda: proxy.lay(*faults))
        got = run(Links(), store, workers=1, options=OPTIONS)
        assert not proxy.faults
    assert got.ledger.quarantined == []
    assert got.digest == alone.digest


def test_credentials_that_expire_stop_the_run_which_goes_on_when_renewed(
    alone: mr.Result, seaweed: Seaweed, tmp_path: Path
) -> None:
    bucket = seaweed.bucket()
    seaweed.put(bucket, GOOD)
    options = Options(limits=OPTIONS.limits, split_bytes=1)
    with proxied(seaweed.endpoint.removeprefix("http://")) as proxy:
        faults = [Fault(), *[Fault(status=403, body=EXPIRED)] * 60]
        store = Laid(_store(seaweed, proxy.endpoint, bucket), lambda: proxy.lay(*faults))
        with pytest.raises(StoreError, match="no longer accepts"):
            run(Links(), store, workers=1, folder=tmp_path, options=options)
        proxy.faults.clear()
        proxy.asked.clear()
        renewed = _store(seaweed, proxy.endpoint, bucket)
        got = run(Links(), renewed, workers=1, folder=tmp_path, options=options)
        read = [a.path for a in proxy.asked if "X-Amz-Signature" in a.path]
    assert got.digest == alone.digest
    assert got.ledger.quarantined == []
    assert len(read) == len(GOOD) - 1  # the first had been committed


def test_a_key_that_is_wrong_is_no_objects_fault(seaweed: Seaweed, tmp_path: Path) -> None:
    bucket = seaweed.bucket()
    seaweed.put(bucket, GOOD)
    refused = b"<Error><Code>InvalidAccessKeyId</Code></Error>"
    with proxied(seaweed.endpoint.removeprefix("http://")) as proxy:
        faults = [Fault(status=403, body=refused)] * 20
        store = Laid(_store(seaweed, proxy.endpoint, bucket), lambda: proxy.lay(*faults))
        with pytest.raises(StoreError, match="AWS_ACCESS_KEY_ID"):
            run(Links(), store, workers=2, folder=tmp_path, options=OPTIONS)


def test_bad_lines_among_good(tmp_path: Path) -> None:
    good = [b'{"id":%d}' % (n % 7) for n in range(3000)]
    bad = [
        b"{", b'{"id":', b"NaN", b"[]", b'{"id":1}{"id":1}', b'{"id":1},', b'{"id":NaN}', b"\xff",
        b'{"id":true}', b'{"id":null}', b"x" * 5000, b'{"x":' + b"[" * 500 + b"]" * 500 + b"}",
    ]  # fmt: skip
    mixed = [
        line for n, line in enumerate(good) for line in ((line,), (bad[n % 12], line))[n % 5 == 0]
    ]
    limits = Limits(line_cap_bytes=4000)
    alone = run(PlainRows(), _folder(tmp_path, {"a.jsonl": b"\n".join(good)}), workers=1)
    _folder(tmp_path, {"a.jsonl": b"\r\n".join(mixed)})
    for split_bytes in (1, 1 << 40):
        options = Options(limits=limits, split_bytes=split_bytes)
        got = run(PlainRows(), tmp_path, workers=1, options=options)
        assert got.digest == alone.digest
        assert got.receipt["records"]["dropped"] == {
            "bad_id": 50, "no_id": 50, "not_a_record": 500
        }  # fmt: skip


def test_a_large_file_of_lines_takes_the_memory_of_a_small_one(tmp_path: Path) -> None:
    block = b"".join(b'{"id":%d,"text":"%s"}\n' % (n % 99, b"x" * 80) for n in range(10_000))
    with (tmp_path / "large.jsonl").open("wb") as file:
        for _ in range(305):
            file.write(block)
    assert (tmp_path / "large.jsonl").stat().st_size > 300_000_000
    whole = run(PlainRows(), tmp_path, workers=1, options=Options(split_bytes=1 << 40))
    assert whole.receipt["records"]["kept"] == 3_050_000
    assert whole.receipt["work"]["worker_peak_bytes"] < 150 << 20
    parts = run(PlainRows(), tmp_path, workers=2)
    assert parts.digest == whole.digest
