"""`mapreduce cluster deploy`."""

from __future__ import annotations

from typing import Annotated

from mapreduce.commands.cluster.options import HostOptions
from mapreduce.commands.command import command
from mapreduce.commands.options import option


@command
def deploy_command(
    hosts: HostOptions,
    extra_index_url: Annotated[
        list[str] | None, option("--extra-index-url", "Another package index, as for pip.")
    ] = None,
    find_links: Annotated[
        list[str] | None, option("--find-links", "A folder or page with wheels, as for pip.")
    ] = None,
) -> None:
    """Install this machine's release on hosts that do not have it."""
    from mapreduce.cluster.fleet import operations

    sources = [word for url in extra_index_url or () for word in ("--extra-index-url", url)]
    sources += [word for place in find_links or () for word in ("--find-links", place)]
    operations.deploy_to_hosts(hosts.chosen(), sources=sources)
