"""What the `minio` client raises while it lists and signs, as the store's fault with what to do."""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import ParseError

from minio.error import InvalidResponseError, MinioException, S3Error
from urllib3.exceptions import (
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    ProtocolError,
    ResponseError,
    SSLError,
)

from mapreduce.errors import StoreError
from mapreduce.objects.foreign_answers import excerpt, tls_words
from mapreduce.objects.s3_errors import REMEDIES, region_told

CLIENT_FAILURES: Final = (MinioException, HTTPError, ValueError, ParseError)


def failure(error: Exception, where: str, *, secure: bool, anonymous: bool) -> StoreError:
    """Give the error that a failure of the client means.

    Parameters
    ----------
    error
        One of `CLIENT_FAILURES`.
    where
        What was asked of whom.
    secure, anonymous
        Whether TLS was spoken, and whether no credentials were found.
    """
    if isinstance(error, S3Error):
        code = excerpt(error.code or "an error without a code")
        return StoreError(f"{where}: {code}: {_remedy(error, anonymous=anonymous)}")
    cause = error.reason if isinstance(error, MaxRetryError) else error
    if isinstance(cause, SSLError | ProtocolError) and (told := tls_words(cause)):
        what = told
    elif isinstance(cause, NameResolutionError):
        what = "no such host: check the endpoint"
    elif isinstance(cause, ResponseError):
        what = "it redirects endlessly: check the endpoint"
    elif isinstance(error, HTTPError):
        what = f"no answer ({type(cause).__name__}): is it running, and is the endpoint right?"
        if isinstance(cause, ProtocolError) and not secure:
            what += " If it uses TLS, the endpoint must begin with https://"
    elif isinstance(error, InvalidResponseError | ParseError):
        what = "the server is not an S3-compatible store: check the endpoint and its port"
    else:
        what = f"its answer is not that of an S3-compatible store ({excerpt(str(error))})"
    return StoreError(f"{where}: {what}")


def _remedy(error: S3Error, *, anonymous: bool) -> str:
    if error.code in REMEDIES:
        region = region_told(error.response.headers, error.response.data)
        return REMEDIES[error.code] + (f" (it says {region})" if region else "")
    if error.code == "AccessDenied" and anonymous:
        return (
            "no credentials were found, and it is not public: set AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    if error.code == "AccessDenied":
        return "these credentials may not list it: grant them s3:ListBucket"
    if error.code in {"ExpiredToken", "TokenRefreshRequired"}:
        return "the credentials have expired: renew them and resume"
    return f"{excerpt(error.message or 'it said no more')}; resume when that is corrected"
