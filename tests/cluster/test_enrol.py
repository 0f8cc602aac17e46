import getpass
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paramiko import RejectPolicy  # type: ignore[import-untyped]  # it ships no types

from mapreduce.cluster.fleet import enrol, operations
from mapreduce.cluster.fleet.display import Quiet
from mapreduce.cluster.fleet.enrol import Trust
from mapreduce.cluster.fleet.operations import HostChoice
from mapreduce.cluster.fleet.parallel import FleetError
from mapreduce.cluster.inventory.inventory import Inventory, load
from mapreduce.cluster.ssh import route, ssh
from mapreduce.cluster.ssh.host_keys import fingerprints, pin_name, pinned
from mapreduce.cluster.ssh.ssh import Remote
from mapreduce.errors import UsageError
from tests.cluster.shelves import enrolled, never_ask
from tests.services.sshd import PasswordServer, Recorder, Shelf, keypair, shelf


@pytest.fixture
def two() -> Iterator[Shelf]:
    with shelf(2) as hosts:
        yield hosts


def answering(asked: list[str], *, answer: Any) -> Callable[[str], Any]:
    def answer_to(question: str, _beforehand: str = "") -> Any:
        asked.append(question)
        return answer

    return answer_to


def told(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def login_attempts(shelf_of_hosts: Shelf) -> list[str]:
    logs = "".join(h.log for h in shelf_of_hosts.hosts).splitlines()
    return [line for line in logs if "userauth" in line or "Accepted" in line]


def test_fetching_keys_logs_in_nowhere_and_pins_nothing(two: Shelf) -> None:
    inventory = two.inventory()
    shown = enrol.look(inventory, inventory.hosts, Quiet()).values_by_host
    assert [s.trust for s in shown.values()] == [Trust.NEW, Trust.NEW]
    assert login_attempts(two) == []
    assert not inventory.known_hosts.exists()
    printed = told("ssh-keygen", "-lf", f"{two.hosts[0].folder}/host_key.pub")
    assert shown["pi1"].fingerprint == printed.split()[1]


def test_a_person_who_says_no_pins_nothing(two: Shelf) -> None:
    inventory = two.inventory()
    shown = enrol.look(inventory, inventory.hosts, Quiet()).values_by_host
    refused = enrol.accept(inventory, shown, ask=lambda _: False)
    assert set(refused) == {"pi1", "pi2"}
    assert not inventory.known_hosts.exists()


def test_an_enrolled_host_is_logged_in_to_and_known_to_openssh_too(two: Shelf) -> None:
    inventory = enrolled(two)
    assert not enrol.log_in(inventory, inventory.hosts, Quiet()).failed
    assert len([s for s in login_attempts(two) if "Accepted publickey" in s]) == 2
    host = two.hosts[0]
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", f"IdentityFile={two.client_key}"]
    options += [f"UserKnownHostsFile={inventory.known_hosts}", f"Port={host.port}"]
    command = ["ssh", "-F", "/dev/null", *(w for o in options for w in ("-o", o))]
    assert told(*command, host.address, "echo known") == "known\n"


def test_a_host_that_was_never_enrolled_is_not_even_dialled(tmp_path: Path) -> None:
    recorder = Recorder()
    try:
        inventory = at(tmp_path, recorder.port)
        with pytest.raises(ssh.HostError, match="cluster enrol --only pi1"):
            Remote(inventory.hosts[0], inventory).__enter__()
        assert recorder.connections == 0
        assert not recorder.came
    finally:
        recorder.close()


def test_a_changed_key_is_refused_and_no_byte_of_a_login_leaves(two: Shelf) -> None:
    inventory = enrolled(two)
    host = two.hosts[0]
    host.stop()
    host.new_host_key()
    (host.folder / "sshd.log").unlink()
    host.start()
    with pytest.raises(ssh.HostError, match=r"pinned SHA256:.*--only pi1 --replace"):
        Remote(inventory.hosts[0], inventory).__enter__()
    host.wait_for("[preauth]\ndebug1: do_cleanup")  # the session is over
    assert "KEX done" in host.log
    assert login_attempts(two) == []


def test_yes_never_takes_a_changed_key(two: Shelf) -> None:
    inventory = enrolled(two)
    before = inventory.known_hosts.read_text()
    two.hosts[0].stop()
    two.hosts[0].new_host_key()
    two.hosts[0].start()
    with pytest.raises(FleetError, match="pi1: its host key changed") as caught:
        operations.enrol_hosts(HostChoice(inventory.path), yes=True)
    assert [o.host for o in caught.value.failed] == ["pi1"]
    assert inventory.known_hosts.read_text() == before
    with pytest.raises(UsageError, match="--replace needs --only"):
        operations.enrol_hosts(HostChoice(inventory.path), yes=True, replace=True)
    with pytest.raises(UsageError, match="confirm beforehand by --fingerprints FILE"):
        operations.enrol_hosts(HostChoice(inventory.path, only=("pi1",)), yes=True, replace=True)
    assert inventory.known_hosts.read_text() == before


def test_a_changed_key_is_replaced_when_a_person_saw_both(
    two: Shelf, monkeypatch: Any, capsys: Any
) -> None:
    inventory = enrolled(two)
    old = pinned(inventory.known_hosts)
    host = two.hosts[0]
    host.stop()
    host.new_host_key()
    host.start()
    asked: list[str] = []
    monkeypatch.setattr(operations, "confirm", answering(asked, answer=True))
    operations.enrol_hosts(HostChoice(inventory.path, only=("pi1",)), replace=True)
    assert capsys.readouterr().out.startswith("pi1  look  ")  # a changed key is not "ok"
    new = pinned(inventory.known_hosts)
    places = [pin_name(h.address, h.port) for h in two.hosts]
    before, after = (k.of(places[0]).keys[0].fingerprint for k in (old, new))
    assert before != after
    assert before in asked[0]
    assert after in asked[0]
    assert new.of(places[1]) == old.of(places[1])


def test_a_list_of_fingerprints_is_all_that_is_trusted(two: Shelf, tmp_path: Path) -> None:
    inventory = two.inventory()
    shown = enrol.look(inventory, inventory.hosts, Quiet()).values_by_host
    listed = tmp_path / "fingerprints"
    other = shown["pi1"].fingerprint
    listed.write_text(f"pi1 {other}  # as its screen shows\n256 {other} pi2 (ED25519)\n")
    refused = enrol.accept(inventory, shown, ask=never_ask, trusted=listed)
    assert list(refused) == ["pi2"]
    assert pinned(inventory.known_hosts).names() == [shown["pi1"].place]


def test_a_list_that_holds_no_fingerprint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prints"
    path.write_text("pi1 MD5:aa:bb\n")
    with pytest.raises(UsageError, match=r"prints:1: expected NAME SHA256"):
        fingerprints(path)


def test_a_damaged_file_of_pinned_keys_does_not_pass_for_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text("garbage\n")
    with pytest.raises(UsageError, match="expected lines of known_hosts"):
        pinned(path)


def test_hosts_that_refuse_or_hang_are_named_and_the_rest_enrolled(
    two: Shelf, monkeypatch: Any
) -> None:
    for name in ("CONNECT_S", "BANNER_S"):
        monkeypatch.setattr(route, name, 4)  # in which the third, which answers, does
    silent = Recorder()
    try:
        two.overrides["pi1"] = {"address": "127.0.0.1", "ssh_port": silent.port}
        two.hosts[1].stop()
        with shelf(1, first=7) as more:
            more.hosts[0].name = "pi3"
            two.hosts.append(more.hosts[0])
            two.client_key = more.client_key
            inventory = two.inventory()
            with pytest.raises(FleetError) as caught:
                operations.enrol_hosts(HostChoice(inventory.path), yes=True)
            two.hosts.pop()
    finally:
        silent.close()
    said = {o.host: o.state for o in caught.value.failed}
    assert set(said) == {"pi1", "pi2"}
    assert "no SSH server answered within 4 s" in said["pi1"]
    assert "is SSH running?" in said["pi2"]
    assert len(pinned(inventory.known_hosts).names()) == 1


def at(folder: Path, port: int, **more: str) -> Inventory:
    key = folder / "id"
    if not key.exists():
        keypair(key)
    own = "".join(f'{name} = "{value}"\n' for name, value in more.items())
    path = folder / "hosts.toml"
    path.write_text(
        f'[cluster]\nidentity = "id"\nuser = "ann"\n[[hosts]]\nname = "pi1"\n'
        f'address = "127.0.0.1"\nssh_port = {port}\n{own}'
    )
    return load(path)


@pytest.fixture
def by_password(tmp_path: Path) -> Iterator[PasswordServer]:
    home = tmp_path / "home"
    home.mkdir()
    server = PasswordServer(home, "ann", "correct horse; $(battery)")
    yield server
    server.close()


def test_install_key_asks_once_and_afterwards_the_key_works(
    by_password: PasswordServer, tmp_path: Path, monkeypatch: Any
) -> None:
    inventory = at(tmp_path, by_password.port)
    asked: list[str] = []
    monkeypatch.setattr(getpass, "getpass", answering(asked, answer=by_password.password))
    operations.enrol_hosts(HostChoice(inventory.path), yes=True, install_key=True)
    assert asked == ["Password of ann on pi1: "]
    keys = by_password.home / ".ssh" / "authorized_keys"
    assert keys.read_text().strip() == (tmp_path / "id.pub").read_text().strip()
    assert keys.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(getpass, "getpass", never_ask)  # the key is there: no password is needed
    operations.enrol_hosts(HostChoice(inventory.path), yes=True, install_key=True)
    assert keys.read_text().count("ssh-ed25519") == 1
    assert not any(by_password.password in c or "ssh-ed25519" in c for c in by_password.commands)


def test_a_wrong_password_is_told_and_never_repeated(
    by_password: PasswordServer, tmp_path: Path, monkeypatch: Any, capfd: Any
) -> None:
    inventory = at(tmp_path, by_password.port)
    monkeypatch.setattr(getpass, "getpass", lambda _: "canary-password")
    with pytest.raises(FleetError, match="refused this password of ann: type it again") as caught:
        operations.enrol_hosts(HostChoice(inventory.path), yes=True, install_key=True)
    assert "canary-password" not in str(caught.value) + "".join(capfd.readouterr())
    assert not (by_password.home / ".ssh").exists()


def test_an_identity_that_is_not_there_is_told_before_a_password_is_asked(
    by_password: PasswordServer, tmp_path: Path, monkeypatch: Any
) -> None:
    inventory = at(tmp_path, by_password.port, identity="elsewhere/id")
    monkeypatch.setattr(getpass, "getpass", never_ask)
    with pytest.raises(UsageError, match="ssh-keygen -t ed25519"):
        operations.enrol_hosts(HostChoice(inventory.path), yes=True, install_key=True)
    assert by_password.attempts == []


def test_aliases_and_jumps_of_the_ssh_config_are_honoured_and_verified(
    two: Shelf, tmp_path: Path, monkeypatch: Any
) -> None:
    jump, inner = two.hosts
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    user = getpass.getuser()
    (tmp_path / ".ssh" / "config").write_text(
        f"Host inner\n  HostName {inner.address}\n  Port {inner.port}\n  ProxyJump gate\n"
        f"Host gate\n  HostName {jump.address}\n  Port {jump.port}\n  User {user}\n"
        f"  IdentityFile {two.client_key}\n"
    )
    path = tmp_path / "hosts.toml"
    path.write_text(
        f'[cluster]\nuser = "{user}"\nidentity = "{two.client_key}"\n[[hosts]]\nname = "inner"\n'
    )
    inventory = load(path)
    unknown = enrol.look(inventory, inventory.hosts, Quiet())
    assert "jump host" in unknown["inner"].state
    assert login_attempts(two) == []
    place = pin_name(jump.address, jump.port)
    public = (jump.folder / "host_key.pub").read_text().split()
    (tmp_path / ".ssh" / "known_hosts").write_text(f"{place} {public[0]} {public[1]}\n")
    operations.enrol_hosts(HostChoice(path), yes=True)
    assert pinned(inventory.known_hosts).names() == [pin_name(inner.address, inner.port)]
    with Remote(inventory.hosts[0], inventory) as connected:
        assert connected.call("echo $SSH_CONNECTION").out.split()[2].decode() == inner.address


def test_without_an_identity_the_usual_key_is_installed(
    by_password: PasswordServer, tmp_path: Path, monkeypatch: Any
) -> None:
    user = tmp_path / "me"
    (user / ".ssh").mkdir(parents=True)
    keypair(user / ".ssh" / "id_ed25519")
    monkeypatch.setenv("HOME", str(user))
    path = tmp_path / "hosts.toml"
    path.write_text(
        f'[cluster]\nuser = "ann"\n[[hosts]]\nname = "pi1"\naddress = "127.0.0.1"\n'
        f"ssh_port = {by_password.port}\n"
    )
    monkeypatch.setattr(getpass, "getpass", lambda _: by_password.password)
    operations.enrol_hosts(HostChoice(path), yes=True, install_key=True)
    installed = (by_password.home / ".ssh" / "authorized_keys").read_text()
    assert installed.strip() == (user / ".ssh" / "id_ed25519.pub").read_text().strip()


def test_every_hop_rejects_unpinned_keys_before_anything_is_opened(
    two: Shelf, tmp_path: Path, monkeypatch: Any
) -> None:
    """Fabric's own policy trusts any key."""
    inventory = enrolled(two)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    jump = inventory.hosts[1]
    (tmp_path / ".ssh" / "config").write_text(
        f"Host {inventory.hosts[0].address}\n  ProxyJump {jump.address}:{jump.ssh_port}\n"
    )
    connection = route.connection_to(inventory.hosts[0])
    chain = route.hops(connection)
    assert len(chain) == 2
    assert not any(isinstance(h.client._policy, RejectPolicy) for h in chain)
    route.guard(connection, inventory, "pi1")
    assert all(isinstance(h.client._policy, RejectPolicy) for h in chain)
    assert [len(h.client._policy.known.keys) for h in chain] == [1, 1]
    assert login_attempts(two) == []


def test_a_host_of_an_included_file_is_enrolled_beside_what_is_not_utf_8(
    two: Shelf, tmp_path: Path, monkeypatch: Any
) -> None:
    """The case `ssh-config-include`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh" / "config.d").mkdir(parents=True)
    config = tmp_path / ".ssh" / "config"
    config.write_bytes(b"# caf\xe9\nInclude config.d/*\n")
    host = two.hosts[0]
    (tmp_path / ".ssh" / "config.d" / "lab").write_text(
        f"Host labpi\n HostName {host.address}\n Port {host.port}\n User {getpass.getuser()}\n"
        f" IdentityFile {two.client_key}\n"
    )
    path = tmp_path / "hosts.toml"
    path.write_text('[cluster]\n[[hosts]]\nname = "labpi"\n')
    operations.enrol_hosts(HostChoice(path), yes=True)
    assert pinned(load(path).known_hosts).names() == [pin_name(host.address, host.port)]
    config.write_bytes(b"\xef\xbb\xbfInclude config.d/*\n")
    with pytest.raises(UsageError, match=r"config: line 1: .*byte order mark"):
        operations.enrol_hosts(HostChoice(path), yes=True)


def test_a_key_that_could_not_be_used_is_told_before_a_password_is_asked(
    by_password: PasswordServer, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    inventory = at(tmp_path, by_password.port)
    locked = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "a phrase", "-f", str(tmp_path / "id")]
    subprocess.run(locked, check=True, capture_output=True)
    monkeypatch.setattr(getpass, "getpass", never_ask)
    with pytest.raises(UsageError, match=r"no key could log in to pi1 afterwards: .*ssh-add"):
        operations.enrol_hosts(HostChoice(inventory.path), yes=True, install_key=True)
    assert by_password.attempts == []


def test_the_key_of_the_users_configuration_is_the_one_that_is_installed(
    by_password: PasswordServer, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    for name in ("id_ed25519", "lab"):
        keypair(tmp_path / ".ssh" / name)
    (tmp_path / ".ssh" / "config").write_text(
        f"Host lab\n HostName 127.0.0.1\n Port {by_password.port}\n User ann\n"
        " IdentityFile ~/.ssh/lab\n IdentitiesOnly yes\n"
    )
    path = tmp_path / "hosts.toml"
    path.write_text('[cluster]\n[[hosts]]\nname = "lab"\n')
    monkeypatch.setattr(getpass, "getpass", lambda _: by_password.password)
    operations.enrol_hosts(HostChoice(path), yes=True, install_key=True)
    installed = (by_password.home / ".ssh" / "authorized_keys").read_text()
    assert installed.strip() == (tmp_path / ".ssh" / "lab.pub").read_text().strip()
