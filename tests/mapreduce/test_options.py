"""Options in groups: on the command line each is its own, and a command gets one value."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from mapreduce import cli as mapreduce_cli
from mapreduce.commands.groups import spread
from roadspeed import cli as roadspeed_cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
HEAVY = {"numpy", "msgspec", "minio", "urllib3", "paramiko", "fabric", "shapely", "matplotlib"}


@dataclass(frozen=True, slots=True)
class Colours:
    first: Annotated[str, typer.Option("--first", help="The first.")]
    other: Annotated[list[str] | None, typer.Option("--other")] = None


def _app() -> typer.Typer:
    app = typer.Typer()

    @app.command()
    @spread
    def paint(
        what: Annotated[str, typer.Argument()],
        colours: Colours,
        twice: Annotated[bool, typer.Option("--twice")] = False,
    ) -> None:
        """Paint it."""
        typer.echo(f"{what} {colours.first} {colours.other} {twice}")

    return app


def test_each_option_of_a_group_is_one_of_the_command() -> None:
    typed = ["wall", "--first", "red", "--other", "blue", "--other", "grey", "--twice"]
    assert CliRunner().invoke(_app(), typed).output == "wall red ['blue', 'grey'] True\n"
    assert CliRunner().invoke(_app(), ["wall", "--first", "red"]).output == "wall red None False\n"


def test_an_option_of_a_group_without_a_default_is_needed() -> None:
    told = CliRunner().invoke(_app(), ["wall"])
    assert told.exit_code == 2
    assert "--first" in told.output


def _options(command: object) -> set[str]:
    """Every option of a program, of whatever command."""
    found = {o for p in getattr(command, "params", ()) for o in (*p.opts, *p.secondary_opts)}
    for inner in getattr(command, "commands", {}).values():
        found |= _options(inner)
    return found


def test_every_option_that_a_page_names_is_there() -> None:
    there = {"--help", "--version"}
    for app in (mapreduce_cli.app, roadspeed_cli.app):
        there |= _options(typer.main.get_command(app))
    typed = re.compile(r"^(?:\.venv/bin/)?(?:roadspeed|mapreduce) ")
    lines = [line for page in PAGES for line in page.read_text().splitlines() if typed.match(line)]
    assert len(lines) > 10
    for line in lines:
        assert not set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)) - there, line


@pytest.mark.parametrize("program", ["mapreduce", "roadspeed"])
def test_help_loads_nothing_that_takes_long(program: str) -> None:
    code = (
        f"import sys; from {program}.cli import app\n"
        "try: app(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.splitlines()[-1].split())
