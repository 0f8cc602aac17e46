"""`mapreduce cluster …`: the hosts of hosts.toml, from the first key to the last log.

Options alone; what they do is in `operations`, which `fab` calls as well; those about runs are in
`cluster_runs`. SSH loads inside a command, so that `--help` is quick.
"""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from mapreduce.commands import cluster_runs
from mapreduce.commands.groups import spread
from mapreduce.commands.host_choice import Hosts, Yes
from mapreduce.console.terminal import consequences
from mapreduce.output import say

app = typer.Typer(
    name="cluster",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Hosts over SSH: enrol, examine, deploy, run, watch, stop, remove.",
)


@app.command("init")
def init_command(
    hosts: Annotated[
        list[str], typer.Argument(metavar="HOST…", help="192.168.10.101-116, or names")
    ],
    user: Annotated[str, typer.Option("--user", help="Who logs in there.")] = "",
    name: Annotated[str, typer.Option("--name", help="What to call the cluster.")] = "shelf",
    address: Annotated[
        str | None, typer.Option("--address", help="This machine's address, as workers dial it.")
    ] = None,
) -> None:
    """Write a commented hosts.toml, and a fabfile beside it.

    Example:

        mapreduce cluster init 192.168.10.101-116 --user pi
    """
    with consequences():
        from mapreduce.cluster.inventory.template import init  # noqa: PLC0415 - loads when it is needed

        who = user or getpass.getuser()
        for path in init(Path(), hosts, user=who, name=name, address=address):
            say(f"wrote {path}")
        say("look at it, then: mapreduce cluster enrol")


@app.command("enrol")
@spread
def enrol_command(
    hosts: Hosts,
    yes: Annotated[
        bool, typer.Option("--yes", help="Trust keys seen for the first time; never changed ones.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Ask about changed keys of the hosts of --only.")
    ] = False,
    install_key: Annotated[
        bool, typer.Option("--install-key", help="Ask each password once; install the public key.")
    ] = False,
    fingerprints: Annotated[
        Path | None,
        typer.Option("--fingerprints", help="Trust what this file lists, and nothing else."),
    ] = None,
) -> None:
    """Show host keys, ask, pin them; then see that the login works.

    Examples:

        mapreduce cluster enrol --install-key

        mapreduce cluster enrol --only pi07 --replace
    """
    with consequences():
        from mapreduce.cluster.fleet import operations  # noqa: PLC0415 - SSH loads when it is needed

        operations.enrol_hosts(
            hosts.chosen(),
            yes=yes,
            replace=replace,
            install_key=install_key,
            fingerprints=fingerprints,
        )


@app.command("doctor")
@spread
def doctor_command(
    hosts: Hosts,
) -> None:
    """Look at every host, and say what to do about each trouble."""
    with consequences():
        from mapreduce.cluster.fleet import operations  # noqa: PLC0415 - SSH loads when it is needed

        operations.examine_hosts(hosts.chosen())


@app.command("deploy")
@spread
def deploy_command(
    hosts: Hosts,
    extra_index_url: Annotated[
        list[str] | None,
        typer.Option("--extra-index-url", help="Another index of wheels, as pip takes it."),
    ] = None,
    find_links: Annotated[
        list[str] | None,
        typer.Option("--find-links", help="A folder or page of wheels, as pip takes it."),
    ] = None,
) -> None:
    """Bring hosts to this machine's release; unchanged ones are left alone."""
    with consequences():
        from mapreduce.cluster.fleet import operations  # noqa: PLC0415 - SSH loads when it is needed

        sources = [w for url in extra_index_url or () for w in ("--extra-index-url", url)]
        sources += [w for place in find_links or () for w in ("--find-links", place)]
        operations.deploy_to_hosts(hosts.chosen(), sources=sources)


HANDED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
app.command("run", context_settings=HANDED_ON)(cluster_runs.run_command)
app.command("demo")(cluster_runs.demo_command)
app.command("status")(cluster_runs.status_command)
app.command("logs")(cluster_runs.logs_command)
app.command("stop")(cluster_runs.stop_command)


@app.command("df")
@spread
def df_command(
    hosts: Hosts,
) -> None:
    """Tell what ours takes on each host's disk: releases, packages, overlays, inputs, logs."""
    with consequences():
        from mapreduce.cluster.fleet import operations  # noqa: PLC0415 - SSH loads when it is needed

        operations.disk_of_hosts(hosts.chosen())


@app.command("clean")
@spread
def clean_command(
    hosts: Hosts,
    everything: Annotated[
        bool, typer.Option("--all", help="Whatever no running agent uses, releases and logs too.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Make room on hosts: remove old releases, packages, overlays, inputs and logs."""
    with consequences():
        from mapreduce.cluster.fleet import operations  # noqa: PLC0415 - SSH loads when it is needed

        choice = hosts.chosen()
        operations.clean_hosts(choice, everything=everything, yes=yes)


@app.command("remove")
@spread
def remove_command(
    hosts: Hosts,
    yes: Yes = False,
) -> None:
    """End all runs on hosts and delete everything of ours there."""
    with consequences():
        from mapreduce.cluster.fleet import operations  # noqa: PLC0415 - SSH loads when it is needed

        operations.remove_from_hosts(hosts.chosen(), yes=yes)
