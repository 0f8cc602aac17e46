import os
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mapreduce.cluster.fleet import doctor, operations, shared_folders
from mapreduce.cluster.fleet.deploy import Plan, deploy
from mapreduce.cluster.fleet.display import Quiet
from mapreduce.cluster.fleet.doctor import examine, judge, throttled_words
from mapreduce.cluster.fleet.parallel import FleetError
from mapreduce.cluster.fleet.shared_folders import witnesses
from mapreduce.cluster.inventory.hosts_toml import StoreTable
from mapreduce.cluster.inventory.inventory import load
from mapreduce.cluster.onhost import facts
from mapreduce.errors import UsageError
from tests.cluster.shelves import enrolled_shelf, small_plan

WELL: dict[str, Any] = {
    "root": "/home/pi/.mapreduce",
    "python": [3, 11, 2],
    "implementation": "cpython",
    "free_threaded": False,
    "system": "Linux",
    "machine": "aarch64",
    "libc": ["glibc", "2.36"],
    "cores": 4,
    "current": "abc",
    "disk_free_bytes": 20 << 30,
    "memory_bytes": 4 << 30,
    "memory_free_bytes": 3 << 30,
    "temperature_c": 55.0,
    "throttled": 0,
    "openssh": "OpenSSH_9.2p1 Debian-2+deb12u2",  # an old version, but patched
    "strict_kex": True,
    "addresses": {"10.0.0.2:9000": None},
    "numpy": {"version": "2.4.6"},
    "dial": {"bytes": 8 << 20, "seconds": 0.08},
}


def findings(*, skew_s: float = 0.0, **changes: Any) -> list[doctor.Finding]:
    return list(judge(WELL | changes, skew_s, "abc").findings)


def test_nothing_ails_a_healthy_host() -> None:
    assert findings() == []
    assert doctor.told(judge(WELL, 0.0, "abc")) == (
        "Python 3.11.2 aarch64, 4 cores, 4.0 GiB, 55 °C, 105 MB/s"
    )


@pytest.mark.parametrize(
    ("changes", "said", "grave"),
    [
        ({"python": [3, 9, 2]}, "sudo apt install python3.11", True),
        ({"disk_free_bytes": 300 << 20}, "300 MiB free on its disk: `sudo apt clean`", False),
        ({"disk_free_bytes": 50 << 20}, "50 MiB free on its disk", True),
        ({"memory_free_bytes": 100 << 20}, "slots = 1 in hosts.toml", False),
        ({"temperature_c": 82.0}, "82 °C: add a heat sink or a fan", False),
        (
            {"throttled": 0x50005},
            "under-voltage now, throttled now, .* a stronger power supply",
            False,
        ),
        ({"throttled": 0x80008}, "soft temperature limit .* a heat sink", False),
        (
            {"openssh": "OpenSSH_9.2p1", "strict_kex": False},
            "OpenSSH 9.2 is vulnerable to Terrapin",
            False,
        ),
        ({"addresses": {"10.0.0.2:9000": "refused"}}, r"store at 10\.0\.0\.2:9000 \(refused", True),
        ({"dial": {"error": "timed out"}}, r"cannot reach this machine \(timed out\)", True),
        ({"dial": {"bytes": 1 << 20, "seconds": 1.0}}, "reads 1.0 MB/s .* a cable", False),
        (
            {"dial": {"closed": "AllowTcpForwarding"}},
            "no connection back .* AllowTcpForwarding",
            True,
        ),
        ({"folders": {"/mnt/t": "No such"}}, r"not see /mnt/t .*\(No such\): mount it", False),
        ({"current": None}, "release none, this machine has abc: mapreduce cluster deploy", False),
        ({"numpy": {"error": "No module"}}, "import numpy: No module: mapreduce cluster d", True),
        ({"root_error": "read-only"}, "cannot be written .read-only.: set root = ", True),
    ],
)
def test_each_trouble_is_told_with_what_to_do(
    changes: dict[str, Any], said: str, grave: bool
) -> None:
    (finding,) = findings(**changes)
    assert re.search(said, str(finding))
    assert finding.grave is grave


def test_a_clock_a_year_off_is_told_and_hinders_nothing() -> None:
    (finding,) = findings(skew_s=-365 * 86_400.0)
    assert "its clock is 365 days behind" in str(finding)
    assert not finding.grave


def test_what_a_host_has_not_is_no_trouble() -> None:
    absent = ("temperature_c", "throttled", "openssh", "memory_free_bytes", "memory_bytes", "dial")
    assert judge(WELL | dict.fromkeys(absent), 0.0, "abc").findings == ()


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0, []),
        (1, ["under-voltage now"]),
        (0x50000, ["under-voltage since it started", "throttled since it started"]),
    ],
)
def test_throttling_is_spelled_out(bits: int, words: list[str]) -> None:
    assert throttled_words(bits) == words


