"""`mapreduce cluster …`: the hosts of hosts.toml, from the first key to the last log.

Options alone; what they do is in `operations`, which `fab` calls as well. SSH loads inside a
command, so that `--help` is quick.
"""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from mapreduce.console import options as given
from mapreduce.console.said import say
from mapreduce.console.terminal import consequences

if TYPE_CHECKING:
    from mapreduce.cluster.operations import Choice

app = typer.Typer(
    name="cluster",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Hosts over SSH: enrol, examine, deploy, run, watch, stop, remove.",
)

WHICH = "Which hosts"
InventoryPath: TypeAlias = Annotated[
    Path, typer.Option("--inventory", help="The file that names the hosts.")
]
Only: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--only", help="Names, ranges or globs: pi[01-03],nuc*.", rich_help_panel=WHICH),
]
Without: TypeAlias = Annotated[
    list[str] | None, typer.Option("--except", help="Not these.", rich_help_panel=WHICH)
]
Tags: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--tag", help="Those with any of these tags.", rich_help_panel=WHICH),
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", help="Don't ask.")]
Run: TypeAlias = Annotated[str | None, typer.Option("--run", help="One run; else all.")]
Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="The --out of a run at work here, not its hosts.",
        parser=given.folder,
        metavar="<path>",
    ),
]
HOSTS = Path("hosts.toml")


def _choice(
    inventory: Path, only: list[str] | None, without: list[str] | None, tags: list[str] | None
) -> Choice:
    from mapreduce.cluster.operations import Choice  # noqa: PLC0415 - SSH loads when it is needed

    return Choice(inventory, tuple(only or ()), tuple(without or ()), tuple(tags or ()))


def _ask(out: Path, what: str) -> str:
    from mapreduce.cluster import control  # noqa: PLC0415 - loads when it is needed

    return json.dumps(control.ask(out, what), indent=1)


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
        from mapreduce.cluster.starter import init  # noqa: PLC0415 - loads when it is needed

        who = user or getpass.getuser()
        for path in init(Path(), hosts, user=who, name=name, address=address):
            say(f"wrote {path}")
        say("look at it, then: mapreduce cluster enrol")


@app.command("enrol")
def enrol_command(
    inventory: InventoryPath = HOSTS,
    only: Only = None,
    without: Without = None,
    tag: Tags = None,
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
        from mapreduce.cluster import operations  # noqa: PLC0415 - SSH loads when it is needed

        operations.enrol_hosts(
            _choice(inventory, only, without, tag),
            yes=yes,
            replace=replace,
            install_key=install_key,
            fingerprints=fingerprints,
        )


@app.command("doctor")
def doctor_command(
    inventory: InventoryPath = HOSTS, only: Only = None, without: Without = None, tag: Tags = None
) -> None:
    """Look at every host, and say what to do about each trouble."""
    with consequences():
        from mapreduce.cluster import operations  # noqa: PLC0415 - SSH loads when it is needed

        operations.examine_hosts(_choice(inventory, only, without, tag))


@app.command("deploy")
def deploy_command(
    inventory: InventoryPath = HOSTS,
    only: Only = None,
    without: Without = None,
    tag: Tags = None,
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
        from mapreduce.cluster import operations  # noqa: PLC0415 - SSH loads when it is needed

        sources = [w for url in extra_index_url or () for w in ("--extra-index-url", url)]
        sources += [w for place in find_links or () for w in ("--find-links", place)]
        operations.deploy_to_hosts(_choice(inventory, only, without, tag), sources=sources)


@app.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run_command(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder, or s3://bucket/prefix")
    ],
    out: given.OutOfJob,
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
    inventory: InventoryPath = HOSTS,
    only: Only = None,
    without: Without = None,
    tag: Tags = None,
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
        from mapreduce.cluster import runs  # noqa: PLC0415 - SSH loads when it is needed

        runs.start(
            runs.run_words(
                _choice(inventory, only, without, tag),
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


@app.command("demo")
def demo_command(
    out: given.OutOfAll = Path("demo"),
    trips: Annotated[int, typer.Option("--trips", help="How many trips.")] = 200,
    inventory: InventoryPath = HOSTS,
    only: Only = None,
    without: Without = None,
    tag: Tags = None,
) -> None:
    """Make a town, compute its speeds on the hosts and here, compare, draw the map."""
    with consequences():
        from mapreduce.cluster import runs  # noqa: PLC0415 - SSH loads when it is needed

        runs.start(runs.demo_words(_choice(inventory, only, without, tag), out, trips))


@app.command("status")
def status_command(
    inventory: InventoryPath = HOSTS,
    only: Only = None,
    without: Without = None,
    tag: Tags = None,
    out: Out = None,
) -> None:
    """Tell each host's release and runs; or, with --out, how a run and its hosts fare, as JSON."""
    with consequences():
        if out is not None:
            say(_ask(out, "status"))
            return
        from mapreduce.cluster import operations  # noqa: PLC0415 - SSH loads when it is needed

        operations.status_of_hosts(_choice(inventory, only, without, tag))


@app.command("logs")
def logs_command(
    inventory: InventoryPath = HOSTS,
    only: Only = None,
    without: Without = None,
    tag: Tags = None,
    run: Run = None,
    lines: Annotated[int, typer.Option("--lines", help="How many of each log's last.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Write the agents' logs, merged, each line after its host's name."""
    with consequences():
        from mapreduce.cluster import operations  # noqa: PLC0415 - SSH loads when it is needed

        choice = _choice(inventory, only, without, tag)
        operations.show_logs(choice, run, lines=lines, follow=follow)


@app.command("stop")
def stop_command(
    inventory: InventoryPath = HOSTS,
    only: Only = None,
    without: Without = None,
    tag: Tags = None,
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
        from mapreduce.cluster import operations  # noqa: PLC0415 - SSH loads when it is needed

        operations.stop_agents(_choice(inventory, only, without, tag), run, patience_s=patience)


@app.command("remove")
def remove_command(
    inventory: InventoryPath = HOSTS,
    only: Only = None,
    without: Without = None,
    tag: Tags = None,
    yes: Yes = False,
) -> None:
    """End all runs on hosts and delete everything of ours there."""
    with consequences():
        from mapreduce.cluster import operations  # noqa: PLC0415 - SSH loads when it is needed

        operations.remove_from_hosts(_choice(inventory, only, without, tag), yes=yes)
