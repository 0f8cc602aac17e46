"""Options that belong together, given to a command as one value.

A command names a group, a frozen dataclass whose fields are annotated options, as the type of a
parameter; on the command line each field is an option of its own, with its default and help.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command whose groups are spread out into their options, as Typer reads them."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {
        name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)
    }
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            parameters += _options_of(groups[parameter.name])
        else:
            parameters.append(_option(parameter.name, hints[parameter.name], parameter.default))

    @functools.wraps(command)
    def spread_command(**typed: Any) -> None:
        for name, group in groups.items():
            typed[name] = group(**{f.name: typed.pop(f.name) for f in dataclasses.fields(group)})
        command(**typed)

    spread_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spread_command.__annotations__ = {p.name: p.annotation for p in parameters}
    return spread_command


def _options_of(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [_option(f.name, hints[f.name], f.default) for f in dataclasses.fields(group)]


def _option(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    needed = default in (dataclasses.MISSING, inspect.Parameter.empty)
    given = inspect.Parameter.empty if needed else default
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=given, annotation=annotation
    )
