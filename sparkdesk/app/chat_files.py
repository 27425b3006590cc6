"""Files that chats are written to and read from: exports, imports, and code out of an answer.

The one rule: a file is written where the person says, for the person's eyes only; what is read is bounded and hostile.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QDialog, QFileDialog

from sparkdesk.app.owned_file import write_for_owner
from sparkdesk.core.chat.transfer.chat_copy import TransferForm
from sparkdesk.core.chat.transfer.file import MAX_BYTES, import_obstacle
from sparkdesk.core.errors import SettingsError
from ui.chat.view import ChatPage

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop

IMPORT_FILTER = "Chats (*.json *.jsonl *.md);;All files (*)"


class ChatFiles:
    """Answers what the page asks of files."""

    def __init__(self, desktop: Desktop, page: ChatPage) -> None:
        self._desktop = desktop
        self._transfer = desktop.stack.chat.transfer
        start = desktop.bridge.start
        page.export_asked.connect(lambda ids, form: start(self._export, ids, TransferForm(form)))
        page.import_asked.connect(lambda: start(self._import))
        page.transcript.save_asked.connect(lambda text, name: start(self._save, text, name))

    async def _export(self, session_ids: tuple[str, ...], form: TransferForm) -> None:
        name, data = await self._transfer.export(session_ids, form)
        path = await self._ask_place("Export chats", name)
        if path is not None:
            await asyncio.to_thread(write_for_owner, path, data)
            obstacle = import_obstacle(data)
            self._desktop.tell(
                "warn" if obstacle else "ok", "Exported", f"{path}. {obstacle}" if obstacle else str(path)
            )

    async def _save(self, text: str, name: str) -> None:
        path = await self._ask_place("Save the code", name)
        if path is not None:
            await asyncio.to_thread(write_for_owner, path, text.encode("utf-8", "replace"))

    async def _ask_place(self, title: str, name: str) -> Path | None:
        dialog = QFileDialog(self._desktop.window, title)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.selectFile(name)
        is_chosen = await self._desktop.bridge.ask(dialog) == QDialog.DialogCode.Accepted
        return Path(dialog.selectedFiles()[0]) if is_chosen and dialog.selectedFiles() else None

    async def _import(self) -> None:
        dialog = QFileDialog(self._desktop.window, "Import chats", "", IMPORT_FILTER)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        is_chosen = await self._desktop.bridge.ask(dialog) == QDialog.DialogCode.Accepted
        if not is_chosen or not dialog.selectedFiles():
            return
        data = await asyncio.to_thread(_read, Path(dialog.selectedFiles()[0]))
        report = await self._transfer.import_chats(data)
        is_whole = bool(report.imported) and not report.notes
        self._desktop.tell("ok" if is_whole else "warn", report.sentence, " ".join(report.notes))


def _read(path: Path) -> bytes:
    """So much of the file that one too large is known as such. Raises SettingsError: no plain file, unreadable."""
    try:
        if not path.is_file():
            raise SettingsError(f"{path.name} is no file", remedy="Choose a file with exported chats.")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path.name} cannot be read", remedy="Choose another file.", detail=str(error)) from error
