"""Which keys are offered to a host, and what a refusal is told as. Real sshd, real ssh-agent."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mapreduce.cluster.inventory.inventory import Inventory, load
from mapreduce.cluster.ssh.key_files import identity
from mapreduce.cluster.ssh.ssh import HostError, Remote
from mapreduce.safe_text import printable
from tests.cluster.shelves import enrolled_shelf
from tests.services.sshd import Shelf, SshHost, keypair

PASSPHRASE = "correct horse"
SK = "sk-ssh-ed25519@openssh.com"


@pytest.fixture(scope="module")
def one() -> Iterator[tuple[Shelf, Inventory]]:
    with enrolled_shelf(1) as both:
        yield both


@pytest.fixture
def home(tmp_path: Path, monkeypatch: Any) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    return tmp_path


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: Any) -> Iterator[Path]:
    """Start an SSH agent of our own."""
    place = tmp_path / "agent.sock"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it listens
        monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
        yield place
        process.send_signal(signal.SIGTERM)


def add(key: Path, passphrase: str = "") -> None:
    """Put a key into the agent, as a person would who types the passphrase."""
    own = {**os.environ, "SSH_ASKPASS_REQUIRE": "force", "SSH_ASKPASS": str(key.parent / "ask")}
    (key.parent / "ask").write_text(f"#!/bin/sh\necho '{passphrase}'\n")
    (key.parent / "ask").chmod(0o700)
    subprocess.run(["ssh-add", str(key)], env=own, check=True, capture_output=True)


def locked(key: Path, *options: str) -> Path:
    """Give a key a passphrase."""
    command = ["ssh-keygen", "-q", "-p", *options, "-P", "", "-N", PASSPHRASE, "-f", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return key


def without_identity(hosts: Shelf, home: Path, config: str = "") -> Inventory:
    """Name the host by hosts.toml and nothing else; keys come from the user's configuration."""
    host = hosts.hosts[0]
    (home / ".ssh" / "config").write_text(config)
    path = home / "hosts.toml"
    path.write_text(
        f'[cluster]\nknown_hosts = "{hosts.folder}/known_hosts"\n[[hosts]]\nname = "pi1"\n'
        f'address = "{host.address}"\nssh_port = {host.port}\n'
    )
    return load(path)


def said(inventory: Inventory) -> str:
    with pytest.raises(HostError) as caught:
        Remote(inventory.hosts[0], inventory).__enter__()
    return str(caught.value)


def gets_in(inventory: Inventory) -> bool:
    with Remote(inventory.hosts[0], inventory) as remote:
        return remote.call("echo in").out == b"in\n"


def own_key(hosts: Shelf, home: Path, name: str = "mine") -> Path:
    """Copy the key that the host knows."""
    for suffix in ("", ".pub"):
        shutil.copy(f"{hosts.client_key}{suffix}", home / ".ssh" / f"{name}{suffix}")
    return home / ".ssh" / name


def test_a_key_with_a_passphrase_is_told_as_one_and_works_through_the_agent(
    one: tuple[Shelf, Inventory], home: Path, agent: Path
) -> None:
    hosts, _ = one
    key = locked(own_key(hosts, home))
    inventory = without_identity(hosts, home, f"IdentityFile {key}\n")
    assert f"{key} has a passphrase, and the SSH agent does not have it: `ssh-add {key}`" in said(
        inventory
    )
    add(key, PASSPHRASE)
    assert gets_in(inventory)
    key.with_suffix(".pub").unlink()  # its public half is inside, too
    assert gets_in(inventory)
    hosts.overrides["pi1"] = {"identity": str(key)}
    assert gets_in(hosts.inventory())
    hosts.overrides.clear()
    (home / ".ssh" / "config").write_text(f"IdentityFile {key}\nIdentityAgent none\n")
    assert "has a passphrase" in said(inventory)
    (home / ".ssh" / "config").write_text(f"IdentityFile {key}\nIdentityAgent {agent}x\n")
    assert f"the SSH agent at {agent}x does not answer" in said(inventory)


@pytest.mark.parametrize("form", ["PEM", "PKCS8", "RFC4716"])
def test_encrypted_keys_of_every_form_are_told_as_such(form: str, tmp_path: Path) -> None:
    key = locked(keypair(tmp_path / "id", "rsa"), "-m", form)
    assert f"`ssh-add {key}`" in identity(key).trouble


def test_an_agent_of_many_keys_is_told_as_what_it_is_and_what_to_do_works(
    one: tuple[Shelf, Inventory], home: Path, agent: Path
) -> None:
    assert agent.exists()
    hosts, _ = one
    for i in range(8):
        add(keypair(home / f"other{i}"))
    inventory = without_identity(hosts, home)
    words = said(inventory)
    assert (
        "closed the connection after 6 of 8 keys were offered (too many authentication failures"
        in words
    )
    assert "IdentityFile and IdentitiesOnly yes in ~/.ssh/config" in words
    key = own_key(hosts, home)
    (home / ".ssh" / "config").write_text(f"IdentityFile {key}\nIdentitiesOnly yes\n")
    assert gets_in(inventory)
    hosts.overrides["pi1"] = {"identity": str(key)}
    assert gets_in(hosts.inventory())
    hosts.overrides.clear()
    (home / ".ssh" / "config").write_text("")
    for name in ("id_ed25519", "id_ed25519.pub"):  # the usual one goes before the agent's others
        shutil.copy(home / ".ssh" / name.replace("id_ed25519", "mine"), home / ".ssh" / name)
    assert gets_in(inventory)


