"""A server of the run's own, read by its authority; its pleas for fewer requests, and a pace."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from mapreduce.attempts.prefetch import SMALL_BYTES, Fetcher
from mapreduce.errors import ObjectError, StoreError
from mapreduce.objects import Entry, Location
from mapreduce.objects.patience import Patience, RetryPolicy
from mapreduce.objects.reader import Reader
from mapreduce.objects.trusted import Trusted
from mapreduce.plan import Piece
from mapreduce.tls import Authority, client_context, server_context

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mapreduce.objects.body import Body

BODY = b'{"data": []}'
QUICK = RetryPolicy(first_s=0.01, longest_s=0.02, deadline_s=60.0)
HASTY = RetryPolicy(first_s=0.01, longest_s=0.02, deadline_s=0.3)  # where it will not be answered


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    busy = 0  # how many more requests are too much
    at_once = most_at_once = 0
    everyone = threading.Barrier(1)
    lock = threading.Lock()

    def do_GET(self) -> None:
        kind = type(self)
        with self.lock:
            kind.at_once += 1
            kind.most_at_once = max(kind.most_at_once, kind.at_once)
            busy, kind.busy = kind.busy > 0, max(0, kind.busy - 1)
        self.everyone.wait(20)
        with self.lock:
            kind.at_once -= 1
        self.send_response(503 if busy else 200)
        self.send_header("Content-Length", str(0 if busy else len(BODY)))
        self.end_headers()
        if not busy:
            self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def authority() -> Authority:
    return Authority("run-1")


@pytest.fixture
def origin(authority: Authority) -> Iterator[str]:
    Answering.busy = Answering.at_once = Answering.most_at_once = 0
    Answering.everyone = threading.Barrier(1)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    context = server_context(authority.coordinator("127.0.0.1"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # strangers are expected
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


def _reader(
    authority: Authority, origin: str, name: str = "127.0.0.1", retry: RetryPolicy = QUICK
) -> Reader:
    context = client_context(authority.worker("w1"))
    return Reader(Patience(retry), trusted=Trusted(origin, context, name))


def _read(reader: Reader, origin: str) -> bytes:
    with reader.open(Entry("a", len(BODY), ""), Location(url=f"{origin}1/0")) as body:
        return body.read()


def test_the_runs_own_server_is_read_by_its_authority(authority: Authority, origin: str) -> None:
    with _reader(authority, origin) as reader:
        assert _read(reader, origin) == BODY


def test_no_other_reader_trusts_it(authority: Authority, origin: str) -> None:
    others = (
        Reader(Patience(HASTY)),
        _reader(Authority("run-2"), origin, retry=HASTY),
        _reader(authority, "https://127.0.0.2:1/", retry=HASTY),  # trusted, but elsewhere
        _reader(authority, origin, "127.0.0.2", retry=HASTY),
    )
    for other in others:
        with other as reader, pytest.raises(StoreError):
            _read(reader, origin)


def test_pleas_for_fewer_requests_are_counted(authority: Authority, origin: str) -> None:
    Answering.busy = 2
    with _reader(authority, origin) as reader:
        assert _read(reader, origin) == BODY
        assert reader.slow_downs == 2


@pytest.mark.parametrize("requests", [1, 2, 4])
def test_a_pace_is_kept_to_and_used(authority: Authority, origin: str, requests: int) -> None:
    Answering.everyone = threading.Barrier(requests)  # nobody is answered before all have asked
    pieces = [Piece(n, str(n), len(BODY), "") for n in range(8)]
    locations = [Location(url=f"{origin}1/{n}") for n in range(8)]
    with _reader(authority, origin) as reader:
        fetcher = Fetcher(reader, 1 << 20)
        fetcher.set_requests(requests)
        assert [d for _, d in fetcher.documents(pieces, locations)] == [BODY] * 8
        fetcher.close()
    assert Answering.most_at_once == requests


@pytest.mark.parametrize("requests", [1, 2, 4])
def test_small_objects_to_be_streamed_are_fetched_ahead(
    authority: Authority, origin: str, requests: int
) -> None:
    Answering.everyone = threading.Barrier(requests)  # nobody is answered before all have asked
    pieces = [Piece(n, str(n), len(BODY), "") for n in range(8)]
    locations = [Location(url=f"{origin}1/{n}") for n in range(8)]
    with _reader(authority, origin) as reader:
        fetcher = Fetcher(reader, cap_bytes=1)  # of documents, not of these
        fetcher.set_requests(requests)
        assert list(fetcher.nearer(pieces, locations)) == [(p, Location(body=BODY)) for p in pieces]
        fetcher.close()
    assert Answering.most_at_once == requests


class Failing(Reader):
    def open(self, entry: Entry, *_: object) -> Body:
        raise ObjectError("gone", entry.key)


def test_others_are_left_where_they_are_and_a_fault_is_handed_on(tmp_path: Path) -> None:
    web = Location(url="https://127.0.0.1/1/0")
    given = [
        (Piece(0, "large", SMALL_BYTES + 1, ""), web),
        (Piece(1, "range", 9, "", 0, 3), web),
        (Piece(2, "empty", 0, ""), web),
        (Piece(3, "file", 9, ""), Location(path=str(tmp_path / "a"))),
        (Piece(4, "held", 9, ""), Location(body=BODY)),
        (Piece(5, "small", 9, ""), web),
    ]
    fetcher = Fetcher(Failing(), 1 << 20)
    fetcher.unchecked = True  # of an object before
    *left, (piece, fault) = fetcher.nearer(*zip(*given, strict=True))
    fetcher.close()
    assert left == given[:-1]
    assert not fetcher.unchecked
    assert isinstance(fault, ObjectError)
    assert (piece.key, str(fault)) == ("small", "gone: small")
