import base64
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mapreduce.cluster.inventory.inventory import Host, Inventory, load
from mapreduce.cluster.inventory.template import own_address
from mapreduce.cluster.ssh import route
from mapreduce.cluster.ssh.host_keys import pin, pin_name, pinned
from mapreduce.cluster.ssh.known_hosts import HostKey
from mapreduce.cluster.ssh.ssh import HostError, Remote
from mapreduce.errors import UsageError
from tests.cluster.shelves import enrolled_shelf
from tests.services.sshd import Recorder, Shelf, keypair


@pytest.fixture(scope="module")
def one() -> Iterator[tuple[Shelf, Inventory]]:
    with enrolled_shelf(1) as both:
        yield both


@pytest.fixture
def connected(one: tuple[Shelf, Inventory]) -> Iterator[Remote]:
    with Remote(one[1].hosts[0], one[1]) as host:
        yield host


def test_input_output_errors_and_status_come_whole(connected: Remote) -> None:
    body = os.urandom(4 << 20)
    answer = connected.call("cat; echo oh >&2; exit 3", body)
    assert (answer.out, answer.status) == (body, 3)
    assert answer.err.endswith("oh\n")  # after what sshd says at the tests' log level


def test_a_command_that_ends_without_reading_its_input_is_no_fault(connected: Remote) -> None:
    assert connected.call("true", os.urandom(8 << 20)).status == 0


def test_input_that_cannot_be_read_to_its_end_ends_there(connected: Remote) -> None:
    def torn() -> Iterator[bytes]:
        yield b"so far"
        raise OSError("the disk is gone")

    assert connected.call("cat", torn()).out == b"so far"  # and not: given up after 30 s


@pytest.mark.parametrize("command", ["sleep 60", "cat >&2; exec sleep 60", "exec 1>&-; sleep 60"])
def test_a_step_that_takes_too_long_is_given_up(one: tuple[Shelf, Inventory], command: str) -> None:
    with Remote(one[1].hosts[0], one[1]) as host:
        began = time.monotonic()
        with pytest.raises(HostError, match=r"no answer within 0\.3 s"):
            host.call(command, os.urandom(4 << 20), timeout_s=0.3)
        assert time.monotonic() - began < 30  # and not when the command is through, after 60


def test_a_host_that_says_too_much_is_cut_short(connected: Remote) -> None:
    with pytest.raises(HostError, match="more than 8,388,608 bytes"):
        connected.call("yes")


def test_a_connection_that_ended_before_a_log_is_read_is_told(
    one: tuple[Shelf, Inventory],
) -> None:
    inventory = one[1]
    with Remote(inventory.hosts[0], inventory) as remote:
        remote.connection.transport.close()
        with pytest.raises(HostError, match="the connection ended"):
            list(remote.stream("facts", {}))


def test_an_answer_that_is_not_ours_is_refused(one: tuple[Shelf, Inventory]) -> None:
    hosts, _ = one
    for said in ("", "[1, 2]", "null", "{", "\x00"):
        hosts.hosts[0].own_program("odd", f"#!/bin/sh\nprintf '%s' '{said}'\n")
        hosts.overrides["pi1"] = {"python": "odd"}
        inventory = hosts.inventory()
        with Remote(inventory.hosts[0], inventory) as host, pytest.raises(HostError):
            host.ask("facts", {})
    hosts.overrides.clear()


def at(folder: Path, place: str) -> tuple[Host, Inventory]:
    path = folder / "hosts.toml"
    path.write_text(f"[cluster]\nidentity = 'id'\n[[hosts]]\nname = 'x'\n{place}\n")
    inventory = load(path)
    return inventory.hosts[0], inventory


@pytest.mark.parametrize("banner", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"SSH-2.0-Strange\r\n"])
def test_what_is_no_ssh_server_is_told_and_gets_nothing_but_a_greeting(
    banner: bytes, tmp_path: Path, monkeypatch: Any
) -> None:
    for name in ("CONNECT_S", "BANNER_S"):
        monkeypatch.setattr(route, name, 1)
    key = keypair(tmp_path / "id")
    recorder = Recorder(banner=banner)
    try:
        host, inventory = at(tmp_path, f"address = '127.0.0.1'\nssh_port = {recorder.port}")
        known = next(iter(pinned_from(key.with_suffix(".pub"), tmp_path)))
        pin(inventory.known_hosts, {pin_name("127.0.0.1", recorder.port): known})
        with pytest.raises(HostError, match=r"\[127\.0\.0\.1\]:\d+: "):
            Remote(host, inventory).__enter__()
    finally:
        recorder.close()
    assert recorder.connections == 1
    public = key.with_suffix(".pub").read_text().split()[1]
    assert public.encode() not in recorder.came
    assert recorder.came.startswith(b"SSH-2.0-") or not recorder.came


def as_text(key: HostKey) -> str:
    return f"{key.kind} {base64.b64encode(key.blob).decode()}"


def pinned_from(public: Path, folder: Path) -> list[Any]:
    """Give a public key as a pinned one."""
    path = folder / "one"
    path.write_text(f"x {public.read_text()}")
    return list(pinned(path).of("x").keys)


@pytest.mark.parametrize("name", ["no-such-host.invalid", "pi..shelf", "a" * 64])
def test_an_unknown_name_is_told(name: str, tmp_path: Path) -> None:
    key = keypair(tmp_path / "id")
    assert own_address(name) == "127.0.0.1"
    host, inventory = at(tmp_path, f"address = '{name}'")
    known = pinned_from(key.with_suffix(".pub"), tmp_path)[0]
    pin(inventory.known_hosts, {name: known})
    with pytest.raises(HostError, match="not a known host name"):
        Remote(host, inventory).__enter__()


def test_a_login_that_is_refused_says_how_to_install_the_key(
    one: tuple[Shelf, Inventory], tmp_path: Path
) -> None:
    hosts, inventory = one
    stranger = keypair(tmp_path / "id")
    hosts.overrides["pi1"] = {"identity": str(stranger)}
    other = hosts.inventory()
    with pytest.raises(HostError, match="enrol --only pi1 --install-key"):
        Remote(other.hosts[0], other).__enter__()
    hosts.overrides["pi1"] = {"identity": str(tmp_path / "gone")}
    other = hosts.inventory()
    with pytest.raises(UsageError, match="ssh-keygen -t ed25519"):
        Remote(other.hosts[0], other).__enter__()
    hosts.overrides.clear()
    assert inventory.hosts


def test_pinning_replaces_all_keys_of_a_name_and_keeps_the_rest(tmp_path: Path) -> None:
    keys = [
        pinned_from(keypair(tmp_path / f"k{i}", kind).with_suffix(".pub"), tmp_path)[0]
        for i, kind in enumerate(["ed25519", "ecdsa", "ed25519"])
    ]
    path = tmp_path / "known_hosts"
    pin(path, {"a": keys[0], "b": keys[0]})
    with path.open("a") as out:
        out.write(f"# mine\nc,d {as_text(keys[0])}")
    pin(path, {"a": keys[1]})
    pin(path, {"[a]:2222": keys[2]})
    known = pinned(path)
    assert {n: [k.fingerprint for k in known.of(n).keys] for n in ("a", "b", "[a]:2222", "d")} == {
        "a": [keys[1].fingerprint],
        "b": [keys[0].fingerprint],
        "[a]:2222": [keys[2].fingerprint],
        "d": [keys[0].fingerprint],
    }
    assert "# mine\n" in path.read_text()
