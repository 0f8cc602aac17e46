"""What an answer is that no S3-compatible store gives: a web page, JSON, nothing, another protocol.

Pure: bytes or an error in, words out. What others wrote is shown in part and printable.
"""

from __future__ import annotations

import re
from typing import Final

SHOWN: Final = 80
_TITLE = re.compile(rb"<title[^>]*>([^<]{0,400})", re.IGNORECASE)
_PROLOGUE = rb"\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*<"
_PAGE = re.compile(_PROLOGUE + rb"(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_ROOT = re.compile(_PROLOGUE + rb"(?:[\w.-]+:)?([A-Za-z][\w.-]*)[\s/>]", re.DOTALL)
_NEEDS_TLS = re.compile(rb"HTTP request (?:was )?(?:sent )?to (?:an )?HTTPS", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"
USE_TLS: Final = "it uses TLS: begin the endpoint with https:// instead of http://"
NO_TLS: Final = "it does not use TLS: begin the endpoint with http:// instead of https://"
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG",
            "UNKNOWN_PROTOCOL", "HTTP_REQUEST")  # fmt: skip
_CERTIFICATE = {  # in this order: the last is in the text of all of them
    "Hostname mismatch": "its certificate is for another name: use that name in the endpoint",
    "IP address mismatch": "its certificate is for another name: use that name in the endpoint",
    "has expired": "its certificate has expired: renew it, or set this machine's clock",
    "not yet valid": "its certificate is not valid yet: set this machine's clock",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not trusted: set SSL_CERT_FILE to the"
    " authority's",
}
_TLS_ALERT = ("\x15\x03", "\\x15\\x03")


def excerpt(text: str) -> str:
    """Cut a text that a server wrote, with spaces for what a terminal would obey."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text[:4096]).split())
    return plain if len(plain) <= SHOWN else plain[:SHOWN] + "…"


def root_of(data: bytes) -> str:
    """Name of an XML document's root element, without its namespace; empty for anything else."""
    found = _ROOT.match(data.removeprefix(_BOM)[:4096])
    return "" if found is None or is_page(data) else found[1].decode()


def is_page(data: bytes) -> bool:
    """Whether this is a web page."""
    return _PAGE.match(data.removeprefix(_BOM)[:4096]) is not None


def described(data: bytes) -> str:
    """Say what an answer that is no S3 document holds."""
    if not data.strip():
        return "nothing"
    if _NEEDS_TLS.search(data[:4096]):
        return f"a refusal: {USE_TLS}"
    if is_page(data):
        title = _TITLE.search(data)
        named = excerpt(title[1].decode("utf-8", "replace")) if title else ""
        return f'a web page, "{named}"' if named else "a web page"
    if root := root_of(data):
        return f"an XML document <{excerpt(root)}>"
    text = excerpt(data[:4096].decode("utf-8", "replace"))
    return f"JSON, {text}" if data.lstrip()[:1] in {b"{", b"["} else f'"{text}"'


def tls_fault(error: BaseException) -> str | None:
    """Say what of TLS keeps any connection from being made; None where another may be."""
    text = f"{error}"
    if any(sign in text for sign in _TLS_ALERT):
        return USE_TLS
    if "[SSL" not in text and "SSLError" not in type(error).__name__:
        return None
    if "EOF" in text:  # cut, as any connection may be
        return None
    if any(sign in text.upper().replace(" ", "_") for sign in _NOT_TLS):
        return NO_TLS
    return next((told for sign, told in _CERTIFICATE.items() if sign in text), None)


def tls_words(error: BaseException) -> str | None:
    """Say what a failed connection has to do with TLS; None for nothing."""
    text = f"{error}"
    if (told := tls_fault(error)) is not None or "[SSL" not in text or "EOF" in text:
        return told
    return f"TLS failed ({excerpt(text)}): is it the right port, and does the server use TLS?"
