"""`python -m benchmarks WHAT`: measured, printed; with `--write` put into the page.

Fails where answers do not agree or a limit is broken. `--quick` is a small corpus and few rounds,
to see that all works; its figures mean nothing and are not written. `all` is what the pages on
benchmarks and engines show; on docs/cluster.md are `cluster_load` (many agents, large partials),
`serving` (a folder, with TLS and without) and `shelf` (hosts in network namespaces: as root).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import bounds, engines, measures, page, peers, scale, table_bounds, tables
from benchmarks.corpus import corpus
from benchmarks.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

Section = tuple[str, str]

CLUSTER = ("cluster_load", "serving", "shelf")
PAGES = {"engines": page.ENGINES, **dict.fromkeys(CLUSTER, page.CLUSTER)}


def main() -> None:
    """Run the subcommand."""
    options = _options()
    sections: dict[str, Callable[[argparse.Namespace], list[Section]]] = {
        "closest": _closest,
        "peers": _peers,
        "engines": _engines,
        "tables": _tables,
        "bounds": _bounds,
        "scale": _scale,
        "measures": _measures,
        "join": lambda _: [("join", _script("join"))],
        "pictures": lambda _: [("pictures", _script("pictures"))],
        "cluster_load": _cluster_load,
        "serving": lambda _: [("serving", _script("serving"))],
        "shelf": _shelf,
    }
    if options.what == "all":
        for name in ("bounds", *CLUSTER):  # the first is part of closest
            del sections[name]
    failed = False
    for name, measured in sections.items():
        if options.what not in (name, "all"):
            continue
        for section, text in measured(options):
            print(f"\n## {section}\n\n{text}\n", flush=True)
            failed |= "Broken:" in text
            if options.write and not options.quick:
                page.write(section, text, PAGES.get(section, page.PAGE))
    sys.exit(1 if failed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "what",
        choices=(
            *(
                "closest",
                "peers",
                "tables",
                "engines",
                "bounds",
                "scale",
                "measures",
                "join",
                "pictures",
            ),
            *CLUSTER,
            "all",
        ),
    )
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    parser.add_argument(
        "--corpus", type=Path, default=Path(tempfile.gettempdir(), "roadspeed-benchmarks"),
        help="folder for generated trips, kept for the next time",
    )  # fmt: skip
    parser.add_argument("--files", type=int, default=350, help="generated trips, about 1 MB each")
    parser.add_argument("--objects", type=int, default=1050, help="hard links of them, for peers")
    parser.add_argument("--rounds", type=int, default=peers.MANY, help="for the closest peer")
    parser.add_argument("--only", nargs="*", help="programs, such as with_chdb; ours always runs")
    options = parser.parse_args()
    if options.quick:
        options.files, options.objects, options.rounds = 12, 24, 1
    return options


def _peers(options: argparse.Namespace) -> list[Section]:
    measured = corpus(options.corpus, options.files, options.objects)
    machine = page.machine()
    wanted = [
        e
        for e in peers.ENTRANTS
        if e is peers.OURS or not options.only or e.program in options.only
    ]
    few = corpus(options.corpus, 12, 12)
    runs = peers.measure(measured, few, wanted, min(options.rounds, peers.FEW))
    return [("peers", f"{machine} {peers.report(measured, runs)}")]


def _tables(options: argparse.Namespace) -> list[Section]:
    many = 2 if options.quick else tables.TABLES
    told = tables.measured(options.corpus, options.files, many, min(options.rounds, peers.FEW + 2))
    steps = table_bounds.measured(
        {
            format_: tables.made(options.corpus, options.files, 1, format_).folder
            / f"0/000.{format_}"
            for format_ in tables.FORMATS
        }
    )
    return [("tables", f"{page.machine()} {told}"), ("table_bounds", steps)]


def _closest(options: argparse.Namespace) -> list[Section]:
    measured = corpus(options.corpus, options.files, options.objects * peers.LARGER)
    machine = page.machine()
    few = corpus(options.corpus, 12, 12)
    runs = peers.measure(measured, few, peers.CLOSE, options.rounds)
    rates = bounds.measure(corpus(options.corpus, options.files, options.objects))
    chdb_mbs = peers.rate(measured, runs[peers.CLOSEST])
    return [
        ("closest", f"{machine} {peers.report(measured, runs)}"),
        ("bounds", bounds.report(rates, chdb_mbs)),
    ]


def _engines(options: argparse.Namespace) -> list[Section]:
    measured = corpus(options.corpus, options.files, options.objects)
    few = corpus(options.corpus, 12, 12)
    machine = page.machine()
    runs = peers.measure(measured, few, engines.ENTRANTS, min(options.rounds, peers.FEW))
    text = f"{machine} {engines.report(measured, runs)}"
    return [("engines", "\n\n".join([text, *([] if options.quick else engines.broken(runs))]))]


def _bounds(options: argparse.Namespace) -> list[Section]:
    measured = corpus(options.corpus, options.files, options.objects)
    return [("bounds", f"{page.machine()}\n\n{bounds.report(bounds.measure(measured), None)}")]


def _scale(options: argparse.Namespace) -> list[Section]:
    sizes = (scale.SMALL, scale.LARGE) if not options.quick else (50, 500)
    machine = page.machine()
    runs = scale.measure(options.corpus, options.files, sizes)
    return [("scale", f"{machine} {scale.report(runs)}")]


def _measures(options: argparse.Namespace) -> list[Section]:
    trips = options.files if options.quick else measures.TRIPS
    made = corpus(options.corpus, options.files, trips)
    measured = measures.measure(made, min(options.rounds, peers.FEW + 2))
    return [("measures", f"{page.machine()} {measures.report(measured)}")]


def _cluster_load(options: argparse.Namespace) -> list[Section]:
    few = ("--tasks", "60", "--agents", "4") if options.quick else ()
    texts = [_script("cluster_load", *few), _script("cluster_load", "--large", "--journal", *few)]
    return [("cluster_load", f"{page.machine()}\n\n```\n{''.join(texts)}```")]


def _shelf(options: argparse.Namespace) -> list[Section]:
    few = ("--objects", "48") if options.quick else ()
    texts = [_script("shelf", what, *few) for what in ("scaling", "mixed")]
    return [("shelf", "\n\n".join([page.machine(), *texts]))]


def _script(name: str, *arguments: str) -> str:
    """Run a measurement that is a script of its own, showing and keeping what it prints."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
