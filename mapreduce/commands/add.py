"""`mapreduce add`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from mapreduce.commands.command import command
from mapreduce.commands.options import (
    AsJson,
    JobArgument,
    KeepSums,
    LimitOptions,
    OutOfJob,
    folder,
    option,
)

RunFolders: TypeAlias = Annotated[
    list[Path],
    typer.Argument(metavar="DIR…", help="The folders (--out) of finished runs", parser=folder),
]
OtherCode: TypeAlias = Annotated[
    bool,
    option(
        "--other-code",
        "Add runs of another version of the code, or of this program; the receipt says so.",
    ),
]
SideInputs: TypeAlias = Annotated[
    list[str] | None,
    option("--set", "A side file that the job's finish needs, name=path; may be repeated."),
]


@command
def add_command(
    job: JobArgument,
    runs: RunFolders,
    *,
    out: OutOfJob,
    side_inputs: SideInputs = None,
    other_code: OtherCode = False,
    limits: LimitOptions,
    sums: KeepSums = True,
    as_json: AsJson = False,
) -> None:
    """Add the sums of finished runs of a job over different objects, without reading any.

    Digest and tables are those of a run over all the objects. Parameters are those of the runs.

    Example:

        mapreduce add examples/words.py:Words words-2019 words-2020 --out words
    """
    from mapreduce.commands import run_steps
    from mapreduce.commands.options import settings_of

    limits.check()
    receipt = run_steps.add_runs(
        job,
        runs,
        out,
        settings_of(side_inputs),
        max_keys=limits.max_keys,
        other_code=other_code,
        sums=sums,
    )
    run_steps.tell(receipt, out, as_json=as_json)
    limits.end_over(receipt)
