"""A bucket of any S3-compatible storage, or what in it begins with a prefix.

The only file that knows the `minio` client (its credentials apart), which lists and signs; it never
reads an object. A page is looked at before it is believed (`s3_pages`).
Of several nodes of one store the first that answers lists, and each signs for itself, since a
signature covers the host. Credentials stay here: what leaves is presigned URLs, or plain ones
where no credentials were found. Every fault is the store's (`StoreError`) and says what to do.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Self
from xml.etree.ElementTree import ParseError

from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error
from minio.helpers import check_bucket_name
from urllib3.exceptions import (
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    ProtocolError,
    ResponseError,
    SSLError,
)

from mapreduce.errors import ObjectError, StoreError, UsageError
from mapreduce.objects import Awaited, Entry, Location
from mapreduce.objects.checksum import MODE, needs_part_size
from mapreduce.objects.foreign_answers import excerpt, tls_words
from mapreduce.objects.s3_credentials import provider_of
from mapreduce.objects.s3_errors import REMEDIES
from mapreduce.objects.s3_http import Http
from mapreduce.objects.s3_pages import Pages
from mapreduce.objects.s3_settings import Settings, find_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from minio.datatypes import Object

_MOST_BYTES = 1 << 50  # no store takes an object of a pebibyte
_URL = re.compile(r"s3://([^/]+)(?:/(.*))?", re.DOTALL)


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
            raise UsageError(f"invalid bucket name {bucket!r}: {error}") from None
        self.bucket = bucket
        self.prefix = prefix
        self._literal = literal or prefix.endswith("/") or not prefix
        self._expires = timedelta(seconds=expires_s)
        self._http = Http()
        self._keys = provider_of(self._settings)
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

    def entry_of(self, key: str) -> Entry | None:
        """Look up one object; None where there is none.

        Raises
        ------
        StoreError
            The store refused, or answered nothing useful.
        """
        node = self._nodes[0]
        try:
            found = self._client(node).stat_object(
                self.bucket, key, extra_headers=self._settings.payer_header
            )
        except S3Error as error:
            if error.code in {"NoSuchKey", "NoSuchObject"}:
                return None
            raise self._failure(error, node) from None
        except (MinioException, HTTPError, ValueError, ParseError) as error:
            raise self._failure(error, node) from None
        return Entry(key, found.size or 0, found.etag or "")

    def locate(self, entry: Entry) -> Location:
        """Sign a URL; a plain one where there are no credentials.

        Raises
        ------
        ObjectError
            `unreadable`: the key cannot stand in a URL.
        StoreError
            The bucket's region or credentials cannot be had.
        """
        return self._at(entry, [self._nodes[0]])

    def locate_at(self, entry: Entry, endpoints: Sequence[str]) -> Location:
        """Sign a URL for each of some nodes, the first of which is to be asked first.

        Raises
        ------
        ObjectError, StoreError
            As `locate` does.
        """
        return self._at(entry, [self._settings.at(one) for one in endpoints])

    def _at(self, entry: Entry, nodes: Sequence[Settings]) -> Location:
        first, *others = (self._signed("GET", entry, node, MODE, "ENABLED") for node in nodes)
        part = None
        if self._settings.checked and not nodes[0].secure and needs_part_size(entry.etag):
            part = self._signed("HEAD", entry, nodes[0], "partNumber", "1")
        return Location(url=first, others=tuple(others), check=self._settings.checked, part=part)

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
        self._http.pages = Pages(self.name)
        for item in client.list_objects(
            self.bucket,
            prefix=self.prefix,
            recursive=True,
            extra_headers=self._settings.payer_header,
        ):
            key, size = item.object_name or "", item.size
            if size is None or not 0 <= size <= _MOST_BYTES or not self._asked_for(key):
                raise self._odd(item)
            if not self._literal:
                first.setdefault(key.startswith(self.prefix + "/"), key)
                if len(first) > 1:
                    raise self._ambiguous(first)
            yield Entry(key, size, item.etag or "")

    def _asked_for(self, key: str) -> bool:
        return bool(key) and key.startswith(self.prefix)

    def _odd(self, item: Object) -> StoreError:
        """Say what is wrong with something listed that cannot be an object of the source."""
        key = item.object_name or ""
        if not key:
            how = "lists an object without a key"
        elif not key.startswith(self.prefix):
            how = f"lists {key}, which does not begin with the requested prefix {self.prefix}"
        elif item.is_delete_marker:
            how = f"lists a deleted object ({key}), which was not requested"
        elif item.size is None and key.endswith("/"):
            how = f"lists the folder {key} instead of its contents"
        else:
            how = f"lists {key} with a size of {item.size} bytes"
        return StoreError(f"{self.name}: the store {how}; its listing cannot be trusted")

    def _signed(self, method: str, entry: Entry, node: Settings, name: str, value: str) -> str:
        """Sign a request, with a parameter that is of use over a plain connection."""
        asked: dict[str, str | list[str] | tuple[str]] = (
            {} if node.secure or (name == MODE and self._keys is None) else {name: value}
        )
        asked |= self._settings.payer_header or {}
        try:
            return self._client(node).get_presigned_url(
                method, self.bucket, entry.key, self._expires, extra_query_params=asked
            )
        except ValueError as error:
            raise ObjectError("unreadable", f"{entry.key}: {error}") from None
        except (MinioException, HTTPError, ParseError) as error:
            raise self._failure(error, node) from None

    def _ambiguous(self, first: dict[bool, str]) -> UsageError:
        return UsageError(
            f"{self.name} means both {first[True]} and {first[False]}:"
            f" type {self.name}/ for the folder, or {self.name}* for all keys with this beginning"
        )

    def _failure(self, error: Exception, node: Settings) -> StoreError:
        where = f"{self.name} at {node.host}"
        if isinstance(error, S3Error):
            code = excerpt(error.code or "an error without a code")
            return StoreError(f"{where}: {code}: {self._remedy(error)}")
        cause = error.reason if isinstance(error, MaxRetryError) else error
        if isinstance(cause, SSLError | ProtocolError) and (told := tls_words(cause)):
            what = told
        elif isinstance(cause, NameResolutionError):
            what = "no such host: check the endpoint"
        elif isinstance(cause, ResponseError):
            what = "it redirects endlessly: check the endpoint"
        elif isinstance(error, HTTPError):
            what = f"no answer ({type(cause).__name__}): is it running, and is the endpoint right?"
            if isinstance(cause, ProtocolError) and not node.secure:
                what += " If it uses TLS, the endpoint must begin with https://"
        elif isinstance(error, InvalidResponseError | ParseError):
            what = "the server is not an S3-compatible store: check the endpoint and its port"
        else:
            what = f"its answer is not that of an S3-compatible store ({excerpt(str(error))})"
        return StoreError(f"{where}: {what}")

    def _remedy(self, error: S3Error) -> str:
        if error.code in REMEDIES:
            region = error.response.headers.get("x-amz-bucket-region", "")
            return REMEDIES[error.code] + (f" (it says {excerpt(region)})" if region else "")
        if error.code == "AccessDenied" and self._keys is None:
            return (
                "no credentials were found, and it is not public: set AWS_ACCESS_KEY_ID and"
                " AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            )
        if error.code == "AccessDenied":
            return "these credentials may not list it: grant them s3:ListBucket"
        if error.code in {"ExpiredToken", "TokenRefreshRequired"}:
            return "the credentials have expired: renew them and resume"
        return f"{excerpt(error.message or 'it said no more')}; resume when that is corrected"
