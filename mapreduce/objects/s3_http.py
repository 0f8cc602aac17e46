"""The connections over which a bucket is listed: impatient until the store has answered once.

Pages are asked for again with growing pauses when the store is busy; one that has never answered is
given up soon. What comes as a page is shown to `s3_pages`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from urllib3 import PoolManager, Retry, Timeout

from mapreduce.objects.node_waits import Waits
from mapreduce.objects.s3_pages import Listings

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse


@dataclass(frozen=True, slots=True)
class _Asked:
    """Somebody who waits for an answer."""

    node: str


class Http(PoolManager):
    """Connections of one store's client.

    Attributes
    ----------
    waits
        Which node is waited for.
    listings
        The listings that are under way.
    """

    def __init__(self) -> None:
        super().__init__(
            maxsize=16,  # so many keys are looked up at a time
            timeout=Timeout(connect=10, read=60),
            ca_certs=os.environ.get("AWS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE"),
        )
        self._answered = False
        self.waits = Waits()
        self.listings = Listings()

    # as minio calls it; the two base classes disagree already
    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> BaseHTTPResponse:
        """Ask, again and again where that is worth while.

        Raises
        ------
        StoreError
            What came as a page of a listing is none.
        """
        patient = Retry(
            total=8,
            connect=8 if self._answered else 2,
            read=8 if self._answered else 2,
            status=8,
            other=1,  # of TLS: a certificate will not be another
            backoff_factor=0.2,
            backoff_max=20,
            backoff_jitter=0.2,
            status_forcelist=[429, 500, 502, 503, 504],
            raise_on_status=False,
            retry_after_max=120,
        )
        options.setdefault("retries", patient)  # a redirect comes here again with what is left
        with self.waits.of(_Asked(urlsplit(url).netloc)):
            response = super().urlopen(method, url, redirect, **options)
        self._answered = True
        self.listings.took(url, response)
        return response
