"""Hosts whose login shell talks, reads, ends or is none of the usual. Real sshd, real shells."""

import contextlib
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mapreduce.cluster.inventory.inventory import Inventory
from mapreduce.cluster.ssh import command_line
from mapreduce.cluster.ssh import conversation as talk_module
from mapreduce.cluster.ssh import ssh as remote_module
from mapreduce.cluster.ssh.conversation import Conversation
from mapreduce.cluster.ssh.ssh import HostError, Remote
from tests.cluster.shelves import enrolled_shelf
from tests.services.sshd import Shelf

Rig = Callable[..., Inventory]


@pytest.fixture(scope="module")
def one() -> Iterator[tuple[Shelf, Inventory]]:
    with enrolled_shelf(1) as both:
        yield both


@pytest.fixture
def rigged(one: tuple[Shelf, Inventory]) -> Iterator[Rig]:
    """Give the host a ~/.bashrc, a command that sshd runs instead, or another Python."""
    hosts, _ = one
    host = hosts.hosts[0]

    def rig(bashrc: str = "", forced: str = "", python: str = "") -> Inventory:
        (host.home / ".bashrc").write_bytes(bashrc.encode("latin-1"))
        host.stop()
        host.more_config = f"ForceCommand {forced}" if forced else ""
        host.start()
        hosts.overrides["pi1"] = {"python": python} if python else {}
        return hosts.inventory()

    yield rig
    hosts.overrides.clear()
    rig()


def tree() -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as out:
        member = tarfile.TarInfo("pkg/data")
        member.size = 1 << 20
        out.addfile(member, io.BytesIO(bytes(1 << 20)))
    return body.getvalue()


def works(inventory: Inventory, place: str) -> None:
    """Ask, send, follow and install a key: all that reads what a host says."""
    body = tree()
    with Remote(inventory.hosts[0], inventory) as remote:
        assert remote.ask("facts", {})["system"] == "Linux"
        digest = hashlib.sha256(body).hexdigest()
        asked = {"place": f"overlays/{place}", "sha256": digest, "timeout_s": 30}
        remote.ask("unpack", {**asked, "imports": [], "path": []}, body)
        assert place in remote.ask("facts", {})["overlays"]
        streamed = b"".join(remote.stream("facts", {}))
        assert json.loads(streamed)["system"] == "Linux"
        begin = command_line.Beginning()
        answer = remote.call(
            command_line.install_key(begin), b"ssh-ed25519 AAAA me\n", beginning=begin
        )
        assert (answer.status, begin.begun) == (0, True)


TALKING = {
    "a welcome": "echo Welcome\n",
    "no end of line": "printf 'Welcome to \\033[31mpi1'\n",
    "what looks like an answer": 'echo \'{"system": "none"}\'\n',
    "much": "seq 100000\n",
    "latin-1": "echo 'caf\xe9'\n",
    "on standard error": "echo 'bash: warning: setlocale: cannot change locale' >&2\n",
    "an alias and a function": "alias exec='echo no'\npython3() { echo no; }\n",
    "every command": "set -x\n",
    "an error": "no-such-program\n",
}


@pytest.mark.parametrize("case", TALKING)
def test_what_a_login_shell_says_first_is_skipped(case: str, rigged: Rig) -> None:
    """The case `ssh-chatty-bashrc`."""
    works(rigged(TALKING[case]), f"t{len(case)}")


@pytest.mark.parametrize("name", ["fish", "tcsh", "zsh", "dash"])
def test_hosts_with_other_login_shells_work(name: str, rigged: Rig) -> None:
    works(rigged(forced=f'{name} -c "$SSH_ORIGINAL_COMMAND"'), name)


