"""Starts, lists, ends and reads agents on a host, and removes all that is ours.

A run has a folder of its own on each host, 0700 (hosts may share their home): `lock`, which its
agent holds while it lives; `agent.pid` (JSON: pid, when that process began, on which node, what it
uses), `agent.log`, and an `openssl.cnf` where the processor has no AES. A process is ours only if
it began when the note says, so a pid that came again is never signalled. What an agent is told
comes on standard input and goes to its standard input: it is in no argument, no environment and no
file. What it is to run is looked through before it is started.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any

from mapreduce.cluster.onhost import content, ground, log, space

POLL_S = 0.25
LAST_S = 5.0
LOCK_S = 2.0  # whoever looks at a lock holds it for a moment
CPU = "/proc/cpuinfo"
CHACHA_FIRST = """\
openssl_conf = settings
[settings]
ssl_conf = ssl
[ssl]
system_default = ciphers
[ciphers]
Ciphersuites = TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256
"""


def main() -> None:
    """Do what is asked, and answer."""
    asked = json.loads(sys.argv[1])
    asked["root"] = ground.of(asked)
    act: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
        "start": lambda asked: start(asked, sys.stdin.buffer.read()),
        "list": listing,
        "stop": stop,
        "logs": lambda asked: log.follow(asked, lambda: runs(asked)),
        "space": room,
        "remove": remove,
    }
    try:
        ground.checked(asked["root"])
        answer = act[asked["act"]](asked)
    except OSError as error:
        answer = {"error": str(error)}
    if answer is not None:
        print(json.dumps(answer))


def start(
    asked: dict[str, Any], config: bytes, seen: Mapping[str, bool] | None = None
) -> dict[str, Any]:
    """Start the agent of a run, detached; wait until it says that it started.

    `seen` are the trees that were looked through just now.
    """
    folder = os.path.join(asked["root"], "runs", asked["run"], asked["host"])
    os.makedirs(os.path.dirname(os.path.dirname(folder)), mode=0o700, exist_ok=True)
    os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    ground.private(folder)
    path = [os.path.join(asked["root"], p) for p in asked["path"]]
    for place, tree in zip(asked["path"], path):
        if not os.path.isdir(tree):
            return {"error": f"{tree} does not exist: deploy first"}
        if not (seen or {}).get(place):
            fault = content.fault(asked["root"], place)
            if fault is not None:
                return {"error": f"{fault}, so it is not used: deploy again"}
        os.utime(tree)  # used just now: prune keeps it
    for name in asked.get("inputs", []):
        file = os.path.join(asked["root"], name)
        if not content.file_whole(file):
            return {"error": f"{file} no longer exists, or was changed: run it again"}
        os.utime(file)  # as above
    with opened(os.path.join(folder, space.LOCK), os.O_RDWR | os.O_CREAT) as lock:
        if not locked(lock):
            return {"error": "the run's agent is running already"}
        answer = launched(asked, folder, path, config, lock)
    with contextlib.suppress(OSError):  # an agent runs by now, whatever cannot be tidied
        space.prune(asked["root"], {"keep": [os.path.basename(p) for p in asked["path"]]})
    return answer


def launched(
    asked: dict[str, Any], folder: str, path: list[str], config: bytes, lock: int
) -> dict[str, Any]:
    """Start the program of an agent, which holds the lock from now on, and hear its first line."""
    environ = environment(folder, path)
    os.nice(asked["nice"])
    with opened(os.path.join(folder, "agent.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND) as words:
        agent = subprocess.Popen(
            [sys.executable, "-P", *asked["command"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            env=environ,
            cwd=folder,
            start_new_session=True,
            pass_fds=[lock],
        )
    body = {"pid": agent.pid, "began": began(agent.pid), "path": asked["path"]}
    body["inputs"] = asked.get("inputs", [])
    body["node"] = os.uname().nodename
    ground.put(os.path.join(folder, space.NOTE), json.dumps(body))
    assert agent.stdin is not None  # noqa: S101 - both are pipes
    assert agent.stdout is not None  # noqa: S101 - as above
    with contextlib.suppress(OSError):  # it ended before it read: told below, with its last words
        agent.stdin.write(config)
        agent.stdin.close()
    said = first_line(agent.stdout, asked["timeout_s"])
    if said:
        return {"pid": agent.pid, "said": said}
    if said is not None:  # its output ended: so will it, in a moment
        with contextlib.suppress(subprocess.TimeoutExpired):
            agent.wait(LAST_S)
    if agent.poll() is None:
        end(body, signal.SIGKILL)
        agent.wait()
        reason = f"printed nothing within {asked['timeout_s']} s"
    else:
        reason = f"ended with {agent.returncode} before it started"
    os.unlink(os.path.join(folder, space.NOTE))
    last = log.tail(os.path.join(folder, "agent.log"), 2000).decode("utf-8", "replace").strip()
    end_word = f": {last.splitlines()[-1]}" if last else ""
    return {"error": f"the agent {reason}{end_word}"}


@contextlib.contextmanager
def opened(path: str, flags: int) -> Iterator[int]:
    """Open a file of ours for a while, made 0600; never through a link."""
    handle = os.open(path, flags | os.O_NOFOLLOW, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def locked(lock: int) -> bool:
    """Take a lock; tell whether it could be had."""
    until = time.monotonic() + LOCK_S
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() > until:
            return False
        time.sleep(POLL_S / 5)


def environment(folder: str, path: list[str]) -> dict[str, str]:
    """Give an agent's environment; where AES is slow, one in which TLS prefers ChaCha20.

    Python's `ssl` leaves the ciphers of TLS 1.3 as OpenSSL has them, and that AES comes first.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environ.update(PYTHONPATH=os.pathsep.join(path), PYTHONNOUSERSITE="1", PYTHONSAFEPATH="1")
    environ["PYTHONDONTWRITEBYTECODE"] = "1"  # a tree stays as it was put there
    environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    if lacks_aes() and "OPENSSL_CONF" not in environ:
        environ["OPENSSL_CONF"] = os.path.join(folder, "openssl.cnf")
        ground.put(environ["OPENSSL_CONF"], CHACHA_FIRST)
    return environ


