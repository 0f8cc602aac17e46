"""`mapreduce run`: run a job over every object of a source."""

from __future__ import annotations

from mapreduce.commands import options as given
from mapreduce.commands.groups import spread
from mapreduce.console.terminal import consequences


@spread
def run_command(
    job: given.JobArgument,
    source: given.SourceArgument,
    out: given.OutOfJob,
    running: given.Running,
    selecting: given.Selecting,
    reading: given.Reading,
    tolerating: given.Tolerating,
    beginning: given.Beginning,
    settings: given.Settings = None,
    max_keys: given.MaxKeys = 10_000_000,
    on_map_error: given.OnMapError = "stop",
    as_json: given.AsJson = False,
) -> None:
    """Run a job over every object of a source.

    Interrupted, the same command goes on where it stopped.

    Examples:

        mapreduce run examples/words.py:Words texts/ --out words

        mapreduce run examples/braking.py:HarshBraking s3://trips --out braking --set limit=2.5
    """
    with consequences():
        from mapreduce.commands.run_steps import (  # noqa: PLC0415 - numpy loads when it is needed
            refuse_inside,
            run_job,
            tell,
        )

        tolerating.check()
        told = given.run_options(selecting, reading, max_keys=max_keys, on_map_error=on_map_error)
        engine = running.chosen(out)
        refuse_inside(out, source)
        if beginning.detach:
            from mapreduce.commands.detach import leave_running  # noqa: PLC0415 - as above

            leave_running(out, "mapreduce", hosts=running.engine == "ssh")
            return
        receipt = run_job(
            given.job_named(job, settings),
            source,
            out,
            told,
            engine,
            quiet=as_json,
            anew=beginning.anew,
            retry=beginning.retry,
        )
        tell(receipt, out, as_json=as_json)
        tolerating.end(receipt)
