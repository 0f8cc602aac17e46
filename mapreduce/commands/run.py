"""`mapreduce run`."""

from __future__ import annotations

from mapreduce.commands.command import command
from mapreduce.commands.options import (
    AllowNan,
    EngineOptions,
    JobArgument,
    KeepSums,
    LimitOptions,
    OnMapError,
    OutOfJob,
    SelectionOptions,
    Settings,
    SourceArgument,
    StartOptions,
    StoreOptions,
    job_of,
    run_options,
)


@command
def run_command(
    job: JobArgument,
    source: SourceArgument,
    *,
    out: OutOfJob,
    settings: Settings = None,
    where: EngineOptions,
    store: StoreOptions,
    which: SelectionOptions,
    limits: LimitOptions,
    on_map_error: OnMapError = "stop",
    allow_nan: AllowNan = False,
    sums: KeepSums = True,
    start: StartOptions,
) -> None:
    """Run a job over every object of a source.

    After an interruption the same command resumes the run.

    Examples:

        mapreduce run examples/words.py:Words texts/ --out words

        mapreduce run examples/braking.py:HarshBraking s3://trips --out braking --set limit=2.5
    """
    from mapreduce.commands import run_steps

    limits.check()
    options = run_options(
        which,
        max_keys=limits.max_keys,
        on_map_error=on_map_error,
        allow_nan=allow_nan,
        endpoint=store.endpoint,
    )
    engine = where.engine_of(out)
    run_steps.refuse_inside(out, source)
    if start.detach:
        from mapreduce.commands.detach import leave_running

        leave_running(out, "mapreduce", hosts=where.over_hosts)
        return
    receipt = run_steps.run_job(
        job_of(job, settings),
        source,
        out,
        options,
        engine,
        quiet=start.as_json,
        anew=start.anew,
        retry=start.retry,
        sums=sums,
    )
    run_steps.tell(receipt, out, as_json=start.as_json)
    limits.end_over(receipt)
