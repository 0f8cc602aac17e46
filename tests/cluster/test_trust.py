"""What a pinned key is worth: nothing replaces, bypasses or outlives it without a word."""

import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mapreduce.cluster.fleet import enrol, operations
from mapreduce.cluster.fleet.display import Quiet
from mapreduce.cluster.fleet.operations import HostChoice
from mapreduce.cluster.fleet.parallel import FleetError
from mapreduce.cluster.inventory.inventory import Inventory, load
from mapreduce.cluster.ssh.host_keys import fingerprints, pin_name, pinned
from mapreduce.cluster.ssh.proxy import MOST_BYTES, Proxy
from mapreduce.cluster.ssh.ssh import HostError, Remote
from mapreduce.errors import UsageError
from tests.cluster.shelves import enrolled, never_ask
from tests.services.sshd import Shelf, SshHost, keypair, shelf

OTHER = "SHA256:" + "A" * 43


@pytest.fixture
def two() -> Iterator[Shelf]:
    with shelf(2) as hosts:
        yield hosts


@pytest.fixture
def home(tmp_path: Path, monkeypatch: Any) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def shown_by(inventory: Inventory) -> dict[str, enrol.Shown]:
    return enrol.look(inventory, inventory.hosts, Quiet()).values_by_host


def logins(hosts: Shelf) -> int:
    return sum(h.log.count("Accepted publickey") for h in hosts.hosts)


def place(host: SshHost) -> str:
    return pin_name(host.address, host.port)


def jumping(two: Shelf, home: Path, more: str = "") -> Inventory:
    """Make `inner` a host that is reached through `gate`, by the user's configuration."""
    jump, inner = two.hosts
    (home / ".ssh" / "config").write_text(
        f"Host inner\n HostName {inner.address}\n Port {inner.port}\n ProxyJump gate\n{more}"
        f"Host gate\n HostName {jump.address}\n Port {jump.port}\n User {getpass.getuser()}\n"
        f" IdentityFile {two.client_key}\n"
    )
    path = home / "hosts.toml"
    path.write_text(
        f'[cluster]\nuser = "{getpass.getuser()}"\nidentity = "{two.client_key}"\n'
        '[[hosts]]\nname = "inner"\n'
    )
    return load(path)


@pytest.mark.parametrize("name", ["pi1", "PI1", "127.0.0.2", "{place}"])
def test_a_list_that_contradicts_a_pinned_key_is_refused_and_both_are_named(
    two: Shelf, tmp_path: Path, name: str
) -> None:
    inventory = enrolled(two)
    before = inventory.known_hosts.read_text()
    own = shown_by(inventory)["pi1"].fingerprint
    listed = tmp_path / "prints"
    listed.write_text(f"{name.format(place=place(two.hosts[0]))} {OTHER}\n")
    with pytest.raises(FleetError) as caught:
        operations.enrol_hosts(HostChoice(inventory.path), fingerprints=listed)
    (failed,) = caught.value.failed
    assert failed.host == "pi1"
    assert own in failed.state
    assert OTHER in failed.state
    assert inventory.known_hosts.read_text() == before


def test_a_list_must_name_a_key_by_every_name_it_gives_the_host(two: Shelf, tmp_path: Path) -> None:
    inventory = two.inventory()
    shown = shown_by(inventory)
    listed = tmp_path / "prints"
    listed.write_text(f"pi1 {shown['pi1'].fingerprint}\n127.0.0.2 {OTHER}\n")
    refused = enrol.accept(inventory, {"pi1": shown["pi1"]}, ask=never_ask, trusted=listed)
    assert OTHER in refused["pi1"]
    assert not inventory.known_hosts.exists()


def test_replacing_by_a_list_takes_the_key_that_is_listed_and_no_other(
    two: Shelf, tmp_path: Path
) -> None:
    inventory = enrolled(two)
    two.hosts[0].restart_with_new_key()
    shown = shown_by(inventory)["pi1"]
    listed = tmp_path / "prints"
    listed.write_text(f"pi1 {OTHER}\n")
    one = {"pi1": shown}
    refused = enrol.accept(inventory, one, ask=never_ask, trusted=listed, replace=True)
    assert all(said in refused["pi1"] for said in (shown.fingerprint, OTHER, str(shown.before)))
    listed.write_text(f"pi1 {shown.fingerprint}=\r\n")  # as some tools print it
    assert not enrol.accept(inventory, one, ask=never_ask, trusted=listed, replace=True)
    assert pinned(inventory.known_hosts).of(shown.place).keys == (shown.key,)


