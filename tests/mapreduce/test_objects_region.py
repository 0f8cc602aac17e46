"""A bucket in another region than was said: the store names it, and is asked there."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from urllib3 import HTTPResponse

import mapreduce as mr
from mapreduce.errors import StoreError
from mapreduce.objects import Entry
from mapreduce.objects.key_list import AT_ONCE, KeyList
from mapreduce.objects.s3 import S3
from mapreduce.objects.s3_errors import region_told
from mapreduce.objects.s3_settings import Keys, Settings
from tests.jobs.counting import PlainRows
from tests.services.proxy import Fault, Proxy, proxied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.seaweed import Seaweed

HERE = "eu-west-1"
SCOPE = re.compile(r"(?:/|%2F)\d{8}(?:/|%2F)([\w-]+?)(?:/|%2F)")
XML = {"Content-Type": "application/xml"}
MALFORMED = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
MOVED = b"<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>"
# as Amazon answers, with and without a body
LED = {
    "moved": Fault(status=301, headers=XML | {"x-amz-bucket-region": HERE}, body=MOVED),
    "malformed": Fault(status=400, headers=XML, body=MALFORMED),
    "temporary": Fault(status=307, headers=XML | {"x-amz-bucket-region": HERE}, body=MOVED),
}


@pytest.fixture
def proxy(seaweed: Seaweed) -> Iterator[Proxy]:
    with proxied(seaweed.endpoint.removeprefix("http://")) as found:
        yield found


def settings_of(proxy: Proxy, seaweed: Seaweed) -> Settings:
    keys = Keys(seaweed.access, seaweed.secret)
    return Settings(endpoint=proxy.endpoint, region="us-west-2", keys=keys)


def regions_of(proxy: Proxy) -> list[str]:
    """Regions that requests were signed for."""
    scopes = [f"{asked.headers.get('Authorization', '')} {asked.path}" for asked in proxy.asked]
    return [found[1] for scope in scopes if (found := SCOPE.search(scope))]


@pytest.mark.parametrize("how", LED)
def test_a_listing_that_is_led_elsewhere_goes_there_and_signs_for_it(
    how: str, proxy: Proxy, seaweed: Seaweed
) -> None:
    bucket = seaweed.bucket()
    seaweed.put(bucket, {"a.jsonl": b'{"id": 1}\n', "b.jsonl": b'{"id": 2}\n'})
    proxy.lay(LED[how])
    got = mr.run(PlainRows(), S3(bucket, settings=settings_of(proxy, seaweed)), workers=1)
    assert got.ledger.read == 2
    first, *others = regions_of(proxy)
    assert first == "us-west-2"
    assert len(others) >= 3
    assert set(others) == {HERE}


def test_a_key_that_is_looked_up_is_found_elsewhere(proxy: Proxy, seaweed: Seaweed) -> None:
    bucket = seaweed.bucket()
    seaweed.put(bucket, {"a": b"12"})
    store = S3(bucket, settings=settings_of(proxy, seaweed))
    proxy.lay(Fault(status=400, headers={"x-amz-bucket-region": HERE}))
    found = store.entry_of("a")
    assert found is not None
    assert found.size_bytes == 2
    assert regions_of(proxy) == ["us-west-2", HERE]


def test_many_keys_that_are_looked_up_at_once_are_all_found_elsewhere(
    proxy: Proxy, seaweed: Seaweed, tmp_path: Path
) -> None:
    bucket = seaweed.bucket()
    keys = [f"{n:02}.jsonl" for n in range(40)]
    seaweed.put(bucket, dict.fromkeys(keys, b'{"id": 1}\n'))
    (tmp_path / "keys.txt").write_text("".join(f"s3://{bucket}/{key}\n" for key in keys))
    store = S3(bucket, settings=settings_of(proxy, seaweed))
    together = threading.Event()

    def led_together() -> None:
        while len(proxy.asked) < AT_ONCE:  # a request that came later would be led in a circle
            time.sleep(0.01)
        together.set()

    led = {"x-amz-bucket-region": HERE}
    proxy.lay(*[Fault(status=400, headers=led, hold=together)] * AT_ONCE)
    threading.Thread(target=led_together, daemon=True).start()
    listed = KeyList(tmp_path / "keys.txt", lambda _: store, lambda: store)
    assert [entry.key for entry in listed.entries()] == keys
    assert [entry.size_bytes for entry in listed.entries()] == [10] * len(keys)


def test_a_thread_that_asks_as_before_changes_nothing_for_those_that_know_better(
    proxy: Proxy, seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = seaweed.bucket()
    seaweed.put(bucket, {"a": b"12"})
    store = S3(bucket, settings=settings_of(proxy, seaweed))
    before, client_of = store._nodes[0], store._client

    def after_another(node: Settings) -> object:
        if node.region == HERE:
            client_of(before)  # of a thread that took its node before
        return client_of(node)

    monkeypatch.setattr(store, "_client", after_another)
    proxy.lay(Fault(status=400, headers={"x-amz-bucket-region": HERE}))
    assert store.entry_of("a") is not None
    assert regions_of(proxy)[-1] == HERE


def test_a_store_that_leads_in_a_circle_is_told(proxy: Proxy, seaweed: Seaweed) -> None:
    proxy.lay(*[LED["moved"]] * 9)
    with pytest.raises(StoreError, match=r"another region.*it says eu-west-1"):
        list(S3(seaweed.bucket(), settings=settings_of(proxy, seaweed)).entries())
    assert len(proxy.asked) == 2


def test_a_run_that_goes_on_asks_amazon_before_it_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Amazon cannot be had: what stands for it answers as it does."""
    asked: list[tuple[str, str]] = []

    def answer(_: object, method: str, url: str, **__: Any) -> HTTPResponse:
        asked.append((method, urlsplit(url).netloc))
        return HTTPResponse(status=301, headers={"x-amz-bucket-region": HERE}, body=b"")

    store = S3("trips", settings=Settings(keys=Keys("a", "b")))
    monkeypatch.setattr("mapreduce.objects.s3_http.Http.urlopen", answer)
    for _ in range(2):
        url = store.locate(Entry("k", 1, "e")).url
        assert url is not None
        assert HERE in urlsplit(url).netloc
        assert f"%2F{HERE}%2Fs3" in url
    assert [method for method, _ in asked] == ["HEAD"]


@pytest.mark.parametrize(
    ("headers", "body", "region"),
    [
        ({"x-amz-bucket-region": "eu-west-1"}, b"", "eu-west-1"),
        ({}, b"<Error><Region>ap-south-1</Region></Error>", "ap-south-1"),
        ({"x-amz-bucket-region": "evil.example/x"}, b"", ""),
        ({"x-amz-bucket-region": ""}, b"<Region>EVIL.example</Region>", ""),
        ({}, b"", ""),
    ],
)
def test_only_a_name_of_a_region_is_believed(
    headers: dict[str, str], body: bytes, region: str
) -> None:
    assert region_told(headers, body) == region