def lacks_aes() -> bool:
    """Tell whether the processor says what it can do, and AES is not among it (Pi 4 and older)."""
    try:
        with open(CPU) as given:
            lines = [line.partition(":") for line in given]
    except OSError:
        return False
    can = [said.split() for name, _, said in lines if name.strip() in ("flags", "Features")]
    return bool(can) and not any("aes" in flags for flags in can)


def first_line(stream: IO[bytes], timeout_s: float) -> str | None:
    """Read one line within a time; empty where the stream ended before, null where time did."""
    deadline, got = time.monotonic() + timeout_s, b""
    while b"\n" not in got:
        ready = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]
        if not ready:
            return None
        body = os.read(stream.fileno(), 4096)
        if not body:
            return ""
        got += body
    return got.partition(b"\n")[0].decode("utf-8", "replace")


def listing(asked: dict[str, Any]) -> dict[str, Any]:
    """Tell every run there is on this host."""
    found = []
    for run, folder in runs(asked):
        noted = space.read(folder)
        log = os.path.join(folder, "agent.log")
        found.append(
            {
                "run": run,
                "alive": alive(noted),
                "pid": noted.get("pid"),
                "log_bytes": os.path.getsize(log) if os.path.exists(log) else 0,
            }
        )
    return {"runs": found}


def stop(asked: dict[str, Any]) -> dict[str, Any]:
    """Ask agents to end (SIGTERM: drain), wait, and kill what is left with all it started."""
    living = {run: space.read(folder) for run, folder in runs(asked) if alive(space.read(folder))}
    for noted in living.values():
        end(noted, signal.SIGTERM)
    deadline = time.monotonic() + asked["patience_s"]
    wait_for(living.values(), deadline)
    killed = [run for run, noted in living.items() if alive(noted)]
    for run in killed:
        end(living[run], signal.SIGKILL)
    wait_for([living[run] for run in killed], time.monotonic() + LAST_S)  # or it may still write
    for _, folder in runs(asked):
        end_rest(space.read(folder))
    return {"ended": sorted(living), "killed": sorted(killed)}


