"""known_hosts, beside what `ssh-keygen -F` finds in the same file."""

import base64
import subprocess
from pathlib import Path

import pytest

from mapreduce.cluster.ssh import known_hosts
from mapreduce.cluster.ssh.host_keys import pin, pinned
from mapreduce.cluster.ssh.known_hosts import AUTHORITY, REVOKED, HostKey
from mapreduce.errors import UsageError
from tests.services.sshd import keypair

LINES = """\
# a comment
   # another

plain KEY
a,b,[c]:2222 KEY with a comment
10.0.?.* KEY
*.lab,!bad.lab KEY
!x,x KEY
\tTabbed\tKEY
A.Upper KEY
2001:db8::1,[fe80::1%eth0]:22022 KEY
l[a]b KEY
two KEY
two OTHER
old,gone KEY
@revoked gone KEY
@cert-authority *.org KEY
@revoked *.evil KEY
caf\udce9 KEY
crlf KEY\r
@unknown odd KEY
@revoked @cert-authority both KEY
nokey
onlykind ssh-ed25519
broken ssh-ed25519 !!!!
liar ssh-rsa BASE64
numbers 2048 35 1234
last KEY"""
NAMES = [
    "plain", "Plain", "a", "b", "c", "[c]:2222", "[c]:22", "[a]:2222", "10.0.1.7", "10.0.12.9",
    "q.lab", "bad.lab", "x.y.lab", "x", "tabbed", "TABBED", "a.upper", "A.UPPER", "2001:db8::1",
    "[fe80::1%eth0]:22022", "lab", "l[a]b", "two", "old", "gone", "www.org", "an.evil", "caf\udce9",
    "crlf", "odd", "both", "nokey", "onlykind", "numbers", "last", "", "none", "#", "*", "KEY",
    "hashed", "[hashed]:2222",
]  # fmt: skip


@pytest.fixture(scope="module")
def key_texts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("keys")
    paths = [keypair(folder / f"k{i}").with_suffix(".pub") for i in range(2)]
    return [" ".join(p.read_text().split()[:2]) for p in paths]


@pytest.fixture(scope="module")
def file(key_texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = LINES.replace("KEY", key_texts[0]).replace("OTHER", key_texts[1])
    text = text.replace("BASE64", key_texts[0].split()[1])
    folder = tmp_path_factory.mktemp("known")
    hashed = folder / "hashed"
    hashed.write_text(f"hashed {key_texts[0]}\n[hashed]:2222 {key_texts[1]}\n")
    subprocess.run(["ssh-keygen", "-H", "-f", str(hashed)], check=True, capture_output=True)
    path = folder / "known_hosts"
    path.write_bytes(f"{hashed.read_text()}{text}".encode("utf-8", "surrogateescape"))
    return path


def found_by_ssh_keygen(path: Path, name: str) -> list[tuple[int, str]]:
    """Give lines and markers as `ssh-keygen -F` finds them."""
    raw = name.encode("utf-8", "surrogateescape")
    done = subprocess.run(
        [b"ssh-keygen", b"-F", raw, b"-f", str(path).encode()], capture_output=True, check=False
    )
    text = done.stdout.decode("utf-8", "surrogateescape")
    marks = {"REVOKED": REVOKED, "CA": AUTHORITY, "": ""}
    heads = [s.rpartition("found: line ")[2] for s in text.splitlines() if s.startswith("# Host ")]
    return [(int(h.split(" ")[0]), marks[h.partition(" ")[2].strip()]) for h in heads]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_found_where_ssh_keygen_finds_it(name: str, file: Path) -> None:
    lines = [line for line in known_hosts.read([file]).lines if line.key and line.fits(name)]
    assert [(line.number, line.marker) for line in lines] == found_by_ssh_keygen(file, name)


def test_hashed_names_are_found_whatever_their_case_as_ssh_does(file: Path) -> None:
    """`ssh-keygen -F` alone does not; `ssh` puts a name in small letters first."""
    assert known_hosts.read([file]).of("HASHED").keys


def test_a_revoked_key_is_not_among_those_a_name_may_show(file: Path) -> None:
    known = known_hosts.read([file])
    assert known.of("gone").keys == ()
    assert len(known.of("gone").struck) == 1
    assert known.of("old").keys == known.of("gone").struck
    assert len(known.of("two").keys) == 2
    assert known.of("www.org").keys == ()
    assert [line.marker for line in known.of("www.org").authorities] == [AUTHORITY]


def test_the_file_of_pins_refuses_a_line_that_is_none(tmp_path: Path, key_texts: list[str]) -> None:
    key, path = key_texts[0], tmp_path / "known_hosts"
    for line, said in {
        "nokey": "no key type and key",
        "broken ssh-ed25519 !!!!": "no base64",
        f"liar ssh-rsa {key.split()[1]}": "declared as 'ssh-rsa'",
        f"@unknown odd {key}": "the markers",
        f"[a]:22 {key}": "write a",
    }.items():
        path.write_text(f"# mine\nfirst {key}\n{line}\n")
        with pytest.raises(UsageError, match=rf"known_hosts:3: expected .*{said}"):
            pinned(path)
    path.write_text(f"\ufefffirst {key}\n")
    with pytest.raises(UsageError, match=r"known_hosts:1: .*byte order mark"):
        pinned(path)


def test_pinning_takes_a_name_out_of_its_lines_and_leaves_the_others(
    tmp_path: Path, key_texts: list[str]
) -> None:
    old, new = (HostKey(t.split()[0], base64.b64decode(t.split()[1])) for t in key_texts)
    path = tmp_path / "known_hosts"
    path.write_text(f"A,b {key_texts[0]} mine\n@revoked a {key_texts[0]}\na {key_texts[1]}\n")
    subprocess.run(["ssh-keygen", "-H", "-f", str(path)], check=True, capture_output=True)
    with path.open("a") as out:
        out.write(f"a,c {key_texts[0]} mine\n")
    pin(path, {"a": new})
    known = pinned(path)
    assert known.of("a").keys == (new,)
    assert known.of("a").revocation(old)
    assert (known.of("b").keys, known.of("c").keys) == ((old,), (old,))
    path.write_text(f"a,* {key_texts[0]}\n")
    with pytest.raises(UsageError, match=r"known_hosts:1: its pattern '\*' still allows a"):
        pin(path, {"a": new})
    assert path.read_text() == f"a,* {key_texts[0]}\n"


def test_lists_of_revoked_keys_are_read_and_those_of_ssh_keygen_refused(
    tmp_path: Path, key_texts: list[str]
) -> None:
    path = tmp_path / "revoked"
    path.write_text(f"# bad ones\n{key_texts[0]} stolen\n")
    (line,) = known_hosts.banned([path])
    assert line.fits("any.where")
    subprocess.run(["ssh-keygen", "-k", "-f", str(path)], check=True, capture_output=True)
    with pytest.raises(ValueError, match="not supported"):
        known_hosts.banned([path])
    path.write_text("rubbish\n")
    with pytest.raises(ValueError, match="revoked:1: expected a public key"):
        known_hosts.banned([path])
