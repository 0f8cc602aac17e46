"""Roads that lie in a bucket or on a web server: brought here once, and read as files.

The copy keeps the ending of its name, by which formats are known; a query, which may sign the
address, is told to nobody. It is removed when the program ends.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import urllib3

from mapreduce import ObjectError, UsageError
from mapreduce.objects.reader import Reader
from roadspeed.roads.rows.answer import RoadsError

BUCKET = "s3://"
WEB = ("http://", "https://")
PIECE_BYTES = 1 << 20
OK = 200
TIMEOUT = urllib3.Timeout(connect=10, read=60)
EXAMPLE = "s3://bucket/roads.geojson or https://host/roads.gpkg"


def here(roads: str) -> str:
    """Give a path of roads on this machine; what is no address of a bucket or server as it is.

    Raises
    ------
    UsageError
        There is no such object or page, or the address cannot be meant.
    RoadsError
        The server gives no answer.
    """
    if not roads.lower().startswith((BUCKET, *WEB)):
        return roads
    return _copied(roads)


@cache
def _copied(address: str) -> str:
    parts = urlsplit(address)
    name = unquote(parts.path).rpartition("/")[2]
    if not name or parts.username or parts.password:
        raise UsageError(f"expected one file as roads, such as {EXAMPLE}, and no password in it")
    folder = tempfile.mkdtemp(prefix="roads-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / name
    if address.lower().startswith(BUCKET):
        _from_bucket(address, path)
    else:
        _from_web(address, f"{parts.scheme}://{parts.netloc}{parts.path}", path)
    return str(path)


def _from_bucket(address: str, path: Path) -> None:
    from mapreduce.objects.s3 import S3  # noqa: PLC0415 - minio loads when used

    bucket, _, key = address[len(BUCKET) :].partition("/")
    store = S3.from_url(BUCKET + bucket)
    entry = store.entry_of(key)
    if entry is None:
        raise UsageError(f"{address}: there is no such object; roads are one file: {EXAMPLE}")
    try:
        with (
            Reader() as reader,
            reader.open(entry, store.locate(entry)) as body,
            path.open("wb") as file,
        ):
            while piece := body.read(PIECE_BYTES):
                file.write(piece)
    except ObjectError as error:
        raise UsageError(f"{address} cannot be read: {error}") from None


def _from_web(address: str, told: str, path: Path) -> None:
    try:
        with (
            urllib3.PoolManager() as pool,
            closing(pool.request("GET", address, preload_content=False, timeout=TIMEOUT)) as answer,
        ):
            if answer.status != OK:
                raise UsageError(f"{told}: the server answered {answer.status} {answer.reason}")
            with path.open("wb") as file:
                file.writelines(answer.stream(PIECE_BYTES))
    except urllib3.exceptions.HTTPError as error:
        raise RoadsError(f"{told} cannot be read ({type(error).__name__}); try again") from None
