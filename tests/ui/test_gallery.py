from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from tests.ui.picture import cut_labels
from tests.ui.walk import guessing_labels
from ui.gallery import Gallery, LiveGallery, save_gallery

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")


def test_the_gallery_saves_each_page_in_both_themes(dressed: QApplication, tmp_path: Path) -> None:
    paths = save_gallery(dressed, str(tmp_path / "gallery"))
    assert [Path(path).name for path in paths] == [
        "components-dark.png",
        "live-dark.png",
        "components-light.png",
        "live-light.png",
    ]
    dark, live, light, _ = (QImage(path) for path in paths)
    assert not dark.isNull()
    assert dark != light
    assert live.width() == 720


@pytest.mark.parametrize("build", [Gallery, LiveGallery])
def test_no_part_cuts_its_words_or_reads_markup(
    dressed: QApplication, build: type[Gallery] | type[LiveGallery]
) -> None:
    page = build()
    page.resize(760, 900)
    page.show()
    for _ in range(4):
        dressed.processEvents()
    assert cut_labels(page) == []
    assert guessing_labels(page) == []
    page.close()
