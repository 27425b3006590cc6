"""What is said of a mistake holds no secret and still says where it is."""

from __future__ import annotations

import pytest

from sparkdesk.core.bug import describe_bug, without_secrets


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


def test_a_mistake_is_told_with_its_place_and_its_cause_and_without_the_password() -> None:
    try:
        try:
            raise ValueError("password='hunter2'")
        except ValueError as error:
            raise RuntimeError("it failed") from error
    except RuntimeError as bug:
        text = describe_bug(bug)
    assert "hunter2" not in text
    assert "ValueError: password=" in text
    assert "RuntimeError: it failed" in text
    assert "test_bug.py" in text
