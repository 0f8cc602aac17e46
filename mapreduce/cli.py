"""`mapreduce …`: run any job over a folder or bucket, look before, and look after.

Each command says what it does to a run or to the library and prints what came back; heavy
packages load inside a command, so that `--help` is quick.
"""

from __future__ import annotations

from mapreduce.console import early  # first: it hears Ctrl-C while the rest loads

# isort: split
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mapreduce.commands import options as given
from mapreduce.commands.cluster import app as cluster
from mapreduce.commands.program_name import ANEW
from mapreduce.console import tolerance
from mapreduce.console.terminal import consequences, open_standard_streams
from mapreduce.output import say

if TYPE_CHECKING:
    from mapreduce.commands.saved_command import Typed
    from mapreduce.job.job import Job

app = typer.Typer(
    name="mapreduce",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Keyed sums over stored documents, exact to the last bit, on one machine or many.",
)
app.add_typer(cluster)

JobArgument = Annotated[
    str, typer.Argument(metavar="JOB", help="package.module:Job or ./file.py:Job")
]
SourceArgument = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A folder, a file, or s3://bucket/prefix")
]


@app.callback()
def _here(version: given.Version = False) -> None:  # noqa: ARG001 - shown as it is read
    """Let jobs be found from the folder one stands in; last, so that it hides no module."""
    if "" not in sys.path:
        sys.path.append(str(Path.cwd()))


@app.command("run")
def run_command(
    job: JobArgument,
    source: SourceArgument,
    out: given.OutOfJob,
    settings: given.Settings = None,
    engine: given.EngineName = "local",
    workers: given.Workers = None,
    worker_memory: given.WorkerMemory = 0,
    inventory: given.Inventory = None,
    only: given.Only = None,
    tag: given.Tags = None,
    with_: given.With = None,
    scheduler: given.Scheduler = None,
    tls_ca: given.TlsCa = None,
    tls_cert: given.TlsCert = None,
    tls_key: given.TlsKey = None,
    master: given.Master = None,
    spark_conf: given.SparkConf = None,
    endpoint: given.Endpoint = None,
    sample: given.Sample = None,
    limit: given.Limit = None,
    match: given.Match = None,
    exclude: given.Exclude = None,
    max_bad_objects: given.MaxBad = "0",
    max_dropped: given.MaxDropped = None,
    max_keys: given.MaxKeys = 10_000_000,
    on_map_error: given.OnMapError = "stop",
    allow_nan: given.AllowNan = False,
    detach: given.Detach = False,
    anew: given.Anew = False,
    retry: given.Retry = False,
    as_json: given.AsJson = False,
) -> None:
    """Run a job over every object of a source.

    Interrupted, the same command goes on where it stopped.

    Examples:

        mapreduce run examples/words.py:Words texts/ --out words

        mapreduce run examples/braking.py:HarshBraking s3://trips --out braking --set limit=2.5
    """
    with consequences():
        from mapreduce.commands import run_command  # noqa: PLC0415 - numpy loads when it is needed

        tolerance.check_tolerances(max_bad_objects, max_dropped)
        told = given.run_options(
            sample=sample,
            limit=limit,
            match=match,
            exclude=exclude,
            max_keys=max_keys,
            on_map_error=on_map_error,
            allow_nan=allow_nan,
            endpoint=endpoint,
        )
        where = given.where(
            worker_memory=worker_memory,
            inventory=inventory,
            only=only,
            tags=tag,
            requirements=with_,
            folder=out,
            scheduler=scheduler,
            tls_ca=tls_ca,
            tls_cert=tls_cert,
            tls_key=tls_key,
            master=master,
            spark_conf=spark_conf,
        )
        chosen = run_command.engine_named(engine, workers, where)
        run_command.refuse_inside(out, source)
        if detach:
            from mapreduce.commands.detach import leave_running  # noqa: PLC0415 - as above

            leave_running(out, "mapreduce", hosts=engine == "ssh")
            return
        receipt = run_command.run_job(
            _job(job, settings), source, out, told, chosen, quiet=as_json, anew=anew, retry=retry
        )
        run_command.tell(receipt, out, as_json=as_json)
        tolerance.end_over_limits(receipt, max_bad_objects, max_dropped)


