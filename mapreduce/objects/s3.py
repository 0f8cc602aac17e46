"""A bucket of any S3-compatible storage, or what in it begins with a prefix.

The only file that knows the `minio` client, which lists and signs; it never reads an object.
Pages are asked for again with growing pauses when the store is busy, and given up soon if it
has never answered. Credentials stay here: what leaves is presigned URLs, or plain ones where
no credentials were found. Every fault is the store's (`StoreError`) and says what to do.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self
from xml.etree.ElementTree import ParseError

from minio import Minio
from minio.credentials.credentials import Credentials
from minio.credentials.providers import IamAwsProvider, Provider
from minio.error import InvalidResponseError, MinioException, S3Error
from minio.helpers import check_bucket_name
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError, MaxRetryError, NameResolutionError, SSLError

from mapreduce.errors import ObjectError, StoreError, UsageError
from mapreduce.objects import Entry, Location
from mapreduce.objects.refusals import REMEDIES
from mapreduce.objects.settings import Settings, find_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from urllib3.response import BaseHTTPResponse

_URL = re.compile(r"s3://([^/]+)(?:/(.*))?", re.DOTALL)
_RENEW_BEFORE = timedelta(minutes=15)


class S3:
    """Objects of a bucket whose keys begin with a prefix.

    Parameters
    ----------
    bucket
        Its name.
    prefix
        What keys begin with; end it with `/` to mean a folder.
    settings
        How to reach the store; None to look where S3 tools look.
    expires_s
        How long presigned URLs are honoured, in seconds; keys of a session may end earlier.
    literal
        False to refuse a prefix that means several things: `trips` where there are `trips/…`
        and `trips-old/…`, which would be counted together unnoticed.

    Raises
    ------
    UsageError
        A name or setting that cannot be meant.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        settings: Settings | None = None,
        *,
        expires_s: int = 7200,
        literal: bool = True,
    ) -> None:
        self._settings = settings or find_settings()
        try:
            check_bucket_name(bucket, s3_check=self._settings.endpoint is None)
        except ValueError as error:
            raise UsageError(f"no bucket can be called {bucket!r}: {error}") from None
        self.bucket = bucket
        self.prefix = prefix
        self._literal = literal or prefix.endswith("/") or not prefix
        self._expires = timedelta(seconds=expires_s)
        self._http = _Http()
        keys = _provider(self._settings)
        self._anonymous = keys is None
        try:
            self._client = Minio(
                self._settings.host,
                secure=self._settings.secure,
                # Amazon is asked for the bucket's region; others take any, and usually this.
                region=self._settings.region or ("us-east-1" if self._settings.endpoint else None),
                credentials=keys,
                http_client=self._http,
            )
        except ValueError as error:
            raise UsageError(
                f"the endpoint {self._settings.host} cannot be used: {error}"
            ) from None

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        expires_s: int = 7200,
    ) -> Self:
        """Store that `s3://bucket/prefix` means; nothing in it is percent-decoded.

        A prefix that ends in `*` means all that begins with it, whatever that is.

        Raises
        ------
        UsageError
            Not of that form, or a name or setting that cannot be meant.
        """
        parts = _URL.fullmatch(url)
        if parts is None:
            raise UsageError(f"a bucket is typed as s3://BUCKET/PREFIX, not {url}")
        settings = find_settings(endpoint, region)
        prefix = parts[2] or ""
        return cls(
            parts[1],
            prefix.removesuffix("*"),
            settings,
            expires_s=expires_s,
            literal=prefix.endswith("*"),
        )

    @property
    def name(self) -> str:
        """`s3://bucket/prefix`."""
        return f"s3://{self.bucket}/{self.prefix}" if self.prefix else f"s3://{self.bucket}"

    def entries(self) -> Iterator[Entry]:
        """Every object, page by page, in the store's own order.

        Raises
        ------
        StoreError
            The store refused, or answered nothing useful.
        UsageError
            The prefix means several things.
        """
        first: dict[bool, str] = {}
        try:
            found = self._client.list_objects(self.bucket, prefix=self.prefix, recursive=True)
            for item in found:
                key = item.object_name or ""
                if not self._literal:
                    first.setdefault(key.startswith(self.prefix + "/"), key)
                    if len(first) > 1:
                        raise self._ambiguous(first)
                yield Entry(key, item.size or 0, item.etag or "")
        except (MinioException, HTTPError, ValueError, ParseError) as error:
            raise self._failure(error) from None

    def locate(self, entry: Entry) -> Location:
        """Sign a URL; a plain one where there are no credentials.

        Raises
        ------
        ObjectError
            `unreadable`: the key cannot stand in a URL.
        StoreError
            The bucket's region or credentials cannot be had.
        """
        try:
            url = self._client.presigned_get_object(self.bucket, entry.key, expires=self._expires)
        except ValueError as error:
            raise ObjectError("unreadable", f"{entry.key}: {error}") from None
        except (MinioException, HTTPError, ParseError) as error:
            raise self._failure(error) from None
        return Location(url=url)

    def _ambiguous(self, first: dict[bool, str]) -> UsageError:
        return UsageError(
            f"{self.name} means both {first[True]} and {first[False]}:"
            f" type {self.name}/ for the folder, or {self.name}* for all that begins so"
        )

    def _failure(self, error: Exception) -> StoreError:
        where = f"{self.name} at {self._settings.host}"
        if isinstance(error, S3Error):
            return StoreError(f"{where}: {error.code}: {self._remedy(error)}")
        cause = error.reason if isinstance(error, MaxRetryError) else error
        if isinstance(cause, SSLError):
            what = "its certificate is not trusted: set SSL_CERT_FILE to the authority's"
        elif isinstance(cause, NameResolutionError):
            what = "no such host: check the endpoint"
        elif isinstance(error, HTTPError):
            what = f"no answer ({type(cause).__name__}): is it running, is the endpoint right?"
        elif isinstance(error, InvalidResponseError | ParseError):
            what = "what answers is no S3-compatible store: check the endpoint and its port"
        else:
            what = f"{error}"
        return StoreError(f"{where}: {what}")

    def _remedy(self, error: S3Error) -> str:
        if error.code in REMEDIES:
            return REMEDIES[error.code]
        if error.code == "AccessDenied" and self._anonymous:
            return (
                "no credentials were found and it is not open to all: set AWS_ACCESS_KEY_ID and"
                " AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            )
        if error.code == "AccessDenied":
            return "these credentials may not list it: grant them s3:ListBucket"
        if error.code in {"ExpiredToken", "TokenRefreshRequired"}:
            return "the credentials have expired: renew them and resume"
        return f"{error.message or 'it said no more'}; resume when that is mended"


class _Http(PoolManager):
    """Connections of the client: impatient until the store has answered once."""

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
        patient = Retry(
            total=8,
            connect=8 if self._answered else 2,
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


class _Keys(Provider):
    """Fixed keys, or a profile's as they stand in its files now."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def retrieve(self) -> Credentials:
        keys = self._settings.keys
        if keys is None and self._settings.profile is not None:
            keys = self._settings.profile.keys()
        if keys is None:
            raise StoreError("the keys are gone from the profile's files: put them back, resume")
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
                f"the role of this machine gives no keys ({type(error).__name__}):"
                " check the role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from None
        finally:
            quick.clear()


def _provider(settings: Settings) -> Provider | None:
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
