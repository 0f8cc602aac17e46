import binascii
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.cluster.ssh import command_line

HOSTILE = [
    "$(touch run)",
    "`touch run`",
    "; touch run",
    "a\nb\ntouch run",
    "'; touch run; '",
    '"$HOME"',
]
HOSTILE += [
    "| touch run",
    "&& touch run",
    "\\",
    "'",
    '"',
    "~root/x",
    "*",
    "${IFS}",
    "!!",
    "\x1b[2J",
    "é",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_reaches_the_script_as_it_is_and_runs_nothing(
    text: str, tmp_path: Path
) -> None:
    command = command_line.python_script(
        sys.executable, "agents", {"act": "list", "root": f"/none/{text}"}
    )
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        cwd=tmp_path,
        env={"HOME": str(tmp_path)},
        check=False,
    )
    assert json.loads(done.stdout) == {"runs": []}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_program_name_is_one_word_that_is_not_found(text: str, tmp_path: Path) -> None:
    for program in (f"x{text}", f"~/x{text}"):
        done = subprocess.run(
            ["sh", "-c", command_line.python_script(program, "facts", {})],
            capture_output=True,
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            check=False,
        )
        assert done.returncode == 127
        assert list(tmp_path.iterdir()) == []


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
@settings(max_examples=100)
def test_every_command_is_the_same_few_words_to_a_shell(text: str) -> None:
    begin = command_line.Beginning()
    command = command_line.python_script("python3", "facts", {"root": text, "reach": [text]}, begin)
    words = shlex.split(command)
    assert words[:4] == ["exec", "python3", "-I", "-c"]
    assert len(words) == 8
    assert json.loads(binascii.a2b_qp(words[6][1:])) == {"root": text, "reach": [text]}
    assert not set(command) & set('\n\\!$`"{}')  # over which shells disagree
    assert begin.line.strip() not in command.encode()


def test_the_home_folder_in_front_of_a_program_is_the_hosts_own() -> None:
    assert command_line.word("~/my python") == "\"$HOME\"/'my python'"
    assert command_line.word("python3") == "python3"


SHELLS = ["sh", "bash", "dash", "zsh", "fish", "tcsh"]


@pytest.mark.parametrize("shell_name", SHELLS)
@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_the_login_shell_the_script_gets_what_was_asked(
    shell_name: str, text: str, tmp_path: Path
) -> None:
    program = shutil.which(shell_name)
    assert program, "`make services` installs it"
    begin = command_line.Beginning()
    asked = {"act": "list", "root": f"/none/{text}", "host": text}
    done = subprocess.run(
        [program, "-c", command_line.python_script(sys.executable, "agents", asked, begin)],
        capture_output=True,
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        check=False,
    )
    assert json.loads(begin.ours(done.stdout)) == {"runs": []}, done.stderr
    assert begin.before == b""
    ours = [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")]  # fish keeps its own
    assert ours == []


def test_what_comes_before_the_line_is_not_ours_however_it_is_cut() -> None:
    begin = command_line.Beginning()
    said = b"Welcome\nto pi1" + begin.line + b"{}" + begin.line
    for size in (1, 3, len(said)):
        begin.before, begin.begun = bytearray(), False
        parts = [said[i : i + size] for i in range(0, len(said), size)]
        assert b"".join(map(begin.ours, parts)) == b"{}" + begin.line
        assert begin.before == b"Welcome\nto pi1"


@pytest.mark.parametrize("shell_name", SHELLS)
def test_a_key_is_installed_once_whatever_stands_before_it(shell_name: str, tmp_path: Path) -> None:
    folder = tmp_path / ".ssh"
    folder.mkdir()
    (folder / "authorized_keys").write_text("ssh-ed25519 AAAA other")  # no newline at its end
    for _ in range(2):
        subprocess.run(
            [shell_name, "-c", command_line.install_key(command_line.Beginning())],
            input=b"ssh-ed25519 BBBB $(me)\n",
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            check=True,
        )
    empty = subprocess.run(
        [shell_name, "-c", command_line.install_key(command_line.Beginning())],
        input=b"\n",
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert empty.returncode  # somebody else read the key
    assert (folder / "authorized_keys").read_text().splitlines() == [
        "ssh-ed25519 AAAA other",
        "ssh-ed25519 BBBB $(me)",
    ]
