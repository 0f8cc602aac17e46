"""A bucket of a real store: listing, signing, and what goes wrong with either."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from mapreduce.errors import ExpiredError, ObjectError, StoreError, UsageError
from mapreduce.objects.directory import Directory
from mapreduce.objects.reader import Reader
from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_settings import Keys, Settings
from mapreduce.objects.source import open_store
from tests.services.proxy import Fault, proxied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.seaweed import Seaweed


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only what a test sets is found; the metadata service of a cloud is never asked."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def found(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> Seaweed:
    """The store, with its settings in the environment."""
    for name, value in seaweed.environ.items():
        monkeypatch.setenv(name, value)
    return seaweed


def settings_of(seaweed: Seaweed, keys: tuple[str, str] | None = None) -> Settings:
    access, secret = keys or (seaweed.access, seaweed.secret)
    return Settings(seaweed.endpoint, keys=Keys(access, secret))


def test_a_bucket_lists_and_reads_like_the_folder_it_was_made_from(
    found: Seaweed, tmp_path: Path
) -> None:
    keys = ["a/1.json", "a/b/2 ü.json", "a-b+c&d=e?f#g%20.json", "empty", "_SUCCESS", "Z"]
    for key in keys:
        (tmp_path / "in" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / key).write_text("" if key == "empty" else key * 50)
    bucket = found.bucket()
    found.put_folder(bucket, tmp_path / "in")
    seen = {}
    with Reader() as reader:
        for store in (open_store(f"s3://{bucket}"), Directory(tmp_path / "in")):
            content = {}
            for entry in store.entries():
                with reader.open(entry, store.locate(entry)) as body:
                    content[entry.key] = body.read()
                assert len(content[entry.key]) == entry.size_bytes
            seen[type(store)] = content
    assert seen[S3] == seen[Directory]
    assert set(seen[S3]) == set(keys)


def test_listing_goes_on_past_a_page(found: Seaweed) -> None:
    bucket = found.bucket()
    found.put(bucket, {f"{n % 7}/{n:04}": b"x" for n in range(1203)})
    keys = [entry.key for entry in S3(bucket).entries()]
    assert len(keys) == len(set(keys)) == 1203


def test_a_prefix_is_taken_as_meant(found: Seaweed) -> None:
    bucket = found.bucket()
    found.put(bucket, dict.fromkeys(["t/1", "t/2", "t-old/3", "u-1", "u-2"], b"x"))

    def keys(prefix: str) -> list[str]:
        return sorted(entry.key for entry in open_store(f"s3://{bucket}/{prefix}").entries())

    assert keys("t/") == ["t/1", "t/2"]
    assert keys("u") == ["u-1", "u-2"]
    assert keys("t*") == ["t-old/3", "t/1", "t/2"]
    assert keys("t/1") == ["t/1"]
    assert keys("nothing") == []
    with pytest.raises(UsageError, match=rf"s3://{bucket}/t/ for the folder"):
        keys("t")


def test_a_store_s_name_says_where_and_no_secret(found: Seaweed) -> None:
    assert S3("trips", "2019/").name == "s3://trips/2019/"
    assert S3("trips").name == "s3://trips"
    assert found.secret not in repr(settings_of(found))


def test_etags_of_parts_hold_when_reading(found: Seaweed) -> None:
    bucket = found.bucket()
    content = bytes(range(256)) * 40_000  # 10 MB: stored in several pieces
    found.put(bucket, {"big": content})
    store = S3(bucket)
    (entry,) = store.entries()
    assert "-" in entry.etag
    with Reader() as reader:
        with reader.open(entry, store.locate(entry)) as body:
            assert body.read() == content
        with reader.open(entry, store.locate(entry), 5_000_000, 9_000_001) as body:
            assert body.read() == content[5_000_000:9_000_001]


def test_an_object_replaced_since_it_was_listed_is_changed(found: Seaweed) -> None:
    bucket = found.bucket()
    found.put(bucket, {"k": b"one"})
    store = S3(bucket)
    (entry,) = store.entries()
    location = store.locate(entry)
    found.put(bucket, {"k": b"two"})
    with Reader() as reader, pytest.raises(ObjectError) as caught:
        reader.open(entry, location)
    assert caught.value.reason == "changed"


def test_an_object_deleted_since_it_was_listed_is_gone(found: Seaweed) -> None:
    bucket = found.bucket()
    found.put(bucket, {"k": b"one"})
    store = S3(bucket)
    (entry,) = store.entries()
    found.remove(bucket, "k")
    with Reader() as reader, pytest.raises(ObjectError) as caught:
        reader.open(entry, store.locate(entry))
    assert caught.value.reason == "gone"


def test_reading_from_a_bucket_that_is_not_there_is_the_store_s_fault(found: Seaweed) -> None:
    bucket = found.bucket()
    found.put(bucket, {"k": b"one"})
    (entry,) = S3(bucket).entries()
    with Reader() as reader, pytest.raises(StoreError, match="no such bucket"):
        reader.open(entry, S3("never-made").locate(entry))


def test_an_expired_url_is_told_apart_and_signing_anew_helps(found: Seaweed) -> None:
    bucket = found.bucket()
    found.put(bucket, {"k": b"one"})
    (entry,) = S3(bucket).entries()
    location = S3(bucket, expires_s=1).locate(entry)
    until = time.monotonic() + 60
    with Reader() as reader:
        while time.monotonic() < until:  # the clock of the store decides: ask until it has
            try:
                reader.open(entry, location).close()
            except ExpiredError as error:
                assert "Signature" not in str(error)  # noqa: PT017 - the loop ends here
                break
        else:
            pytest.fail("a URL of one second was honoured for sixty")
        with reader.open(entry, S3(bucket).locate(entry)) as body:
            assert body.read() == b"one"


def test_a_missing_bucket_says_so(found: Seaweed) -> None:
    assert found.endpoint
    with pytest.raises(StoreError, match="no such bucket: check its name"):
        list(S3("no-such-bucket").entries())


def test_wrong_keys_say_which_setting_to_check_and_no_secret(seaweed: Seaweed) -> None:
    bucket = seaweed.bucket()
    wrong = {
        "AWS_ACCESS_KEY_ID": settings_of(seaweed, ("nobody", "canary-secret")),
        "AWS_SECRET_ACCESS_KEY": settings_of(seaweed, (seaweed.access, "canary-secret")),
    }
    for remedy, settings in wrong.items():
        with pytest.raises(StoreError, match=remedy) as caught:
            list(S3(bucket, settings=settings).entries())
        shown = "".join(traceback.format_exception(caught.value))
        assert "canary" not in shown
        assert seaweed.secret not in shown


def test_an_object_these_keys_may_not_read_is_unreadable(seaweed: Seaweed) -> None:
    bucket = seaweed.bucket()
    seaweed.put(bucket, {"k": b"one"})
    store = S3(bucket, settings=settings_of(seaweed, seaweed.lister))
    (entry,) = store.entries()
    with Reader() as reader, pytest.raises(ObjectError, match="s3:GetObject") as caught:
        reader.open(entry, store.locate(entry))
    assert caught.value.reason == "unreadable"


def test_without_credentials_an_open_bucket_is_read_and_a_closed_one_says_what_to_set(
    seaweed: Seaweed,
) -> None:
    seaweed.put("open", {"k": b"for all"})
    store = open_store("s3://open", endpoint=seaweed.endpoint)
    (entry,) = store.entries()
    location = store.locate(entry)
    assert location.url == f"{seaweed.endpoint}/open/k"
    with Reader() as reader, reader.open(entry, location) as body:
        assert body.read() == b"for all"
    closed = seaweed.bucket()
    with pytest.raises(StoreError, match="no credentials were found"):
        list(open_store(f"s3://{closed}", endpoint=seaweed.endpoint).entries())


def test_a_key_that_no_url_can_carry_is_that_object_s_fault(found: Seaweed) -> None:
    bucket = found.bucket()
    found.put(bucket, {"k": b"one"})
    store = S3(bucket)
    (entry,) = store.entries()
    odd = type(entry)("a/../k", entry.size_bytes, entry.etag)
    with pytest.raises(ObjectError, match="unreadable"):
        store.locate(odd)


def test_nobody_answering_is_said_within_seconds() -> None:
    with proxied("127.0.0.1:1") as gone:
        endpoint = gone.endpoint
    started_s = time.monotonic()
    with pytest.raises(StoreError, match="is it running, and is the endpoint right"):
        list(S3("trips", settings=Settings(endpoint, keys=Keys("a", "b"))).entries())
    assert time.monotonic() - started_s < 30  # asked as often as a busy store it would be 50


def test_something_that_is_no_store_is_called_that() -> None:
    with proxied("127.0.0.1:1") as web:
        web.lay(Fault(status=200, body=b"<html><p>hello</html>"), Fault(status=404, body=b"what?"))
        store = S3("trips", settings=Settings(web.endpoint, keys=Keys("a", "b")))
        for _ in range(2):
            with pytest.raises(StoreError, match="not an S3-compatible store"):
                list(store.entries())


def test_pages_are_asked_for_again_while_the_store_is_busy(seaweed: Seaweed) -> None:
    bucket = seaweed.bucket()
    seaweed.put(bucket, {f"{n:04}": b"x" for n in range(30)})
    with proxied(seaweed.endpoint.removeprefix("http://")) as proxy:
        store = S3(
            bucket,
            settings=Settings(proxy.endpoint, keys=Keys(seaweed.access, seaweed.secret)),
        )
        proxy.lay(
            Fault(status=503, headers={"Retry-After": "0"}),
            Fault(status=500),
            Fault(cut_at=300),
            Fault(drop=True),
        )
        assert len(list(store.entries())) == 30
        assert len(proxy.asked) == 5


def test_no_signature_reaches_the_log(found: Seaweed, caplog: pytest.LogCaptureFixture) -> None:
    bucket = found.bucket()
    found.put(bucket, {"k": b"one"})
    store = S3(bucket)
    (entry,) = store.entries()
    caplog.set_level(logging.DEBUG)
    with Reader() as reader, reader.open(entry, store.locate(entry)) as body:
        assert body.read() == b"one"
    assert f"/{bucket}/k" in caplog.text
    assert "Signature" not in caplog.text
    assert "X-Amz-" not in caplog.text


def test_a_session_s_token_is_signed_into_urls() -> None:
    keys = Keys("access", "secret", "session-token")
    store = S3("trips", settings=Settings("http://127.0.0.1:1", keys=keys))
    url = store.locate(next(iter(Directory(__file__).entries()))).url
    assert url is not None
    assert "X-Amz-Security-Token=session-token" in url
    assert "X-Amz-Expires=7200" in url


class _Metadata(BaseHTTPRequestHandler):
    """The part of a cloud's metadata service that gives keys, a new pair each time."""

    server: _MetadataServer

    def do_PUT(self) -> None:
        self._say("token")

    def do_GET(self) -> None:
        if self.path.endswith("/security-credentials/"):
            self._say("role")
            return
        self.server.given += 1
        until = datetime.now(UTC) + self.server.lifetime
        self._say(
            f'{{"Code": "Success", "AccessKeyId": "key{self.server.given}",'
            f' "SecretAccessKey": "s", "Token": "t",'
            f' "Expiration": "{until:%Y-%m-%dT%H:%M:%SZ}"}}'
        )

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Stay silent."""

    def _say(self, text: str) -> None:
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


class _MetadataServer(ThreadingHTTPServer):
    daemon_threads = True
    given = 0
    lifetime = timedelta(hours=6)


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[_MetadataServer]:
    with _MetadataServer(("127.0.0.1", 0), _Metadata) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", address)
        yield server
        server.shutdown()
        thread.join(10)


def test_an_instance_s_role_signs_and_is_renewed_before_it_ends(metadata: _MetadataServer) -> None:
    store = open_store("s3://trips", endpoint="http://127.0.0.1:1")
    (entry,) = Directory(__file__).entries()
    for _ in range(3):
        assert "key1%2F" in str(store.locate(entry).url)
    metadata.lifetime = timedelta(minutes=5)  # of the keys given from now on
    store = open_store("s3://trips", endpoint="http://127.0.0.1:1")
    seen = [str(store.locate(entry).url) for _ in range(2)]
    assert "key3%2F" in seen[0]
    assert "key4%2F" in seen[1]


def test_a_role_that_gives_nothing_leaves_us_anonymous_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with proxied("127.0.0.1:1") as silent:
        endpoint = silent.endpoint
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)
    started_s = time.monotonic()
    store = open_store("s3://trips", endpoint="http://127.0.0.1:1")
    assert time.monotonic() - started_s < 10
    assert store.locate(next(iter(Directory(__file__).entries()))).url == (
        "http://127.0.0.1:1/trips/test_objects_s3.py"
    )
