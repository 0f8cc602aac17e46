"""What a source means, which objects are taken, and when to ask again."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapreduce.errors import ExpiredError, ObjectError, StoreError, UsageError
from mapreduce.objects import Entry
from mapreduce.objects.backoff import Backoff, retry_after_s
from mapreduce.objects.directory import Directory
from mapreduce.objects.memory import Memory
from mapreduce.objects.patience import RetryPolicy
from mapreduce.objects.s3_errors import refusal
from mapreduce.objects.selection import Selection, ignored, parse_sample
from mapreduce.objects.source import open_store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("key", "is_ignored"),
    [
        ("trips/", True),
        ("_SUCCESS", True),
        ("a/_temporary", True),
        ("a/.DS_Store", True),
        ("", True),
        ("a/x.json", False),
        ("_a/x.json", True),
        ("a/.b/x.json", True),
        ("a_$folder$", True),
        ("a_$folder$/x", False),
        ("x_.json", False),
    ],
)
def test_markers_and_hidden_names_are_ignored(key: str, *, is_ignored: bool) -> None:
    assert ignored(key) is is_ignored


def test_globs_let_in_and_keep_out() -> None:
    selection = Selection(match=("2019/*.json", "x*"), exclude=("*/bad*",))
    keys = ["2019/a.json", "2019/05/a.json", "2019/bad.json", "2020/a.json", "xa", "Xa"]
    assert [key for key in keys if selection.wants(key)] == ["2019/a.json", "2019/05/a.json", "xa"]


@given(st.lists(st.text(max_size=20), unique=True), st.integers(1, 99), st.integers(1, 99))
def test_samples_are_nested(keys: list[str], one: int, other: int) -> None:
    small, large = sorted((Fraction(one, 100), Fraction(other, 100)))
    taken = {key for key in keys if Selection(sample=small).wants(key)}
    assert taken <= {key for key in keys if Selection(sample=large).wants(key)}


def test_a_sample_is_about_its_share_and_the_same_on_every_machine() -> None:
    keys = [f"trip-{number}.json" for number in range(20_000)]
    taken = [key for key in keys if Selection(sample=parse_sample("10%")).wants(key)]
    assert 1850 < len(taken) < 2150
    assert taken[:3] == ["trip-8.json", "trip-11.json", "trip-36.json"]
    assert all(Selection(sample=1.0).wants(key) for key in keys)


def test_a_limit_takes_the_first_and_counts_no_ignored_ones() -> None:
    entries = [Entry(key, 1, "e") for key in ("_x", "a", "b/", "b", "c", "d")]
    taken = Selection(limit=2).take(iter(entries))
    assert [entry.key for entry in taken] == ["_x", "a", "b/", "b"]


def test_a_selection_knows_whether_it_is_everything() -> None:
    assert Selection().whole
    assert Selection(sample=1).whole
    assert not Selection(limit=5).whole
    assert not Selection(sample=0.5).whole


@pytest.mark.parametrize(
    ("text", "share"),
    [("1%", "1/100"), ("0.01", "1/100"), (" 0.5 % ", "1/200"), ("100%", "1"), ("1e-3", "1/1000")],
)
def test_a_sample_is_typed_as_percent_or_share(text: str, share: str) -> None:
    assert parse_sample(text) == Fraction(share)


@pytest.mark.parametrize("text", ["", "%", "0", "-1%", "101%", "2", "many", "nan", "inf", "1/0"])
def test_a_sample_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="a sample is"):
        parse_sample(text)


def test_selections_out_of_range_are_refused() -> None:
    with pytest.raises(UsageError):
        Selection(sample=0.0)
    with pytest.raises(UsageError):
        Selection(sample=float("nan"))
    with pytest.raises(UsageError):
        Selection(limit=0)


def test_paths_urls_and_stores_are_sources(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    memory = Memory({})
    assert open_store(memory) is memory
    for source in (tmp_path / "a b", str(tmp_path / "a b"), f"file://{tmp_path}/a%20b"):
        store = open_store(source)
        assert isinstance(store, Directory)
        assert store.path == tmp_path / "a b"


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        ("", "name a folder"),
        ("http://host:9000/trips", "AWS_ENDPOINT_URL_S3"),
        ("s3a://trips", "s3://BUCKET"),
        ("gs://trips", "s3://BUCKET"),
        ("file://other/folder", "another machine"),
        ("s3://", "s3://BUCKET/PREFIX"),
        ("s3:///x", "s3://BUCKET/PREFIX"),
        ("s3://no bucket/x", "no bucket"),
        ("/no/such/folder", "no folder or file"),
    ],
)
def test_other_sources_are_refused_with_what_to_type(source: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=remedy):
        open_store(source)


@pytest.mark.parametrize("scheme", ["s3", "http", "https", "file"])
def test_a_secret_in_the_source_is_refused_and_not_repeated(scheme: str) -> None:
    with pytest.raises(UsageError, match="AWS_SECRET_ACCESS_KEY") as caught:
        open_store(f"{scheme}://key:canary@host/bucket")
    assert "canary" not in str(caught.value)
    with pytest.raises(UsageError, match="endpoint") as caught:
        open_store("s3://trips", endpoint="http://key:canary@host:9000")
    assert "canary" not in str(caught.value)


@given(st.integers(0, 2**32), st.lists(st.none() | st.floats(0, 1e6), min_size=1, max_size=60))
def test_pauses_keep_to_the_deadline(seed: int, asked: list[float | None]) -> None:
    retry = RetryPolicy(first_s=0.1, longest_s=5, deadline_s=60)
    backoff, now_s = Backoff(retry, Random(seed)), 1000.0
    for number, asked_s in enumerate(asked):
        wait_s = backoff.wait_s(now_s, asked_s)
        if wait_s is None:
            assert now_s >= 1060
            break
        assert 0 < wait_s <= max(0.1 * 2**number, asked_s or 0)
        assert wait_s >= min(asked_s or 0, 1060 - now_s) - 1e-6
        now_s += wait_s
        assert now_s <= 1060 + 1e-6


def test_progress_gives_the_whole_patience_back() -> None:
    backoff = Backoff(RetryPolicy(deadline_s=10), Random(1))
    assert backoff.wait_s(0) is not None
    assert backoff.wait_s(11) is None
    backoff.progressed()
    assert backoff.wait_s(12) is not None


def test_readers_do_not_come_back_at_once() -> None:
    waits = {Backoff(RetryPolicy(), Random(seed)).wait_s(0) for seed in range(20)}
    assert len(waits) == 20


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120),
        ({"Retry-After": " 3 "}, 3),
        ({"Retry-After": "9" * 5000}, 999_999_999),
        (
            {
                "Retry-After": "Sun, 22 Nov 2026 10:00:30 GMT",
                "Date": "Sun, 22 Nov 2026 10:00:00 GMT",
            },
            30,
        ),
        ({"Retry-After": "Sun, 22 Nov 2026 10:00:30 GMT"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "\u0661"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_understood_without_a_clock(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after_s(headers) == seconds


def answer(code: str, message: str = "") -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>".encode()


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (403, answer("AccessDenied", "Request has expired"), ExpiredError),
        (400, answer("ExpiredToken", "The provided token has expired."), ExpiredError),
        (400, answer("InvalidRequest", "Date is too old"), ExpiredError),
        (403, answer("InvalidAccessKeyId"), StoreError),
        (403, answer("SignatureDoesNotMatch"), StoreError),
        (403, answer("RequestTimeTooSkewed"), StoreError),
        (301, answer("PermanentRedirect"), StoreError),
        (404, answer("NoSuchBucket"), StoreError),
        (403, b"<html>the proxy says no</html>", StoreError),
        (401, b"", StoreError),
        (302, b"", StoreError),
        (403, answer("AccessDenied", "Access Denied."), "unreadable"),
        (403, answer("InvalidObjectState"), "unreadable"),
        (400, answer("InvalidURI"), "unreadable"),
        (404, answer("NoSuchKey"), "gone"),
        (404, b"", "gone"),
        (412, answer("PreconditionFailed"), "changed"),
        (416, answer("InvalidRange"), "changed"),
        (503, answer("SlowDown"), None),
        (500, answer("InternalError"), None),
        (400, answer("RequestTimeout"), None),
        (429, b"", None),
        (502, b"\xff\xfe", None),
    ],
)
def test_each_refusal_is_booked_where_it_belongs(
    status: int, body: bytes, outcome: type[StoreError] | str | None
) -> None:
    error = refusal(status, body, "key", "host:1")
    if isinstance(error, ObjectError):
        assert error.reason == outcome
    else:
        assert (None if error is None else type(error)) == outcome


def test_a_redirect_names_the_region_it_wants() -> None:
    headers = {"x-amz-bucket-region": "eu-west-1"}
    error = refusal(301, answer("PermanentRedirect"), "k", "h", headers)
    assert "eu-west-1" in str(error)
