from pathlib import Path
from typing import Any

import pytest

from mapreduce.cluster.inventory.host_range import MOST, bracketed, expand
from mapreduce.cluster.inventory.inventory import load
from mapreduce.errors import UsageError

CLUSTER = '[cluster]\naddress = "192.168.10.1"\nuser = "pi"\n'
PIS = '[[hosts]]\nname = "pi[01-16]"\naddress = "192.168.10.[101-116]"\nslots = 4\ntags = ["pi4"]\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "hosts.toml"
    path.write_text(text)
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        load(written(folder, text))
    return str(caught.value).removeprefix(str(folder) + "/")


@pytest.mark.parametrize(
    ("text", "stands_for"),
    [
        ("pi", ["pi"]),
        ("pi[08-11]", ["pi08", "pi09", "pi10", "pi11"]),
        ("pi[8-11]", ["pi8", "pi9", "pi10", "pi11"]),
        ("r[1,3,7-8]", ["r1", "r3", "r7", "r8"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
        ("10.0.0.[5-6]", ["10.0.0.5", "10.0.0.6"]),
    ],
)
def test_ranges_expand(text: str, stands_for: list[str]) -> None:
    assert expand(text) == stands_for


@pytest.mark.parametrize("text", ["pi[", "pi]1[", "pi[]", "pi[3-1]", "pi[01-100]", "pi[a-c]"])
def test_a_range_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"pi"):
        expand(text)


def test_a_range_never_grows_past_its_limit() -> None:
    for text in (f"x[0-{MOST}]", "x[0-99][0-99]", "x[0-999999999]"):
        with pytest.raises(UsageError, match="4,096"):
            expand(text)


def test_a_span_may_be_typed_without_brackets() -> None:
    assert expand(bracketed("192.168.10.101-103"))[-1] == "192.168.10.103"
    assert len(expand(bracketed("127.0.8.1-127.0.8.6"))) == 6
    assert expand(bracketed("pi01-pi03")) == ["pi01", "pi02", "pi03"]
    for name in ("web-1.example.org", "web-1", "rack1-node2", "a-b"):
        assert bracketed(name) == name
    with pytest.raises(UsageError, match=r"10\.0\.0\.250-254 10\.0\.1\.1-6"):
        bracketed("10.0.0.250-10.0.1.6")


def test_names_and_addresses_expand_together(tmp_path: Path) -> None:
    inventory = load(written(tmp_path, CLUSTER + PIS))
    assert len(inventory.hosts) == 16
    last = inventory.hosts[-1]
    assert (last.name, last.address, last.slots) == ("pi16", "192.168.10.116", 4)
    assert (last.user, last.python, last.tags) == ("pi", "python3", ("pi4",))


def test_a_host_overrides_what_the_cluster_says(tmp_path: Path) -> None:
    own = (
        '[[hosts]]\nname = "old"\nuser = "ann"\nssh_port = 2222\nidentity = "keys/old"\n'
        'python = "/opt/python3.12/bin/python3"\nendpoint = "http://10.0.0.2:9000"\n'
    )
    (host,) = load(written(tmp_path, CLUSTER + own)).hosts
    assert (host.address, host.user, host.ssh_port) == ("old", "ann", 2222)
    assert host.identity == tmp_path / "keys/old"
    assert (host.python, host.endpoint) == ("/opt/python3.12/bin/python3", "http://10.0.0.2:9000")


def test_paths_count_from_the_folder_of_the_file(tmp_path: Path, monkeypatch: Any) -> None:
    path = written(tmp_path, CLUSTER + PIS)
    monkeypatch.chdir("/")
    assert load(path).known_hosts == tmp_path / "known_hosts"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CLUSTER + PIS.replace("slots = 4", "slots = 0"), "hosts.toml:7: [[hosts]] 1 slots: expe"),
        (
            CLUSTER + PIS.replace("slots = 4", 'slots = "4"'),
            "hosts.toml:7: [[hosts]] 1 slots: expected a whole number, found text",
        ),
        (CLUSTER + PIS.replace("slots", "slot"), "hosts.toml:7: [[hosts]] 1 slot: unknown key"),
        (CLUSTER + PIS.replace("116", "115"), "hosts.toml:6: [[hosts]] 1 address: expected as"),
        (CLUSTER + PIS.replace("[01-16]", "[16-01]"), "hosts.toml:5: [[hosts]] 1 name: 16-01"),
        (CLUSTER + PIS + "[store]\nendpoints = ['ftp://x']\n", "hosts.toml:10: [store] endpoints"),
        (CLUSTER + PIS + "[store]\nshared = ['trips']\n", "hosts.toml:10: [store] shared: expe"),
        (CLUSTER + PIS + "[store]\nshared = ['/']\n", "hosts.toml:10: [store] shared: expected a"),
        (
            CLUSTER + PIS + "[store]\nsecret_key = 'x'\n",
            "hosts.toml:10: [store] secret_key: unknown",
        ),
        (CLUSTER + "listen_port = 70000\n" + PIS, "hosts.toml:4: [cluster] listen_port: expe"),
        (CLUSTER + "root = '/'\n" + PIS, "hosts.toml:4: [cluster] root: expected a folder of its"),
        (CLUSTER + "root = 'a/../..'\n" + PIS, "hosts.toml:4: [cluster] root: expected a folder"),
        (CLUSTER + "python = '-c'\n" + PIS, "hosts.toml:4: [cluster] python: expected text"),
        (
            CLUSTER + "identity = '~/.ssh/mine.pub'\n" + PIS,
            "hosts.toml:4: [cluster] identity: expected the private key, '~/.ssh/mine', found the",
        ),
        (CLUSTER + "[[hosts]]\naddress = 'x'\n", "hosts.toml:4: [[hosts]] 1: expected name"),
        (CLUSTER + "root = 'a:b'\n" + PIS, "hosts.toml:4: [cluster] root: expected no ':'"),
        (CLUSTER + PIS + "slots = 1\n", "hosts.toml:9: not TOML: Cannot overwrite a value"),
        (CLUSTER + PIS + "'slots2' = 1\n", "hosts.toml:9: [[hosts]] 1 slots2: unknown key"),
        (
            CLUSTER + PIS + "ssh_port = 1e400\n",
            "hosts.toml:9: [[hosts]] 1 ssh_port: expected a who",
        ),
        (
            CLUSTER + PIS + "ssh_port = 2026-11-26\n",
            "hosts.toml:9: [[hosts]] 1 ssh_port: expected a whole number, found a date",
        ),
        (CLUSTER + "name = 07:32:00\n" + PIS, 'hosts.toml:4: [cluster] name: expected text in "'),
        (CLUSTER + PIS + "[hosts.ssh_port]\na = 1\n", "hosts.toml:4: [[hosts]] 1 ssh_port: expec"),
        (CLUSTER + PIS + "tags2 = [[1]]\n", "hosts.toml:9: [[hosts]] 1 tags2: unknown key"),
        (CLUSTER + "[hosts]\nname = 'x'\n", "hosts.toml:4: [[hosts]] 1: expected two brackets"),
        ("[[cluster]]\nname = 'x'\n" + PIS, "hosts.toml:1: [cluster]: expected a [table]"),
        (
            'cluster.name = "x"\nhosts = [{name = "a", slots = 0}]\n',
            "hosts.toml:2: [[hosts]] 1 slots: expected 1 to 1024, found 0",
        ),
        (
            CLUSTER + PIS + 'ssh_port = 1\nuser = "a\\u202eb"\n',
            "hosts.toml:10: [[hosts]] 1 user: e",
        ),
        (CLUSTER + "x = " + "[" * 5000, "hosts.toml:4: expected fewer brackets"),
        (PIS, "hosts.toml:1: [cluster]: expected cluster, which is required"),
        (CLUSTER, "hosts.toml:1: [[hosts]] 1: expected hosts, which is required"),
    ],
)
def test_a_refusal_names_file_line_table_and_what_was_expected(
    tmp_path: Path, text: str, said: str
) -> None:
    assert refusal(tmp_path, text).startswith(said)


