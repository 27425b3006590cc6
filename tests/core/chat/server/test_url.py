"""The address of a server is read as it was meant, or refused with the reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.server.url import is_near, read_server_url, write_server_url
from sparkdesk.core.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("http://127.0.0.1:8000/v1", "127.0.0.1", 8000, "/v1"),
        ("  spark-5c2d.local:8080 ", "spark-5c2d.local", 8080, "/v1"),
        ("http://desk/api/v1/", "desk", 80, "/api/v1"),
        ("http://[::1]:9000", "::1", 9000, "/v1"),
        ("HTTPS://Desk.Example/v1", "desk.example", 443, "/v1"),
    ],
)
def test_an_address_is_read_with_what_may_be_left_out(text: str, host: str, port: int, path: str) -> None:
    endpoint = read_server_url(text)
    assert (endpoint.host, endpoint.port, endpoint.base_path) == (host, port, path)


@pytest.mark.parametrize(
    "text",
    ["", "http://", "ftp://a", "http://user:secret@a/v1", "http://a:99999", "http://a/v1?key=1", "a b"],
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
    assert read_server_url(write_server_url(endpoint)) == endpoint


def test_only_https_is_encrypted_and_its_address_says_so() -> None:
    endpoint = read_server_url("https://[::1]/v1")
    assert endpoint.is_tls
    assert write_server_url(endpoint) == "https://[::1]:443/v1"
    assert not read_server_url("127.0.0.1:443").is_tls


@pytest.mark.parametrize(
    ("host", "is_so"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("192.168.178.5", True),
        ("100.100.1.2", True),
        ("::ffff:10.0.0.1", True),
        ("fe80::1%eth0", True),
        ("spark-5c2d.local", True),
        ("spark-1", True),
        ("desk.tail1234.ts.net", True),
        ("8.8.8.8", False),
        ("2001:4860:4860::8888", False),
        ("api.example.com", False),
        ("local.example.com", False),
    ],
)
def test_what_stays_in_a_private_network_is_known_by_its_name(host: str, is_so: bool) -> None:
    assert is_near(host) is is_so
