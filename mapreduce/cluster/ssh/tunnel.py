"""A way back through SSH, for hosts that cannot dial this machine: a port there that leads here.

The host's SSH server listens on its own 127.0.0.1 and hands each connection to us on the line that
we opened; here it goes on to the coordinator byte by byte. TLS runs through it from end to end, so
whoever else dials that port gains nothing. A line that breaks is made again to the same port, where
the agent dials. What is on its way is bounded by SSH's windows, and connections by number: anybody
on the host may dial.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any, Final

from mapreduce.cluster.inventory.inventory import Host, Inventory
from mapreduce.cluster.ssh.ssh import HostError, Remote
from mapreduce.errors import MapReduceError

WINDOW_BYTES: Final = 1 << 19  # on its way here, of each connection
CHUNK_BYTES: Final = 1 << 15
MOST_LINES: Final = 256  # of one host at a time: a slot has up to four, the agent one
CONNECT_S: Final = 10.0
ALIVE_S: Final = 10  # between signs of life, which also keep a NAT's memory fresh
LOST_S: Final = 30  # without an answer, after which the line is taken for broken
FIRST_PAUSE_S: Final = 0.5  # before a line is made again
LONGEST_PAUSE_S: Final = 10.0
LOOK_S: Final = 0.5
JOIN_S: Final = 5.0


def lead_back(remote: Remote, target: tuple[str, int], port: int = 0) -> int:
    """Have a port of a host lead to an address of this machine; give the port.

    It ends with the connection to the host. `port` is which one; 0 for any free one.
    """
    transport = remote.connection.transport
    transport.default_window_size = WINDOW_BYTES

    room = threading.BoundedSemaphore(MOST_LINES)

    def took(channel: Any, _origin: object, _server: object) -> None:
        if not room.acquire(blocking=False):
            _close(channel)
            return
        name, args = f"tunnel-{remote.host.name}", (channel, target, room)
        threading.Thread(target=_carry, args=args, name=name, daemon=True).start()

    return remote.forward(port, took)


class Tunnel:
    """The way back of one host, through a whole run.

    It leads from `port` of the host's 127.0.0.1, known once it is open, to `target` here.
    """

    def __init__(self, host: Host, inventory: Inventory, target: tuple[str, int]) -> None:
        self.port = 0
        self._host = host
        self._inventory = inventory
        self._target = target
        self._remote: Remote | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"keep-{host.name}", daemon=True)

    @property
    def remote(self) -> Remote:
        """The connection it runs through, for the agent's start; a HostError where it is closed."""
        if self._remote is None:
            raise HostError("the connection back through SSH is closed")
        return self._remote

    def open(self) -> None:
        """Open it, and keep it open; raise why it cannot be."""
        self._connect()
        self._keeper.start()

    def close(self) -> None:
        """Close it, and all that runs through it."""
        with self._lock:
            self._over.set()
            remote, self._remote = self._remote, None
        if remote is not None:
            remote.close()
        if self._keeper.ident is not None:
            self._keeper.join(JOIN_S)

    def _connect(self) -> None:
        remote = Remote(self._host, self._inventory)
        with contextlib.ExitStack() as opened:
            opened.enter_context(remote)
            transport = remote.connection.transport
            transport.set_keepalive(ALIVE_S)
            _notice_silence(transport.sock)
            self.port = lead_back(remote, self._target, self.port)
            with self._lock:
                if not self._over.is_set():
                    self._remote = remote
                    opened.pop_all()

    def _keep(self) -> None:
        while not self._over.is_set():
            remote = self._remote
            if remote is not None:
                transport = remote.connection.transport
                transport.join(LOOK_S)  # it is a thread, which ends with the connection
                if not transport.is_alive():
                    remote.close()
                    self._open_again()

    def _open_again(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._over.wait(pause_s):
            try:
                self._connect()
            except MapReduceError:  # away, or its server still holds the port: a matter of time
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                return


def _carry(channel: Any, target: tuple[str, int], room: threading.BoundedSemaphore) -> None:
    """Carry one connection, both ways, until either side closes it; then there is room again."""
    with contextlib.ExitStack() as ended:
        ended.callback(room.release)
        ended.callback(_close, channel)
        try:
            near = socket.create_connection(target, timeout=CONNECT_S)
        except OSError:
            return  # the run is over: as if nobody listened
        near.settimeout(None)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with near:
            name = f"{threading.current_thread().name}-back"
            args = (near.recv, channel.sendall, channel.close)
            back = threading.Thread(target=_pour, args=args, name=name, daemon=True)
            back.start()
            _pour(channel.recv, near.sendall, lambda: near.shutdown(socket.SHUT_RDWR))
            _close(channel)  # or what is sent into it would wait for room
            back.join()


def _close(channel: Any) -> None:
    with contextlib.suppress(OSError, EOFError):  # the line it ran through broke before
        channel.close()


def _pour(
    take: Callable[[int], bytes], give: Callable[[bytes], object], end: Callable[[], object]
) -> None:
    """Move bytes one way until there are none; nothing more is taken than can be given."""
    with contextlib.suppress(OSError, EOFError):  # whichever side broke, both end
        while body := take(CHUNK_BYTES):
            give(body)
    with contextlib.suppress(OSError, EOFError):
        end()


def _notice_silence(line: object) -> None:
    """Have a connection end that is answered no more; one through a jump host is that host's."""
    if isinstance(line, socket.socket) and hasattr(socket, "TCP_USER_TIMEOUT"):
        with contextlib.suppress(OSError):  # it broke already: who uses it next will say so
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, LOST_S * 1000)
