"""A link of a model's answer: what it would open, what about it misleads, and the bar that asks first.

The one rule: only http and https are ever opened, and only after the whole address was shown and agreed to; the host
is named as the network knows it.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout

from ui.text import one_line
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.label import Label

MAX_LINK_CHARS: Final = 4000
_LINE_CHARS: Final = 80
_ENCODED: Final = QUrl.ComponentFormattingOption.FullyEncoded
_DECODED: Final = QUrl.ComponentFormattingOption.PrettyDecoded
_HOME_NAMES: Final = ("localhost", ".localhost", ".local", ".lan", ".internal", ".home.arpa")
"""Names of this computer and of the network around it. Source: RFC 6761, RFC 6762, RFC 8375; `.internal` is reserved
for private use by ICANN, `.lan` is a habit of home routers."""


@dataclass(frozen=True, slots=True)
class Link:
    """An address as it was read. `url` is "" when it is not opened; `host` is in ASCII, as the network knows it."""

    url: str
    host: str
    warnings: tuple[str, ...] = ()


def read_link(address: str) -> Link:
    """What an address would open, and what about it could mislead a reader."""
    url = QUrl(address, QUrl.ParsingMode.StrictMode)
    is_web = url.isValid() and url.scheme() in ("http", "https") and bool(url.host())
    if not is_web or len(address) > MAX_LINK_CHARS:
        return Link("", "")
    host = url.host(_ENCODED)
    found = [_user_warning(url, host), _letters_warning(host, url.host(_DECODED)), _place_warning(host)]
    return Link(address, host, tuple(warning for warning in found if warning))


def _user_warning(url: QUrl, host: str) -> str:
    user = one_line(url.userInfo(_DECODED), 80)
    return f'"{user}" before the @ is only a user name: the page is of {one_line(host, 120)}.' if user else ""


def _letters_warning(host: str, shown: str) -> str:
    if "xn--" not in host.lower():
        return ""
    scripts = {unicodedata.name(letter, "unknown").split(" ")[0] for letter in shown if letter.isalpha()}
    mixed = f" It mixes {' and '.join(sorted(word.capitalize() for word in scripts))}." if len(scripts) > 1 else ""
    return f"Its letters can be mistaken for others: it reads {one_line(shown, 120)}.{mixed}"


def _place_warning(host: str) -> str:
    try:
        place = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        is_home = host == "localhost" or host.endswith(_HOME_NAMES[1:])
        return "That is this computer or one in your own network." if is_home else ""
    if not place.is_global:
        return "That is this computer or one in your own network."
    return "The host is a bare number without a name."


class LinkBar(Card):
    """Shows the whole address of a link and opens it only when told to."""

    closed = Signal()

    def __init__(self) -> None:
        super().__init__(fill="raised")
        self.opener: Callable[[QUrl], object] = QDesktopServices.openUrl
        self._url = ""
        self._title = Label("", "dense_strong", "text", is_wrapped=True)
        self._warning = Label("", "dense", "warn", is_wrapped=True)
        self._address = Label("", "mono", "text2", is_wrapped=True, is_selectable=True)
        self.open_button = Button("Open in the web browser", is_small=True)
        self.copy_button = Button("Copy", kind="text", icon="copy", is_small=True)
        self.close_button = Button("Cancel", kind="text", is_small=True)
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.open_button)
        buttons.addWidget(self.copy_button)
        buttons.addWidget(self.close_button)
        buttons.addStretch(1)
        column = self.column(spacing=6)
        column.addWidget(self._title)
        column.addWidget(self._warning)
        column.addWidget(self._address)
        column.addLayout(buttons)
        self.open_button.clicked.connect(self._open)
        self.copy_button.clicked.connect(lambda: QGuiApplication.clipboard().setText(self._url))
        self.close_button.clicked.connect(self._close)
        self.setVisible(False)

    def offer(self, address: str) -> None:
        """Ask about an address."""
        link = read_link(address)
        self._url = link.url
        host = one_line(link.host, 300)
        self._title.setText(f"Open this page of {host}?" if self._url else "SparkDesk does not open this address")
        self._warning.setText("\n".join(link.warnings))
        self._warning.setVisible(bool(link.warnings))
        # Broken into pieces: an address has no spaces to wrap at, and all of it must be read.
        shown = one_line(address, MAX_LINK_CHARS)
        self._address.setText("\n".join(shown[i : i + _LINE_CHARS] for i in range(0, len(shown), _LINE_CHARS)))
        self.open_button.setVisible(bool(self._url))
        self.copy_button.setVisible(bool(self._url))
        self.close_button.setText("Cancel" if self._url else "Close")
        self.setAccessibleName(" ".join((self._title.text(), *link.warnings, shown)))
        self.setVisible(True)

    def address(self) -> str:
        """The address as shown."""
        return self._address.text().replace("\n", "")

    def warning(self) -> str:
        """What about the address could mislead, "" when nothing does."""
        return self._warning.text()

    def _open(self) -> None:
        if self._url:
            self.opener(QUrl(self._url, QUrl.ParsingMode.StrictMode))
        self._close()

    def _close(self) -> None:
        self.setVisible(False)
        self.closed.emit()