def end_rest(noted: dict[str, Any]) -> None:
    """Kill what an agent that has ended left running: a job may have started something."""
    if not noted.get("began") or alive(noted):
        return
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as given:
                pid, _, rest = given.read().partition(" ")
        except OSError:
            continue
        fields = rest.rpartition(")")[2].split()
        # While anything is in its session no process gets the number of the one that began it.
        if int(fields[3]) == noted["pid"] and int(fields[19]) >= int(noted["began"]):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(pid), signal.SIGKILL)


def room(asked: dict[str, Any]) -> dict[str, Any]:
    """Tell what is under ROOT; with `clean`, remove what is old; with `all`, what is not in use."""
    root, removed = asked["root"], []
    if asked.get("clean") and os.path.isdir(root):
        before = space.size_of(root)
        removed = space.prune(
            root, asked, dict.fromkeys(space.KEPT, 0) if asked.get("all") else None
        )
        removed += space.healed(root)
        freed = before - space.size_of(root)
    else:
        freed = 0
    there = os.path.isdir(root)
    told = {"root": root, "there": there, "kinds": space.use(root), "removed": removed}
    free = shutil.disk_usage(root if there else os.path.expanduser("~")).free
    return dict(told, freed_bytes=max(0, freed), disk_free_bytes=free)


def wait_for(noted: Iterable[dict[str, Any]], deadline: float) -> None:
    """Wait until all of these have ended, but not for ever."""
    waiting = list(noted)
    while any(alive(n) for n in waiting) and time.monotonic() < deadline:
        time.sleep(POLL_S / 5)


def remove(asked: dict[str, Any]) -> dict[str, Any]:
    """End all agents and delete ROOT, if it is a folder that we made."""
    root = asked["root"]
    if not os.path.isdir(root):
        return {"removed": False}
    if not ground.own_file(os.path.join(root, ground.MARKER)) or os.path.islink(root):
        return {"error": f"{root} is not a folder of this program (it has no home-id): not removed"}
    ended = stop(dict(asked, run=None))
    away = f"{root}.removed"  # in one step: hosts that share it may remove it at once
    with contextlib.suppress(FileNotFoundError):
        os.rename(root, f"{away}.{os.urandom(16).hex()}")
    for path in glob.glob(f"{glob.escape(away)}.*"):
        shutil.rmtree(path, ignore_errors=True)
    return {"removed": True, "ended": ended["ended"]}


def runs(asked: dict[str, Any]) -> list[tuple[str, str]]:
    """Give name and folder of this host's runs: the one asked for, the last, or all."""
    top = os.path.join(asked["root"], "runs")
    names = space.newest(top)[::-1]  # their names are drawn by lot
    wanted = asked.get("run")
    places = [(n, os.path.join(top, n, asked["host"])) for n in names if wanted in (None, n)]
    there = [(n, folder) for n, folder in places if os.path.isdir(folder)]
    return there[-1:] if asked.get("last") else there


def alive(noted: dict[str, Any]) -> bool:
    """Tell whether the process noted still runs, and is that one."""
    return bool(noted.get("began")) and began(noted["pid"]) == noted["began"]


def began(pid: int) -> str | None:
    """Give when a process began, in the kernel's ticks; null where it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as given:
            fields = given.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else fields[19]


def end(noted: dict[str, Any], number: int) -> None:
    """Signal an agent; killing takes its whole session along."""
    with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
        if number == signal.SIGKILL:
            os.killpg(noted["pid"], number)
        else:
            os.kill(noted["pid"], number)


if __name__ == "__main__":
    main()
