"""Options that both command lines share, alone and in groups, and what each group means."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from mapreduce.commands.once import ANEW, RETRY
from mapreduce.console import tolerance
from mapreduce.errors import UsageError
from mapreduce.output import say
from mapreduce.runs.folder import folder_named

if TYPE_CHECKING:
    from mapreduce.engine import Engine
    from mapreduce.job.job import Job
    from mapreduce.objects.selection import Selection
    from mapreduce.runs.driver import Options

SELECTION = "Which objects"
LIMITS = "What is tolerated"
ENGINE = "Where it runs"


def folder(text: str) -> Path:
    """Take a folder as it is typed; an empty one is a variable of the shell that is not set."""
    try:
        return folder_named(text, "the folder")
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None


def _show_version(wanted: bool) -> None:
    if wanted:
        import mapreduce  # noqa: PLC0415 - brings numpy, which `--help` does without
        from mapreduce.formats import scanner  # noqa: PLC0415

        with_it = "with" if scanner.is_built() else "without"
        say(
            f"roadspeed {mapreduce.__version__}, Python {platform.python_version()}"
            f" on {platform.machine()}, {with_it} the compiled scanner"
        )
        raise typer.Exit


JobArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="JOB", help="package.module:Job or ./file.py:Job")
]
SourceArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A folder, a file, or s3://bucket/prefix")
]
FolderArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="DIR", help="The --out of a run", parser=folder)
]
OutOfJob: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--out", help="Folder for tables, receipt and journal.", parser=folder, metavar="<path>"
    ),
]
OutOfAll: TypeAlias = Annotated[
    Path, typer.Option("--out", help="Folder for all of it.", parser=folder, metavar="<path>")
]
Version: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--version",
        callback=_show_version,
        is_eager=True,
        help="Show the version, and whether plain JSON is read by compiled code.",
    ),
]
Workers: TypeAlias = Annotated[
    int | None,
    typer.Option("--workers", help="Processes; one a core by default.", rich_help_panel=ENGINE),
]
EngineName: TypeAlias = Annotated[
    str, typer.Option("--engine", help="local, ssh, dask or spark.", rich_help_panel=ENGINE)
]
Endpoint: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        help="Address of S3-compatible storage; else what hosts.toml says where hosts read, else"
        " AWS_ENDPOINT_URL_S3, else AWS.",
        rich_help_panel=ENGINE,
    ),
]
WorkerMemory: TypeAlias = Annotated[
    int,
    typer.Option(
        "--worker-memory",
        help="MiB a process may use; 0: no limit; with --engine ssh: what its host allows.",
        rich_help_panel=ENGINE,
    ),
]
Inventory: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--inventory", help="With --engine ssh: the hosts; else hosts.toml.", rich_help_panel=ENGINE
    ),
]
Only: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--only", help="Of its hosts: names, ranges or globs.", rich_help_panel=ENGINE),
]
Tags: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--tag", help="Of its hosts: those with any of these.", rich_help_panel=ENGINE),
]
With: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        help="With --engine ssh: a package the job needs there, shapely==2.1 or a wheel's file;"
        " may be repeated.",
        rich_help_panel=ENGINE,
    ),
]
Scheduler: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="Dask's, tcp://host:8786 or tls://…; without one, processes here.",
        rich_help_panel=ENGINE,
    ),
]
TlsCa: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--tls-ca", help="PEM file: the Dask cluster's authority.", rich_help_panel=ENGINE
    ),
]
TlsCert: TypeAlias = Annotated[
    str | None,
    typer.Option("--tls-cert", help="PEM file: our certificate there.", rich_help_panel=ENGINE),
]
TlsKey: TypeAlias = Annotated[
    str | None, typer.Option("--tls-key", help="PEM file: its key.", rich_help_panel=ENGINE)
]
Master: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--master",
        help="Spark's: spark://host:7077, yarn, k8s://…; without one, processes here.",
        rich_help_panel=ENGINE,
    ),
]
SparkConf: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--spark-conf",
        help="A setting of Spark's, name=value; may be repeated.",
        rich_help_panel=ENGINE,
    ),
]
Sample: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--sample",
        help="Share of objects, by hash of the key: 1% or 0.01.",
        rich_help_panel=SELECTION,
    ),
]
Limit: TypeAlias = Annotated[
    int | None, typer.Option("--limit", help="The first N objects.", rich_help_panel=SELECTION)
]
Match: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--match", help="Glob a key must fit; may be repeated.", rich_help_panel=SELECTION
    ),
]
Exclude: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", help="Glob a key must not fit; may be repeated.", rich_help_panel=SELECTION
    ),
]
MaxBad: TypeAlias = Annotated[
    str,
    typer.Option(
        "--max-bad-objects",
        help="Quarantined objects, a number or percentage, above which the exit code is 3.",
        rich_help_panel=LIMITS,
    ),
]
MaxDropped: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--max-dropped", help="Likewise for dropped records; no limit.", rich_help_panel=LIMITS
    ),
]
MaxKeys: TypeAlias = Annotated[
    int,
    typer.Option("--max-keys", help="Rows a table may have.", rich_help_panel=LIMITS),
]
OnMapError: TypeAlias = Annotated[
    str,
    typer.Option(
        "--on-map-error",
        help="What follows from an exception in the job's map: stop or quarantine.",
        rich_help_panel=LIMITS,
    ),
]
AllowNan: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-nan",
        help="Take NaN, Infinity and -Infinity, as Python's json.dump writes them, where no field"
        " that is used is so.",
        rich_help_panel=LIMITS,
    ),
]
Detach: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--detach", help="Go on in the background, and say how to follow.", rich_help_panel=ENGINE
    ),
]
Anew: TypeAlias = Annotated[
    bool,
    typer.Option(
        ANEW, help="Begin anew: throw away what an interrupted run in --out has done, or damaged."
    ),
]
Retry: TypeAlias = Annotated[
    bool,
    typer.Option(
        RETRY, help="Try only what the finished run in --out has quarantined; the rest is kept."
    ),
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print the receipt as JSON and nothing else.")
]
Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", help="A parameter of the job, name=value; may be repeated."),
]


@dataclass(frozen=True, slots=True)
class Selecting:
    """Which of the listed objects are read."""

    sample: Sample = None
    limit: Limit = None
    match: Match = None
    exclude: Exclude = None

    def selection(self) -> Selection:
        """Give it as a run takes it."""
        from mapreduce.objects.selection import Selection, parse_sample  # noqa: PLC0415 - see above

        share = None if self.sample is None else parse_sample(self.sample)
        return Selection(tuple(self.match or ()), tuple(self.exclude or ()), share, self.limit)


@dataclass(frozen=True, slots=True)
class Tolerating:
    """How much may be bad before the exit code says so."""

    max_bad_objects: MaxBad = "0"
    max_dropped: MaxDropped = None

    def check(self) -> None:
        """Refuse what means nothing, before the work begins."""
        tolerance.check_tolerances(self.max_bad_objects, self.max_dropped)

    def end(self, receipt: dict[str, Any]) -> None:
        """End a command whose run exceeded this."""
        tolerance.end_over_limits(receipt, self.max_bad_objects, self.max_dropped)


@dataclass(frozen=True, slots=True)
class Running:
    """Where a run's attempts run: an engine, and what it can be told."""

    engine: EngineName = "local"
    workers: Workers = None
    worker_memory: WorkerMemory = 0
    inventory: Inventory = None
    only: Only = None
    tag: Tags = None
    with_: With = None
    scheduler: Scheduler = None
    tls_ca: TlsCa = None
    tls_cert: TlsCert = None
    tls_key: TlsKey = None
    master: Master = None
    spark_conf: SparkConf = None

    def chosen(self, folder: Path) -> Engine:
        """Give the engine for a run in a folder.

        Raises
        ------
        UsageError
            Where there is none of that name, or it was told what is another's.
        """
        from mapreduce.engines.registry import Where, engine_named  # noqa: PLC0415 - see above

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