ENDING: dict[str, tuple[dict[str, str], str]] = {
    "exit": ({"bashrc": "exit 0\n"}, r"its login shell ended \(exit code 0\) before our script"),
    "exit with words": (
        {"bashrc": "echo Not here; exit 3\n"},
        r"ended \(exit code 3\) .* after it said 'Not here'.*look at ~/.bashrc there",
    ),
    "exec": ({"bashrc": "exec true\n"}, "it runs `exit`, `exec` or another command"),
    "exec of what waits": ({"bashrc": "exec sleep 60\n"}, "a command in its login shell waits"),
    "a forced command": (
        {"forced": "echo only this"},
        r"after it said 'only this'.* command= in ~/.ssh/authorized_keys",
    ),
    "a command that repeats ours": ({"forced": 'echo "$SSH_ORIGINAL_COMMAND"'}, "after it said"),
    "a restricted shell": (
        {"forced": 'bash -r -c "$SSH_ORIGINAL_COMMAND"'},
        "its login shell is restricted",
    ),
    "no login": ({"forced": "/usr/sbin/nologin"}, "after it said 'This account is"),
    "no Python": ({"python": "python9"}, "expected Python 3.11 or newer as python9, found none"),
    "no Python to csh": (
        {"forced": 'tcsh -c "$SSH_ORIGINAL_COMMAND"', "python": "python9"},
        "expected Python 3.11 or newer as python9, found none",
    ),
    "no Python to fish": (
        {"forced": 'fish -c "$SSH_ORIGINAL_COMMAND"', "python": "python9"},
        "expected Python 3.11 or newer as python9, found none",
    ),
    "another program": ({"python": "cat"}, "Python 3.11 or newer is needed"),
}


@pytest.mark.parametrize("case", ENDING)
def test_a_login_shell_that_runs_nothing_of_ours_is_told_as_one(case: str, rigged: Rig) -> None:
    changes, said = ENDING[case]
    inventory = rigged(**changes)
    with Remote(inventory.hosts[0], inventory) as remote:
        for body in (b"", b"payload"):
            with pytest.raises(HostError, match=said):
                remote.ask("facts", {}, body, timeout_s=2 if "waits" in said else 30)
            if "waits" in said:
                return
        with pytest.raises(HostError, match=said):
            list(remote.stream("facts", {}))


def test_a_login_shell_that_reads_gets_nothing_of_ours(rigged: Rig, monkeypatch: Any) -> None:
    inventory = rigged('read -r -t 60 line; echo "$line" > ~/read\n')
    with Remote(inventory.hosts[0], inventory) as remote:
        assert remote.ask("facts", {})["system"] == "Linux"  # its read ends at once
        said = "and our script did not begin: a command in its login shell waits"
        with pytest.raises(HostError, match=said):
            remote.ask("facts", {}, b"a secret\n", timeout_s=2)
    home = inventory.hosts[0]
    assert home.name == "pi1"
    monkeypatch.setattr(remote_module, "MOST_ANSWER_BYTES", 1 << 16)
    inventory = rigged("yes\n")
    with (
        Remote(inventory.hosts[0], inventory) as remote,
        pytest.raises(HostError, match="printed more than 65,536 bytes before our script began"),
    ):
        remote.ask("facts", {})
    monkeypatch.setattr(talk_module, "MOST_ANSWER_BYTES", 1 << 16)
    with (
        Remote(inventory.hosts[0], inventory) as remote,
        contextlib.closing(Conversation(remote)) as talk,
        pytest.raises(HostError, match="printed more than 65,536 bytes before our script began"),
    ):
        talk.ask("facts", {})


def test_what_was_read_is_no_secret(one: tuple[Shelf, Inventory], rigged: Rig) -> None:
    host = one[0].hosts[0]
    inventory = rigged('IFS= read -r -t 3 line; echo "$line" > ~/read\n')
    with Remote(inventory.hosts[0], inventory) as remote:
        body = tree()
        asked = {"place": "overlays/s", "sha256": hashlib.sha256(body).hexdigest(), "timeout_s": 30}
        remote.ask("unpack", {**asked, "imports": [], "path": []}, body)  # after three seconds
    assert (host.home / "read").read_text() == "\n"
