import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mapreduce.cli import app
from mapreduce.cluster.fleet.display import Screen
from mapreduce.cluster.fleet.parallel import FleetError, HostDone, HostOutcome, on_each
from mapreduce.cluster.host_reasons import by_reason
from mapreduce.cluster.inventory import template
from mapreduce.cluster.inventory.inventory import Host, load
from mapreduce.errors import MapReduceError, UsageError
from tests.cluster.shelves import enrolled_shelf

HOSTS = [Host(f"pi{i}", f"10.0.0.{i}") for i in range(12)]
TOP = Path(__file__).parents[2]


class Noted:
    def __init__(self) -> None:
        self.states: list[tuple[str, str]] = []
        self.ended: list[HostOutcome[Any]] = []

    def show(self, host: str, state: str) -> None:
        self.states.append((host, state))

    def done(self, outcome: HostOutcome[Any]) -> None:
        self.ended.append(outcome)


def test_the_rest_goes_on_when_hosts_fail_and_one_error_names_them() -> None:
    def act(host: Host, tell: Callable[[str], None]) -> HostDone[int]:
        tell("works")
        if host.name in {"pi3", "pi7"}:
            raise MapReduceError(f"{host.name} is sick")
        return HostDone("fine", int(host.name[2:]))

    board = Noted()
    table = on_each(HOSTS, act, board)
    assert list(table) == [h.name for h in HOSTS]
    assert table.values_by_host == {f"pi{i}": i for i in range(12) if i not in {3, 7}}
    assert len(board.ended) == len(board.states) == 12
    with pytest.raises(FleetError, match=r"test failed on 2 of 12 hosts:\n  pi3: pi3 is sick"):
        table.check("test")


def test_a_reason_that_hosts_share_is_told_once() -> None:
    failed: list[HostOutcome[None]]
    failed = [HostOutcome(h, False, why, 0.1) for h, why in (("a", "x"), ("b", "y\a"), ("c", "x"))]
    assert str(FleetError("test", failed, 4)).endswith(":\n  a, c: x\n  b: y\\x07")


def test_hosts_that_lack_the_same_get_one_line_to_type() -> None:
    pin = "no host key is pinned for {}: `mapreduce cluster enrol --only {}`"
    off = "{} refused the connection: is SSH running?"
    store = "cannot reach the store at {}: is it on?"
    reasons = {
        "pi1": pin.format("10.0.0.1", "pi1"),
        "pi10": pin.format("[10.0.0.10]:2222", "pi10"),
        "pi2": off.format("10.0.0.2"),
        "pi3": off.format("[fe80::3]:22022"),
        "pi4": store.format("10.0.0.66:9000"),
        "pi5": store.format("10.0.0.67:9000"),
        "pi6": "10.0.0.6 refused the login",
    }
    assert by_reason(reasons).splitlines()[1:] == [
        "  pi1, pi10: no host key is pinned for it: `mapreduce cluster enrol --only pi1,pi10`",
        "  pi2, pi3: it refused the connection: is SSH running?",
        "  pi4: cannot reach the store at 10.0.0.66:9000: is it on?",
        "  pi5: cannot reach the store at 10.0.0.67:9000: is it on?",
        "  pi6: 10.0.0.6 refused the login",
    ]


def test_disk_use_logs_and_cleaning_as_they_are_typed() -> None:
    def typed(*words: str) -> Any:
        return CliRunner().invoke(app, ["cluster", *words, "--inventory", str(inventory.path)])

    with enrolled_shelf(2) as (hosts, inventory):
        root = hosts.hosts[0].root
        root.mkdir(mode=0o700)
        (root / "home-id").write_text("x" * 32)
        for i, run in enumerate(("before", "after")):
            folder = root / "runs" / run / "pi1"
            folder.mkdir(parents=True)
            (folder / "agent.log").write_text(f"said {run}\n")
            os.utime(folder.parent, (1e9 + i, 1e9 + i))
        logs = typed("logs").output
        assert "said before" in logs
        assert "said after" in logs
        logs = typed("logs", "--last").output
        assert "said before" not in logs
        assert "said after" in logs
        refused = typed("logs", "--last", "--run", "before")
        assert (refused.exit_code, "leave out --last" in refused.output) == (2, True)
        told = typed("df").output
        assert "2 runs" in told
        assert "pi2  ok" in told
        refused = typed("clean", "--all")
        assert (refused.exit_code, "There is no terminal to ask" in refused.output) == (2, True)
        assert typed("clean").exit_code == 0
        assert (root / "runs" / "before").exists()  # few of them stay
        assert typed("clean", "--all", "--yes").exit_code == 0
        assert not list((root / "runs").glob("*"))


def test_no_more_hosts_than_allowed_are_busy_at_once() -> None:
    busy, most = 0, 0
    lock, full = threading.Lock(), threading.Barrier(3)

    def act(_host: Host, _tell: Callable[[str], None]) -> HostDone[None]:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        full.wait(10)
        with lock:
            busy -= 1
        return HostDone("fine", None)

    assert not on_each(HOSTS, act, Noted(), at_once=3).failed
    assert most == 3


def test_a_host_that_hangs_is_given_up_and_holds_up_nobody() -> None:
    release = threading.Event()

    def act(host: Host, _tell: Callable[[str], None]) -> HostDone[None]:
        if host.name == "pi0":
            release.wait(60)
        return HostDone("fine", None)

    try:
        table = on_each(HOSTS, act, Noted(), at_once=1, timeout_s=1.0)
    finally:
        release.set()
    assert [o.host for o in table.failed] == ["pi0"]
    assert "did not answer within 1 s" in table["pi0"].state


