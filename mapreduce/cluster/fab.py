"""The fleet commands as tasks for a fabfile: `fab deploy --only 'pi[01-04]'`.

Each is the command of `mapreduce cluster`, with its options. The connection that Fabric would hand
to a task is not used, since Fabric's own trusts any host key.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from invoke.context import Context
from invoke.tasks import Task

from mapreduce.commands.cluster.clean import clean_command
from mapreduce.commands.cluster.demo import demo_command
from mapreduce.commands.cluster.deploy import deploy_command
from mapreduce.commands.cluster.df import df_command
from mapreduce.commands.cluster.doctor import doctor_command
from mapreduce.commands.cluster.enrol import enrol_command
from mapreduce.commands.cluster.logs import logs_command
from mapreduce.commands.cluster.options import HostOptions, HostRun
from mapreduce.commands.cluster.remove import remove_command
from mapreduce.commands.cluster.restart import restart_command
from mapreduce.commands.cluster.status import status_command
from mapreduce.commands.cluster.stop import stop_command
from mapreduce.commands.cluster.typed import run_words, start
from mapreduce.commands.command import command
from mapreduce.console.terminal import consequences
from mapreduce.runs.folder import folder_named

__all__ = [
    "clean",
    "demo",
    "deploy",
    "df",
    "doctor",
    "enrol",
    "logs",
    "remove",
    "restart",
    "run",
    "status",
    "stop",
]


@command
def run_command(run: HostRun, hosts: HostOptions) -> None:
    """Run a job over the hosts; without --job the speeds of roads, which --roads gives geometry."""
    start(run_words(hosts.chosen(), run))


def _task(body: Callable[..., None]) -> Task[Any]:
    """Make a task of a command; invoke knows an option by its parameter's name and default."""
    options = inspect.signature(body).parameters.values()
    kinds = {option.name: _kind(option.annotation) for option in options}

    def task(_c: Context, **given: Any) -> None:
        with consequences():
            typed = {name: _value(name, kinds[name], value) for name, value in given.items()}
        body(**typed)

    context = inspect.Parameter("_c", inspect.Parameter.POSITIONAL_ONLY)
    task.__signature__ = inspect.Signature(  # type: ignore[attr-defined] # invoke reads it
        [context, *(option.replace(default=_default(option.default)) for option in options)]
    )
    task.__doc__ = (body.__doc__ or "").partition("\n")[0]  # examples are of the other program
    lists = [name for name, kind in kinds.items() if kind is list]
    return Task(task, name=body.__name__.removesuffix("_command"), iterable=lists)


def _kind(annotation: Any) -> type:
    """Give the kind of value that an option takes: of `Annotated[list[str] | None, …]` a list."""
    taken = get_args(annotation)[0]
    kind: type = get_args(taken)[0] if isinstance(taken, UnionType) else taken
    return get_origin(kind) or kind


def _default(default: Any) -> Any:
    return str(default) if isinstance(default, Path) else default


def _value(name: str, kind: type, value: Any) -> Any:
    """Give a value as the command takes it: a shell has not read every `~`."""
    if kind is not Path or value is None:
        return value
    return folder_named(value) if name == "out" else Path(value).expanduser()


clean = _task(clean_command)
demo = _task(demo_command)
deploy = _task(deploy_command)
df = _task(df_command)
doctor = _task(doctor_command)
enrol = _task(enrol_command)
logs = _task(logs_command)
remove = _task(remove_command)
restart = _task(restart_command)
run = _task(run_command)
status = _task(status_command)
stop = _task(stop_command)
