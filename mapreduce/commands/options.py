"""The options of both programs, each declared once. Related options form a group.

A group is a dataclass that a `command` receives as one value. Its methods turn the options into
what a run needs.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from mapreduce.commands.once import ANEW, DETACH, RETRY
from mapreduce.errors import UsageError
from mapreduce.runs.folder import folder_named

if TYPE_CHECKING:
    from mapreduce.engine import Engine
    from mapreduce.job.job import Job
    from mapreduce.runs.driver import Options

SELECTION = "Which objects"
LIMITS = "What is tolerated"
ENGINE = "Where it runs"
MAX_KEYS = 10_000_000


def option(name: str, told: str, panel: str | None = None, **more: Any) -> Any:
    """Give an option with its help, in a panel of the help."""
    return typer.Option(name, help=told, rich_help_panel=panel, **more)


def folder(text: str) -> Path:
    """Parse a folder. An empty text is an error: it is usually an unset shell variable."""
    try:
        return folder_named(text, "the folder")
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None


def out_option(told: str) -> Any:
    """Return the option for the output folder."""
    return option("--out", told, parser=folder, metavar="<path>")


JobArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="JOB", help="package.module:Job or ./file.py:Job")
]
SourceArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A folder, a file, or s3://bucket/prefix")
]
FolderArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="DIR", help="The folder (--out) of a run", parser=folder)
]
OutOfJob: TypeAlias = Annotated[Path, out_option("Folder for tables, receipt and journal.")]
OutOfAll: TypeAlias = Annotated[Path, out_option("Folder for all files.")]
Settings: TypeAlias = Annotated[
    list[str] | None, option("--set", "A parameter of the job, name=value; may be repeated.")
]
EngineName: TypeAlias = Annotated[str, option("--engine", "local, ssh, dask or spark.", ENGINE)]
Workers: TypeAlias = Annotated[
    int | None, option("--workers", "Number of processes; default: one per core.", ENGINE)
]
Inventory: TypeAlias = Annotated[
    str | None,
    option("--inventory", "For --engine ssh: file with the hosts; default: hosts.toml.", ENGINE),
]
Only: TypeAlias = Annotated[
    list[str] | None,
    option("--only", "For --engine ssh: only these hosts; names, ranges or globs.", ENGINE),
]
Tags: TypeAlias = Annotated[
    list[str] | None,
    option("--tag", "For --engine ssh: only hosts with one of these tags.", ENGINE),
]
OnMapError: TypeAlias = Annotated[
    str,
    option(
        "--on-map-error",
        "After an exception in the job's map: stop the run, or quarantine the object.",
        LIMITS,
    ),
]
AllowNan: TypeAlias = Annotated[
    bool,
    option(
        "--allow-nan",
        "Accept NaN, Infinity and -Infinity, as Python's json.dump writes them, in fields that"
        " are not used.",
        LIMITS,
    ),
]
Anew: TypeAlias = Annotated[
    bool,
    option(ANEW, "Start again: discard an interrupted run, or a damaged journal, in --out."),
]
Detach: TypeAlias = Annotated[
    bool, option(DETACH, "Run in the background; print how to follow the run.", ENGINE)
]

AsJson: TypeAlias = Annotated[bool, option("--json", "Print the receipt as JSON and nothing else.")]
KeepSums: TypeAlias = Annotated[
    bool,
    option(
        "--keep-sums/--no-keep-sums",
        "Write the sums and the list of objects too, so that `add` can add this run to others.",
    ),
]


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How buckets are reached."""

    endpoint: Annotated[
        str | None,
        option(
            "--endpoint",
            "URL of the S3-compatible storage; default: for hosts the endpoints in hosts.toml,"
            " else AWS_ENDPOINT_URL_S3, else AWS.",
            ENGINE,
        ),
    ] = None
    requester_pays: Annotated[
        bool,
        option(
            "--requester-pays",
            "Pay for requests to a bucket whose owner asks for it (or AWS_REQUEST_PAYER).",
            ENGINE,
        ),
    ] = False

    def __post_init__(self) -> None:
        """Have every bucket of this process, of trips and of roads, asked so."""
        if self.requester_pays:
            os.environ["AWS_REQUEST_PAYER"] = "requester"

    def words(self) -> list[str]:
        """Give the options that were given, as they are typed."""
        endpoint = [] if self.endpoint is None else [f"--endpoint {shlex.quote(self.endpoint)}"]
        return [*endpoint, *(["--requester-pays"] if self.requester_pays else [])]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Where a run runs."""

    engine: EngineName = "local"
    workers: Workers = None
    worker_memory: Annotated[
        int,
        option(
            "--worker-memory",
            "Memory limit per process in MiB. 0: no limit; with --engine ssh: a share of the"
            " host's free memory.",
            ENGINE,
        ),
    ] = 0
    inventory: Inventory = None
    only: Only = None
    tag: Tags = None
    with_: Annotated[
        list[str] | None,
        option(
            "--with",
            "For --engine ssh: a package that the job needs on the hosts, as shapely==2.1 or a"
            " wheel file; may be repeated.",
            ENGINE,
        ),
    ] = None
    scheduler: Annotated[
        str | None,
        option(
            "--scheduler",
            "URL of the Dask scheduler, tcp://host:8786 or tls://…; default: processes on this"
            " machine.",
            ENGINE,
        ),
    ] = None
    tls_ca: Annotated[
        str | None, option("--tls-ca", "PEM file: CA certificate of the Dask cluster.", ENGINE)
    ] = None
    tls_cert: Annotated[
        str | None, option("--tls-cert", "PEM file: client certificate for Dask.", ENGINE)
    ] = None
    tls_key: Annotated[
        str | None, option("--tls-key", "PEM file: key of the client certificate.", ENGINE)
    ] = None
    master: Annotated[
        str | None,
        option(
            "--master",
            "URL of the Spark master: spark://host:7077, yarn, k8s://…; default: processes on"
            " this machine.",
            ENGINE,
        ),
    ] = None
    spark_conf: Annotated[
        list[str] | None,
        option("--spark-conf", "A Spark setting, name=value; may be repeated.", ENGINE),
    ] = None

    def engine_of(self, folder: Path) -> Engine:
        """Create the engine for a run into a folder.

        Raises
        ------
        UsageError
            If there is no engine of that name, or an option belongs to another engine.
        """
        from mapreduce.engines.registry import Where, engine_named

        where = Where(
            worker_memory=self.worker_memory,
            inventory=self.inventory,
            only=tuple(self.only or ()),
            tags=tuple(self.tag or ()),
            requirements=tuple(self.with_ or ()),
            folder=folder,
            scheduler=self.scheduler,
            tls_ca=self.tls_ca,
            tls_cert=self.tls_cert,
            tls_key=self.tls_key,
            master=self.master,
            spark_conf=tuple(self.spark_conf or ()),
        )
        return engine_named(self.engine, self.workers, where)

    @property
    def over_hosts(self) -> bool:
        """Whether it runs over hosts."""
        return self.engine == "ssh"


@dataclass(frozen=True, slots=True)
class SelectionOptions:
    """Which objects of the source are read."""

    sample: Annotated[
        str | None,
        option("--sample", "Read this share of the objects: 1% or 0.01.", SELECTION),
    ] = None
    limit: Annotated[int | None, option("--limit", "Read only the first N objects.", SELECTION)] = (
        None
    )
    match: Annotated[
        list[str] | None,
        option("--match", "Read only keys that match this glob; may be repeated.", SELECTION),
    ] = None
    exclude: Annotated[
        list[str] | None,
        option("--exclude", "Skip keys that match this glob; may be repeated.", SELECTION),
    ] = None


@dataclass(frozen=True, slots=True)
class ToleranceOptions:
    """Limits for bad input."""

    max_bad_objects: Annotated[
        str,
        option(
            "--max-bad-objects",
            "Maximum of quarantined objects, a number or percentage; above it the exit code is 3.",
            LIMITS,
        ),
    ] = "0"
    max_dropped: Annotated[
        str | None,
        option("--max-dropped", "The same for dropped records; default: no limit.", LIMITS),
    ] = None

    def check(self) -> None:
        """Reject invalid tolerances before the work begins."""
        from mapreduce.console.tolerance import check_tolerances

        check_tolerances(self.max_bad_objects, self.max_dropped)

    def end_over(self, receipt: dict[str, Any]) -> None:
        """If the run exceeded a limit, say which and exit with code 3."""
        from mapreduce.console.tolerance import end_over_limits

        end_over_limits(receipt, self.max_bad_objects, self.max_dropped)


@dataclass(frozen=True, slots=True)
class LimitOptions(ToleranceOptions):
    """Limits for bad input and for the size of the result."""

    max_keys: Annotated[int, option("--max-keys", "Maximum rows of a table.", LIMITS)] = MAX_KEYS


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How a run starts, and what it prints at its end."""

    detach: Detach = False
    anew: Anew = False
    retry: Annotated[
        bool,
        option(RETRY, "Read only the quarantined objects of the finished run in --out again."),
    ] = False
    as_json: AsJson = False