@pytest.mark.parametrize("key", ["slots", "ssh_port", "listen_port", "max_requests"])
@pytest.mark.parametrize(
    "number", ["1" + "0" * 400, "-1" + "0" * 400, "9" * 5000, "0x" + "f" * 9000]
)
def test_a_number_of_any_length_is_refused_in_few_words(
    tmp_path: Path, key: str, number: str
) -> None:
    more = f"{key} = {number}\n"
    host = PIS.replace("slots = 4\n", "")
    text = {"listen_port": CLUSTER + more + host, "max_requests": f"{CLUSTER}{host}[store]\n{more}"}
    said = refusal(tmp_path, text.get(key, CLUSTER + host + more))
    line = {"listen_port": 4, "max_requests": 9}.get(key, 8)
    assert said.startswith(f"hosts.toml:{line}: ")
    assert len(said) < 200


def test_what_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "hosts.toml"
    path.write_bytes(CLUSTER.encode() + b'name = "caf\xe9"\n' + PIS.encode())
    with pytest.raises(
        UsageError, match=r"hosts\.toml:4: expected UTF-8 text, found the byte 0xe9"
    ):
        load(path)


def test_names_that_look_like_others_are_other_names(tmp_path: Path) -> None:
    """A user's name may be any; composed and decomposed letters differ, as they do on hosts."""
    users = []
    for text in ("caf\u00e9", "cafe\u0301"):
        host = f'[[hosts]]\nname = "a"\nuser = "{text}"\n'
        users.append(load(written(tmp_path, CLUSTER + host)).hosts[0].user)
    assert users == ["caf\u00e9", "cafe\u0301"]