def test_wrong_use_and_bugs_are_raised_as_they_are() -> None:
    for error in (UsageError("not so"), ZeroDivisionError("bug")):

        def act(
            _host: Host, _tell: Callable[[str], None], error: Exception = error
        ) -> HostDone[None]:
            raise error

        with pytest.raises(type(error)):
            on_each(HOSTS, act, Noted())


def test_a_pipe_gets_a_line_for_each_host(capsys: Any) -> None:
    with Screen("test", HOSTS[:2]) as board:
        board.show("pi0", "works")
        board.done(HostOutcome("pi0", True, "fine", 1.0))
        board.done(HostOutcome("pi1", False, "sick", 2.0))
    said = capsys.readouterr().out.splitlines()
    assert said == ["pi0  ok        1.0 s  fine", "pi1  failed    2.0 s  sick"]


def test_a_terminal_gets_a_table_in_which_hosts_cannot_paint(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with Screen("test", HOSTS[:2]) as board:
        board.show("pi0", "[red]works")
        board.done(HostOutcome("pi1", True, "\x1b[2Jfine", 1.0))
    said = capsys.readouterr().out
    assert "[red]works" in said
    assert "\x1b[2J" not in said


def test_a_narrow_terminal_gets_every_reason_whole(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "6")
    reason = " ".join(f"word{i}" for i in range(60)) + " `sudo apt install python3`"
    with Screen("test", HOSTS) as board:
        for host in HOSTS:
            board.done(HostOutcome(host.name, False, reason, 1.0))
    told = " ".join(capsys.readouterr().out.split())
    assert told.count("word59 `sudo apt") >= 1
    for host in HOSTS:
        assert host.name in told


def test_what_init_cannot_mean_is_refused_by_what_was_typed(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for typed, said in {
        "": "'': expected an address, a span",
        "  ": "expected an address, a span",
        "pi@10.0.0.1": "set the login name with --user",
        "10.0.0.0/24": "expected names or addresses",
        "a,b": "separated by blanks",
        "10.0.0.1-10.0.1.6": "use several spans",
        "-x": "No such option",
        "caf\u00e9": "is not valid",
        "a b": "is not valid",
        "pi[1-2": "expected brackets in pairs",
        "10.0.0.9-1": "is in reverse order",
    }.items():
        done = CliRunner().invoke(app, ["cluster", "init", typed])
        assert done.exit_code == 2, typed
        told = " ".join(done.output.split())
        assert said in told, told
        assert ".partial" not in told
    done = CliRunner().invoke(app, ["cluster", "init", "10.0.0.1", "10.0.0.1"])
    assert "hosts.toml: expected every host once" in done.output
    assert ".partial" not in done.output
    assert list(tmp_path.iterdir()) == []
    done = CliRunner().invoke(app, ["cluster", "init", "127.0.8.1-127.0.8.6"])
    assert [h.address for h in load("hosts.toml").hosts] == [f"127.0.8.{i}" for i in range(1, 7)]


def test_init_writes_a_file_that_loads_and_a_fabfile_that_is_ours(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    span = "192.168.10.101-116"
    done = CliRunner().invoke(app, ["cluster", "init", span, "nuc", "--user", "pi"])
    assert done.exit_code == 0, done.output
    inventory = load("hosts.toml")
    assert [h.name for h in inventory.hosts] == [*(f"pi{i:02}" for i in range(1, 17)), "nuc"]
    assert inventory.hosts[15].address == "192.168.10.116"
    assert inventory.hosts[0].user == "pi"
    assert inventory.address
    assert (tmp_path / "fabfile.py").read_text() == (TOP / "fabfile.py").read_text()
    again = CliRunner().invoke(app, ["cluster", "init", span])
    assert again.exit_code == 2
    assert "already exists" in again.output


def test_the_example_at_the_top_is_true() -> None:
    inventory = load(TOP / "hosts.toml")
    assert (len(inventory.hosts), inventory.hosts[15].address) == (16, "192.168.10.116")
    every = template.hosts_toml(["a"], user="u", name="n", address="x").replace("# ", "")
    for key in (
        "listen_port",
        "known_hosts",
        "root",
        "python",
        "endpoints",
        "max_requests",
        "shared",
        "slots",
    ):
        assert f"{key} = " in (TOP / "hosts.toml").read_text()
        assert f"{key} = " in every


FIRST = {
    "mapreduce": [sys.executable, "-m", "mapreduce.cli", "cluster"],
    "fab": [sys.executable, "-m", "fabric", "--search-root", str(TOP)],
}


@pytest.mark.parametrize("program", ["mapreduce", "fab"])
def test_both_command_lines_tell_who_failed_and_why(program: str) -> None:
    with enrolled_shelf(2) as (hosts, inventory):
        hosts.hosts[1].stop()
        ending = ["status", "--inventory", str(inventory.path)]

        def run(*more: str) -> subprocess.CompletedProcess[str]:
            command = [*FIRST[program], *ending, *more]
            return subprocess.run(
                command, cwd=TOP, capture_output=True, text=True, timeout=60, check=False
            )

        done = run()
        assert done.returncode == 1
        assert "pi1  ok" in done.stdout
        assert "idle; release none: deploy first" in done.stdout
        assert "status failed on 1 of 2 hosts" in done.stderr
        assert "pi2: [127.0.0.3]" in done.stderr
        assert run("--except", "pi2").returncode == 0
        wrong = run("--only", "pi9")
        assert wrong.returncode == 2
        assert "--only pi9: no such host" in wrong.stderr


def test_hosts_can_be_worked_on_where_nobody_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    with Screen("test", HOSTS) as board:
        board.done(HostOutcome(HOSTS[0].name, True, "well", 0.0))
