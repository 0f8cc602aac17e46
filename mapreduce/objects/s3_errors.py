"""What an answer that is no success means for the object, the store and the run.

Pure: status, error code and message in, an error of the tree out, or None where asking again
may help. The rule: only what is certainly one object's own is booked on it. Messages name
host, bucket's error code and key; never a URL with its signature.

Codes: Amazon S3 API reference, "Error responses"; MinIO, SeaweedFS, Garage and Ceph use the
same names, and say in words that a signature has expired.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mapreduce.errors import ExpiredError, MapReduceError, ObjectError, StoreError
from mapreduce.objects.foreign_answers import described

if TYPE_CHECKING:
    from collections.abc import Mapping

_PASSING = {408, 425, 429, 500, 502, 503, 504}
_PASSING_CODES = {"SlowDown", "InternalError", "RequestTimeout", "ServiceUnavailable"}
_EXPIRED_CODES = {"ExpiredToken", "TokenRefreshRequired", "RequestExpired"}
_REGION = re.compile(r"[a-z0-9-]{1,63}")  # it becomes part of a host's name
_SAID_REGION = re.compile(rb"<Region>\s*([a-z0-9-]{1,63})\s*</Region>")
_EXPIRED_WORDS = re.compile(r"expired|too old", re.IGNORECASE)
REMEDIES = {
    "InvalidAccessKeyId": "the access key is unknown: check AWS_ACCESS_KEY_ID and the endpoint",
    "InvalidToken": "the session token is wrong: renew AWS_SESSION_TOKEN",
    "InvalidTokenId": "the session token is wrong: renew AWS_SESSION_TOKEN",
    "SignatureDoesNotMatch": "the secret key is wrong: check AWS_SECRET_ACCESS_KEY",
    "RequestTimeTooSkewed": "the clock of the machine that signs requests is wrong: set it",
    "AuthorizationHeaderMalformed": "the region is wrong: set AWS_REGION",
    "AuthorizationQueryParametersError": "the region is wrong: set AWS_REGION",
    "PermanentRedirect": "the bucket is in another region: set AWS_REGION or the endpoint",
    "TemporaryRedirect": "the bucket is temporarily at another endpoint: set AWS_REGION",
    "NoSuchBucket": "there is no such bucket: check its name and the endpoint",
    "AllAccessDisabled": "access to the bucket is disabled for everyone: ask its owner",
    "AccountProblem": "the account is suspended: ask its owner",
}
_OWN_CODES = {
    "InvalidObjectState": "it is archived: restore it first",
    "AccessDenied": "access is denied: grant s3:GetObject on it",
}


def refusal(  # noqa: PLR0911 - a list of cases, one answer each
    status: int, body: bytes, key: str, host: str, headers: Mapping[str, str] | None = None
) -> MapReduceError | None:
    """Error that a response means, or None if asking again may help.

    Parameters
    ----------
    status
        HTTP status, not 200 or 206.
    body
        The response's first kilobytes: an S3 error document, or anything.
    key
        The object asked for.
    host
        Whom it was asked of.
    headers
        The response's, for the region a redirect names.
    """
    code, words = error_code(body)
    seen = f"{status} {code}".strip()
    if code in _EXPIRED_CODES or (status in {400, 401, 403} and _EXPIRED_WORDS.search(words)):
        return ExpiredError(f"{host} no longer accepts the signed URL ({seen}): sign again")
    if code in REMEDIES:
        region = region_told(headers or {}, body)
        hint = f" (it says {region})" if region else ""
        return StoreError(f"{host} refused ({seen}): {REMEDIES[code]}{hint}")
    if status in _PASSING or code in _PASSING_CODES:
        return None
    if status in {412, 416}:
        return ObjectError("changed", f"{key}: the version that was listed no longer exists")
    if status in {404, 410}:
        return ObjectError("gone", f"{key}: {host} answered {seen}")
    if code in _OWN_CODES:
        return ObjectError("unreadable", f"{key}: {host} answered {seen}; {_OWN_CODES[code]}")
    if code and status in {400, 405, 409}:
        return ObjectError("unreadable", f"{key}: {host} answered {seen}")
    what = "" if code else f" with {described(body)}"
    return StoreError(
        f"{host} answered {seen}{what}, which an S3-compatible store should not: is the endpoint"
        " right, or is there a proxy in between?"
    )


def region_told(headers: Mapping[str, str], body: bytes) -> str:
    """Give the region that an answer says a bucket is in; empty where it says none."""
    said = headers.get("x-amz-bucket-region", "")
    if not said and (found := _SAID_REGION.search(body)):
        said = found[1].decode()
    return said if _REGION.fullmatch(said) else ""


def error_code(body: bytes) -> tuple[str, str]:
    """Code and message of an S3 error document; empty where it is none."""
    text = body.decode("utf-8", "replace")
    code = re.search(r"<Code>\s*([A-Za-z0-9_.]{1,64})\s*</Code>", text)
    words = re.search(r"<Message>([^<]{0,400})</Message>", text)
    return (code[1] if code else ""), (words[1].strip() if words else "")
