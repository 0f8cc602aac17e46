"""`roadspeed match`."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Final

from mapreduce.commands.command import command
from mapreduce.commands.options import (
    ENGINE,
    AllowNan,
    SelectionOptions,
    StoreOptions,
    ToleranceOptions,
    Workers,
    option,
    out_option,
    run_options,
)
from mapreduce.errors import UsageError
from roadspeed.commands.measure_options import TimeOptions
from roadspeed.commands.options import SourceArgument, TripOptions
from roadspeed.commands.trace_options import TraceOptions

JOB: Final = "roadspeed match"


@command
def match_command(
    source: SourceArgument,
    *,
    out: Annotated[Path, out_option("Folder for fixes.parquet and its receipt.")],
    traces: TraceOptions,
    times: TimeOptions,
    trips: TripOptions,
    workers: Workers = None,
    store: StoreOptions,
    which: SelectionOptions,
    limits: ToleranceOptions,
    allow_nan: AllowNan = False,
    as_json: Annotated[
        bool, option("--json", "Print the receipt as JSON and nothing else.", ENGINE)
    ] = False,
) -> None:
    """Match positions to OpenStreetMap and write each fix with its link, for other uses.

    One row for each fix: object, record (its number in the object), time, position, link, and the
    place on the road. Fixes on no road have no link. Needs --osm. To get speeds of links use
    `roadspeed run`.

    Examples:

        roadspeed match traces/ --osm city.osm.pbf --out matched

        roadspeed match s3://traces/2019 --osm city.match --format gpx --out matched
    """
    from mapreduce.commands.run_steps import refuse_inside, tell
    from mapreduce.console.terminal import Terminal
    from mapreduce.runs.receipt import run_id, versions
    from mapreduce.runs.report import file_digest, published, write_account, write_receipt
    from roadspeed.osm.matched_fixes import NAME, MatchedFixes, write_fixes
    from roadspeed.trip import HELPS

    limits.check()
    if traces.osm is None:
        raise UsageError("match needs --osm: an extract (city.osm.pbf), or a folder made of one")
    if traces.speed_from != TraceOptions().speed_from:
        raise UsageError("--speed-from is for `roadspeed run`: no speed is needed to match")
    refuse_inside(out, source)
    _refuse_run(out)
    found = replace(traces, speed_from="positions").job(trips.parameters(), times)
    job = MatchedFixes(**{one.name: getattr(found, one.name) for one in fields(found)})
    options = run_options(which, allow_nan=allow_nan, endpoint=store.endpoint)
    out.mkdir(parents=True, exist_ok=True)
    with published(out) as room, Terminal(quiet=as_json) as terminal:
        account = write_fixes(
            room, source, job, workers=workers, options=options, on_progress=terminal
        )
        files = [room / NAME, *write_account(room, account.ledger)]
        receipt = {
            "run": run_id(),
            "job": JOB,
            "source": source,
            "digest": f"sha256:{file_digest(room / NAME)}",
            **account.receipt,
            "versions": versions(),
        }
        write_receipt(room, receipt, files)
    tell(receipt, out, as_json=as_json, helps=HELPS)
    limits.end_over(receipt)


def _refuse_run(out: Path) -> None:
    """Refuse a folder whose files are of another command: they would go."""
    from mapreduce.runs.receipt_file import RECEIPT, read

    if (out / RECEIPT).exists() and read(out / RECEIPT)[1].get("job") != JOB:
        raise UsageError(f"{out} has the files of a run, which would be lost: choose another --out")
