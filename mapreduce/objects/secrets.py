"""No secret in an address: what is typed is seen by others and kept in shells' histories."""

from __future__ import annotations

import re
from typing import Final

from mapreduce.errors import UsageError

SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def refuse_secret(url: str, what: str) -> None:
    """Refuse a URL that carries a user and password, without repeating it.

    Raises
    ------
    UsageError
        It does.
    """
    scheme = SCHEME.match(url)
    if scheme and "@" in url[scheme.end() :].partition("/")[0]:
        raise UsageError(
            f"{what} contains a user or password, which others can see: leave it out and set"
            " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws/credentials"
        )
