import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.cluster import shell

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
    command = shell.python_script(
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
            ["sh", "-c", shell.python_script(program, "facts", {})],
            capture_output=True,
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            check=False,
        )
        assert done.returncode == 127
        assert list(tmp_path.iterdir()) == []


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
@settings(max_examples=100)
def test_every_command_is_five_words_to_a_shell(text: str) -> None:
    words = shlex.split(shell.python_script("python3", "facts", {"root": text, "reach": [text]}))
    assert words[:4] == ["exec", "python3", "-I", "-c"]
    assert len(words) == 6
    assert json.loads(words[5]) == {"root": text, "reach": [text]}


def test_the_home_folder_in_front_of_a_program_is_the_hosts_own() -> None:
    assert shell.word("~/my python") == "\"$HOME\"/'my python'"
    assert shell.word("python3") == "python3"


@pytest.mark.parametrize("shell_name", ["sh", "bash"])
def test_a_key_is_installed_once_whatever_stands_before_it(shell_name: str, tmp_path: Path) -> None:
    folder = tmp_path / ".ssh"
    folder.mkdir()
    (folder / "authorized_keys").write_text("ssh-ed25519 AAAA other")  # no newline at its end
    for _ in range(2):
        subprocess.run(
            [shell_name, "-c", shell.INSTALL_KEY],
            input=b"ssh-ed25519 BBBB $(me)\n",
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            check=True,
        )
    assert (folder / "authorized_keys").read_text().splitlines() == [
        "ssh-ed25519 AAAA other",
        "ssh-ed25519 BBBB $(me)",
    ]
