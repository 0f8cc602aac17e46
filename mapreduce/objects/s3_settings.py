"""S3 settings from where S3 tools look: arguments, environment, then the profile's files.

Nothing is sent from here. Files are read again when they have changed, so that keys another
tool renews are taken up. No message and no `repr` holds a secret.
"""

from __future__ import annotations

import configparser
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mapreduce.errors import UsageError
from mapreduce.objects.secrets import refuse_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_VALIDATION = "AWS_RESPONSE_CHECKSUM_VALIDATION"
_PAYER = "AWS_REQUEST_PAYER"
_ELSEWHERE = ("sso_session", "sso_start_url", "role_arn", "credential_process")


@dataclass(frozen=True, slots=True)
class Keys:
    """Access key, secret key, and the token of a session if there is one."""

    access: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class Profile:
    """A profile of `~/.aws/credentials` and `~/.aws/config`.

    Parameters
    ----------
    environ
        `AWS_PROFILE`, `AWS_SHARED_CREDENTIALS_FILE`, `AWS_CONFIG_FILE` and `HOME` are looked at.

    Raises
    ------
    UsageError
        `AWS_PROFILE` names one that is in neither file, or a file cannot be understood.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        home = Path(environ.get("HOME") or "~").expanduser()
        self.name = environ.get("AWS_PROFILE") or "default"
        self._paths = (
            Path(environ.get("AWS_CONFIG_FILE") or home / ".aws/config").expanduser(),
            Path(
                environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws/credentials"
            ).expanduser(),
        )
        self._seen: tuple[int, ...] = ()
        self._values: dict[str, str] = {}
        self._services: dict[str, str] = {}
        self._read()
        if environ.get("AWS_PROFILE") and not self._values:
            raise UsageError(
                f"AWS_PROFILE is {self.name}, but {' and '.join(map(str, self._paths))}"
                " have no such profile: correct it, or unset AWS_PROFILE"
            )

    def get(self, name: str) -> str | None:
        """One setting, if the profile has it."""
        self._read()
        return self._values.get(name) or None

    @property
    def endpoint(self) -> str | None:
        """Endpoint of S3: that of the profile's services section, or of the profile."""
        return self._services.get("s3") or self.get("endpoint_url")

    def keys(self) -> Keys | None:
        """Read the profile's keys as they are now, if it has any.

        Raises
        ------
        UsageError
            It has half of them, or gets them in a way that is not known here.
        """
        access, secret = self.get("aws_access_key_id"), self.get("aws_secret_access_key")
        if access and secret:
            return Keys(access, secret, self.get("aws_session_token"))
        if access or secret:
            raise UsageError(f"profile {self.name} has only one of access key and secret key")
        if way := next((name for name in _ELSEWHERE if self.get(name)), None):
            raise UsageError(
                f"profile {self.name} gets its keys by {way}, which is not supported. Type:"
                f' eval "$(aws configure export-credentials --profile {self.name} --format env)"'
            )
        return None

    def _read(self) -> None:
        seen = tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in self._paths)
        if seen == self._seen:
            return
        config, credentials = (_parsed(path) for path in self._paths)
        section = self.name if self.name == "default" else f"profile {self.name}"
        self._values = _section(config, section) | _section(credentials, self.name)
        services = _section(config, f"services {self._values.get('services', '')}")
        url = re.search(r"^\s*endpoint_url\s*=\s*(\S+)", services.get("s3", ""), re.MULTILINE)
        self._services = {"s3": url[1]} if url else {}
        self._seen = seen


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach a store.

    Parameters
    ----------
    endpoint
        `http://host:port` or `https://…`; None for Amazon's own.
    region
        None to ask the store (Amazon), or `us-east-1` elsewhere.
    keys
        Fixed keys; None to look further.
    profile
        Where to look; None to look nowhere.
    requester_pays
        Whether requests are paid for by who makes them.
    checked
        Whether what comes over a plain connection is held against what the store says of it.
    """

    endpoint: str | None = None
    region: str | None = None
    keys: Keys | None = None
    profile: Profile | None = None
    checked: bool = True
    requester_pays: bool = False

    def __post_init__(self) -> None:
        if self.endpoint is not None:
            refuse_secret(self.endpoint, "the endpoint")
            parts = urlsplit(self.endpoint)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise UsageError(
                    f"an endpoint is http://HOST:PORT or https://…, not {self.endpoint}"
                )
            if parts.path.strip("/") or parts.query:
                raise UsageError(f"an endpoint has no path: {parts.scheme}://{parts.netloc}")

    def at(self, endpoint: str) -> Settings:
        """Give the same for another node of the store."""
        return replace(self, endpoint=endpoint)

    @property
    def payer_header(self) -> dict[str, str | list[str] | tuple[str]] | None:
        """What each request says of who pays for it: a header, or part of a signed query."""
        return {"x-amz-request-payer": "requester"} if self.requester_pays else None

    @property
    def host(self) -> str:
        """Host and port that answer."""
        return urlsplit(self.endpoint).netloc if self.endpoint else "s3.amazonaws.com"

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.endpoint is None or self.endpoint.startswith("https:")


def _requester_pays(said: str | None) -> bool:
    if said and said != "requester":
        raise UsageError(f"{_PAYER} is requester, or not set; got {said!r}")
    return bool(said)


def find_settings(
    endpoint: str | None = None,
    region: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Look where S3 tools look; what is given goes before.

    Parameters
    ----------
    endpoint, region
        What the user said.
    environ
        None for this process's own.

    Raises
    ------
    UsageError
        Something found cannot be meant; the message says where it stands.
    """
    environ = os.environ if environ is None else environ
    profile = Profile(environ)
    access, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if bool(access) != bool(secret):
        missing = "AWS_SECRET_ACCESS_KEY" if access else "AWS_ACCESS_KEY_ID"
        raise UsageError(f"{missing} is not set, but its counterpart is: set both or neither")
    keys = Keys(access, secret, environ.get("AWS_SESSION_TOKEN")) if access and secret else None
    return Settings(
        endpoint=endpoint
        or environ.get("AWS_ENDPOINT_URL_S3")
        or environ.get("AWS_ENDPOINT_URL")
        or profile.endpoint,
        region=region
        or environ.get("AWS_REGION")
        or environ.get("AWS_DEFAULT_REGION")
        or profile.get("region"),
        keys=keys,
        profile=profile,
        requester_pays=_requester_pays(environ.get(_PAYER)),
        checked=_checked(environ.get(_VALIDATION) or profile.get(_VALIDATION.lower()[4:])),
    )


def _checked(told: str | None) -> bool:
    if told is not None and told.lower() not in {"when_supported", "when_required"}:
        raise UsageError(f"{_VALIDATION} is when_supported or when_required, not {told!r}")
    return told is None or told.lower() == "when_supported"


def _parsed(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)  # raw: a secret may hold a percent sign
    try:
        if path.is_file():
            parser.read_string(path.read_text("utf-8"))
    except (configparser.Error, UnicodeDecodeError):
        # The parser's own message would repeat the line, which may hold a secret.
        raise UsageError(
            f"{path} has a syntax error: expected sections in [ ] and lines name = value"
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    return parser


def _section(parser: configparser.RawConfigParser, name: str) -> dict[str, str]:
    return dict(parser.items(name)) if parser.has_section(name) else {}
