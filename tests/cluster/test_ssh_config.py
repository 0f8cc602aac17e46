"""OpenSSH's configuration, beside what `ssh -G` itself says of the same files."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mapreduce.cluster.ssh import ssh_config
from mapreduce.cluster.ssh.host_error import HostError
from mapreduce.cluster.ssh.ssh_config import way_to
from mapreduce.cluster.ssh.ssh_files import Files, system_home
from mapreduce.cluster.ssh.ssh_options import parts_of_jump, way_of
from mapreduce.errors import UsageError

# Files below ~/.ssh, and what holds for `lab`. `@` before an Include is nothing for us, and the
# folder for the `ssh` beside us, which takes the home that the system knows.
RIGHT: dict[str, tuple[dict[str, str], dict[str, object]]] = {
    "nothing": ({}, {"host": "lab"}),
    "an alias": ({"config": "Host lab\n HostName 10.0.0.5\n"}, {"host": "10.0.0.5"}),
    "equals": ({"config": "Host=lab\nHostName = 10.0.0.5\nPort=2222\n"}, {"port": 2222}),
    "tabs": ({"config": "Host\tlab\n\tHostName\t10.0.0.5\t\n"}, {"host": "10.0.0.5"}),
    "quotes": ({"config": 'Host "lab"\n User "joe bloggs"\n'}, {"user": "joe bloggs"}),
    "crlf": ({"config": "Host lab\r\n  HostName 10.0.0.5\r\n"}, {"host": "10.0.0.5"}),
    "keywords of any case": ({"config": "HOST lab\n hostNAME 10.0.0.5\n"}, {"host": "10.0.0.5"}),
    "a comment after": ({"config": "Host lab # ours\n Port 22022 # odd\n"}, {"port": 22022}),
    "latin-1": ({"config": "# caf\udce9\nHost lab\n HostName 10.0.0.5\n"}, {"host": "10.0.0.5"}),
    "the first counts": ({"config": "Host lab\n Port 1\nHost *\n Port 2\n"}, {"port": 1}),
    "wildcards": ({"config": "Host l?b *.org\n User ann\n"}, {"user": "ann"}),
    "an exclusion": ({"config": "Host * !lab\n User ann\nHost lab\n User joe\n"}, {"user": "joe"}),
    "several names": ({"config": "Host a b lab\n User joe\n"}, {"user": "joe"}),
    "brackets are no wildcard": (
        {"config": "Host [l]ab\n User joe\nHost *\n User x\n"},
        {"user": "x"},
    ),
    "%h in HostName": (
        {"config": "Host lab\n HostName %h.example.org\n"},
        {"host": "lab.example.org"},
    ),
    "%% in HostName": ({"config": "Host lab\n HostName fe80::1%%eth0\n"}, {"host": "fe80::1%eth0"}),
    "an include": (
        {"config": "Include @lab.conf\n", "lab.conf": "Host lab\n HostName 10.0.0.5\n"},
        {"host": "10.0.0.5"},
    ),
    "an include of a pattern": (
        {"config": "Include @config.d/*\n", "config.d/lab": "Host lab\n HostName 10.0.0.5\n"},
        {"host": "10.0.0.5"},
    ),
    "patterns in order": (
        {"config": "Include @d/*.conf\n", "d/1.conf": "Port 1\n", "d/2.conf": "Port 2\n"},
        {"port": 1},
    ),
    "an include in quotes": (
        {"config": 'Include "@my files/a b"\n', "my files/a b": "Host lab\n Port 7\n"},
        {"port": 7},
    ),
    "two on a line": (
        {"config": "Include @none @one @two\n", "one": "Port 1\n", "two": "User joe\n"},
        {"port": 1, "user": "joe"},
    ),
    "an include in an include": (
        {"config": "Include @a\n", "a": "Include @b/*\n", "b/c": "Host lab\n Port 7\n"},
        {"port": 7},
    ),
    "an include of nothing": ({"config": "Include @gone/*\nPort 7\n"}, {"port": 7}),
    "an include within Host": (
        {
            "config": "Host lab\n Include @a\nHost other\n Include @b\n",
            "a": "Port 7\n",
            "b": "User x\n",
        },
        {"port": 7},
    ),
    "an include within another Host": (
        {"config": "Host other\n Include @a\nHost lab\n Port 8\n", "a": "Host lab\n Port 7\n"},
        {"port": 8},
    ),
    "an include within Match": (
        {"config": "Match host lab\n Include @a\nMatch all\n Port 9\n", "a": "Port 7\n"},
        {"port": 7},
    ),
    "include=": ({"config": "include=@a\n", "a": "Port 7\n"}, {"port": 7}),
    "Match host": ({"config": "Match host lab\n User ann\n"}, {"user": "ann"}),
    "Match originalhost": (
        {"config": "Host lab\n HostName 10.0.0.5\nMatch originalhost lab\n Port 7\n"},
        {"port": 7, "host": "10.0.0.5"},
    ),
    "Match user": ({"config": "Host lab\n User joe\nMatch user joe\n Port 7\n"}, {"port": 7}),
    "Match exec": ({"config": 'Match exec "test %n = lab"\n Port 7\n'}, {"port": 7}),
    "Match exec that fails": (
        {"config": "Match exec false\n Port 7\nHost *\n Port 8\n"},
        {"port": 8},
    ),
    "Match not": ({"config": "Match !host lab\n Port 7\nMatch all\n Port 8\n"}, {"port": 8}),
    "Match final": (
        {"config": "Match final host 10.0.0.5\n Port 7\nHost lab\n HostName 10.0.0.5\n"},
        {"port": 7},
    ),
    "Match canonical": ({"config": "Match canonical all\n Port 7\nHost *\n Port 8\n"}, {"port": 8}),
    "ProxyJump": ({"config": "Host lab\n ProxyJump a@b:22,c\n"}, {"jumps": ("a@b:22", "c")}),
    "ProxyJump none": (
        {"config": "Host lab\n ProxyJump none\nHost *\n ProxyJump a\n"},
        {"jumps": ()},
    ),
    "ProxyCommand": (
        {"config": 'Host lab\n ProxyCommand nc -X 5 "%h" %p # %%\n'},
        {"proxy_command": 'nc -X 5 "lab" 22 # %'},
    ),
    "ProxyCommand none": (
        {"config": "Host lab\n ProxyCommand none\nHost *\n ProxyCommand nc %h\n"},
        {"proxy_command": None},
    ),
    "HostKeyAlias": ({"config": "Host lab\n HostKeyAlias lab-%h\n"}, {"key_name": "lab-lab"}),
    "keys": (
        {"config": "Host lab\n IdentityFile ~/.ssh/%h_%r\n IdentityFile /tmp/a\n User u\n"},
        {"identities": (Path("~/.ssh/lab_u"), Path("/tmp/a"))},
    ),
    "one key": ({"config": "Host lab\n IdentitiesOnly yes\n"}, {"identities_only": True}),
    "no agent": ({"config": "Host lab\n IdentityAgent none\n"}, {"agent": None}),
    "an agent": ({"config": "Host lab\n IdentityAgent ~/a.sock\n"}, {"agent": "~/a.sock"}),
    "known hosts": (
        {"config": "Host lab\n UserKnownHostsFile ~/.ssh/a /b\n GlobalKnownHostsFile none\n"},
        {"known_hosts": (Path("~/.ssh/a"), Path("/b"))},
    ),
    "a bound address": ({"config": "Host lab\n BindAddress 127.0.0.9\n"}, {"bind": "127.0.0.9"}),
    "a timeout": ({"config": "Host lab\n ConnectTimeout 3\n"}, {"connect_s": 3.0}),
    "a certificate": (
        {"config": "Host lab\n CertificateFile ~/.ssh/x-cert.pub\n"},
        {"certificates": (Path("~/.ssh/x-cert.pub"),)},
    ),
}

REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "a byte order mark": ({"config": "\ufeffHost lab\n"}, r"config: line 1: .*byte order mark"),
    "an option that is none": ({"config": "Host lab\n HostNam x\n"}, "config: line 2: .*hostnam"),
    "an open quote": ({"config": 'Host lab\n User "joe\n'}, "config line 2: invalid quotes"),
    "a port that is none": ({"config": "Host lab\n Port 99999999999\n"}, "config line 2: Bad port"),
    "wrong in an include": (
        {"config": "Include @d/*\n", "d/x": "Host lab\n\n Foo bar\n"},
        "d/x: line 3: ",
    ),
    "Match of nothing": ({"config": "Match\n Port 7\n"}, "config line 1"),
    "includes without end": ({"config": "Include @config\n"}, "Too many recursive"),
    "KnownHostsCommand": (
        {"config": "Host lab\n KnownHostsCommand /bin/true\n"},
        "knownhostscommand .* not supported: list files by UserKnownHostsFile",
    ),
    "an interface": ({"config": "Host lab\n BindInterface lo\n"}, "bindinterface lo .*BindAddress"),
    "a variable that isn't set": (
        {"config": "Host lab\n IdentityFile /x/${NO_SUCH_VARIABLE}\n"},
        "NO_SUCH_VARIABLE",
    ),
    "a token that is none": ({"config": "Host lab\n IdentityFile ~/%Q\n"}, "IdentityFile ~/%Q"),
}


def laid(folder: Path, files: dict[str, str], mark: str) -> Path:
    """Write the files below `.ssh`; what Include leads to begins with `mark`."""
    for name, text in files.items():
        path = folder / ".ssh" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.replace("@", mark).encode("utf-8", "surrogateescape"))
    (folder / ".ssh").mkdir(exist_ok=True, parents=True)
    return folder


def at_home(value: Any, home: Path) -> Any:
    if isinstance(value, tuple):
        return tuple(at_home(v, home) for v in value)
    if isinstance(value, Path | str):
        return type(value)(str(value).replace("~", str(home), 1))
    return value


def told_by_ssh(home: Path, *more: str) -> dict[str, str]:
    """Ask `ssh -G` itself of a config, in which every Include is a whole path."""
    path = home / ".ssh" / "config"
    path.touch()
    command = ["ssh", "-G", "-T", "-F", str(path), *more, "lab"]
    done = subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL)
    return dict(
        s.split(" ", 1) for s in reversed(os.fsdecode(done.stdout).splitlines()) if " " in s
    )


@pytest.mark.parametrize("case", RIGHT)
def test_what_ssh_takes_means_the_same_here(case: str, tmp_path: Path, monkeypatch: Any) -> None:
    files, expected = RIGHT[case]
    at = "@" if case.startswith("ProxyJump") else ""
    home = laid(tmp_path / "home", files, at)
    beside = laid(tmp_path / "beside", files, at or f"{tmp_path}/beside/.ssh/")
    monkeypatch.setenv("HOME", str(home))
    way = way_to("lab")
    for key, value in expected.items():
        assert getattr(way, key) == at_home(value, home), key
    said = told_by_ssh(beside)
    assert (way.host, way.user, str(way.port)) == (said["hostname"], said["user"], said["port"])
    jumps = said.get("proxyjump", "none")
    assert ",".join(way.jumps) == ("" if jumps == "none" else jumps)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_taken_is_refused_with_file_and_line(
    case: str, tmp_path: Path, monkeypatch: Any
) -> None:
    files, said = REFUSED[case]
    monkeypatch.setenv("HOME", str(laid(tmp_path, files, "")))
    with pytest.raises(UsageError, match=said) as caught:
        way_to("lab")
    assert "/tmp/tmp" not in str(caught.value)


def test_what_hosts_toml_says_comes_first(tmp_path: Path, monkeypatch: Any) -> None:
    files = {"config": "Host lab\n User joe\n Port 7\nMatch user ann\n HostName 10.0.0.6\n"}
    monkeypatch.setenv("HOME", str(laid(tmp_path, files, "")))
    way = way_to("lab", "ann", 8)
    assert (way.user, way.port, way.host) == ("ann", 8, "10.0.0.6")


@pytest.mark.parametrize("user", ["x;touch y", "$(touch y)", "`touch y`", "a|b", "x'y"])
def test_a_name_never_becomes_more_than_a_name_to_the_shell_of_a_proxycommand(
    user: str, tmp_path: Path, monkeypatch: Any
) -> None:
    """CVE-2023-51385; some versions of ssh refuse such a name themselves."""
    files = {"config": "Host lab\n ProxyCommand nc -u %r %h %p\n"}
    monkeypatch.setenv("HOME", str(laid(tmp_path, files, "")))
    with pytest.raises((UsageError, HostError), match=r"more than a name|invalid characters"):
        way_to("lab", user)
    said = {"proxycommand": ["nc -u %r %h"], "user": [user]}
    with pytest.raises(UsageError, match="a shell would interpret more than a name"):
        way_of("lab", said, Path)


def test_where_home_is_the_systems_ssh_reads_its_files_itself(monkeypatch: Any) -> None:
    monkeypatch.setenv("HOME", str(system_home()))
    with Files() as files:
        assert files.options == []
    assert way_to("lab.invalid").name == "lab.invalid"


def test_without_ssh_a_plain_file_is_read_and_more_is_refused(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    plain = "# caf\udce9\nHost lab\n HostName 10.0.0.5\n Port 7\n IdentityFile ~/.ssh/x\n"
    monkeypatch.setenv("HOME", str(laid(tmp_path, {"config": plain}, "")))
    way = way_to("lab", "ann")
    assert (way.host, way.port, way.user) == ("10.0.0.5", 7, "ann")
    assert way.identities == (tmp_path / ".ssh" / "x",)
    for more in ("Include x\n", "  Match all\n"):
        laid(tmp_path, {"config": plain + more}, "")
        with pytest.raises(UsageError, match=r"config:6: .* sudo apt install openssh-client"):
            way_to("lab")


def test_a_question_that_ssh_does_not_answer_is_given_up(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(ssh_config, "ASK_S", 0.5)
    files = {"config": 'Match exec "sleep 30"\n Port 7\n'}
    monkeypatch.setenv("HOME", str(laid(tmp_path, files, "")))
    with pytest.raises(HostError, match="look for Match exec"):
        way_to("lab")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("gate", ("gate", None, None)),
        ("joe@gate:2201", ("gate", "joe", 2201)),
        ("joe@corp@gate", ("gate", "joe@corp", None)),
        ("[fe80::1]:22", ("fe80::1", None, 22)),
        ("ssh://joe@gate:22/", ("gate", "joe", 22)),
    ],
)
def test_jumps_are_cut_as_ssh_cuts_them(text: str, parts: object) -> None:
    assert parts_of_jump(text) == parts


@pytest.mark.parametrize(
    "text", ["", "@gate", "gate:0", "gate:65536", "gate:x", "-oProxyCommand=x"]
)
def test_jumps_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected \[user@\]host"):
        parts_of_jump(text)
