"""TLS without a socket: what came in, what is to go out, and who the peer has proven to be.

Nothing of a peer is given on before its handshake is complete, and no certificate's name before
the authority's signature on it was checked. No buffer has a size that a peer chooses.
"""

from __future__ import annotations

import ssl
from typing import Final

RECORD_BYTES: Final = 1 << 14  # OpenSSL gives a record at a time
HANDSHAKE_BYTES: Final = 1 << 16  # most that a peer may send before it has proven who it is


class TlsStreamError(Exception):
    """The peer did not prove who it is, or broke TLS; its own, never this program's fault."""


class TlsStream:
    """One TLS connection, seen from one side; where it dials, `server_name` must be proven."""

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool = True, server_name: str | None = None
    ) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side, server_name)
        self._fed = 0
        self.open = False
        self.ended = False
        if not server_side:
            self._shake()

    @property
    def certificate(self) -> dict[str, object]:
        """The peer's certificate, as `ssl` gives it; empty before the handshake is complete."""
        return dict(self._tls.getpeercert() or {}) if self.open else {}

    def feed(self, data: bytes) -> bytes:
        """Take bytes from the peer; give what they say, once it is known who says it.

        Raises TlsStreamError where the peer is a stranger, or speaks no TLS. `outgoing` then holds
        the alert.
        """
        self._in.write(data)
        try:
            if not self.open:
                self._fed += len(data)
                if not self._shake():
                    if self._fed > HANDSHAKE_BYTES:
                        raise TlsStreamError(f"a handshake of more than {HANDSHAKE_BYTES:,} bytes")
                    return b""
            return self._read()
        except (ssl.SSLError, ssl.CertificateError) as error:
            self.ended = True
            raise TlsStreamError(f"it did not prove its identity ({_reason(error)})") from None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt what this side says."""
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]

    def outgoing(self) -> bytes:
        """Give, and forget, the bytes that are to go out now."""
        return self._out.read()

    def close(self) -> None:
        """Say that nothing more will come from this side."""
        if self.open and not self.ended:
            try:
                self._tls.unwrap()
            except ssl.SSLError:  # the peer has not said so yet: it is not waited for
                return

    def _shake(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.open = True
        return True

    def _read(self) -> bytes:
        pieces: list[bytes] = []
        try:
            while self._in.pending or self._tls.pending():
                piece = self._tls.read(RECORD_BYTES)
                if not piece:
                    self.ended = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:  # a record that is not whole yet
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error).lower().replace("_", " ")
