"""The pages of listings, looked at before they are believed.

A page must be a list of objects, and while there is more it must say where to go on: at a place
where the listing has not been. Memory does not grow with the number of pages.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from mapreduce.errors import StoreError
from mapreduce.objects.foreign_answers import described, root_of
from mapreduce.objects.s3_errors import error_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from urllib3.response import BaseHTTPResponse

MOST_OBJECT_BYTES: Final = 1 << 50  # no store takes an object of a pebibyte
EMPTY_PAGES: Final = 1000  # in a row; a store may skip what it has deleted
_MORE = re.compile(rb"<(?:\w+:)?IsTruncated>\s*(\w+)\s*<")
_NEXT = re.compile(rb"<(?:\w+:)?NextContinuationToken>([^<]+)<")
_OBJECT = re.compile(rb"<(?:\w+:)?Contents[\s>]")
_OK: Final = 200


class Listings:
    """The listings that are under way at a store, several at a time."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, str], Pages] = {}

    @contextmanager
    def one(self, name: str, prefix: str, delimiter: str) -> Iterator[None]:
        """Look at the pages of a listing for as long as the block lasts."""
        pages = self._under_way[prefix, delimiter] = Pages(name)
        try:
            yield
        finally:
            if self._under_way.get((prefix, delimiter)) is pages:  # and not of one begun since
                del self._under_way[prefix, delimiter]

    def took(self, url: str, response: BaseHTTPResponse) -> None:
        """Look at an answer, if it is to a request for a page; raises as `Pages.took`."""
        asked = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
        if asked.get("list-type") == "2":
            pages = self._under_way.get((asked.get("prefix", ""), asked.get("delimiter", "")))
            if pages is not None:  # a redirect may ask otherwise, and comes back to who asked
                pages.took(url, response)


class Pages:
    """Checks the pages of a listing, in the order they come.

    Parameters
    ----------
    name
        What is listed, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._looked_at: BaseHTTPResponse | None = None
        self._empty = 0
        self._mark = b""  # a place gone on from: one among ever more (Brent, 1980)
        self._since_mark = 0
        self._until_mark = 1

    def took(self, url: str, response: BaseHTTPResponse) -> None:
        """Look at the answer to a request for a page.

        Raises
        ------
        StoreError
            It is no page, or one that leads nowhere or in a circle.
        """
        if response is self._looked_at:  # it comes twice where the request was led elsewhere
            return
        self._looked_at, data = response, response.data
        if response.status != _OK:
            if root_of(data) != "Error":
                raise self._no_store(url, response)
            return
        root = root_of(data)
        if root == "Error" and error_code(data)[0]:
            raise self._fault(f"it answered {_OK} with the error {error_code(data)[0]}")
        if root != "ListBucketResult":
            raise self._no_store(url, response)
        self._go_on(data)

    def _go_on(self, data: bytes) -> None:
        more, token = _MORE.search(data), _NEXT.search(data)
        if more is None and token is not None:
            raise self._fault("a page does not say whether it is the last")
        if more is None or more[1].lower() != b"true":
            return
        if token is None:
            raise self._fault("a page says that there is more, but not how to continue")
        if token[1] == self._mark:
            raise self._fault("it forms a cycle: a page leads to an earlier one")
        self._since_mark += 1
        if self._since_mark == self._until_mark:
            self._mark, self._since_mark = token[1], 0
            self._until_mark *= 2
        self._empty = 0 if _OBJECT.search(data) else self._empty + 1
        if self._empty > EMPTY_PAGES:
            raise self._fault(f"{self._empty:,} pages in a row held no object")

    def _no_store(self, url: str, response: BaseHTTPResponse) -> StoreError:
        host = urlsplit(response.geturl() or url).netloc or urlsplit(url).netloc
        return StoreError(
            f"{self._name}: expected a list of objects, but {host} answered {response.status} with"
            f" {described(response.data)}. This is not an S3-compatible store: check the"
            " endpoint and its port (a web console uses another port), and whether there is a"
            " proxy or login page in between"
        )

    def _fault(self, how: str) -> StoreError:
        return StoreError(
            f"{self._name}: its listing cannot be trusted: {how}. The store is at fault; the"
            " same command resumes the run when that is repaired"
        )