def test_a_key_named_for_a_host_is_the_only_one_that_is_offered(
    one: tuple[Shelf, Inventory], home: Path, agent: Path
) -> None:
    hosts, _ = one
    add(own_key(hosts, home))
    wrong = keypair(home / "wrong")
    hosts.overrides["pi1"] = {"identity": str(wrong)}
    words = said(hosts.inventory())
    hosts.overrides.clear()
    assert f"by {wrong}: `mapreduce cluster enrol --only pi1 --install-key`" in words
    assert agent.exists()


def exposed(path: Path) -> Path:
    keypair(path).chmod(0o644)
    return path


def public(path: Path) -> Path:
    return keypair(path).with_suffix(".pub")


def text_of(text: str) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


def of_a_token(path: Path) -> Path:
    """Make what `ssh-keygen -t ed25519-sk` would write: it needs a token, so this is a fake."""
    import base64  # noqa: PLC0415 - for this alone
    import struct  # noqa: PLC0415 - for this alone

    def string(body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + body

    blob = string(SK.encode()) + string(bytes(32)) + string(b"ssh:")
    body = b"openssh-key-v1\x00" + string(b"none") + string(b"none") + string(b"")
    body += struct.pack(">I", 1) + string(blob) + string(bytes(64))
    lines = base64.encodebytes(body).decode()
    return text_of(
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{lines}-----END OPENSSH PRIVATE KEY-----\n"
    )(path)


def folder(path: Path) -> Path:
    path.mkdir()
    return path


DSA = "-----BEGIN DSA PRIVATE KEY-----\nMIIBugIBAAKBgQ==\n-----END DSA PRIVATE KEY-----\n"
TORN = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n"
TROUBLES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "readable by others": (exposed, "mode 0644), so it is not used: `chmod 600 "),
    "public": (public, "is a public key: use the private key, without .pub"),
    "of a token": (of_a_token, "is a key of a security token, which works only through the agent"),
    "DSA": (text_of(DSA), "is a DSA key, which OpenSSH no longer accepts"),
    "PuTTY": (text_of("PuTTY-User-Key-File-3: ssh-ed25519\n"), "puttygen "),
    "torn": (text_of(TORN), "is not a private key that can be read"),
    "empty": (text_of(""), "is not a private key: it begins with b''"),
    "a folder": (folder, "cannot be read (Is a directory)"),
}


@pytest.mark.parametrize("case", TROUBLES)
def test_a_file_that_is_no_key_to_use_is_told_as_what_it_is(
    case: str, one: tuple[Shelf, Inventory], home: Path
) -> None:
    make, words = TROUBLES[case]
    path = make(home / "key")
    inventory = without_identity(one[0], home, f"IdentityFile {path}\nIdentitiesOnly yes\n")
    told = said(inventory)
    assert words in told
    assert str(path) in told
    assert "was offered no key" in told


def test_without_any_key_there_is_a_line_to_type(one: tuple[Shelf, Inventory], home: Path) -> None:
    told = said(without_identity(one[0], home))
    assert "was offered no key" in told
    assert (
        "`ssh-keygen -t ed25519`, then `mapreduce cluster enrol --only pi1 --install-key`" in told
    )


def test_a_public_key_as_identity_file_chooses_among_the_agents_keys(
    one: tuple[Shelf, Inventory], home: Path, agent: Path
) -> None:
    """As OpenSSH has it: the private half lies with the agent alone."""
    hosts, _ = one
    key = own_key(hosts, home)
    for i in range(7):
        add(keypair(home / f"other{i}"))
    add(key)
    key.unlink()
    config = f"IdentityFile {key}.pub\nIdentitiesOnly yes\n"
    assert gets_in(without_identity(hosts, home, config))
    assert agent.exists()


def test_a_certificate_lets_in_where_the_key_alone_does_not(
    one: tuple[Shelf, Inventory], home: Path
) -> None:
    hosts, _ = one
    key, authority = keypair(home / "certified"), keypair(home / "authority")
    me, vouching = getpass.getuser(), authority.with_suffix(".pub").read_text()
    signed = ["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", me, f"{key}.pub"]
    subprocess.run(signed, check=True, capture_output=True)
    host: SshHost = hosts.hosts[0]
    inventory = without_identity(hosts, home, f"IdentityFile {key}\nIdentitiesOnly yes\n")
    allowed = host.folder / "authorized_keys"
    before = allowed.read_text()
    allowed.write_text(f'cert-authority,principals="{me}" {vouching}')
    try:
        assert gets_in(inventory)
        (home / f"{key.name}-cert.pub").rename(home / "elsewhere.pub")
        assert "refused the login" in said(inventory)
        (home / ".ssh" / "config").write_text(
            f"IdentityFile {key}\nIdentitiesOnly yes\nCertificateFile {home}/elsewhere.pub\n"
        )
        assert gets_in(inventory)
    finally:
        allowed.write_text(before)


def test_what_answers_at_the_agents_socket_and_is_none_is_told(
    one: tuple[Shelf, Inventory], home: Path, monkeypatch: Any
) -> None:
    place = home / "odd.sock"
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(place))
        monkeypatch.setenv("SSH_AUTH_SOCK", str(place))  # nobody listens there
        assert "does not answer" in said(without_identity(one[0], home))


def test_names_of_keys_that_are_not_utf_8_are_names(
    one: tuple[Shelf, Inventory], home: Path
) -> None:
    hosts, _ = one
    key = own_key(hosts, home)
    odd = home / os.fsdecode(b"caf\xe9")
    key.rename(odd)
    path = home / ".ssh" / "config"
    inventory = without_identity(hosts, home)
    path.write_bytes(b"IdentityFile " + os.fsencode(odd) + b"\n")
    assert gets_in(inventory)
    odd.chmod(0o644)
    assert "caf\\udce9 is readable by others" in printable(said(inventory))
