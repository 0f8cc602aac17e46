"""What OpenSSH's configuration says of a place: who logs in where, by which keys, through what.

OpenSSH itself is asked (`ssh -G NAME`), so Include, Match, tokens and quotes mean here what they
mean to `ssh`; what it refuses is refused with its words, which name file and line. Where there is
no `ssh`, a plain `~/.ssh/config` is read by paramiko, and one with Include or Match is refused.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from paramiko import SSHConfig  # type: ignore[import-untyped]  # it ships no types
from paramiko.ssh_exception import ConfigParseError  # type: ignore[import-untyped]  # as above

from mapreduce.cluster.ssh.host_error import HostError
from mapreduce.cluster.ssh.ssh_files import Files
from mapreduce.cluster.ssh.ssh_options import SshOptions, way_of
from mapreduce.errors import MapReduceError, UsageError

ASK_S: Final = 30.0  # `Match exec` may run a program, CanonicalizeHostname asks name servers
USUAL_KEYS: Final = ("id_rsa", "id_ecdsa", "id_ed25519")
BEYOND: Final = re.compile(r"\s*(include|match)\b", re.IGNORECASE)
BOM: Final = (r"\357\273\277", "\ufeff")
NOISE: Final = (": terminating, ", "Pseudo-terminal will not")
INSTALL: Final = "sudo apt install openssh-client"


def way_to(name: str, user: str | None = None, port: int | None = None) -> SshOptions:
    """Ask how a place is reached; user and port given here come before the configuration's.

    Raises UsageError where the configuration is refused, or asks for what is not done here, and
    HostError where it has no answer for this name.
    """
    program = shutil.which("ssh")
    if program is None:
        return _way_without_ssh(name, user, port)
    given = [*(("-l", user) if user else ()), *(("-p", str(port)) if port else ())]
    with Files() as files:
        command = [program, *files.options, "-G", "-T", *given, "--", name]
        said = _asked(command, name)
        options: defaultdict[str, list[str]] = defaultdict(list)
        for line in said.split("\n"):
            key, _, value = line.partition(" ")
            if value:
                options[key.lower()].append(value)
        for key in ("userknownhostsfile", "identityagent"):  # which ssh gives as whole paths
            options[key] = [files.at_home(value) for value in options[key]]
        return way_of(name, options, files.at)


def _asked(command: Sequence[str], name: str) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise HostError(
            f"`ssh -G {name}` did not answer within {ASK_S:g} s: look for Match exec and"
            " CanonicalizeHostname in ~/.ssh/config"
        ) from None
    if done.returncode == 0:
        return os.fsdecode(done.stdout)
    lines = done.stderr.decode(errors="replace").splitlines()
    said = [s.strip() for s in lines if s.strip() and not any(n in s for n in NOISE)]
    words = "; ".join(said) or f"exit code {done.returncode} and no message"
    if any(mark in words for mark in BOM):
        words += " (a byte order mark: save the file without one)"
    of_name = "hostname" in words and "line " not in words  # one that ssh would not take
    fault: type[MapReduceError] = HostError if of_name else UsageError
    raise fault(f"ssh rejects its configuration (`ssh -G {name}`): {words}")


def _way_without_ssh(name: str, user: str | None, port: int | None) -> SshOptions:
    path = Path.home() / ".ssh" / "config"
    config = SSHConfig()
    if path.is_file():
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        for number, line in enumerate(text.split("\n"), 1):
            if BEYOND.match(line):
                raise UsageError(
                    f"{path}:{number}: {line.split()[0]} is only supported with OpenSSH's"
                    f" client, and there is no `ssh` on the PATH: {INSTALL}"
                )
        try:
            config.parse(text.splitlines())
        except ConfigParseError as error:
            raise UsageError(f"{path}: {error}; `ssh` shows where: {INSTALL}") from None
    found = config.lookup(name)
    options = {k: [v] if isinstance(v, str) else list(v or ()) for k, v in found.items()}
    own = Path.home() / ".ssh"
    options.setdefault("user", [getpass.getuser()])
    options.setdefault("identityfile", [str(own / key) for key in USUAL_KEYS])
    options.setdefault("userknownhostsfile", [str(own / "known_hosts")])
    options |= {"user": [user]} if user else {}
    options |= {"port": [str(port)]} if port else {}
    return way_of(name, options, lambda text: Path(text).expanduser())
