"""The connections over which a bucket is listed: impatient until the store has answered once.

Pages are asked for again with growing pauses when the store is busy; one that has never answered is
given up soon. It understands no answer.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from urllib3 import PoolManager, Retry, Timeout

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse


class Http(PoolManager):
    """Connections of one store's client."""

    def __init__(self) -> None:
        super().__init__(
            maxsize=8,
            timeout=Timeout(connect=10, read=60),
            ca_certs=os.environ.get("AWS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE"),
        )
        self._answered = False

    # as minio calls it; the two base classes disagree already
    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> BaseHTTPResponse:
        """Ask, again and again where that is worth while."""
        patient = Retry(
            total=8,
            connect=8 if self._answered else 2,
            read=8 if self._answered else 2,
            status=8,
            backoff_factor=0.2,
            backoff_max=20,
            backoff_jitter=0.2,
            status_forcelist=[429, 500, 502, 503, 504],
            raise_on_status=False,
            retry_after_max=120,
        )
        response = super().urlopen(method, url, redirect, retries=patient, **options)
        self._answered = True
        return response
