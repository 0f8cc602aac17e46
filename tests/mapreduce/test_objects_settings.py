"""S3 settings from arguments, environment and the profile's files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mapreduce.errors import UsageError
from mapreduce.objects.s3_settings import Keys, Profile, Settings, find_settings

if TYPE_CHECKING:
    from pathlib import Path

CREDENTIALS = """
[default]
aws_access_key_id = DEFAULT
aws_secret_access_key = s%cr=t%%
[work]
aws_access_key_id = WORK
aws_secret_access_key = canary
aws_session_token = token
[half]
aws_access_key_id = HALF
"""
CONFIG = """
[default]
region = eu-west-1
[profile work]
region = eu-north-1
endpoint_url = http://all:1
services = mine
[profile sso]
sso_session = corp
region = us-east-2
[services mine]
s3 =
  endpoint_url = http://s3:2
dynamodb =
  endpoint_url = http://other:3
"""


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(CREDENTIALS)
    (tmp_path / ".aws/config").write_text(CONFIG)
    return {"HOME": str(tmp_path)}


def test_the_default_profile_is_found_percent_signs_and_all(home: dict[str, str]) -> None:
    found = find_settings(environ=home)
    assert found.region == "eu-west-1"
    assert found.keys is None
    assert found.profile is not None
    assert found.profile.keys() == Keys("DEFAULT", "s%cr=t%%")


def test_a_named_profile_brings_its_token_region_and_endpoint(home: dict[str, str]) -> None:
    found = find_settings(environ=home | {"AWS_PROFILE": "work"})
    assert (found.endpoint, found.region) == ("http://s3:2", "eu-north-1")
    assert found.profile is not None
    assert found.profile.keys() == Keys("WORK", "canary", "token")


def test_arguments_go_before_environment_and_that_before_profiles(home: dict[str, str]) -> None:
    environ = home | {
        "AWS_PROFILE": "work",
        "AWS_ENDPOINT_URL_S3": "http://env-s3:1",
        "AWS_ENDPOINT_URL": "http://env:1",
        "AWS_DEFAULT_REGION": "env-default",
        "AWS_ACCESS_KEY_ID": "ENV",
        "AWS_SECRET_ACCESS_KEY": "env",
    }
    found = find_settings(environ=environ)
    assert (found.endpoint, found.region) == ("http://env-s3:1", "env-default")
    assert found.keys == Keys("ENV", "env")
    del environ["AWS_ENDPOINT_URL_S3"]
    assert find_settings(environ=environ).endpoint == "http://env:1"
    found = find_settings("http://arg:1", "arg", environ | {"AWS_REGION": "env"})
    assert (found.endpoint, found.region) == ("http://arg:1", "arg")


def test_files_may_be_elsewhere(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("[x]\naws_access_key_id=A\naws_secret_access_key=B\n")
    environ = home | {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "keys"), "AWS_PROFILE": "x"}
    assert Profile(environ).keys() == Keys("A", "B")


def test_keys_that_another_tool_renews_are_taken_up(home: dict[str, str], tmp_path: Path) -> None:
    profile = Profile(home)
    assert profile.keys() == Keys("DEFAULT", "s%cr=t%%")
    path = tmp_path / ".aws/credentials"
    path.write_text(CREDENTIALS.replace("DEFAULT", "RENEWED"))
    os.utime(path, (1, 1))
    renewed = profile.keys()
    assert renewed is not None
    assert renewed.access == "RENEWED"


def test_nothing_anywhere_is_fine(tmp_path: Path) -> None:
    found = find_settings(environ={"HOME": str(tmp_path)})
    assert (found.endpoint, found.region, found.keys) == (None, None, None)
    assert found.profile is not None
    assert found.profile.keys() is None
    assert found.host == "s3.amazonaws.com"
    assert found.secure


def test_a_profile_that_is_not_there_is_named(home: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="AWS_PROFILE is other"):
        find_settings(environ=home | {"AWS_PROFILE": "other"})


def test_half_a_pair_of_keys_is_refused(home: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="AWS_SECRET_ACCESS_KEY is not set"):
        find_settings(environ=home | {"AWS_ACCESS_KEY_ID": "A"})
    with pytest.raises(UsageError, match="only one of"):
        Profile(home | {"AWS_PROFILE": "half"}).keys()


def test_a_profile_that_signs_in_elsewhere_says_what_to_type(home: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="export-credentials --profile sso"):
        Profile(home | {"AWS_PROFILE": "sso"}).keys()


def test_a_file_that_cannot_be_understood_is_not_repeated(
    home: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / ".aws/credentials").write_text("aws_secret_access_key canary\n")
    with pytest.raises(UsageError, match="has a syntax error") as caught:
        find_settings(environ=home)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("endpoint", ["host:9000", "ftp://host", "http://", "http://host/path"])
def test_an_endpoint_that_cannot_be_one_is_refused(endpoint: str) -> None:
    with pytest.raises(UsageError, match="an endpoint"):
        Settings(endpoint)


def test_no_repr_shows_a_secret() -> None:
    assert "canary" not in repr(Settings(keys=Keys("A", "canary", "canary")))
