"""What ails a host: facts are asked for, judged here, and each trouble told with its remedy.

Judging is one pure function of facts. Measuring the way to this machine opens the very address
and port that workers will dial (or the way back through SSH) and sends zeros to whoever comes,
parsing nothing. A wrong clock is told and does no harm: nothing here relies on a host's time.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from mapreduce.cluster.fleet.deploy import Plan
from mapreduce.cluster.fleet.parallel import Display, HostDone, HostOutcomes, on_each
from mapreduce.cluster.fleet.shared_folders import witnesses
from mapreduce.cluster.fleet.wheels import platform_of
from mapreduce.cluster.inventory.inventory import TUNNEL, Host, Inventory
from mapreduce.cluster.ssh.ssh import LOOPBACK, HostError, Remote
from mapreduce.cluster.ssh.tunnel import lead_back
from mapreduce.errors import UsageError

SKEW_S: Final = 5.0
HOT_C: Final = 75.0
LOW_DISK_BYTES: Final = 512 << 20
LOW_MEMORY_BYTES: Final = 256 << 20
SLOW_BYTES_PER_S: Final = 10e6
PROBE_BYTES: Final = 8 << 20
PROBE_S: Final = 10.0
DIAL_S: Final = 90.0
EXAMINE_S: Final = 300.0
THROTTLED: Final = {
    0: "under-voltage now",
    1: "frequency capped now",
    2: "throttled now",
    3: "soft temperature limit now",
    16: "under-voltage since it started",
    17: "frequency capped since it started",
    18: "throttled since it started",
    19: "soft temperature limit since it started",
}
UNDER_VOLTAGE: Final = 0x10001  # now, or before


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. Only a `grave` one keeps a worker from running."""

    text: str
    remedy: str
    grave: bool = False

    def __str__(self) -> str:
        """Say what and what to do."""
        return f"{self.text}: {self.remedy}"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A host's facts, its clock error, its read rate from this machine, and its problems."""

    facts: Mapping[str, Any]
    skew_s: float
    bytes_per_s: float | None
    findings: tuple[Finding, ...]


def examine(
    inventory: Inventory, hosts: Sequence[Host], board: Display, plan: Plan | None = None
) -> HostOutcomes[Diagnosis]:
    """Look at every host; one that can't run a worker has failed."""
    plan = plan or Plan()
    folders = witnesses(inventory)
    turn = threading.Lock()  # one at a time, or they would measure each other

    with _listening(inventory) as port:

        def look(host: Host, tell: Callable[[str], None]) -> HostDone[Diagnosis]:
            tell("connects")
            with Remote(host, inventory) as remote:
                tell("checking the host")
                before = time.time()
                looks = {"reach": _store_places(host, inventory), "sees": folders}
                facts = remote.ask("facts", {"health": True, **looks})
                skew = _skew(facts, before, time.time())
                transport = remote.connection.transport
                facts["strict_kex"] = bool(transport.agreed_on_strict_kex)  # closes Terrapin
                _imports(remote, facts, plan)
                if port is not None:
                    tell("waiting to be measured")
                    with turn:
                        tell("reading from this machine")
                        facts["dial"] = _dialled(remote, inventory, port)
            health = judge(facts, skew, plan.tree.id)
            findings = sorted(health.findings, key=lambda f: not f.grave)
            if findings and findings[0].grave:
                raise HostError("; ".join(map(str, findings)))
            return HostDone(told(health), health)

        return on_each(hosts, look, board, timeout_s=EXAMINE_S)


