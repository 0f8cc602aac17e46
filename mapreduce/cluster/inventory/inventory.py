"""hosts.toml: which hosts there are, how each is reached, and where this machine can be dialled.

Every refusal names the file, the line and the table, what was expected and what was found. Values
a host leaves out come from `[cluster]`, then from `~/.ssh/config` when a connection is made. No
secret belongs here, and none is accepted.
"""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from mapreduce.cluster.inventory.host_range import expand
from mapreduce.cluster.inventory.hosts_toml import ClusterTable, File, HostTable, StoreTable
from mapreduce.cluster.inventory.mistakes import TomlText, shown
from mapreduce.errors import UsageError

NAME: Final = "hosts.toml"
TUNNEL: Final = "ssh"  # as `address`: workers come back through SSH
MAX_SLOTS: Final = 1024
MAX_PORT: Final = 65535
MAX_REQUESTS: Final = 1_000_000
PUBLIC: Final = (b"ssh-", b"ecdsa-", b"sk-")  # how a public key begins
_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
ADDRESS = re.compile(r"[A-Za-z0-9:][A-Za-z0-9._:%-]{0,252}", re.ASCII)
_USER = re.compile(r"[^\s@:\x00-\x1f\x7f-][^\s@:\x00-\x1f\x7f]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Host:
    """One host. What is None is left to `~/.ssh/config` (or, for slots, to what the host has)."""

    name: str
    address: str
    user: str | None = None
    ssh_port: int | None = None
    identity: Path | None = None
    python: str = "python3"
    slots: int | None = None
    endpoint: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """A checked hosts.toml; relative paths in it count from its own folder."""

    path: Path
    name: str
    address: str | None
    listen_port: int
    known_hosts: Path
    root: str
    store: StoreTable
    hosts: tuple[Host, ...]

    def select(
        self, only: Sequence[str] = (), without: Sequence[str] = (), tags: Sequence[str] = ()
    ) -> tuple[Host, ...]:
        """Give the hosts wanted, in the file's order: names, ranges or globs; any of the tags.

        Raises UsageError where a name or tag fits no host, or none is left.
        """
        chosen = self._named(only, "--only") if only else {h.name for h in self.hosts}
        chosen -= self._named(without, "--except")
        if tags:
            known = sorted({t for h in self.hosts for t in h.tags})
            for tag in set(tags) - set(known):
                have = ", ".join(known) or "none"
                raise UsageError(f"--tag {tag}: no host in {self.path} has it; tags there: {have}")
        wanted = [h for h in self.hosts if h.name in chosen and (not tags or {*tags} & {*h.tags})]
        if not wanted:
            raise UsageError(f"no host of {self.path} matches --only, --except and --tag")
        return tuple(wanted)

    def _named(self, texts: Sequence[str], option: str) -> set[str]:
        found: set[str] = set()
        for text in [t for joined in texts for t in _commas(joined)]:
            for pattern in [text] if "*" in text or "?" in text else expand(text):
                fits = {h.name for h in self.hosts if fnmatch.fnmatchcase(h.name, pattern)}
                if not fits:
                    have = ", ".join(h.name for h in self.hosts[:8])
                    more = ", …" if len(self.hosts) > 8 else ""  # noqa: PLR2004 - names shown
                    raise UsageError(
                        f"{option} {pattern}: no such host in {self.path}; it has {have}{more}"
                    )
                found |= fits
        return found


def load(path: str | Path = NAME) -> Inventory:
    """Read and check an inventory.

    Raises UsageError where the file is absent or anything in it cannot be meant, with the place.
    """
    path = Path(path).expanduser()
    try:
        body = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise UsageError(
            f"no inventory at {path}: `mapreduce cluster init 192.168.10.101-116` creates one,"
            " --inventory selects another"
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        text = body.decode("utf-8-sig")  # Notepad writes a mark before it
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{body[error.start]:02x}"
        raise UsageError(
            f"{path}:{line}: expected UTF-8 text, found {found}: save the file as UTF-8"
        ) from None
    return parsed(text, path)


def parsed(text: str, path: Path) -> Inventory:
    """Check the text of an inventory that is, or is to be, at a path; raises as `load` does."""
    return _Reading(path, text).inventory()


class _Reading:
    """One file being read: turns places in it into lines for people."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.written = TomlText(path, text)
        self.refusal = self.written.refusal
        self.folder = path.resolve().parent
        try:
            self.tree = tomllib.loads(text)
            self.file = msgspec.convert(self.tree, File)
        except tomllib.TOMLDecodeError as error:
            raise self.written.of_toml(str(error)) from None
        except msgspec.ValidationError as error:
            raise self.written.of_shape(str(error)) from None
        except (ValueError, RecursionError) as error:  # a number of too many digits, too many [
            raise self.written.of_python(error) from None

    def inventory(self) -> Inventory:
        """Check what types cannot, and put defaults in."""
        cluster, store = self.file.cluster, self.file.store
        self._check_cluster(cluster)
        self._check_store(store)
        hosts = [h for i, table in enumerate(self.file.hosts) for h in self._hosts(i, table)]
        if not hosts:
            raise self.refusal("hosts", 0, None, "expected at least one [[hosts]]", "none")
        return Inventory(
            path=self.path,
            name=cluster.name,
            address=cluster.address,
            listen_port=cluster.listen_port,
            known_hosts=self._path(cluster.known_hosts),
            root=cluster.root,
            store=store,
            hosts=tuple(self._distinct(hosts)),
        )

    def _check_cluster(self, table: ClusterTable) -> None:
        c = "cluster"
        if table.address is not None:
            self._fits(c, 0, "address", table.address, ADDRESS, "an address or a host's name")
        self._port(c, 0, "listen_port", table.listen_port, least=0)
        self._shared(c, 0, table)
        for key in ("root", "known_hosts", "name"):
            self._plain(c, 0, key, getattr(table, key))
        if Path(table.root).parts in {(), ("/",), ("~",)} or ".." in Path(table.root).parts:
            expected = "a folder of its own, such as .mapreduce (`remove` deletes it)"
            raise self.refusal(c, 0, "root", f"expected {expected}", repr(table.root))
        if ":" in table.root:
            expected = "expected no ':', because it separates folders in Python's module path"
            raise self.refusal(c, 0, "root", expected, repr(table.root))

    def _check_store(self, store: StoreTable) -> None:
        for url in store.endpoints:
            self._url("store", 0, "endpoints", url)
        for folder in store.shared:
            self._plain("store", 0, "shared", folder)
            if not Path(folder).is_absolute() or {"..", "/"} & {*Path(folder).parts[1:], folder}:
                expected = "expected an absolute path of a folder, such as /mnt/trips"
                raise self.refusal("store", 0, "shared", expected, repr(folder))
        if not 1 <= store.max_requests <= MAX_REQUESTS:
            at = ("store", 0, "max_requests")
            raise self.refusal(*at, f"expected 1 to {MAX_REQUESTS}", shown(store.max_requests))

    def _hosts(self, i: int, table: HostTable) -> Iterator[Host]:
        names = self._expanded(i, "name", table.name)
        addresses = self._expanded(i, "address", table.address or table.name)
        if len(names) != len(addresses):
            found = f"{len(names)} names and {len(addresses)} addresses"
            raise self.refusal("hosts", i, "address", "expected as many addresses as names", found)
        for name in names:
            self._fits("hosts", i, "name", name, _HOST_NAME, "letters, digits, '.', '_' and '-'")
        for address in addresses:
            self._fits("hosts", i, "address", address, ADDRESS, "an address or an SSH alias")
        self._shared("hosts", i, table)
        if table.slots is not None and not 1 <= table.slots <= MAX_SLOTS:
            at = ("hosts", i, "slots")
            raise self.refusal(*at, f"expected 1 to {MAX_SLOTS}", shown(table.slots))
        for tag in table.tags:
            self._plain("hosts", i, "tags", tag)
        if table.endpoint is not None:
            self._url("hosts", i, "endpoint", table.endpoint)
        cluster = self.file.cluster
        identity = table.identity or cluster.identity
        for name, address in zip(names, addresses, strict=True):
            yield Host(
                name=name,
                address=address,
                user=table.user or cluster.user,
                ssh_port=table.ssh_port or cluster.ssh_port,
                identity=self._path(identity) if identity else None,
                python=table.python or cluster.python,
                slots=table.slots,
                endpoint=table.endpoint,
                tags=table.tags,
            )

    def _distinct(self, hosts: Iterable[Host]) -> Iterator[Host]:
        seen: dict[tuple[str, object], str] = {}
        for host in hosts:
            for what, value in (("name", host.name), ("address", (host.address, host.ssh_port))):
                if (what, value) in seen:
                    said = value if isinstance(value, str) else value[0]
                    raise UsageError(
                        f"{self.path}: expected every host once, found {what} {said!r} twice:"
                        f" for {seen[what, value]} and {host.name}"
                    )
                seen[what, value] = host.name
            yield host

    def _shared(self, table: str, i: int, given: ClusterTable | HostTable) -> None:
        if given.user is not None:
            self._fits(table, i, "user", given.user, _USER, "a login name")
        if given.ssh_port is not None:
            self._port(table, i, "ssh_port", given.ssh_port, least=1)
        for key in ("identity", "python"):
            value = getattr(given, key)
            if value is not None:
                self._plain(table, i, key, value)
        if given.identity is not None:
            self._private(table, i, given.identity)

    def _private(self, table: str, i: int, identity: str) -> None:
        """Refuse a public key: who logs in proves that they have the private one."""
        try:
            with self._path(identity).open("rb") as file:
                public = file.read(16).startswith(PUBLIC)
        except OSError:  # whoever needs it says what is wrong with it
            public = False
        if public or identity.endswith(".pub"):
            own = identity.removesuffix(".pub")
            expected = "expected the private key" + (f", {own!r}" if own != identity else "")
            raise self.refusal(table, i, "identity", expected, f"the public key, {identity!r}")

    def _expanded(self, i: int, key: str, text: str) -> list[str]:
        try:
            return expand(text)
        except UsageError as error:
            raise self.refusal("hosts", i, key, str(error), None) from None

    def _plain(self, table: str, i: int, key: str, text: str) -> None:
        if not text or text.startswith("-") or not text.isprintable():
            expected = "expected text on one line, all visible, that does not begin with '-'"
            raise self.refusal(table, i, key, expected, repr(text))

    def _fits(
        self, table: str, i: int, key: str, text: str, pattern: re.Pattern[str], expected: str
    ) -> None:
        if not pattern.fullmatch(text) or not text.isprintable():
            raise self.refusal(table, i, key, f"expected {expected}", repr(text))

    def _port(self, table: str, i: int, key: str, port: int, *, least: int) -> None:
        if not least <= port <= MAX_PORT:
            raise self.refusal(table, i, key, f"expected {least} to {MAX_PORT}", shown(port))

    def _url(self, table: str, i: int, key: str, url: str) -> None:
        try:
            parts = urlsplit(url)
            fits = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            fits, parts = False, urlsplit("")
        if parts.username or parts.password:
            expected = "expected no credentials here: they come from AWS_ACCESS_KEY_ID and so on"
            raise self.refusal(table, i, key, expected, f"{parts.scheme}://…@{parts.hostname}")
        if not fits or _CONTROL.search(url) or " " in url:
            raise self.refusal(table, i, key, "expected http://host:port", repr(url))

    def _path(self, text: str) -> Path:
        return self.folder / Path(text).expanduser()


def _commas(text: str) -> list[str]:
    """Split at commas that stand outside brackets."""
    parts: list[Any] = re.split(r",(?![^\[]*\])", text)
    return [p.strip() for p in parts if p.strip()]
