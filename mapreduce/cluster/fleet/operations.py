"""The fleet commands as a person gives them: what `fab` and `mapreduce cluster` both call.

Each reads the inventory, works on the hosts chosen with a table to watch, goes on when one fails,
and ends with one error that names those.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mapreduce.cluster.fleet import agent_control, disk, doctor, enrol
from mapreduce.cluster.fleet.deploy import Plan, deploy
from mapreduce.cluster.fleet.display import Quiet, Screen
from mapreduce.cluster.fleet.parallel import FleetError, HostOutcome, HostOutcomes
from mapreduce.cluster.fleet.wheels import Cache
from mapreduce.cluster.inventory.inventory import NAME, Host, Inventory, load
from mapreduce.cluster.ssh import host_keys
from mapreduce.errors import UsageError
from mapreduce.output import say

YES: Final = ("y", "yes")


@dataclass(frozen=True, slots=True)
class HostChoice:
    """Which inventory, and which of its hosts."""

    inventory: Path = Path(NAME)
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def read(self) -> tuple[Inventory, tuple[Host, ...]]:
        """Read the inventory and choose."""
        inventory = load(self.inventory)
        return inventory, inventory.select(self.only, self.without, self.tags)


def enrol_hosts(
    choice: HostChoice,
    *,
    yes: bool = False,
    replace: bool = False,
    install_key: bool = False,
    fingerprints: Path | None = None,
) -> None:
    """Pin host keys after asking; then see that the login works, or make it work."""
    if replace and not choice.only:
        raise UsageError("--replace needs --only HOST: changed keys are confirmed one by one")
    inventory, hosts = choice.read()
    if fingerprints is not None:
        host_keys.fingerprints(fingerprints)  # refused before any host is dialled
    passwords = None
    if install_key:
        for host in hosts:
            enrol.public_key(host)  # refused before any password is asked
    with Screen("host keys", hosts) as board:
        shown = enrol.look(inventory, hosts, board)
    told = "--fingerprints FILE" if replace else "--yes or --fingerprints FILE"
    refused = enrol.accept(
        inventory,
        shown.values_by_host,
        ask=lambda question: confirm(question, told),
        yes=yes,
        replace=replace,
        trusted=fingerprints,
    )
    failed: list[HostOutcome[Any]] = [
        *shown.failed,
        *(HostOutcome(h, False, why, 0.0) for h, why in refused.items()),
    ]
    enrolled = [h for h in hosts if h.name not in {o.host for o in failed}]
    if enrolled:
        if install_key:
            lacking = enrol.log_in(inventory, enrolled, Quiet()).failed
            names = {o.host for o in lacking}  # the others know the key: nothing to ask
            passwords = enrol.ask_passwords([h for h in enrolled if h.name in names])
        with Screen("login", enrolled) as board:
            failed += enrol.log_in(inventory, enrolled, board, passwords).failed
    if failed:
        raise FleetError("enrol", failed, len(hosts))


def examine_hosts(choice: HostChoice) -> None:
    """Tell of every host what it is and what ails it."""
    _on_hosts("doctor", *choice.read(), doctor.examine)


def deploy_to_hosts(choice: HostChoice, *, sources: Sequence[str] = ()) -> None:
    """Bring hosts to this machine's release."""
    inventory, hosts = choice.read()
    plan = Plan(cache=Cache(sources=tuple(sources)))
    _on_hosts("deploy", inventory, hosts, deploy, plan=plan)


def status_of_hosts(choice: HostChoice) -> None:
    """Tell each host's release and runs."""
    _on_hosts("status", *choice.read(), agent_control.status)


def stop_agents(choice: HostChoice, run: str | None, *, patience_s: float) -> None:
    """Have agents drain and end."""
    _on_hosts("stop", *choice.read(), agent_control.stop, run_id=run, patience_s=patience_s)


def remove_from_hosts(choice: HostChoice, *, yes: bool = False) -> None:
    """Delete all that is ours on hosts, after asking."""
    inventory, hosts = choice.read()
    question = f"End all runs and delete {inventory.root} on {len(hosts)} hosts?"
    if not yes and not confirm(question):
        raise UsageError("nothing was removed")
    _on_hosts("remove", inventory, hosts, agent_control.remove)


def disk_of_hosts(choice: HostChoice) -> None:
    """Tell what ours takes on each host's disk."""
    _on_hosts("df", *choice.read(), disk.disk_use)


def clean_hosts(choice: HostChoice, *, everything: bool = False, yes: bool = False) -> None:
    """Make room on hosts; with `everything`, after asking, whatever no running agent uses."""
    inventory, hosts = choice.read()
    question = (
        f"Delete all under {inventory.root} on {len(hosts)} hosts that no running agent uses,"
        " including releases and logs? The next run sends what it needs again."
    )
    if everything and not yes and not confirm(question):
        raise UsageError("nothing was removed")
    _on_hosts("clean", inventory, hosts, disk.clean, everything=everything)


def _on_hosts(
    what: str,
    inventory: Inventory,
    hosts: Sequence[Host],
    act: Callable[..., HostOutcomes[Any]],
    **options: Any,
) -> None:
    """Do something on hosts with a table to watch; one error names those on which it failed."""
    with Screen(what, hosts) as board:
        table = act(inventory, hosts, board, **options)
    table.check(what)


def show_logs(
    choice: HostChoice, run: str | None, *, lines: int, follow: bool, last: bool = False
) -> None:
    """Write the agents' logs, merged; with `last`, of each host's newest run alone."""
    if run and last:
        raise UsageError(f"--run {run} selects a run: leave out --last")
    if lines < 0:
        raise UsageError(f"--lines is 0 or more, got {lines}")
    inventory, hosts = choice.read()
    failed = agent_control.logs(inventory, hosts, run_id=run, lines=lines, follow=follow, last=last)
    if failed:
        raise FleetError("logs", failed, len(hosts))


def confirm(question: str, beforehand: str = "--yes") -> bool:
    """Ask a person; a UsageError where standard input is no terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            f"{question} There is no terminal to ask: confirm beforehand by {beforehand}"
        )
    say(f"{question} [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in YES
