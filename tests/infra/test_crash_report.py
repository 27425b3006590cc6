"""A crash report is for its owner alone, holds no secret, and never makes things worse."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sparkdesk.infra.crash_report import KEPT, without_secrets, write_report


@pytest.mark.parametrize(
    "text",
    [
        "password='hunter2'",
        "login(password=hunter2, user=me)",
        "{'api_key': 'hunter2'}",
        'api-key: "hunter2"',
        "HF_TOKEN=hunter2",
        "Authorization: Bearer hunter2",
        "passphrase = b'hunter2'",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nhunter2 and the rest is cut off",
    ],
)
def test_what_looks_like_a_secret_is_left_out(text: str) -> None:
    assert "hunter2" not in without_secrets(text)


def test_the_rest_of_a_traceback_stays() -> None:
    text = 'File "a.py", line 3, in sign_in\n    raise KeyError("node")\nKeyError: 12 tokens of 30\n'
    assert without_secrets(text) == text


def test_a_report_is_for_its_owner_alone_and_old_ones_go(tmp_path: Path) -> None:
    for index in range(KEPT + 3):
        path = write_report(tmp_path, f"report {index} token=abc")
        assert path is not None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "abc" not in path.read_text()
    assert len(list(tmp_path.iterdir())) == KEPT


def test_a_folder_that_is_gone_is_no_second_mistake(tmp_path: Path) -> None:
    assert write_report(tmp_path / "gone", "text") is None
