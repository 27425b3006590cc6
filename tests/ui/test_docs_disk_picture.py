"""The documentation's picture of Models on disk, drawn anew, and whether the one in docs is of today. Example data."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from sparkdesk.core.disk.view import DiskCell, DiskKey, DiskNode, DiskRow, DiskView, Holding, Kind, Transfer
from sparkdesk.core.feed import Latest
from tests.ui import rack
from tests.ui.docs_picture import STRAY, keep, stray
from tests.ui.picture import cut_labels, host_page, page_size
from ui.disk.feeds import DiskActions, DiskFeeds
from ui.disk.model import DiskModel
from ui.disk.view import DiskPage

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
NAME = "serving/disk"
GB = 1_000_000_000
DAY_MS = 86_400_000
GPT = DiskKey(Kind.MODEL, "openai/gpt-oss-120b")
QWEN = DiskKey(Kind.MODEL, "Qwen/Qwen3.6-35B-A3B")
LLAMA = DiskKey(Kind.MODEL, "nvidia/Llama-3.3-70B-Instruct-NVFP4")
VLLM = DiskKey(Kind.IMAGE, "nvcr.io/nvidia/vllm:26.05-py3")
GGUF = DiskKey(Kind.FILE, "~/models/smollm2-135m-q8_0.gguf")
HELD = {
    GPT: (65.2, "WWNN"),
    LLAMA: (42.7, "NNPD"),
    QWEN: (37.5, "NNWW"),
    VLLM: (19.6, "WWWD"),
    GGUF: (0.15, "WNNN"),
}
"""What it takes in GB, and what each of the four nodes has of it."""
LETTERS = {"W": Holding.WHOLE, "P": Holding.PARTIAL, "D": Holding.DOWNLOADING, "N": Holding.NONE}
FREE_GB = (3_310, 3_390, 3_280, 3_430)


def cell(size_gb: float, letter: str, i: int) -> DiskCell:
    """One row on node `i`."""
    holding = LETTERS[letter]
    if holding is Holding.NONE:
        return DiskCell(holding)
    share = {Holding.WHOLE: 1.0, Holding.PARTIAL: 0.41}.get(holding, 0.29)
    revision = "" if size_gb < 1 else "b5c939de8f75"
    used_ms, whole = rack.NOW_MS - i * DAY_MS - DAY_MS // 24, round(size_gb * GB)
    return DiskCell(holding, round(size_gb * share * GB), revision, used_ms, whole_bytes=whole)


def view() -> DiskView:
    """The matrix."""
    nodes = tuple(
        DiskNode(
            f"node{i}", rack.NAMES[i], True, free * GB, 3_900 * GB, (("vllm", 2 * GB), ("triton", GB // 3)), rack.NOW_MS
        )
        for i, free in enumerate(FREE_GB)
    )
    rows = tuple(
        DiskRow(key, {f"node{i}": cell(size, letter, i) for i, letter in enumerate(letters)})
        for key, (size, letters) in HELD.items()
    )
    transfers = (
        Transfer("run1", "node3", LLAMA, "fetch", "12.4 of 42.7 GB, 410 MB/s, about 1 min left", 0.29),
        Transfer("run2", "node3", VLLM, "fetch", "layer 9 of 31", 0.29),
    )
    return DiskView(nodes, rows, transfers)


def test_the_picture_of_models_on_disk_is_of_today(qtbot: QtBot, dressed: QApplication) -> None:
    idle: dict[str, Any] = {field.name: lambda *_: None for field in fields(DiskActions)}
    users = {(GPT, "node0"): ("gpt-oss-120b",)}
    feeds = DiskFeeds(Latest(view()), lambda key, node_id: users.get((key, node_id), ()), lambda: rack.NOW_MS)
    page = DiskPage(DiskModel(feeds, DiskActions(**idle)))
    qtbot.addWidget(host_page(page, *page_size(1440, 900)))
    page.setFocus()
    drawn = keep(page.window(), NAME)
    assert not cut_labels(page), cut_labels(page)
    assert stray(drawn, NAME) <= STRAY, f"docs/{NAME}.png is of another day: look at {drawn.name} in build/shots"
