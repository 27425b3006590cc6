"""The address of a server is read as it was meant, or refused with the reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.server_url import read_server_url
from sparkdesk.core.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("http://127.0.0.1:8000/v1", "127.0.0.1", 8000, "/v1"),
        ("  spark-5c2d.local:8080 ", "spark-5c2d.local", 8080, "/v1"),
        ("http://desk/api/v1/", "desk", 80, "/api/v1"),
        ("http://[::1]:9000", "::1", 9000, "/v1"),
    ],
)
def test_an_address_is_read_with_what_may_be_left_out(text: str, host: str, port: int, path: str) -> None:
    endpoint = read_server_url(text)
    assert (endpoint.host, endpoint.port, endpoint.base_path) == (host, port, path)


@pytest.mark.parametrize(
    "text",
    ["", "http://", "ftp://a", "https://a/v1", "http://user:secret@a/v1", "http://a:99999", "http://a/v1?key=1", "a b"],
)
def test_what_is_no_plain_address_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_server_url(text)
    assert "http://" in refused.value.remedy
    assert "secret" not in refused.value.sentence()


@given(st.text(max_size=80))
def test_any_text_is_an_endpoint_or_a_settings_error(text: str) -> None:
    try:
        endpoint = read_server_url(text)
    except SettingsError:
        return
    assert endpoint.host
