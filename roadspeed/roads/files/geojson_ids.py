"""GeoJSON features by the `id` that each carries itself, whatever kind of value that is.

Rule: GDAL gives every feature a number, its `id` only where that is an integer, is there and is
new; so where the features' own ids are asked for they are read here, each beside its geometry and
its properties. One without an id has none, and an id that comes twice is of two rows. Coordinates
are longitude and latitude (RFC 7946, section 4) unless the file has a `crs`, which GDAL reads.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

from mapreduce.errors import UsageError
from roadspeed.roads.files.layer import Batch, ColumnSelection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DRIVERS = {"GeoJSON", "GeoJSONSeq", "JSONFG"}
BATCH_ROWS = 65_536
HEAD_BYTES = 1 << 20
RECORD_SEPARATOR = b"\x1e"
BOM = b"\xef\xbb\xbf"
FIRST_FEATURE = re.compile(r'"features"\s*:\s*\[')


class Feature(msgspec.Struct):
    """A feature, each part as it stands in the file."""

    id: msgspec.Raw = msgspec.Raw(b"null")
    geometry: msgspec.Raw = msgspec.Raw(b"null")
    properties: dict[str, msgspec.Raw] | None = None


class Named(msgspec.Struct):
    """What names a coordinate system: `{"name": "urn:ogc:def:crs:EPSG::27700"}`."""

    name: str | None = None


class System(msgspec.Struct):
    """The coordinate system of a collection, as GeoJSON of 2008 has it."""

    properties: Named = msgspec.field(default_factory=Named)


class Collection(msgspec.Struct):
    """A collection of features."""

    features: list[Feature]
    crs: System | None = None


ONE = msgspec.json.Decoder(Feature)


def carries(driver: str) -> bool:
    """Say whether features of a format have an `id` of their own beside their properties."""
    return driver in DRIVERS


def is_members(path: str, driver: str) -> bool:
    """Say whether the field `id` that GDAL shows is the features' own, and no property."""
    if not carries(driver):
        return False
    try:
        with pa.input_stream(path, compression="detect") as stream:
            head = stream.read(HEAD_BYTES).removeprefix(BOM).lstrip(RECORD_SEPARATOR)
    except (OSError, pa.ArrowException):  # whoever reads on will say it
        return False
    text = head.decode("utf-8", "replace")
    found = FIRST_FEATURE.search(text)
    try:
        first, _ = json.JSONDecoder().raw_decode(text[found.end() if found else 0 :].lstrip())
        return "id" in first and "id" not in (first.get("properties") or {})
    except (ValueError, AttributeError, TypeError, RecursionError):
        return False


def batches(
    features: Iterable[Feature], selection: ColumnSelection, id_name: str | None
) -> Iterator[Batch]:
    """Give a selection of features in batches; its column `id_name` is their own id."""
    rest = iter(features)
    while some := list(itertools.islice(rest, BATCH_ROWS)):
        columns = [
            pa.array([_text(_value(one, name, id_name)) for one in some], pa.string())
            for name in selection.names
        ]
        shapes = [_text(one.geometry, keep=True) for one in some]
        yield Batch(columns, pa.array(shapes, pa.string()))


def _value(feature: Feature, name: str, id_name: str | None) -> msgspec.Raw:
    if name == id_name:
        return feature.id
    return (feature.properties or {}).get(name, msgspec.Raw(b"null"))


def _text(raw: msgspec.Raw, *, keep: bool = False) -> str | None:
    """Return a value as text: what a text holds, of others their JSON."""
    body = bytes(raw)
    if body == b"null":
        return None
    if body.startswith(b'"') and not keep:
        return str(msgspec.json.decode(body))
    return body.decode("utf-8", "replace")


def features_of(path: str) -> tuple[list[Feature], str | None]:
    """Read all features of a file, and the name of their coordinate system if it has one.

    Raises
    ------
    UsageError
        It has none, or cannot be read.
    """
    try:
        with pa.input_stream(path, compression="detect") as stream:
            body = stream.read().removeprefix(BOM)
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path}: reading stopped ({error}): is the file complete?") from error
    try:
        whole = msgspec.json.decode(body, type=Collection)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        try:
            lines = body.replace(RECORD_SEPARATOR, b"").splitlines()
            return [ONE.decode(line) for line in lines if line.strip()], None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise UsageError(
                f"{path}: expected GeoJSON features, and reading stopped ({error})"
            ) from error
    return whole.features, None if whole.crs is None else whole.crs.properties.name
