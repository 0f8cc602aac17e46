"""The fleet commands as tasks for a fabfile: `fab deploy --only 'pi[01-04]'`.

The same as `mapreduce cluster …`: both call `operations`. The connection that Fabric would hand
to a task is not used, since Fabric's own trusts any host key.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from invoke.tasks import task

from mapreduce.cluster.fleet import operations
from mapreduce.cluster.fleet.operations import HostChoice
from mapreduce.commands import cluster_run
from mapreduce.console.terminal import consequences
from mapreduce.runs.folder import folder_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

Words: TypeAlias = "Sequence[str] | None"  # the default decides what invoke makes of an option
LISTS: Final = ("only", "except_", "tag")
INVENTORY: Final = "hosts.toml"


def _choice(inventory: str, only: Words, without: Words, tag: Words) -> HostChoice:
    return HostChoice(
        Path(inventory).expanduser(), tuple(only or ()), tuple(without or ()), tuple(tag or ())
    )


@task(iterable=LISTS)
def enrol(
    _c: Context,
    only: Words = None,
    except_: Words = None,
    tag: Words = None,
    inventory: str = INVENTORY,
    fingerprints: str = "",
    yes: bool = False,
    replace: bool = False,
    install_key: bool = False,
) -> None:
    """Show host keys, ask, pin them; then see that the login works."""
    with consequences():
        operations.enrol_hosts(
            _choice(inventory, only, except_, tag),
            yes=yes,
            replace=replace,
            install_key=install_key,
            fingerprints=Path(fingerprints).expanduser() if fingerprints else None,
        )


@task(iterable=LISTS)
def doctor(
    _c: Context,
    only: Words = None,
    except_: Words = None,
    tag: Words = None,
    inventory: str = INVENTORY,
) -> None:
    """Look at every host, and say what to do about each trouble."""
    with consequences():
        operations.examine_hosts(_choice(inventory, only, except_, tag))


@task(iterable=[*LISTS, "extra_index_url", "find_links"])
def deploy(
    _c: Context,
    only: Words = None,
    except_: Words = None,
    tag: Words = None,
    inventory: str = INVENTORY,
    extra_index_url: Words = None,
    find_links: Words = None,
) -> None:
    """Bring hosts to this machine's release; unchanged ones are left alone."""
    with consequences():
        sources = [w for url in extra_index_url or () for w in ("--extra-index-url", url)]
        sources += [w for place in find_links or () for w in ("--find-links", place)]
        operations.deploy_to_hosts(_choice(inventory, only, except_, tag), sources=sources)


@task(iterable=[*LISTS, "set_", "with_"])
def run(
    _c: Context,
    source: str,
    out: str,
    job: str = "",
    roads: str = "",
    set_: Words = None,
    with_: Words = None,
    only: Words = None,
    except_: Words = None,
    tag: Words = None,
    inventory: str = INVENTORY,
    allow_nan: bool = False,
    detach: bool = False,
) -> None:
    """Run a job over the hosts; without --job the speeds of roads, which --roads gives geometry."""
    with consequences():
        cluster_run.start(
            cluster_run.run_words(
                _choice(inventory, only, except_, tag),
                source,
                folder_named(out),
                job=job,
                roads=roads,
                settings=set_ or (),
                requirements=with_ or (),
                allow_nan=allow_nan,
                detach=detach,
            )
        )


@task(iterable=LISTS)
def demo(
    _c: Context,
    out: str = "demo",
    trips: int = 200,
    only: Words = None,
    except_: Words = None,
    tag: Words = None,
    inventory: str = INVENTORY,
) -> None:
    """Make a town, compute its speeds on the hosts and here, compare, draw the map."""
    with consequences():
        cluster_run.start(
            cluster_run.demo_words(_choice(inventory, only, except_, tag), folder_named(out), trips)
        )


@task(iterable=LISTS)
def status(
    _c: Context,
    only: Words = None,
    except_: Words = None,
    tag: Words = None,
    inventory: str = INVENTORY,
) -> None:
    """Tell each host's release and runs."""
    with consequences():
        operations.status_of_hosts(_choice(inventory, only, except_, tag))


@task(iterable=LISTS)
def logs(
    _c: Context,
    only: Words = None,
    except_: Words = None,
    tag: Words = None,
    inventory: str = INVENTORY,
    run: str = "",
    last: bool = False,
    lines: int = 20,
    follow: bool = False,
) -> None:
    """Write the agents' logs, merged, each line after its host's name."""
    with consequences():
        choice = _choice(inventory, only, except_, tag)
        operations.show_logs(choice, run or None, lines=lines, follow=follow, last=last)


@task(iterable=LISTS)
def stop(
    _c: Context,
    only: Words = None,
    except_: Words = None,
    tag: Words = None,
    inventory: str = INVENTORY,
    run: str = "",
    patience: float = 30.0,
) -> None:
    """Have agents finish what they are at, and end."""
    with consequences():
        choice = _choice(inventory, only, except_, tag)
        operations.stop_agents(choice, run or None, patience_s=patience)


@task(iterable=LISTS)
def df(
    _c: Context,
    only: Words = None,
    except_: Words = None,
    tag: Words = None,
    inventory: str = INVENTORY,
) -> None:
    """Tell what ours takes on each host's disk."""
    with consequences():
        operations.disk_of_hosts(_choice(inventory, only, except_, tag))


@task(iterable=LISTS)
def clean(
    _c: Context,
    only: Words = None,
    except_: Words = None,
    tag: Words = None,
    inventory: str = INVENTORY,
    all_: bool = False,
    yes: bool = False,
) -> None:
    """Remove old releases, packages, inputs and logs; with --all, whatever is not at work."""
    with consequences():
        choice = _choice(inventory, only, except_, tag)
        operations.clean_hosts(choice, everything=all_, yes=yes)


@task(iterable=LISTS)
def remove(
    _c: Context,
    only: Words = None,
    except_: Words = None,
    tag: Words = None,
    inventory: str = INVENTORY,
    yes: bool = False,
) -> None:
    """End all runs on hosts and delete everything of ours there."""
    with consequences():
        operations.remove_from_hosts(_choice(inventory, only, except_, tag), yes=yes)