@dataclass(frozen=True, slots=True)
class Reading:
    """How objects are read, and what a record may be."""

    endpoint: Endpoint = None
    allow_nan: AllowNan = False


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a run begins: in the background, anew, or with what was quarantined."""

    detach: Detach = False
    anew: Anew = False
    retry: Retry = False


def run_options(
    selecting: Selecting, reading: Reading, *, max_keys: int, on_map_error: str = "stop"
) -> Options:
    """Turn what was typed into what a run is told.

    Raises
    ------
    UsageError
        For values that mean nothing.
    """
    from mapreduce.limits import Limits  # noqa: PLC0415 - numpy loads when it is needed
    from mapreduce.runs.driver import Options  # noqa: PLC0415 - as above

    if on_map_error not in {"stop", "quarantine"}:
        raise UsageError(f"--on-map-error is stop or quarantine, got {on_map_error!r}")
    if max_keys < 1:
        raise UsageError(f"--max-keys is 1 or more, got {max_keys}")
    return Options(
        selection=selecting.selection(),
        limits=Limits(
            max_keys=max_keys,
            quarantine_map_errors=on_map_error == "quarantine",
            allow_nan=reading.allow_nan,
        ),
        endpoint=reading.endpoint,
    )


def job_named(reference: str, settings: list[str] | None) -> Job:
    """Load the job that is meant, with its parameters as typed: `name=value`."""
    from mapreduce.job.loader import load  # noqa: PLC0415 - numpy loads when it is needed

    values = {}
    for text in settings or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--set takes name=value, got {text!r}")
        values[name] = value
    return load(reference, values, text=True)