def test_a_list_of_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prints"
    path.write_text("# none yet\n")
    with pytest.raises(UsageError, match="found none"):
        fingerprints(path)
    with pytest.raises(UsageError, match="No such file"):
        fingerprints(tmp_path / "gone")


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_a_host_of_another_kind_of_key_has_changed(two: Shelf, kind: str) -> None:
    inventory = enrolled(two)
    host = two.hosts[0]
    host.restart_with_new_key(kind)
    with pytest.raises(HostError, match=r"its host key changed: pinned SHA256:.* found SHA256:"):
        Remote(inventory.hosts[0], inventory).__enter__()
    with pytest.raises(FleetError, match="pi1: its host key changed"):
        operations.enrol_hosts(HostChoice(inventory.path), yes=True)
    assert logins(two) == 1  # pi2's


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_of_several_kinds_that_a_host_has_the_pinned_one_is_asked_for(kind: str) -> None:
    with shelf(1) as hosts:
        host = hosts.hosts[0]
        other = keypair(host.folder / "another_key", kind)
        host.stop()
        host.more_config = f"HostKey {other}"
        host.start()
        inventory = hosts.inventory()
        public = " ".join(other.with_suffix(".pub").read_text().split()[:2])
        inventory.known_hosts.write_text(f"{place(host)} {public}\n")
        assert [s.trust for s in shown_by(inventory).values()] == [enrol.Trust.PINNED]
        with Remote(inventory.hosts[0], inventory) as remote:
            assert remote.call("echo in").out == b"in\n"


def test_every_one_of_several_pinned_keys_counts(two: Shelf) -> None:
    inventory = enrolled(two)
    host = two.hosts[0]
    host.restart_with_new_key()
    with inventory.known_hosts.open("a") as out:
        out.write(f"{place(host)} {host.public_key}\n")
    with Remote(inventory.hosts[0], inventory) as remote:
        assert remote.call("echo in").out == b"in\n"


def test_a_revoked_key_is_refused_wherever_it_is_revoked(two: Shelf, home: Path) -> None:
    inventory = enrolled(two)
    host = two.hosts[0]
    pins = inventory.known_hosts.read_text()
    theirs = home / ".ssh" / "known_hosts"
    revoked = home / "revoked"
    revoked.write_text(f"{host.public_key}\n")
    line = f"@revoked * {host.public_key}\n"
    for where, text in ((inventory.known_hosts, pins + line), (theirs, line)):
        where.write_text(text)
        with pytest.raises(HostError, match=r"is revoked by .*known_hosts:\d"):
            Remote(inventory.hosts[0], inventory).__enter__()
        assert "is revoked by" in enrol.look(inventory, inventory.hosts[:1], Quiet())["pi1"].state
        where.write_text(pins if where == inventory.known_hosts else "")
    (home / ".ssh" / "config").write_text(f"RevokedHostKeys {revoked}\n")
    with pytest.raises(HostError, match=r"is revoked by .*revoked:1"):
        Remote(inventory.hosts[0], inventory).__enter__()
    assert logins(two) == 0


def test_after_a_revocation_another_key_is_a_changed_one_not_a_new_one(two: Shelf) -> None:
    inventory = enrolled(two)
    with inventory.known_hosts.open("a") as out:
        out.write(f"@revoked * {two.hosts[0].public_key}\n")
    two.hosts[0].restart_with_new_key()
    with pytest.raises(FleetError, match="pi1: its host key changed"):
        operations.enrol_hosts(HostChoice(inventory.path, only=("pi1",)), yes=True)


def test_two_hosts_of_one_place_do_not_undo_each_other(two: Shelf, home: Path) -> None:
    first, second = two.hosts
    (home / ".ssh" / "config").write_text(
        f"Host one\n HostName {first.address}\n Port {first.port}\n HostKeyAlias same\n"
        f"Host two\n HostName {second.address}\n Port {second.port}\n HostKeyAlias same\n"
    )
    path = home / "hosts.toml"
    path.write_text('[cluster]\n[[hosts]]\nname = "one"\n[[hosts]]\nname = "two"\n')
    inventory = load(path)
    refused = enrol.accept(inventory, shown_by(inventory), ask=never_ask, yes=True)
    assert set(refused) == {"one", "two"}
    assert "both known as same and show different keys" in refused["one"]
    assert not inventory.known_hosts.exists()


