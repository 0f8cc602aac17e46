"""Roads in a bucket and on a web server: brought here once, read as files, refused clearly."""

from __future__ import annotations

import gzip
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mapreduce.errors import StoreError, UsageError
from roadspeed.roads import RoadsError, check, join
from roadspeed.roads.remote import _copied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.seaweed import Seaweed

ROADS = json.dumps(
    {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"link_id": 7},
                "geometry": {"type": "LineString", "coordinates": [[0, 0], [1, 1]]},
            }
        ],
    }
).encode()
IDS = np.array([7, 8])


@contextmanager
def served(pages: dict[str, tuple[int, bytes]]) -> Iterator[tuple[str, list[str]]]:
    """A web server with some pages; the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, body = pages.get(self.path.partition("?")[0], (404, b""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) + (status == 206)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False  # so that closing it waits for what it is answering
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        _copied.cache_clear()


def test_roads_of_a_web_server_are_brought_here_once() -> None:
    pages = {"/a%20b.geojson": (200, ROADS), "/roads.geojson.gz": (200, gzip.compress(ROADS))}
    with served(pages) as (server, asked):
        for name in ("a%20b.geojson?sign=secret", "roads.geojson.gz"):
            check(f"{server}/{name}")
            assert join(IDS, f"{server}/{name}").joined == 1
        assert len(asked) == 2


def test_roads_of_a_bucket_are_read(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    seaweed.be_usual(monkeypatch)
    bucket = seaweed.bucket()
    seaweed.put(bucket, {"a/roads é.geojson": ROADS, "a/roads é.geojson.old": b"x"})
    assert join(IDS, f"s3://{bucket}/a/roads é.geojson").joined == 1
    with pytest.raises(UsageError, match="there is no such object"):
        check(f"s3://{bucket}/a/none.geojson")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with pytest.raises(StoreError, match="no answer"):
        check(f"s3://{bucket}/other.geojson")


@pytest.mark.parametrize(
    "address", ["https://host/", "http://host", "http://me:word@host/a.gpkg", "s3://bucket/"]
)
def test_an_address_of_no_file_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="expected one file as roads") as caught:
        check(address)
    assert "word" not in str(caught.value).partition("password")[0]


def test_what_a_server_does_not_give_is_told_without_its_query() -> None:
    pages = {"/denied.gpkg": (403, b""), "/cut.gpkg": (206, ROADS), "/words.geojson": (200, b"x")}
    with served(pages) as (server, _):
        for name in ("none", "denied", "cut"):
            with pytest.raises(UsageError, match="the server answered") as caught:
                check(f"{server}/{name}.gpkg?sign=secret")
            assert "secret" not in str(caught.value)
        with pytest.raises(UsageError, match="GDAL cannot read it"):
            check(f"{server}/words.geojson")
    with pytest.raises(RoadsError, match="cannot be read"):
        check("http://127.0.0.1:1/roads.geojson")