@app.command("try")
def try_command(
    job: JobArgument,
    object_: Annotated[str, typer.Argument(metavar="OBJECT", help="A file or s3://bucket/key")],
    settings: given.Settings = None,
    endpoint: given.Endpoint = None,
    allow_nan: given.AllowNan = False,
) -> None:
    """Show the records and the partial sums of one object.

    Example:

        mapreduce try examples/braking.py:HarshBraking trips/000/trip-000001.json
    """
    with consequences():
        from mapreduce.commands import preview  # noqa: PLC0415 - numpy loads when it is needed

        say(preview.shown(_job(job, settings), object_, endpoint, allow_nan=allow_nan))


@app.command("plan")
def plan_command(
    job: JobArgument,
    source: SourceArgument,
    settings: given.Settings = None,
    workers: given.Workers = None,
    endpoint: given.Endpoint = None,
    sample: given.Sample = None,
    limit: given.Limit = None,
    match: given.Match = None,
    exclude: given.Exclude = None,
    allow_nan: given.AllowNan = False,
    inventory: Annotated[
        Path | None,
        typer.Option(
            "--inventory",
            help="For a run over these hosts: their slots, and the store they name.",
            rich_help_panel=given.ENGINE,
        ),
    ] = None,
) -> None:
    """Say what a run would read, in how many requests, and for how long; write nothing.

    Examples:

        mapreduce plan roadspeed.speeds:Speeds s3://trips

        mapreduce plan roadspeed.speeds:Speeds s3://trips --inventory hosts.toml
    """
    with consequences():
        from mapreduce.commands import preview  # noqa: PLC0415 - numpy loads when it is needed

        told = given.run_options(
            sample=sample,
            limit=limit,
            match=match,
            exclude=exclude,
            max_keys=1,
            allow_nan=allow_nan,
            endpoint=endpoint,
        )
        hosts = None
        if inventory is not None:
            from mapreduce.cluster.inventory.inventory import load  # noqa: PLC0415 - as above

            hosts = load(inventory)
        say(preview.planned(_job(job, settings), source, told, workers, hosts))


FolderArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="The --out of a run", parser=given.folder)
]


@app.command("resume")
def resume_command(
    folder: FolderArgument, anew: given.Anew = False, detach: given.Detach = False
) -> None:
    """Go on with a run that was interrupted, as it was typed then."""
    with consequences():
        from mapreduce.commands import run_folder  # noqa: PLC0415 - numpy, as above

        said = run_folder.to_resume(folder)
        if said is None:
            say(f"{folder} holds a finished run: nothing is left to resume")
            return
        _again(folder, said.told(*([ANEW] if anew else [])), detach=detach)


@app.command("retry")
def retry_command(folder: FolderArgument, detach: given.Detach = False) -> None:
    """Try the quarantined objects of a finished run again; keep all others, write a new receipt."""
    with consequences():
        from mapreduce.commands import run_folder  # noqa: PLC0415 - numpy, as above

        said = run_folder.to_retry(folder)
        if said is None:
            say(f"{folder} holds a finished run without a quarantined object: none to retry")
            return
        _again(folder, said, detach=detach)


def _again(folder: Path, said: Typed, *, detach: bool) -> None:
    """Type a command of a run again, here or in the background."""
    from mapreduce.commands.saved_command import become  # noqa: PLC0415 - numpy loads when it is needed

    if detach:
        from mapreduce.commands.detach import leave_running  # noqa: PLC0415 - as above

        leave_running(folder, said.program, hosts=said.over_hosts, typed=said)
        return
    become(said.program, said.arguments, said.folder)


@app.command("status")
def status_command(folder: FolderArgument) -> None:
    """Say how far the run of a folder is."""
    with consequences():
        from mapreduce.commands import run_folder  # noqa: PLC0415 - numpy loads when it is needed

        say(run_folder.status(folder))


@app.command("verify")
def verify_command(folder: FolderArgument) -> None:
    """Check a finished run: its account balances, and its files are as they were written."""
    with consequences():
        from mapreduce.commands import run_folder  # noqa: PLC0415 - numpy loads when it is needed

        say(run_folder.verified(folder))


def _job(reference: str, settings: list[str] | None) -> Job:
    from mapreduce.job.loader import load  # noqa: PLC0415 - numpy loads when it is needed

    return load(reference, given.settings(settings), text=True)


__all__ = ["app", "early", "main"]


def main() -> None:
    """Start the command line."""
    open_standard_streams()
    app()


if __name__ == "__main__":
    main()