def test_a_public_key_of_any_name_is_refused_as_identity(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("ssh-ed25519 AAAAC3Nza ann@pc\n")
    said = "[[hosts]] 1 identity: expected the private key, found the public key, 'id'"
    assert said in refusal(tmp_path, CLUSTER + PIS + "identity = 'id'\n")
    (tmp_path / "id").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert load(written(tmp_path, CLUSTER + PIS + "identity = 'id'\n")).hosts[0].identity


def test_a_key_that_is_not_known_is_answered_with_those_that_are(tmp_path: Path) -> None:
    said = refusal(tmp_path, CLUSTER + 'usr = "pi"\n' + PIS)
    assert "address, listen_port, user, ssh_port" in said
    assert "'usr'" in said


def test_a_file_that_an_editor_began_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    assert load(written(tmp_path, "\ufeff" + CLUSTER + PIS)).hosts[0].name == "pi01"


def test_what_is_no_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    assert "line 2" in refusal(tmp_path, "[cluster]\nname =\n")


def test_credentials_are_refused_and_not_repeated(tmp_path: Path) -> None:
    text = CLUSTER + PIS + '[store]\nendpoints = ["http://me:hunter2@10.0.0.2:9000"]\n'
    said = refusal(tmp_path, text)
    assert "AWS_ACCESS_KEY_ID" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "hostile", ["x;reboot", "$(reboot)", "x'y", "a\\nb", "-oProxyCommand=x", "a b", "", "ü"]
)
def test_hostile_names_addresses_and_users_are_refused(tmp_path: Path, hostile: str) -> None:
    for line in (f'name = "{hostile}"', f'name = "a"\naddress = "{hostile or " "}"'):
        assert "expected" in refusal(tmp_path, f"{CLUSTER}[[hosts]]\n{line}\n")
    if hostile not in {"x;reboot", "$(reboot)", "x'y", "ü"}:
        assert "user: expected a login name" in refusal(
            tmp_path, f'{CLUSTER}[[hosts]]\nname = "a"\nuser = "{hostile}"\n'
        )


def test_two_hosts_of_one_name_or_address_are_refused(tmp_path: Path) -> None:
    assert "name 'pi01' twice" in refusal(tmp_path, CLUSTER + PIS + '[[hosts]]\nname = "pi01"\n')
    again = '[[hosts]]\nname = "x"\naddress = "192.168.10.101"\n'
    assert "for pi01 and x" in refusal(tmp_path, CLUSTER + PIS + again)


def test_hosts_are_chosen_by_name_range_glob_and_tag(tmp_path: Path) -> None:
    more = '[[hosts]]\nname = "nuc"\naddress = "10.0.0.9"\ntags = ["x86"]\n'
    inventory = load(written(tmp_path, CLUSTER + PIS + more))

    def names(**kwargs: Any) -> list[str]:
        return [h.name for h in inventory.select(**kwargs)]

    assert names(only=["pi[03-04],nuc"]) == ["pi03", "pi04", "nuc"]
    assert names(only=["pi1*"], without=["pi10"])[0] == "pi11"
    assert names(tags=["x86"]) == ["nuc"]
    assert len(names()) == 17
    for wrong in ({"only": ["pi17"]}, {"without": ["no"]}, {"tags": ["pi5"]}, {"only": ["p?"]}):
        with pytest.raises(UsageError, match=r"hosts\.toml"):
            names(**wrong)
    with pytest.raises(UsageError, match="matches --only"):
        names(only=["nuc"], tags=["pi4"])


def test_a_missing_inventory_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cluster init"):
        load(tmp_path / "hosts.toml")