def test_a_hostkeyalias_names_the_pin(two: Shelf, home: Path) -> None:
    inventory = jumping(two, home, " HostKeyAlias shelf-inner\n")
    (home / ".ssh" / "known_hosts").write_text(f"{place(two.hosts[0])} {two.hosts[0].public_key}\n")
    operations.enrol_hosts(HostChoice(inventory.path), yes=True)
    assert pinned(inventory.known_hosts).names() == ["shelf-inner"]


def test_markers_in_the_users_known_hosts_are_no_traceback(two: Shelf, home: Path) -> None:
    """The case `ssh-known-hosts-marker`."""
    inventory = jumping(two, home)
    jump = two.hosts[0]
    theirs = home / ".ssh" / "known_hosts"
    noise = f"@cert-authority * {jump.public_key}\nrubbish\ncaf\udce9 ssh-ed25519 !!\n"
    theirs.write_bytes(noise.encode("utf-8", "surrogateescape"))
    said = enrol.look(inventory, inventory.hosts, Quiet())["inner"].state
    assert f"{theirs}:1 identifies the jump host {place(jump)} only by @cert-authority" in said
    with theirs.open("a") as out:
        out.write(f"{place(jump)} {jump.public_key}\n")
    operations.enrol_hosts(HostChoice(inventory.path), yes=True)
    with theirs.open("a") as out:
        out.write(f"@revoked {place(jump)} {jump.public_key}\n")
    said = enrol.look(inventory, inventory.hosts, Quiet())["inner"].state
    assert f"the host key of the jump host {place(jump)} is revoked by {theirs}:5" in said


def test_a_jump_host_whose_key_changed_is_named(two: Shelf, home: Path) -> None:
    inventory = jumping(two, home)
    jump = two.hosts[0]
    theirs = home / ".ssh" / "known_hosts"
    theirs.write_text(f"{jump.address} {jump.public_key}\n")  # any port of it, as ssh takes it
    operations.enrol_hosts(HostChoice(inventory.path), yes=True)
    before = logins(two)
    jump.restart_with_new_key()
    with pytest.raises(HostError, match=r"the host key of the jump host .* changed: known SHA256"):
        Remote(inventory.hosts[0], inventory).__enter__()
    assert logins(two) == before


def test_hosts_in_a_circle_are_refused(home: Path) -> None:
    (home / ".ssh" / "config").write_text("Host a\n ProxyJump b\nHost b\n ProxyJump a\n")
    path = home / "hosts.toml"
    path.write_text('[cluster]\n[[hosts]]\nname = "a"\n')
    inventory = load(path)
    with pytest.raises(UsageError, match="a cycle, or more than 8 hops"):
        Remote(inventory.hosts[0], inventory)


def test_a_proxycommand_is_run_as_ssh_runs_it(two: Shelf, home: Path) -> None:
    host = two.hosts[1]
    relay = home / "relay.py"
    relay.write_text(RELAY)
    (home / ".ssh" / "config").write_text(
        f"Host by-command\n HostName {host.address}\n Port {host.port}\n"
        f" ProxyCommand python3 {relay} '%h' %p 2>>{home}/err\n"
        f"Host failing\n HostName {host.address}\n ProxyCommand sh -c 'echo no way >&2; exit 3'\n"
    )
    path = home / "hosts.toml"
    path.write_text(
        f'[cluster]\nuser = "{getpass.getuser()}"\nidentity = "{two.client_key}"\n'
        '[[hosts]]\nname = "by-command"\n[[hosts]]\nname = "failing"\n'
    )
    inventory = load(path)
    with pytest.raises(
        FleetError, match=r"failing: .*by ProxyCommand .sh -c .* .exit code 3: no way"
    ):
        operations.enrol_hosts(HostChoice(path), yes=True)
    with Remote(inventory.hosts[0], inventory) as remote:
        assert remote.call("echo in").out == b"in\n"


def test_a_proxycommand_that_closes_its_line_before_it_ends_is_told_all_the_same() -> None:
    proxy = Proxy("sh -c 'exec 0<&- 1>&-; sleep 0.4; echo no way >&2; exit 3'")
    assert proxy.line.recv(1) == b""
    assert proxy.words() == "exit code 3: no way"
    proxy.end()


def test_of_what_a_proxycommand_says_the_last_is_kept() -> None:
    proxy = Proxy("sh -c 'head -c 3000000 /dev/zero >&2; echo >&2; echo the end >&2; exit 4'")
    assert proxy.words() == "exit code 4: the end"
    assert len(proxy._said) <= MOST_BYTES
    proxy.end()


RELAY = """\
import os, socket, sys, threading
line = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while body := os.read(0, 65536):
        line.sendall(body)
    line.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while body := line.recv(65536):
    os.write(1, body)
"""
