"""A bucket of any S3-compatible storage, or what in it begins with a prefix.

The file that uses the `minio` client, which lists and signs; it never reads an object. A page is
looked at before it is believed (`s3_pages`). A store that says that the bucket is in another region
is believed, and asked there.
Of several nodes of one store the first that answers lists, and each signs for itself, since a
signature covers the host. Credentials stay here: what leaves is presigned URLs, or plain ones
where no credentials were found. Every fault is the store's (`StoreError`) and says what to do.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Self

from minio import Minio
from minio.error import S3Error
from minio.helpers import check_bucket_name
from urllib3.exceptions import HTTPError

from mapreduce.errors import ObjectError, StoreError, UsageError
from mapreduce.objects import Awaited, Entry, Location
from mapreduce.objects.checksum import MODE, needs_part_size
from mapreduce.objects.folders import entries_below
from mapreduce.objects.s3_credentials import provider_of
from mapreduce.objects.s3_errors import region_told
from mapreduce.objects.s3_failures import CLIENT_FAILURES, failure
from mapreduce.objects.s3_http import Http
from mapreduce.objects.s3_pages import MOST_OBJECT_BYTES
from mapreduce.objects.s3_settings import Settings, find_settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from minio.datatypes import Object

USUAL_REGION = "us-east-1"  # Amazon says where else a bucket is; others take any
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
        self._clients: dict[tuple[str, str | None], Minio] = {}  # by node and region
        self._regions = {self._settings.region or USUAL_REGION}  # that were tried
        self._is_settled = self._settings.endpoint is not None  # whether the region is known
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

    @property
    def base(self) -> str:
        """What stands before each key: the bucket, at whatever endpoint."""
        return f"s3://{self.bucket}/"

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
                client = self._client(node)
                below, level = partial(self._below, client), partial(self._level, client)
                for entry in self._meant(entries_below(self.prefix, below, level)):
                    listed = self._is_settled = True
                    yield entry
            except CLIENT_FAILURES as error:
                if not listed and self._is_led_elsewhere(error, node):
                    continue
                if listed or len(self._nodes) == 1 or not isinstance(error, HTTPError):
                    raise self._failure(error, node) from None
                del self._nodes[0]  # nobody answers there: the next one may
            else:
                return

    def entry_of(self, key: str) -> Entry | None:
        """Look up one object; None where there is none, or can be none by its key.

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
        except CLIENT_FAILURES as error:
            if isinstance(error, S3Error) and error.code in {"NoSuchKey", "NoSuchObject"}:
                return None
            if isinstance(error, ValueError):  # the client asks for no such key; so says `locate`
                return None
            if self._is_led_elsewhere(error, node):
                return self.entry_of(key)
            raise self._failure(error, node) from None
        self._is_settled = True
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
        if not self._is_settled:
            self._settle()
            nodes = [replace(node, region=self._settings.region) for node in nodes]
        first, *others = (self._signed("GET", entry, node, MODE, "ENABLED") for node in nodes)
        part = None
        if self._settings.checked and not nodes[0].secure and needs_part_size(entry.etag):
            part = self._signed("HEAD", entry, nodes[0], "partNumber", "1")
        return Location(url=first, others=tuple(others), check=self._settings.checked, part=part)

    def _is_led_elsewhere(self, error: Exception, node: Settings) -> bool:
        """Take up the region that a store says its bucket is in; tell whether to ask there."""
        if not isinstance(error, S3Error):
            return False
        region = region_told(error.response.headers, error.response.data)
        if not region or region == (node.region or USUAL_REGION):
            return False
        if region == self._settings.region:  # taken up since this was asked, by another thread
            return True
        if region in self._regions:
            return False
        self._regions.add(region)
        self._settings = replace(self._settings, region=region)
        self._nodes = [replace(node, region=region) for node in self._nodes]
        return True

    def _settle(self) -> None:
        """Ask Amazon for the bucket's region, where nothing was listed: a run goes on."""
        self._is_settled = True
        node = self._nodes[0]
        try:
            self._client(node).bucket_exists(self.bucket)
        except CLIENT_FAILURES as error:
            self._is_led_elsewhere(error, node)  # anything else is told where objects are read

    def _client(self, node: Settings) -> Minio:
        at = node.host, node.region
        client = self._clients.get(at)
        if client is not None:
            return client
        try:
            made = Minio(
                node.host,
                secure=node.secure,
                region=node.region or USUAL_REGION,
                credentials=self._keys,
                http_client=self._http,
            )
        except ValueError as error:
            raise UsageError(f"the endpoint {node.host} cannot be used: {error}") from None
        return self._clients.setdefault(at, made)

    def _below(self, client: Minio, prefix: str) -> Generator[Entry]:
        """List all objects below a prefix."""
        for item in self._listed(client, prefix, ""):
            yield self._entry(item, prefix)

    def _level(self, client: Minio, prefix: str) -> Iterator[Entry | str]:
        """List the objects of a prefix up to the next slash, and the folders beside them."""
        for item in self._listed(client, prefix, "/"):
            folder = item.object_name or ""
            is_folder = item.size is None and folder.startswith(prefix) and folder.endswith("/")
            yield folder if is_folder and folder != prefix else self._entry(item, prefix)

    def _listed(self, client: Minio, prefix: str, delimiter: str) -> Iterator[Object]:
        with self._http.listings.one(self.name, prefix, delimiter):
            yield from client.list_objects(
                self.bucket,
                prefix=prefix,
                recursive=not delimiter,
                extra_headers=self._settings.payer_header,
            )

    def _entry(self, item: Object, prefix: str) -> Entry:
        key, size = item.object_name or "", item.size
        if size is None or not 0 <= size <= MOST_OBJECT_BYTES:
            raise self._odd(item, prefix)
        if not key or not key.startswith(prefix):
            raise self._odd(item, prefix)
        return Entry(key, size, item.etag or "")

    def _meant(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Refuse a prefix that turns out to mean several things."""
        first: dict[bool, str] = {}
        for entry in entries:
            if not self._literal:
                first.setdefault(entry.key.startswith(self.prefix + "/"), entry.key)
                if len(first) > 1:
                    raise self._ambiguous(first)
            yield entry

    def _odd(self, item: Object, prefix: str) -> StoreError:
        """Say what is wrong with something listed that cannot be an object of the source."""
        key = item.object_name or ""
        if not key:
            how = "lists an object without a key"
        elif not key.startswith(prefix):
            how = f"lists {key}, which does not begin with the requested prefix {prefix}"
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
        except CLIENT_FAILURES as error:
            raise self._failure(error, node) from None

    def _ambiguous(self, first: dict[bool, str]) -> UsageError:
        return UsageError(
            f"{self.name} means both {first[True]} and {first[False]}:"
            f" type {self.name}/ for the folder, or {self.name}* for all keys with this beginning"
        )

    def _failure(self, error: Exception, node: Settings) -> StoreError:
        where = f"{self.name} at {node.host}"
        return failure(error, where, secure=node.secure, anonymous=self._keys is None)
