"""What it means when a command on a host gives no answer of ours: a pure table of reasons.

Either our script never began (no Python, a login shell that ends, waits or runs something else),
or it began and failed.
"""

from __future__ import annotations

import re
from typing import Final

from mapreduce.cluster.ssh.command_line import Beginning

NOT_FOUND: Final = 127
SHOWN: Final = 120
OLD: Final = ("SyntaxError", "nknown option", "nvalid option", "nrecognized option")
NOISE: Final = "debug"  # what an sshd that is being looked into says beside
_MISSING = re.compile(r"not found|no such file or directory|unknown command", re.IGNORECASE)
WHERE: Final = "look at ~/.bashrc there, and for command= in ~/.ssh/authorized_keys"


def no_answer(beginning: Beginning, out: bytes, err: str, status: int, python: str) -> str:
    """Say why there is no answer, and what to do."""
    words = [s.strip() for s in err.splitlines() if s.strip() and not s.startswith(NOISE)]
    last = words[-1][:SHOWN] if words else ""
    if not beginning.begun:
        old = next((w[:SHOWN] for w in words if any(sign in w for sign in OLD)), "")
        return _never_began(bytes(beginning.before), old or last, status, python)
    if not out.strip():
        return (
            f"our script ended on the host without an answer (exit code {status};"
            f" {last or 'no word'})"
        )
    return f"our script failed on the host ({last or out[:SHOWN]!r})"


def too_late(beginning: Beginning, timeout_s: float) -> str:
    """Say that time is up."""
    if beginning.begun:
        return f"no answer within {timeout_s:g} s: the step was cancelled"
    said = _said(bytes(beginning.before))
    return (
        f"no answer within {timeout_s:g} s, and our script did not begin{said}: a command in its"
        f" login shell waits or is slow; {WHERE}"
    )


def too_much(most_bytes: int) -> str:
    """Say that a login shell talks without end."""
    return (
        f"its login shell printed more than {most_bytes:,} bytes before our script began: {WHERE}"
    )


def _never_began(before: bytes, last: str, status: int, python: str) -> str:
    if "restricted" in last:
        return (
            f"its login shell is restricted ({last}): give the user another login shell on the"
            " host,"
            " `sudo chsh -s /bin/bash USER`"
        )
    if status == NOT_FOUND or _MISSING.search(last):
        return (
            f"expected Python 3.11 or newer as {python}, found none ({last}):"
            " `sudo apt install python3`, or set python = … in hosts.toml"
        )
    if any(sign in last for sign in OLD):
        return f"{python} could not run our script ({last}); Python 3.11 or newer is needed"
    told = f"; its last output is {last!r}" if last else ""
    return (
        f"its login shell ended (exit code {status}{told}) before our script"
        f" began{_said(before)}: it runs `exit`, `exec` or another command; {WHERE}"
    )


def _said(before: bytes) -> str:
    lines = [s for s in before.decode(errors="replace").splitlines() if s.strip()]
    return f", after it said {lines[-1].strip()[:SHOWN]!r}" if lines else ""
