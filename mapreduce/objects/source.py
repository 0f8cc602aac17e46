"""From what a user types as SOURCE to the store it means.

A path is a folder or file, `s3://` a bucket. Whatever else looks like a URL is refused with
what to type instead, and a secret inside one is refused unread: arguments are seen by every
user of a machine and kept in shells' histories.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mapreduce.errors import UsageError
from mapreduce.objects.archives import is_like_member
from mapreduce.objects.directory import Directory
from mapreduce.objects.key_list import KeyList
from mapreduce.objects.s3_inventory import MANIFEST, S3Inventory
from mapreduce.objects.secrets import SCHEME, refuse_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mapreduce.objects import Store
    from mapreduce.objects.key_list import Looked


def open_store(
    source: str | os.PathLike[str] | Store,
    *,
    endpoint: str | None = None,
    region: str | None = None,
    endpoints: Sequence[str] = (),
) -> Store:
    """Store that a source means.

    Parameters
    ----------
    source
        A folder, a file, `file:///folder`, `s3://bucket/prefix`, `@keys.txt` (a file with an
        address a line), `@…/manifest.json` (an S3 Inventory), or a store.
    endpoint
        Where the S3-compatible storage answers, `http://host:9000`; None to look where S3
        tools look.
    region
        Of the bucket; None likewise.
    endpoints
        Nodes of one store, where no endpoint is given.

    Raises
    ------
    UsageError
        The source means nothing here; the message says what to type.
    """
    if not isinstance(source, str | os.PathLike):
        return source
    if isinstance(source, os.PathLike):
        return Directory(source)
    refuse_secret(source, "the source")
    if endpoint is not None:
        refuse_secret(endpoint, "the endpoint")
    _refuse_member(source)
    if source.startswith("@") and not os.path.lexists(source):
        return _listed_in(source[1:], partial(_bucket, endpoint, region, endpoints))
    scheme = SCHEME.match(source)
    match scheme[1].lower() if scheme else "":
        case "":
            if not source:
                raise UsageError("the source is empty: name a folder or s3://BUCKET/PREFIX")
            return Directory(source)
        case "s3":
            from mapreduce.objects.s3 import S3  # noqa: PLC0415 - minio loads when used

            return S3.from_url(source, endpoint=endpoint, region=region, endpoints=endpoints)
        case "file":
            return Directory(_file_path(source))
        case "http" | "https":
            raise UsageError(
                f"{source} is the URL of a server: name the bucket as s3://BUCKET/PREFIX, and"
                " set the server by AWS_ENDPOINT_URL_S3=http://HOST:PORT"
            )
        case other:
            raise UsageError(
                f"{other}:// is not supported: name a folder, or a bucket as s3://BUCKET/PREFIX"
            )


def _refuse_member(source: str) -> None:
    if is_like_member(source) and not os.path.lexists(source):
        raise UsageError(
            f"{source} is a member of an archive: name the archive, and choose members with --match"
        )


def _listed_in(address: str, bucket_of: Callable[[str], Looked]) -> Store:
    """Give the store of the objects that a file or an inventory lists."""
    if address.endswith(MANIFEST):
        return S3Inventory(address, bucket_of)
    return KeyList(address, bucket_of, _all_files)


def _bucket(
    endpoint: str | None, region: str | None, endpoints: Sequence[str], bucket: str
) -> Looked:
    from mapreduce.objects.s3 import S3  # noqa: PLC0415 - minio loads when used

    url = f"s3://{bucket}"
    return S3.from_url(url, endpoint=endpoint, region=region, endpoints=endpoints)


def _all_files() -> Looked:
    return Directory("/")


def _file_path(url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise UsageError(f"{url} names another machine: file:///FOLDER is a folder on this one")
    return unquote(parts.path) or "/"
