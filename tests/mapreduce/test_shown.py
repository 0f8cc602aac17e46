"""Nothing that stands in data, keys or names steers a terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mapreduce.safe_text import in_line, printable, shortened, shown_value

ROOT = Path(__file__).parents[2]
STEERING = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202e\r\b\x7f"
JOB = """
import mapreduce as mr

class Printing(mr.Job):
    records = mr.Json(at="data", link=mr.Int("link"), name=mr.Text("name", optional=True))
    links = mr.Table(key="link", n=mr.Sum)

    def map(self, r):
        print(r.name[0].decode() if len(r) else "")
        if len(r) and r.link[0] == 13:
            raise ValueError(r.name[0].decode())
        return self.links.fold(r.link, n=1)
"""


def is_plain(said: bytes) -> bool:
    text = said.decode()
    return not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_what_would_steer_is_shown_as_an_escape() -> None:
    assert printable("a\tb\n\x1b[0m\x9b\u202e\ud800é") == "a\tb\n\\x1b[0m\\x9b\\u202e\\ud800é"
    assert in_line("a\nb\tc") == r"a\x0ab\x09c"
    assert shown_value('a"\x1b') == r'"a\"\u001b"'
    assert shortened("x" * 61) == "x" * 60 + "…"


def test_nothing_is_printed_but_by_the_one_who_makes_it_printable() -> None:
    sources = [*(ROOT / "mapreduce").rglob("*.py"), *(ROOT / "roadspeed").rglob("*.py")]
    printing = re.compile(
        r"typer\.echo\(|\bprint\(|std(?:out|err)\.write(?:lines)?\(|console\.print\("
    )
    # Rich prints what is printable already; what the last has runs on hosts, for us to read.
    allowed = {"output.py", "console/terminal.py", "cluster/ssh/command_line.py"}
    allowed |= {"console/text_table.py"}  # into a text, which is said
    found = {
        path.relative_to(ROOT / "mapreduce").as_posix()
        for path in sources
        if path.is_relative_to(ROOT / "mapreduce")
        and "onhost" not in path.parts  # they print JSON for the coordinator
        and printing.search(path.read_text())
    }
    assert found <= allowed
    assert not any(
        printing.search(p.read_text()) for p in sources if p.is_relative_to(ROOT / "roadspeed")
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize("link", [1, 13])
def test_no_command_lets_data_or_names_steer_the_terminal(tmp_path: Path, link: int) -> None:
    (tmp_path / "job.py").write_text(JOB)
    trips = tmp_path / "trips"
    trips.mkdir()
    record = {"link": link, "name": STEERING, STEERING: 1, "speed": 3}
    bad = {"link": STEERING, "speed": 3}
    (trips / "a\x1b[31m.json").write_text(json.dumps({"data": [record, bad, record]}))
    (trips / "\x1b[2Jbad.json").write_text('{"data": 3, "\x7f": 1}')
    out = tmp_path / "out"
    job = f"{tmp_path / 'job.py'}:Printing"
    commands = (
        ("mapreduce", "run", job, trips, "--out", out, "--workers", 1),
        ("mapreduce", "status", out),
        ("mapreduce", "try", job, trips / "a\x1b[31m.json"),
        ("mapreduce", "plan", job, trips),
        ("mapreduce", "run", job, trips, "--out", out, "--workers", 1, "--json"),
        ("roadspeed", "inspect", trips),
        ("roadspeed", "run", trips, "--link", "link", "--speed", "speed", "--out", tmp_path / "s"),
        ("roadspeed", "run", trips, "--out", tmp_path / "hopeless"),
    )
    for program, *words in commands:
        done = subprocess.run(
            [sys.executable, "-m", f"{program}.cli", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=False,
        )
        assert done.returncode in (0, 1, 3), done.stderr
        assert b"Traceback" not in done.stderr or link == 13
        assert is_plain(done.stdout), (words, done.stdout)
        assert is_plain(done.stderr), (words, done.stderr)


def test_what_the_terminal_has_no_letter_for_is_an_escape() -> None:
    code = "from mapreduce.output import say; say('é ж'); say('ж', err=True)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"\xe9 \\u0436\n", b"\\u0436\n")
