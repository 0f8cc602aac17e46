"""`mapreduce cluster …` about runs: start one, see how it fares, read its logs, end it.

Options alone, as in `cli`, which names these commands.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mapreduce.commands import options as given
from mapreduce.commands.groups import spread
from mapreduce.commands.host_choice import Hosts, Out, Run
from mapreduce.console.terminal import consequences
from mapreduce.output import say


def _ask(out: Path, what: str) -> str:
    from mapreduce.cluster.coordinator import control_socket  # noqa: PLC0415 - loads when it is needed

    return json.dumps(control_socket.ask(out, what), indent=1)


@spread
def run_command(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder, or s3://bucket/prefix")
    ],
    out: given.OutOfJob,
    hosts: Hosts,
    job: Annotated[
        str, typer.Option("--job", help="package.module:Job or ./file.py:Job; else speeds.")
    ] = "",
    roads: Annotated[str, typer.Option("--roads", help="Roads, for speeds.")] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the job, name=value.")
    ] = None,
    requirements: Annotated[
        list[str] | None, typer.Option("--with", help="A package the job needs on the hosts.")
    ] = None,
    allow_nan: given.AllowNan = False,
    detach: Annotated[bool, typer.Option("--detach", help="In the background.")] = False,
) -> None:
    """Run a job over the hosts: `mapreduce run` and `roadspeed run` with --engine ssh.

    Examples:

        mapreduce cluster run s3://trips --roads roads.gpkg --out speeds

        mapreduce cluster run s3://trips --job ./braking.py:HarshBraking --out braking --detach

    Every other option of those commands is handed on, as it stands: --limit 1000, --no-map.
    """
    with consequences():
        from mapreduce.commands import cluster_run  # noqa: PLC0415 - SSH loads when it is needed

        cluster_run.start(
            cluster_run.run_words(
                hosts.chosen(),
                source,
                out,
                job=job,
                roads=roads,
                settings=settings or (),
                requirements=requirements or (),
                allow_nan=allow_nan,
                detach=detach,
                more=context.args,
            )
        )


@spread
def demo_command(
    hosts: Hosts,
    out: given.OutOfAll = Path("demo"),
    trips: Annotated[int, typer.Option("--trips", help="How many trips.")] = 200,
) -> None:
    """Make a town, compute its speeds on the hosts and here, compare, draw the map."""
    with consequences():
        from mapreduce.commands import cluster_run  # noqa: PLC0415 - SSH loads when it is needed

        cluster_run.start(cluster_run.demo_words(hosts.chosen(), out, trips))


@spread
def status_command(
    hosts: Hosts,
    out: Out = None,
) -> None:
    """Tell each host's release and runs; or, with --out, how a run and its hosts fare, as JSON."""
    with consequences():
        if out is not None:
            say(_ask(out, "status"))
            return
        from mapreduce.cluster.fleet import operations  # noqa: PLC0415 - SSH loads when it is needed

        operations.status_of_hosts(hosts.chosen())


@spread
def logs_command(
    hosts: Hosts,
    run: Run = None,
    last: Annotated[bool, typer.Option("--last", help="Of each host's last run alone.")] = False,
    lines: Annotated[int, typer.Option("--lines", help="How many of each log's last.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Write the agents' logs, merged, each line after its host's name."""
    with consequences():
        from mapreduce.cluster.fleet import operations  # noqa: PLC0415 - SSH loads when it is needed

        choice = hosts.chosen()
        operations.show_logs(choice, run, lines=lines, follow=follow, last=last)


@spread
def stop_command(
    hosts: Hosts,
    run: Run = None,
    patience: Annotated[
        float, typer.Option("--patience", help="Seconds to drain before agents are killed.")
    ] = 30.0,
    out: Out = None,
) -> None:
    """Have agents finish what they are at, and end; or, with --out, one run and all its agents."""
    with consequences():
        if out is not None:
            _ask(out, "stop")
            say(f"the run in {out} stops; `mapreduce resume {out}` goes on with it")
            return
        from mapreduce.cluster.fleet import operations  # noqa: PLC0415 - SSH loads when it is needed

        operations.stop_agents(hosts.chosen(), run, patience_s=patience)
