"""The record type of a job's fields: decoded as narrowly as can be, and taken apart into leaves.

A `RecordType` names only the wanted fields of a record; what is not named is skipped, but still
checked.
A record that the narrow type refuses is read by itself, member by member, so that one bad leaf
costs that leaf. It knows paths and types of fields, not what their values mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from mapreduce.errors import JobError
from mapreduce.formats.field_path import keys_of
from mapreduce.formats.leaves import Wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mapreduce.formats.fields import Field

    Members: TypeAlias = Callable[[list[Any]], list[Any]]

NULL: Final = msgspec.Raw(b"null")

# A member of each object, None of what is null. Written out, because Python reads an attribute it
# finds in the code three times as fast as one whose name it is given.
_MEMBERS: Final[tuple[Members, ...]] = (
    lambda parents: [None if p is None else p.f0 for p in parents],
    lambda parents: [None if p is None else p.f1 for p in parents],
    lambda parents: [None if p is None else p.f2 for p in parents],
    lambda parents: [None if p is None else p.f3 for p in parents],
    lambda parents: [None if p is None else p.f4 for p in parents],
    lambda parents: [None if p is None else p.f5 for p in parents],
)


def _members(number: int) -> Members:
    if number < len(_MEMBERS):
        return _MEMBERS[number]
    member = attrgetter(f"f{number}")
    return lambda parents: [None if p is None else member(p) for p in parents]


@dataclass(slots=True)
class _Node:
    """One step of a path: a wanted leaf, or an object with wanted members.

    `type` is the object's type with typed leaves, `members` the one that leaves them undecoded.
    """

    children: dict[str, _Node] = field(default_factory=dict)
    leaf: Any = None
    type: Any = None
    members: Any = None


class RecordType:
    """A record type that names only the wanted fields, and how to get each field's leaves.

    Parameters
    ----------
    fields
        Name -> field. Paths are dotted; none may be the parent of another.

    Attributes
    ----------
    type
        A msgspec Struct of the wanted leaves; what is not named is skipped, but still checked.
    blank
        A record with nothing in it.
    """

    def __init__(self, fields: dict[str, Field]) -> None:
        root = _Node()
        for name, wanted in fields.items():
            node = root
            for part in keys_of(wanted.path, f"field {name!r}"):
                if node.leaf is not None:
                    raise JobError(f"field {name!r}: path {wanted.path!r} runs through a leaf")
                node = node.children.setdefault(part, _Node())
            if node.leaf is not None and node.leaf != wanted.leaf:
                raise JobError(
                    f"field {name!r}: another field reads '{wanted.path}' as another type: name two"
                    " paths"
                )
            if node.children:
                raise JobError(f"field {name!r}: {wanted.path!r} is both a value and a parent")
            node.leaf = wanted.leaf
        self.fields = fields
        self._levels: list[tuple[tuple[str, ...], Members]] = []
        self._root = root
        self.type = self._struct(root, ())
        self.blank = self.type()
        self._decoder = msgspec.json.Decoder(self.type)
        self._paths = {n: _attributes(root, keys_of(f.path, n)) for n, f in fields.items()}

    def leaves(self, records: list[Any]) -> tuple[dict[str, list[Any]], int]:
        """Give each field's leaves, and the number of nested objects on the way to them."""
        levels: dict[tuple[str, ...], list[Any]] = {(): records}
        nested = 0
        for path, members in self._levels:
            parents = levels[path[:-1]]
            if len(path) > 1:
                nested += len(parents) - parents.count(None)
            levels[path] = members(parents)
        return {name: levels[path] for name, path in self._paths.items()}, nested

    def _struct(self, node: _Node, path: tuple[str, ...]) -> Any:
        """Make the type of one level, and note how to get its members, parents first."""
        spec: list[tuple[str, Any, Any]] = []
        rename = {}
        deeper: list[tuple[tuple[str, ...], Members]] = []
        mine = self._levels
        for number, (part, child) in enumerate(node.children.items()):
            attribute = f"f{number}"
            kind = child.leaf
            if kind is None:
                self._levels = []
                kind = self._struct(child, (*path, attribute)) | None
                deeper += self._levels
            spec.append((attribute, kind, None))
            rename[attribute] = part
        made = msgspec.defstruct("Record", spec, rename=rename, gc=False, eq=False)
        node.type = made
        raw = [(attribute, msgspec.Raw, NULL) for attribute in rename]
        node.members = msgspec.defstruct("Members", raw, rename=rename)
        here = [((*path, attribute), _members(n)) for n, attribute in enumerate(rename)]
        self._levels = [*mine, *here, *deeper]
        return made

    def record(self, raw: bytes) -> Any | None:
        """Read one record by itself: a leaf of another type becomes `Wrong`; None is no record."""
        try:
            return self._decoder.decode(raw)
        except msgspec.MsgspecError:
            return _by_member(self._root, raw)


def _by_member(node: _Node, raw: bytes | msgspec.Raw) -> Any | None:
    """Read an object member by member; None where it is null or no JSON object at all."""
    try:
        members = msgspec.json.decode(raw, type=node.members)
    except msgspec.MsgspecError:
        return None
    values = []
    for number, child in enumerate(node.children.values()):
        value = getattr(members, f"f{number}")
        if child.leaf is None:
            null = bytes(value).strip() == b"null"
            values.append(None if null else _by_member(child, value) or _wrong(child, value))
            continue
        try:
            values.append(msgspec.json.decode(value, type=child.leaf))
        except msgspec.MsgspecError:
            values.append(Wrong.of(bytes(value)))
    return node.type(*values)


def _wrong(node: _Node, raw: bytes | msgspec.Raw) -> Any:
    """Give what stands for a value of another type: every leaf below it is wrong."""
    if node.leaf is not None:
        return Wrong.of(bytes(raw))
    return node.type(*(_wrong(child, raw) for child in node.children.values()))


def _attributes(root: _Node, parts: Sequence[str]) -> tuple[str, ...]:
    out, node = [], root
    for part in parts:
        out.append(f"f{list(node.children).index(part)}")
        node = node.children[part]
    return tuple(out)
