"""The tables of commands, the options that they take, and what pages say of both."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import pytest
import typer
from typer.testing import CliRunner

import mapreduce.cli
import roadspeed.cli
from mapreduce.cluster import fab
from mapreduce.commands.command import command
from mapreduce.commands.options import option
from mapreduce.commands.program import loaded
from mapreduce.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "hosts.toml", *sorted((ROOT / "docs").glob("*.md"))]
ROOMS: Final = {
    "mapreduce": ("mapreduce.commands", mapreduce.cli.COMMANDS),
    "mapreduce cluster": ("mapreduce.commands.cluster", mapreduce.cli.OF_HOSTS),
    "roadspeed": ("roadspeed.commands", roadspeed.cli.COMMANDS),
    "roadspeed roads": ("roadspeed.commands.roads", roadspeed.cli.OF_ROADS),
}
COMMANDS: Final = {
    f"{program} {name}": loaded(room, name)
    for program, (room, told) in ROOMS.items()
    for name in told
}
OPTIONS: Final = {
    name: {text for option in known.params for text in (*option.opts, *option.secondary_opts)}
    for name, known in COMMANDS.items()
}
ALWAYS: Final = {"--help", "--version"}
OTHERS: Final = {"--nthreads", "--memory-limit", "--source", "--strict", "--write"}  # programs'


def program_and_words(line: str) -> tuple[str, list[str]]:
    """Which command a line types, and with which words; "" for none of ours."""
    words = shlex.split(line, comments=True)
    for length in (3, 2):
        if " ".join(words[:length]) in COMMANDS:
            return " ".join(words[:length]), words[length:]
    return "", words


def typed_lines() -> Iterator[str]:
    """Every command that a page or a command's own help shows."""
    texts = [re.sub(r"\\\n\s*", "", page.read_text()) for page in PAGES]
    texts += [str(known.help) for known in COMMANDS.values()]
    for text in texts:
        yield from re.findall(r"^ *((?:roadspeed|mapreduce) (?!=|-)\S.*)$", text, re.MULTILINE)


def test_commands_that_are_shown_are_there_with_their_options() -> None:
    shown = [program_and_words(line) for line in typed_lines() if "--" in line or "  " in line]
    assert len(shown) > 25
    for name, words in shown:
        assert name, words
        known = OPTIONS[name] | ALWAYS
        if name == "mapreduce cluster run":
            known |= OPTIONS["mapreduce run"] | OPTIONS["roadspeed run"]
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= known, (name, given - known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_that_a_page_names_are_there(page: Path) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", page.read_text()))
    assert named <= set().union(*OPTIONS.values(), ALWAYS, OTHERS)


@pytest.mark.parametrize("program", ROOMS)
def test_a_table_says_of_a_command_what_its_help_begins_with(program: str) -> None:
    room, told = ROOMS[program]
    for name, summary in told.items():
        assert COMMANDS[f"{program} {name}"].help.partition("\n\n")[0] == summary, name
    files = {path.stem.removesuffix("_") for path in (ROOT / room.replace(".", "/")).glob("*.py")}
    assert files >= {name.replace("-", "_") for name in told}


@pytest.mark.parametrize("words", ["mapreduce", "roadspeed", "mapreduce cluster"])
def test_help_is_told_without_a_command_being_loaded(words: str) -> None:
    program, *more = words.split()
    code = (
        f"import sys, contextlib\nimport {program}.cli as cli\n"
        f"sys.argv = ['x', *{more}, '--help']\n"
        "with contextlib.suppress(SystemExit):\n    cli.main()\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    modules = set(done.stderr.split())
    assert all(name in done.stdout for name in ROOMS[words][1])
    assert not modules & {"numpy", "msgspec", "rich.progress", "mapreduce.runs"}
    ours = {name for name in modules if re.match(r"(mapreduce|roadspeed)\.commands\.", name)}
    assert ours == {"mapreduce.commands.program"}


def test_a_mistyped_command_is_answered_with_one_that_is_there() -> None:
    done = CliRunner().invoke(mapreduce.cli.app, ["cluster", "doktor"])
    assert done.exit_code == 2
    assert "Did you mean 'doctor'" in done.output


def test_tasks_have_the_options_of_the_commands() -> None:
    for name in mapreduce.cli.OF_HOSTS:
        if name == "init":
            continue
        flags = {flag for a in getattr(fab, name).get_arguments() for flag in a.names if flag[1:]}
        known = {text.strip("-").lower() for text in OPTIONS[f"mapreduce cluster {name}"]}
        assert {flag.strip("_").replace("_", "-") for flag in flags} == known, name


def test_a_task_reads_folders_and_paths_as_a_shell_would(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(fab, "start", seen.append)
    monkeypatch.setenv("HOME", "/home/pi")
    given: dict[str, Any] = {"job": "", "roads": "", "set_": [], "with_": [], "only": []}
    given |= {"except_": [], "tag": [], "allow_nan": False, "detach": True}
    fab.run.body(None, source="s3://t", out="~/o", inventory="~/h.toml", **given)
    assert seen[0][:5] == ["roadspeed", "run", "s3://t", "--out", "/home/pi/o"]
    assert seen[0][-3:] == ["--inventory", "/home/pi/h.toml", "--detach"]
    with pytest.raises(SystemExit) as ended:
        fab.run.body(None, source="s3://t", out="s3://o", inventory="h.toml", **given)
    assert ended.value.code == 2


@dataclass(frozen=True, slots=True)
class Size:
    """A group."""

    height: Annotated[int, option("--height", "How high.")]
    width: Annotated[int, option("--width", "How wide.")] = 2


def test_a_group_of_options_is_handed_over_whole() -> None:
    seen = []

    @command
    def paint(
        name: Annotated[str, typer.Argument()],
        *,
        size: Size,
        colour: Annotated[str, option("--colour", "Which.")] = "red",
    ) -> None:
        """Paint."""
        seen.append((name, size, colour))
        if colour == "no colour":
            raise UsageError("no such colour")

    app = typer.Typer()
    app.command()(paint)
    typed = ["door", "--height", "3", "--colour", "blue"]
    assert CliRunner().invoke(app, typed).exit_code == 0
    assert seen == [("door", Size(3, 2), "blue")]
    assert "Missing option '--height'" in CliRunner().invoke(app, ["door"]).output
    done = CliRunner().invoke(app, ["door", "--height", "3", "--colour", "no colour"])
    assert (done.exit_code, done.stderr) == (2, "error: no such colour\n")
