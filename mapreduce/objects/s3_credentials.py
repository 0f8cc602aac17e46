"""Where the keys of a bucket come from: fixed, a profile's, or the role of this machine.

Providers as the `minio` client takes them; keys of a role are renewed before they end.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from minio.credentials.credentials import Credentials
from minio.credentials.providers import IamAwsProvider, Provider
from minio.error import MinioException
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from mapreduce.errors import StoreError

if TYPE_CHECKING:
    from mapreduce.objects.s3_settings import Settings

_RENEW_BEFORE = timedelta(minutes=15)


class _Keys(Provider):
    """Fixed keys, or a profile's as they stand in its files now."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def retrieve(self) -> Credentials:
        keys = self._settings.keys
        if keys is None and self._settings.profile is not None:
            keys = self._settings.profile.keys()
        if keys is None:
            raise StoreError(
                "the keys have disappeared from the profile's files: restore them and resume"
            )
        return Credentials(keys.access, keys.secret, keys.token)


class _Role(Provider):
    """Keys of the machine's or container's role, renewed well before they end."""

    def __init__(self, region: str | None) -> None:
        self._region = region
        self._keys: Credentials | None = None

    def retrieve(self) -> Credentials:
        keys = self._keys
        if keys is None or _ends_soon(keys):
            keys = self._keys = self._fetch()
        return keys

    def _fetch(self) -> Credentials:
        quick = PoolManager(timeout=Timeout(connect=1, read=5), retries=Retry(1, connect=0))
        endpoint = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT")
        try:
            return IamAwsProvider(
                custom_endpoint=None if _container() or not endpoint else endpoint.rstrip("/"),
                http_client=quick,
                region=self._region,
            ).retrieve()
        except (HTTPError, MinioException, ValueError, KeyError, OSError) as error:
            raise StoreError(
                f"the role of this machine provides no keys ({type(error).__name__}):"
                " check the role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from None
        finally:
            quick.clear()


def provider_of(settings: Settings) -> Provider | None:
    """Where keys come from: fixed, a profile, a role; None to go without."""
    if settings.keys or (settings.profile and settings.profile.keys()):
        return _Keys(settings)
    if (
        settings.profile is None
        or os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
    ):
        return _Role(settings.region) if settings.profile and _container() else None
    role = _Role(settings.region)
    if _container():
        return role
    # The metadata service is asked last, briefly, and only where its keys could be of use.
    if settings.endpoint is None or os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT"):
        try:
            role.retrieve()
        except StoreError:
            return None
        return role
    return None


def _container() -> bool:
    names = (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    )
    return any(os.environ.get(name) for name in names)


def _ends_soon(keys: Credentials) -> bool:
    if keys.expiration is None:
        return False
    now = datetime.now(UTC).replace(tzinfo=None)  # minio keeps the end as UTC without a zone
    return keys.expiration < now + _RENEW_BEFORE
