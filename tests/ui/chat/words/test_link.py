"""A link is opened only after its whole address was read, and what about it misleads is said."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtWidgets import QApplication

from tests.ui.picture import host_page
from ui.chat.words.link import LinkBar, read_link


@pytest.mark.parametrize(
    ("address", "host", "word"),
    [
        ("https://bank.com@evil.example/", "evil.example", '"bank.com" before the @ is only a user name'),
        ("https://bank.com:443@evil.example/", "evil.example", "before the @ is only a user name"),
        ("https://p\u0430ypal.com/", "xn--pypal-4ve.com", "can be mistaken for others"),
        ("https://xn--pypal-4ve.com/", "xn--pypal-4ve.com", "can be mistaken for others"),
        ("http://192.168.1.1/reboot", "192.168.1.1", "in your own network"),
        ("http://[::1]:8000/", "::1", "this computer"),
        ("http://localhost:8080/", "localhost", "this computer"),
        ("http://printer.local/", "printer.local", "in your own network"),
        ("http://8.8.8.8/", "8.8.8.8", "a bare number"),
    ],
)
def test_what_misleads_about_an_address_is_said(address: str, host: str, word: str) -> None:
    link = read_link(address)
    assert link.url == address
    assert link.host == host
    assert any(word in warning for warning in link.warnings)


@pytest.mark.parametrize("scheme", ["ftp", "ftps", "sftp", "ws", "wss", "gopher", "file", "data", "ssh", "httpx"])
def test_only_http_and_https_are_opened(scheme: str) -> None:
    assert read_link(f"{scheme}://example.org/a").url == ""
    assert read_link("http://example.org/a").url
    assert read_link("https://example.org/a").url


def test_letters_of_two_alphabets_in_one_name_are_named() -> None:
    assert "It mixes Cyrillic and Latin." in " ".join(read_link("https://p\u0430ypal.com/").warnings)


@pytest.mark.parametrize("address", ["https://example.org/a?b=1#c", "http://e.org:8080/", "https://e.org/@user"])
def test_an_ordinary_address_has_no_warning(address: str) -> None:
    assert read_link(address).warnings == ()


@pytest.mark.parametrize(
    "address",
    ["file:///etc/passwd", "javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,x", "vbscript:x",
     "smb://host/share", "\\\\host\\share", "//host/share", "ssh://host", "mailto:a@b.c", "qrc:/x", "http:/nohost",
     "https://", "/etc/passwd", "", "#top", "https://e.org/" + "x" * 5000, "https://e.org/\u202egro"],
)  # fmt: skip
def test_an_address_that_is_no_web_page_cannot_be_opened(dressed: QApplication, address: str) -> None:
    bar, opened = LinkBar(), list[str]()
    bar.opener = lambda url: opened.append(url.toString())
    host = host_page(bar, 600, 200)
    bar.offer(QUrl(address).toString(QUrl.ComponentFormattingOption.FullyEncoded) if "\u202e" in address else address)
    assert "\u202e" not in bar.address()
    if "\u202e" not in address:
        assert not bar.open_button.isVisibleTo(bar)
        bar.open_button.click()
        assert opened == []
    host.close()


def test_the_warning_is_shown_with_the_address_and_read_out(dressed: QApplication) -> None:
    bar = LinkBar()
    host = host_page(bar, 600, 200)
    bar.offer("https://bank.com@evil.example/")
    assert "evil.example" in bar.accessibleName()
    assert "only a user name" in bar.warning()
    assert "only a user name" in bar.accessibleName()
    bar.offer("https://example.org/")
    assert bar.warning() == ""
    host.close()
