"""Below the form: the way out as a command or a file, and the way back to the defaults.

The one rule: what is copied is what the form says now; while it cannot be read there is nothing to copy, with a reason.
"""

from __future__ import annotations

from PySide6.QtCore import QPoint, QTimer
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QMenu, QWidget

from sparkdesk.core.errors import SparkDeskError
from ui.launch.model import LaunchModel
from ui.widgets.button import Button

SHOWN_MS = 1200


class FormFoot(QWidget):
    """Copy command, other forms of it, reset."""

    def __init__(self, model: LaunchModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.copy = Button("Copy command", is_small=True, icon="copy")
        self.export = Button("Export", is_small=True, icon="upload")
        self.reset = Button("Reset", kind="text", is_small=True, icon="undo-2")
        self.menu = QMenu(self)
        self._back = QTimer(self)
        self._back.setSingleShot(True)
        self._back.setInterval(SHOWN_MS)
        self._back.timeout.connect(self._show_idle)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 9, 14, 9)
        row.setSpacing(8)
        row.addWidget(self.copy)
        row.addWidget(self.export)
        row.addStretch(1)
        row.addWidget(self.reset)
        for key, title in model.feeds.export_kinds:
            action = QAction(title, self.menu)
            action.triggered.connect(lambda _on=False, key=key: self.copy_as(key))
            self.menu.addAction(action)
        self.copy.clicked.connect(lambda: self.copy_as("command"))
        self.export.clicked.connect(self._open_menu)
        self.reset.clicked.connect(model.reset_all)
        model.preview_changed.connect(self._show_state)
        model.form_changed.connect(self._show_state)
        self._show_state()

    def copy_as(self, kind: str) -> None:
        """Put the form, written in this way, on the clipboard."""
        try:
            written = self._model.export(kind)
        except SparkDeskError as error:
            self.copy.setToolTip(error.sentence())
            self._say("Cannot", "triangle-alert")
            return
        QGuiApplication.clipboard().setText(written)
        self._say("Copied", "check")

    def _open_menu(self) -> None:
        above = QPoint(0, -self.menu.sizeHint().height() - 4)
        self.menu.popup(self.export.mapToGlobal(above))

    def _say(self, words: str, icon: str) -> None:
        self.copy.setMinimumWidth(self.copy.width())
        self.copy.setText(words)
        self.copy.set_icon(icon)
        self._back.start()

    def _show_idle(self) -> None:
        self.copy.setMinimumWidth(0)
        self.copy.setText("Copy command")
        self.copy.set_icon("copy")

    def _show_state(self) -> None:
        model = self._model
        reason = "" if model.preview.request is not None else "The form cannot be read yet: mend what is marked"
        self.copy.setVisible(model.feeds.export is not None)
        self.export.setVisible(model.feeds.export is not None and bool(model.feeds.export_kinds))
        self.copy.set_disabled_reason(reason)
        self.export.set_disabled_reason(reason)
        self.reset.set_disabled_reason("" if model.changed_fields() else "Nothing is changed")