def judge(facts: Mapping[str, Any], skew_s: float, release: str) -> Diagnosis:
    """Tell what ails a host from its facts, as `onhost/facts.py` gives them: no I/O.

    `skew_s` is its clock minus ours, `release` the one it should have.
    """
    dial = facts.get("dial") or {}
    rate = dial["bytes"] / max(dial["seconds"], 1e-6) if "bytes" in dial else None
    found = [*_python(facts), *_room(facts), *_heat(facts), *_ways(facts, dial, rate)]
    found += _folders(facts)
    if abs(skew_s) > SKEW_S:
        found.append(
            Finding(
                f"its clock is {_span(skew_s)} {'ahead' if skew_s > 0 else 'behind'}",
                "runs work; for readable times in logs: `sudo timedatectl set-ntp true`",
            )
        )
    found += _ssh_version(facts.get("openssh"), strict=facts.get("strict_kex") is not False)
    if facts.get("current") != release:
        has = facts.get("current") or "none"
        found.append(
            Finding(f"release {has}, this machine has {release}", "mapreduce cluster deploy")
        )
    elif "error" in (facts.get("numpy") or {}):
        said = facts["numpy"]["error"]
        found.append(Finding(f"import numpy: {said}", "mapreduce cluster deploy", grave=True))
    return Diagnosis(facts, skew_s, rate, tuple(found))


def told(health: Diagnosis) -> str:
    """Give a line on a host for people."""
    facts = health.facts
    parts = [f"Python {'.'.join(map(str, facts['python']))} {facts['machine']}"]
    parts.append(f"{facts['cores']} cores")
    if facts.get("memory_bytes"):
        parts.append(f"{facts['memory_bytes'] / 2**30:.1f} GiB")
    if facts.get("temperature_c") is not None:
        parts.append(f"{facts['temperature_c']:.0f} °C")
    if health.bytes_per_s:
        parts.append(f"{health.bytes_per_s / 1e6:,.0f} MB/s")
    line = ", ".join(parts)
    return "\n".join([line, *(f"- {f}" for f in health.findings)]) if health.findings else line


def throttled_words(bits: int) -> list[str]:
    """Spell out the bits of `vcgencmd get_throttled` (Raspberry Pi documentation, vcgencmd)."""
    return [text for bit, text in THROTTLED.items() if bits >> bit & 1]


def _python(facts: Mapping[str, Any]) -> Iterator[Finding]:
    try:
        platform_of(facts)
    except HostError as error:
        yield Finding(str(error), "then `mapreduce cluster deploy`", grave=True)


def _room(facts: Mapping[str, Any]) -> Iterator[Finding]:
    free, memory = facts.get("disk_free_bytes"), facts.get("memory_free_bytes")
    if facts.get("untrusted"):
        yield Finding("ROOT is not used", facts["root_error"], grave=True)
    elif facts.get("root_error"):
        text = f"{facts['root']} cannot be written ({facts['root_error']})"
        yield Finding(text, "set root = … in hosts.toml to another folder", grave=True)
    if free is not None and free < LOW_DISK_BYTES:
        full = free < LOW_DISK_BYTES // 4
        remedy = "`sudo apt clean`, or root = … in hosts.toml on another disk"
        yield Finding(f"{free >> 20:,} MiB free on its disk", remedy, grave=full)
    if memory is not None and memory < LOW_MEMORY_BYTES:
        remedy = "set slots = 1 in hosts.toml, or stop other programs there"
        yield Finding(f"{memory >> 20:,} MiB of memory free", remedy)


def _heat(facts: Mapping[str, Any]) -> Iterator[Finding]:
    bits, heat = facts.get("throttled"), facts.get("temperature_c")
    if bits:
        power = bits & UNDER_VOLTAGE
        remedy = (
            "use a stronger power supply or a thicker cable" if power else "a heat sink or a fan"
        )
        yield Finding(", ".join(throttled_words(bits)), f"{remedy}; it works, but slower")
    elif heat is not None and heat > HOT_C:
        yield Finding(f"{heat:.0f} °C", "add a heat sink or a fan; above 80 °C a Pi slows down")


def _ways(
    facts: Mapping[str, Any], dial: Mapping[str, Any], rate: float | None
) -> Iterator[Finding]:
    if "error" in dial:
        remedy = (
            "check address and listen_port in hosts.toml and the firewall of this machine;"
            ' address = "ssh" needs no connection back'
        )
        yield Finding(f"cannot reach this machine ({dial['error']})", remedy, grave=True)
    if "closed" in dial:
        yield Finding("no connection back through SSH", dial["closed"], grave=True)
    if rate is not None and rate < SLOW_BYTES_PER_S:
        remedy = "use a cable instead of Wi-Fi, or a 1 Gbit/s switch"
        yield Finding(f"reads {rate / 1e6:.1f} MB/s from this machine", remedy)
    for place, error in (facts.get("addresses") or {}).items():
        if error:
            remedy = "check endpoints in hosts.toml, and that the store is running"
            yield Finding(f"cannot reach the store at {place} ({error})", remedy, grave=True)


