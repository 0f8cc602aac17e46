"""A command of a program: a function that takes options, one by one or in groups.

A group is a frozen dataclass whose fields are options, annotated as Typer reads them. `command`
gives the function whose parameters are those options, and hands the group over whole.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import MISSING, fields, is_dataclass
from inspect import Parameter
from typing import TYPE_CHECKING, Any, TypeGuard, get_type_hints

from mapreduce.console.terminal import consequences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed import DataclassInstance


def command(body: Callable[..., None]) -> Callable[..., None]:
    """Make a command of a function; what goes wrong in it is a message and an exit code."""
    taken = inspect.signature(body, eval_str=True).parameters.values()
    groups = {p.name: p.annotation for p in taken if _is_group(p.annotation)}

    @functools.wraps(body)
    def typed(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        with consequences():
            body(**given)

    options = [option for p in taken for option in _options(p, groups.get(p.name))]
    typed.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined] # Typer reads it
    typed.__annotations__ = {option.name: option.annotation for option in options}
    return typed


def _is_group(annotation: Any) -> TypeGuard[type[DataclassInstance]]:
    return isinstance(annotation, type) and is_dataclass(annotation)


def _options(parameter: Parameter, group: type[DataclassInstance] | None) -> Iterator[Parameter]:
    """Give the parameters that stand for one: itself, or the fields of the group."""
    if group is None:
        yield parameter.replace(kind=Parameter.KEYWORD_ONLY)
        return
    annotations = get_type_hints(group, include_extras=True)
    for field in fields(group):
        default = Parameter.empty if field.default is MISSING else field.default
        yield Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=default,
            annotation=annotations[field.name],
        )
