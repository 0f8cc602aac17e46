"""A bucket of any S3-compatible storage, or what in it begins with a prefix.

The only file that knows the `minio` client, which lists and signs; it never reads an object.
Of several nodes of one store the first that answers lists, and each signs for itself, since a
signature covers the host. Credentials stay here: what leaves is presigned URLs, or plain ones
where no credentials were found. Every fault is the store's (`StoreError`) and says what to do.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self
from xml.etree.ElementTree import ParseError

from minio import Minio
from minio.credentials.credentials import Credentials
from minio.credentials.providers import IamAwsProvider, Provider
from minio.error import InvalidResponseError, MinioException, S3Error
from minio.helpers import check_bucket_name
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError, MaxRetryError, NameResolutionError, SSLError

from mapreduce.errors import ObjectError, StoreError, UsageError
from mapreduce.objects import Awaited, Entry, Location
from mapreduce.objects.http import Http
from mapreduce.objects.refusals import REMEDIES
from mapreduce.objects.settings import Settings, find_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    endpoints
        Nodes of one store, instead of the one in the settings.
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
        endpoints: Sequence[str] = (),
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
        self._http = Http()
        self._keys = _provider(self._settings)
        self.endpoints = tuple(endpoints) or tuple(filter(None, [self._settings.endpoint]))
        self._clients: dict[str, Minio] = {}
        self._nodes = [self._settings.at(one) for one in self.endpoints] or [self._settings]
        for node in self._nodes:
            self._client(node)  # refused here, not where it is used

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        endpoints: Sequence[str] = (),
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
        settings = find_settings(endpoint or next(iter(endpoints), None), region)
        prefix = parts[2] or ""
        return cls(
            parts[1],
            prefix.removesuffix("*"),
            settings,
            endpoints=() if endpoint else endpoints,
            expires_s=expires_s,
            literal=prefix.endswith("*"),
        )

    @property
    def name(self) -> str:
        """`s3://bucket/prefix`."""
        return f"s3://{self.bucket}/{self.prefix}" if self.prefix else f"s3://{self.bucket}"

    @property
    def awaited(self) -> Awaited | None:
        """The node whose answer is waited for, where it has been silent for long."""
        return self._http.waits.longest

    def entries(self) -> Iterator[Entry]:
        """Every object, page by page, in the store's own order.

        Raises
        ------
        StoreError
            The store refused, or answered nothing useful.
        UsageError
            The prefix means several things.
        """
        while True:
            node, listed = self._nodes[0], False
            try:
                for entry in self._listed(self._client(node)):
                    listed = True
                    yield entry
            except (MinioException, HTTPError, ValueError, ParseError) as error:
                if listed or len(self._nodes) == 1 or not isinstance(error, HTTPError):
                    raise self._failure(error, node) from None
                del self._nodes[0]  # nobody answers there: the next one may
            else:
                return

    def locate(self, entry: Entry) -> Location:
        """Sign a URL; a plain one where there are no credentials.

        Raises
        ------
        ObjectError
            `unreadable`: the key cannot stand in a URL.
        StoreError
            The bucket's region or credentials cannot be had.
        """
        return Location(url=self._signed(entry, self._nodes[0]))

    def locate_at(self, entry: Entry, endpoints: Sequence[str]) -> Location:
        """Sign a URL for each of some nodes, the first of which is to be asked first.

        Raises
        ------
        ObjectError, StoreError
            As `locate` does.
        """
        first, *others = (self._signed(entry, self._settings.at(one)) for one in endpoints)
        return Location(url=first, others=tuple(others))

    def _client(self, node: Settings) -> Minio:
        client = self._clients.get(node.host)
        if client is not None:
            return client
        try:
            # Amazon is asked for the bucket's region; others take any, and usually this.
            region = node.region or ("us-east-1" if node.endpoint else None)
            made = Minio(
                node.host,
                secure=node.secure,
                region=region,
                credentials=self._keys,
                http_client=self._http,
            )
        except ValueError as error:
            raise UsageError(f"the endpoint {node.host} cannot be used: {error}") from None
        return self._clients.setdefault(node.host, made)

    def _listed(self, client: Minio) -> Iterator[Entry]:
        first: dict[bool, str] = {}
        for item in client.list_objects(self.bucket, prefix=self.prefix, recursive=True):
            key = item.object_name or ""
            if not self._literal:
                first.setdefault(key.startswith(self.prefix + "/"), key)
                if len(first) > 1:
                    raise self._ambiguous(first)
            yield Entry(key, item.size or 0, item.etag or "")

    def _signed(self, entry: Entry, node: Settings) -> str:
        try:
            return self._client(node).presigned_get_object(
                self.bucket, entry.key, expires=self._expires
            )
        except ValueError as error:
            raise ObjectError("unreadable", f"{entry.key}: {error}") from None
        except (MinioException, HTTPError, ParseError) as error:
            raise self._failure(error, node) from None

    def _ambiguous(self, first: dict[bool, str]) -> UsageError:
        return UsageError(
            f"{self.name} means both {first[True]} and {first[False]}:"
            f" type {self.name}/ for the folder, or {self.name}* for all that begins so"
        )

    def _failure(self, error: Exception, node: Settings) -> StoreError:
        where = f"{self.name} at {node.host}"
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
        if error.code == "AccessDenied" and self._keys is None:
            return (
                "no credentials were found and it is not open to all: set AWS_ACCESS_KEY_ID and"
                " AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            )
        if error.code == "AccessDenied":
            return "these credentials may not list it: grant them s3:ListBucket"
        if error.code in {"ExpiredToken", "TokenRefreshRequired"}:
            return "the credentials have expired: renew them and resume"
        return f"{error.message or 'it said no more'}; resume when that is mended"


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
