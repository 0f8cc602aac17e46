"""Starts, lists, ends and reads agents on a host, and removes all that is ours.

A run has a folder of its own on each host, 0700 (hosts may share their home): `agent.pid` (JSON:
pid, when that process began, on which node, what it uses), `agent.log`, and an `openssl.cnf` where
the processor has no AES. A process is ours only if it began when the note says, so a pid that came
again is never signalled. What an agent is told comes on standard input and goes to its standard
input: it is in no argument, no environment and no file.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import uuid
from typing import IO, TYPE_CHECKING, Any, Dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Asked = Dict[str, Any]

TAIL_BYTES = 1 << 16
POLL_S = 0.25
LAST_S = 5.0
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
    asked["root"] = os.path.join(os.path.expanduser("~"), os.path.expanduser(asked["root"]))
    act: dict[str, Callable[[Asked], Asked | None]] = {
        "start": start,
        "list": listing,
        "stop": stop,
        "logs": logs,
        "remove": remove,
    }
    try:
        answer = act[asked["act"]](asked)
    except OSError as error:
        answer = {"error": str(error)}
    if answer is not None:
        print(json.dumps(answer))


def start(asked: Asked) -> Asked:
    """Start the agent of a run, detached; wait until it says that it started."""
    folder = os.path.join(asked["root"], "runs", asked["run"], asked["host"])
    os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        if alive(note(folder)):
            return {"error": "the run's agent is running already"}
    path = [os.path.join(asked["root"], p) for p in asked["path"]]
    for place in path:
        if not os.path.isdir(place):
            return {"error": f"{place} is not there: deploy first"}
        os.utime(place)  # used just now: prune keeps it
    for name in asked.get("inputs", []):
        file = os.path.join(asked["root"], name)
        if not os.path.isfile(file):
            return {"error": f"{file} is not there any more: run it again"}
        os.utime(file)  # as above
    environ = environment(folder, path)
    os.nice(asked["nice"])
    config = sys.stdin.buffer.read()
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    log = os.open(os.path.join(folder, "agent.log"), flags, 0o600)
    agent = subprocess.Popen(
        [sys.executable, *asked["command"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environ,
        cwd=folder,
        start_new_session=True,
    )
    os.close(log)
    body = {"pid": agent.pid, "began": began(agent.pid), "path": asked["path"]}
    body["inputs"] = asked.get("inputs", [])
    body["node"] = os.uname().nodename
    write(os.path.join(folder, "agent.pid"), json.dumps(body))
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
        reason = f"said nothing within {asked['timeout_s']} s"
    else:
        reason = f"ended with {agent.returncode} before it started"
    os.unlink(os.path.join(folder, "agent.pid"))
    last = tail(os.path.join(folder, "agent.log"), 2000).decode("utf-8", "replace").strip()
    words = f": {last.splitlines()[-1]}" if last else ""
    return {"error": f"the agent {reason}{words}"}


def environment(folder: str, path: list[str]) -> dict[str, str]:
    """Give an agent's environment; where AES is slow, one in which TLS prefers ChaCha20.

    Python's `ssl` leaves the ciphers of TLS 1.3 as OpenSSL has them, and that AES comes first.
    """
    environ = dict(os.environ, PYTHONPATH=os.pathsep.join(path), PYTHONNOUSERSITE="1")
    environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    if lacks_aes() and "OPENSSL_CONF" not in environ:
        environ["OPENSSL_CONF"] = os.path.join(folder, "openssl.cnf")
        write(environ["OPENSSL_CONF"], CHACHA_FIRST)
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


def listing(asked: Asked) -> Asked:
    """Tell every run there is on this host."""
    found = []
    for run, folder in runs(asked):
        noted = note(folder)
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


def stop(asked: Asked) -> Asked:
    """Ask agents to end (SIGTERM: drain), wait, and kill what is left with all it started."""
    living = {run: note(folder) for run, folder in runs(asked) if alive(note(folder))}
    for noted in living.values():
        end(noted, signal.SIGTERM)
    deadline = time.monotonic() + asked["patience_s"]
    wait_for(living.values(), deadline)
    killed = [run for run, noted in living.items() if alive(noted)]
    for run in killed:
        end(living[run], signal.SIGKILL)
    wait_for([living[run] for run in killed], time.monotonic() + LAST_S)  # or it may still write
    return {"ended": sorted(living), "killed": sorted(killed)}


def wait_for(noted: Iterable[Asked], deadline: float) -> None:
    """Wait until all of these have ended, but not for ever."""
    waiting = list(noted)
    while any(alive(n) for n in waiting) and time.monotonic() < deadline:
        time.sleep(POLL_S / 5)


def logs(asked: Asked) -> None:
    """Write the last lines of the logs; with `follow`, what is added, until our input ends."""
    places = {}
    while True:
        for _, folder in runs(asked):
            path = os.path.join(folder, "agent.log")
            try:
                size = os.path.getsize(path)
            except OSError:
                continue
            if path not in places:
                body = tail(path, TAIL_BYTES)
                sys.stdout.buffer.write(b"".join(body.splitlines(True)[-asked["lines"] :]))
                places[path] = size
            elif size > places[path]:
                with open(path, "rb") as log:
                    log.seek(places[path])
                    body = log.read(TAIL_BYTES)
                places[path] += len(body)
                sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
        if not asked["follow"] or select.select([sys.stdin], [], [], POLL_S)[0]:
            return


def remove(asked: Asked) -> Asked:
    """End all agents and delete ROOT, if it is a folder that we made."""
    root = asked["root"]
    if not os.path.isdir(root):
        return {"removed": False}
    if not os.path.isfile(os.path.join(root, "home-id")) or os.path.islink(root):
        return {"error": f"{root} is not a folder of ours (it has no home-id): not removed"}
    ended = stop(dict(asked, run=None))
    away = f"{root}.removed"  # in one step: hosts that share it may remove it at once
    with contextlib.suppress(FileNotFoundError):
        os.rename(root, f"{away}.{uuid.uuid4().hex}")
    for path in glob.glob(f"{glob.escape(away)}.*"):
        shutil.rmtree(path, ignore_errors=True)
    return {"removed": True, "ended": ended["ended"]}


def runs(asked: Asked) -> list[tuple[str, str]]:
    """Give name and folder of this host's runs: the one asked for, or all."""
    top = os.path.join(asked["root"], "runs")
    names = sorted(os.listdir(top), key=lambda name: made(top, name)) if os.path.isdir(top) else []
    wanted = asked.get("run")
    places = [(n, os.path.join(top, n, asked["host"])) for n in names if wanted in (None, n)]
    return [(n, folder) for n, folder in places if os.path.isdir(folder)]


def note(folder: str) -> Asked:
    """Read what is noted of a run's agent."""
    try:
        with open(os.path.join(folder, "agent.pid")) as given:
            noted: Asked = json.load(given)
            return noted
    except (OSError, ValueError):
        return {}


def alive(noted: Asked) -> bool:
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


def end(noted: Asked, number: int) -> None:
    """Signal an agent; killing takes its whole session along."""
    with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
        if number == signal.SIGKILL:
            os.killpg(noted["pid"], number)
        else:
            os.kill(noted["pid"], number)


def write(path: str, text: str) -> None:
    """Write a small file whole, readable by its owner alone."""
    handle = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(text)
    os.replace(path + ".new", path)


def made(top: str, name: str) -> tuple[float, str]:
    """Order runs by time: their names are drawn by lot."""
    with contextlib.suppress(OSError):
        return os.path.getmtime(os.path.join(top, name)), name
    return 0.0, name


def tail(path: str, most: int) -> bytes:
    """Read the last bytes of a file."""
    with open(path, "rb") as log:
        log.seek(max(0, os.path.getsize(path) - most))
        return log.read(most)


if __name__ == "__main__":
    main()