def test_real_hosts_are_examined_and_hot_ones_found(tmp_path: Path, monkeypatch: Any) -> None:
    """`vcgencmd` and the slow clock are fakes: this machine is no Pi, and its clock is right."""
    with enrolled_shelf(3) as (hosts, _), socket.create_server(("127.0.0.1", 0)) as store:
        hosts.hosts[0].own_program("vcgencmd", "#!/bin/sh\necho throttled=0x50005\n")
        late = f"#!{sys.executable}\nimport sys, time, runpy\nreal = time.time\n"
        late += "time.time = lambda: real() - 86400 * 365\nexec(sys.argv.pop(3))\n"
        late = late.replace("exec(sys", "sys.argv[:3] = ['-c']; exec(sys").replace(
            "pop(3)", "pop(1)"
        )
        hosts.hosts[1].own_program("late-python", late)
        hosts.overrides["pi2"] = {"python": "late-python"}
        with socket.create_server(("127.0.0.1", 0)) as closed:
            gone = closed.getsockname()[1]
        hosts.overrides["pi3"] = {"endpoint": f"http://127.0.0.1:{gone}"}
        up = f"http://127.0.0.1:{store.getsockname()[1]}"
        hosts.overrides["pi1"] = {"endpoint": up}
        (tmp_path / "shared" / "deep").mkdir(parents=True)
        (tmp_path / "shared" / "deep" / "trip").write_bytes(b"{}")
        shared = StoreTable(shared=(str(tmp_path / "shared"),))
        inventory = replace(hosts.inventory(), store=shared)
        plan = small_plan(tmp_path, monkeypatch)
        deploy(inventory, inventory.hosts[:1], Quiet(), plan).check("deploy")
        table = examine(inventory, inventory.hosts, Quiet(), plan)
        hot, wrong_clock, cut_off = table.values()
        assert hot.value is None  # its environment, a small one, has no numpy
        assert "under-voltage now" in hot.state
        assert "import numpy: ModuleNotFoundError" in hot.state
        assert wrong_clock.ok
        assert "365 days behind" in wrong_clock.state
        assert "release none" in wrong_clock.state
        assert wrong_clock.value is not None
        assert wrong_clock.value.facts["folders"] == {str(tmp_path / "shared"): None}
        assert (wrong_clock.value.bytes_per_s or 0) > 0
        assert not cut_off.ok
        assert f"cannot reach the store at 127.0.0.1:{gone}" in cut_off.state


def test_a_shared_folder_is_seen_by_a_file_of_it_in_its_version(tmp_path: Path) -> None:
    path, folder = tmp_path / "hosts.toml", tmp_path / "trips"
    path.write_text(f'[cluster]\n[store]\nshared = ["{folder}"]\n[[hosts]]\nname = "pi1"\n')
    with pytest.raises(UsageError, match="not a folder on this machine"):
        witnesses(load(path))
    folder.mkdir()
    assert witnesses(load(path)) == {str(folder): None}
    assert facts.sees(str(folder), None) is None
    (folder / "gone").symlink_to("gone")  # what cannot be looked at is passed over
    (folder / "trip").write_bytes(b"{}")
    seen = witnesses(load(path))[str(folder)]
    assert seen is not None
    assert facts.sees(str(folder), list(seen)) is None
    (folder / "trip").write_bytes(b"{} ")
    assert "a different file" in str(facts.sees(str(folder), list(seen)))
    (folder / "trip").unlink()
    assert "No such file" in str(facts.sees(str(folder), list(seen)))


def test_a_shared_folder_of_a_million_names_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = tmp_path / "hosts.toml", tmp_path / "trips"
    path.write_text(f'[cluster]\n[store]\nshared = ["{folder}"]\n[[hosts]]\nname = "pi1"\n')
    (folder / "empty").mkdir(parents=True)
    (folder / "full" / "deep").mkdir(parents=True)
    for number in range(20):
        (folder / "full" / "deep" / f"{number}").touch()
    seen = []
    names = shared_folders._names

    def counted(folder: str) -> Iterator[os.DirEntry[str]]:
        for entry in names(folder):
            seen.append(entry.name)
            yield entry

    monkeypatch.setattr(shared_folders, "_names", counted)
    found = witnesses(load(path))[str(folder)]
    assert found is not None
    assert found[0].startswith("full/deep/")
    assert len(seen) == 4  # three folders and a file


def test_an_address_that_is_not_this_machines_is_refused_before_hosts_are_asked(
    tmp_path: Path, monkeypatch: Any
) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text('[cluster]\naddress = "192.0.2.77"\n[[hosts]]\nname = "pi1"\n')
    with pytest.raises(UsageError, match="hostname -I"):
        operations.examine_hosts(operations.HostChoice(path))
    assert small_plan(tmp_path, monkeypatch).tree.files


def test_a_host_that_cannot_work_fails_the_examination(tmp_path: Path, monkeypatch: Any) -> None:
    with enrolled_shelf(1) as (hosts, _):
        hosts.overrides["pi1"] = {"python": "nothing-here"}
        inventory = hosts.inventory()
        table = examine(inventory, inventory.hosts, Quiet(), small_plan(tmp_path, monkeypatch))
        with pytest.raises(FleetError, match="newer as nothing-here"):
            table.check("doctor")


def test_a_port_that_is_taken_is_told_as_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = tmp_path / "hosts.toml"
        path.write_text(
            f'[cluster]\naddress = "127.0.0.1"\nlisten_port = {port}\n[[hosts]]\nname = "pi1"\n'
        )
        inventory = load(path)
        with pytest.raises(UsageError, match="another process uses that port, perhaps a run"):
            examine(inventory, inventory.hosts, Quiet(), Plan(packages=["tests.jobs"]))