def run_options(
    which: SelectionOptions,
    *,
    max_keys: int = MAX_KEYS,
    on_map_error: str = "stop",
    allow_nan: bool = False,
    endpoint: str | None = None,
) -> Options:
    """Convert the command's options into those of a run.

    Raises
    ------
    UsageError
        If a value is invalid.
    """
    from mapreduce.limits import Limits
    from mapreduce.objects.selection import Selection, parse_sample
    from mapreduce.runs.driver import Options

    if on_map_error not in {"stop", "quarantine"}:
        raise UsageError(f"--on-map-error is stop or quarantine, got {on_map_error!r}")
    if max_keys < 1:
        raise UsageError(f"--max-keys is 1 or more, got {max_keys}")
    share = None if which.sample is None else parse_sample(which.sample)
    return Options(
        selection=Selection(
            tuple(which.match or ()), tuple(which.exclude or ()), share, which.limit
        ),
        limits=Limits(
            max_keys=max_keys,
            quarantine_map_errors=on_map_error == "quarantine",
            allow_nan=allow_nan,
        ),
        endpoint=endpoint,
    )


def job_of(reference: str, given: list[str] | None) -> Job:
    """Load a job, with the parameters that were given as `name=value`."""
    from mapreduce.job.loader import load

    return load(reference, settings_of(given), text=True)


def settings_of(given: list[str] | None) -> dict[str, str]:
    """Give what was typed as `name=value`, by name."""
    settings = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--set takes name=value, got {text!r}")
        settings[name] = value
    return settings
