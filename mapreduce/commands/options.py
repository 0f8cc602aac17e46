"""Options of both programs, each declared once; those that belong together are a group.

A group is a dataclass that a `command` takes whole, and that says what it means to a run.
"""

from __future__ import annotations

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
    """Take a folder as it is typed; an empty one is a variable of the shell that is not set."""
    try:
        return folder_named(text, "the folder")
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None


def out_option(told: str) -> Any:
    """Give the option that names the folder of a run, or of all that is made."""
    return option("--out", told, parser=folder, metavar="<path>")


JobArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="JOB", help="package.module:Job or ./file.py:Job")
]
SourceArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A folder, a file, or s3://bucket/prefix")
]
FolderArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="DIR", help="The --out of a run", parser=folder)
]
OutOfJob: TypeAlias = Annotated[Path, out_option("Folder for tables, receipt and journal.")]
OutOfAll: TypeAlias = Annotated[Path, out_option("Folder for all of it.")]
Settings: TypeAlias = Annotated[
    list[str] | None, option("--set", "A parameter of the job, name=value; may be repeated.")
]
EngineName: TypeAlias = Annotated[str, option("--engine", "local, ssh, dask or spark.", ENGINE)]
Workers: TypeAlias = Annotated[
    int | None, option("--workers", "Processes; one a core by default.", ENGINE)
]
Inventory: TypeAlias = Annotated[
    str | None, option("--inventory", "With --engine ssh: the hosts; else hosts.toml.", ENGINE)
]
Only: TypeAlias = Annotated[
    list[str] | None, option("--only", "Of its hosts: names, ranges or globs.", ENGINE)
]
Tags: TypeAlias = Annotated[
    list[str] | None, option("--tag", "Of its hosts: those with any of these.", ENGINE)
]
Endpoint: TypeAlias = Annotated[
    str | None,
    option(
        "--endpoint",
        "Address of S3-compatible storage; else what hosts.toml says where hosts read, else"
        " AWS_ENDPOINT_URL_S3, else AWS.",
        ENGINE,
    ),
]
OnMapError: TypeAlias = Annotated[
    str,
    option(
        "--on-map-error",
        "What follows from an exception in the job's map: stop or quarantine.",
        LIMITS,
    ),
]
AllowNan: TypeAlias = Annotated[
    bool,
    option(
        "--allow-nan",
        "Take NaN, Infinity and -Infinity, as Python's json.dump writes them, where no field"
        " that is used is so.",
        LIMITS,
    ),
]
Anew: TypeAlias = Annotated[
    bool,
    option(ANEW, "Begin anew: throw away what an interrupted run in --out has done, or damaged."),
]
Detach: TypeAlias = Annotated[
    bool, option(DETACH, "Go on in the background, and say how to follow.", ENGINE)
]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Where a run runs."""

    engine: EngineName = "local"
    workers: Workers = None
    worker_memory: Annotated[
        int,
        option(
            "--worker-memory",
            "MiB a process may use; 0: no limit; with --engine ssh: what its host allows.",
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
            "With --engine ssh: a package the job needs there, shapely==2.1 or a wheel's file;"
            " may be repeated.",
            ENGINE,
        ),
    ] = None
    scheduler: Annotated[
        str | None,
        option(
            "--scheduler",
            "Dask's, tcp://host:8786 or tls://…; without one, processes here.",
            ENGINE,
        ),
    ] = None
    tls_ca: Annotated[
        str | None, option("--tls-ca", "PEM file: the Dask cluster's authority.", ENGINE)
    ] = None
    tls_cert: Annotated[
        str | None, option("--tls-cert", "PEM file: our certificate there.", ENGINE)
    ] = None
    tls_key: Annotated[str | None, option("--tls-key", "PEM file: its key.", ENGINE)] = None
    master: Annotated[
        str | None,
        option(
            "--master",
            "Spark's: spark://host:7077, yarn, k8s://…; without one, processes here.",
            ENGINE,
        ),
    ] = None
    spark_conf: Annotated[
        list[str] | None,
        option("--spark-conf", "A setting of Spark's, name=value; may be repeated.", ENGINE),
    ] = None

    def engine_of(self, folder: Path) -> Engine:
        """Make the engine, for a run into a folder.

        Raises
        ------
        UsageError
            Where there is none of that name, or it was told another's option.
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
        option("--sample", "Share of objects, by hash of the key: 1% or 0.01.", SELECTION),
    ] = None
    limit: Annotated[int | None, option("--limit", "The first N objects.", SELECTION)] = None
    match: Annotated[
        list[str] | None,
        option("--match", "Glob a key must fit; may be repeated.", SELECTION),
    ] = None
    exclude: Annotated[
        list[str] | None,
        option("--exclude", "Glob a key must not fit; may be repeated.", SELECTION),
    ] = None


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """How much may be bad, and how large a result may grow."""

    max_bad_objects: Annotated[
        str,
        option(
            "--max-bad-objects",
            "Quarantined objects, a number or percentage, above which the exit code is 3.",
            LIMITS,
        ),
    ] = "0"
    max_dropped: Annotated[
        str | None,
        option("--max-dropped", "Likewise for dropped records; no limit.", LIMITS),
    ] = None
    max_keys: Annotated[int, option("--max-keys", "Rows a table may have.", LIMITS)] = MAX_KEYS

    def check(self) -> None:
        """Refuse tolerances that mean nothing before the work begins."""
        from mapreduce.console.tolerance import check_tolerances

        check_tolerances(self.max_bad_objects, self.max_dropped)

    def end_over(self, receipt: dict[str, Any]) -> None:
        """End a command whose run exceeded one: say which, exit code 3."""
        from mapreduce.console.tolerance import end_over_limits

        end_over_limits(receipt, self.max_bad_objects, self.max_dropped)


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How a run begins, and what is said of its end."""

    detach: Detach = False
    anew: Anew = False
    retry: Annotated[
        bool,
        option(RETRY, "Try only what the finished run in --out has quarantined; the rest is kept."),
    ] = False
    as_json: Annotated[bool, option("--json", "Print the receipt as JSON and nothing else.")] = (
        False
    )


def run_options(
    which: SelectionOptions,
    *,
    max_keys: int = MAX_KEYS,
    on_map_error: str = "stop",
    allow_nan: bool = False,
    endpoint: str | None = None,
) -> Options:
    """Turn what was typed into what a run is told.

    Raises
    ------
    UsageError
        For values that mean nothing.
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

    settings = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--set takes name=value, got {text!r}")
        settings[name] = value
    return load(reference, settings, text=True)