def _folders(facts: Mapping[str, Any]) -> Iterator[Finding]:
    for folder, error in (facts.get("folders") or {}).items():
        if error:
            remedy = "mount it there; until then the host gets no tasks from this folder"
            yield Finding(f"does not see {folder} as this machine does ({error})", remedy)


def _ssh_version(said: str | None, *, strict: bool) -> Iterator[Finding]:
    """Tell of an OpenSSH open to Terrapin; systems that patch old versions agree on strict kex."""
    version = re.match(r"OpenSSH_(\d+)\.(\d+)", said or "")
    if strict:
        return
    shown = f"OpenSSH {version[1]}.{version[2]}" if version else "its SSH server"
    yield Finding(
        f"{shown} is vulnerable to Terrapin (CVE-2023-48795)",
        "install 9.6 or newer, or a patched version: `sudo apt update && sudo apt install"
        " openssh-server`",
    )


def _store_places(host: Host, inventory: Inventory) -> list[str]:
    urls = [host.endpoint] if host.endpoint else inventory.store.endpoints
    places = []
    for url in urls:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        places.append(f"{parts.hostname}:{port}")
    return places


def _imports(remote: Remote, facts: dict[str, Any], plan: Plan) -> None:
    """Ask again with the environment's name, which depends on what the host told."""
    try:
        environment = plan.needs.environment(platform_of(facts))
    except HostError:
        return  # judged from the facts
    if facts["current"] == plan.tree.id and environment in facts["environments"]:
        path = [f"releases/{plan.tree.id}", f"environments/{environment}"]
        facts["numpy"] = remote.ask("facts", {"path": path}, timeout_s=DIAL_S)["numpy"]


def _dialled(remote: Remote, inventory: Inventory, port: int) -> Any:
    """Have a host read from here as its worker would: straight, or back through SSH."""
    place = [inventory.address, port]
    if inventory.address == TUNNEL:
        try:
            place = [LOOPBACK, lead_back(remote, (LOOPBACK, port))]
        except HostError as error:
            return {"closed": str(error)}
    return remote.ask("facts", {"dial": place}, timeout_s=DIAL_S)["dial"]


def _skew(facts: Mapping[str, Any], before: float, after: float) -> float:
    """Give its clock minus ours, as far as the time of the question allows to tell."""
    least, most = facts["clock_end"] - after, facts["clock"] - before
    return float(0.0 if least <= 0 <= most else min(least, most, key=abs))


def _span(seconds: float) -> str:
    seconds = abs(seconds)
    for name, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {name}"
    return f"{seconds:.0f} s"


@contextlib.contextmanager
def _listening(inventory: Inventory) -> Iterator[int | None]:
    """Open the coordinator's address as a run would; send zeros to whoever comes."""
    if inventory.address is None:
        yield None
        return
    address = LOOPBACK if inventory.address == TUNNEL else inventory.address
    try:
        place = socket.getaddrinfo(address, inventory.listen_port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(place[4][:2], family=place[0])
    except OSError as error:
        remedy = "set one of its own addresses; `hostname -I` lists them"
        if error.errno == errno.EADDRINUSE:
            remedy = (
                "another process uses that port, perhaps a run (`ss -ltnp` shows it): wait for"
                " it, or set listen_port = 0 for any free port"
            )
        raise UsageError(
            f"{inventory.path}: this machine cannot listen at address {address!r}, port"
            f" {inventory.listen_port} ({error}): {remedy}"
        ) from None
    with listener:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        yield int(listener.getsockname()[1])


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            line, _ = listener.accept()
        except OSError:
            return  # closed: the examination is over
        with line, contextlib.suppress(OSError):
            line.settimeout(PROBE_S)
            deadline = time.monotonic() + PROBE_S
            chunk, sent = bytes(1 << 18), 0
            while sent < PROBE_BYTES and time.monotonic() < deadline:
                sent += line.send(chunk)
