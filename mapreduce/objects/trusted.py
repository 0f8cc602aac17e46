"""A server that proves itself otherwise than by the public authorities: the coordinator's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl import SSLContext


@dataclass(frozen=True, slots=True)
class Trusted:
    """A server with an authority of its own: how its URLs begin, and the name it must prove."""

    origin: str
    context: SSLContext
    server_name: str
