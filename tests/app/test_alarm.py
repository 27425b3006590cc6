"""What soon stops work is said on every page, with the button that helps, for as long as it stands and no longer."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.findings.concern import Concern, Severity
from sparkdesk.core.step import Playbook
from sparkdesk.services.wait import wait_for_value
from tests.app.adding import click
from tests.app.desk import play, until
from ui.cluster.view import ClusterPage
from ui.playbook.ask_dialog import AskDialog
from ui.widgets.banner import Banner
from ui.widgets.button import Button

STOP = Playbook("Stop Qwen", ())
FULL = Concern(
    "wedge", "n1", Severity.CRIT, "The node is about to freeze", "1.2 GiB of memory is left", "Stop Qwen.",
    fix=STOP, job_id="j1",
)  # fmt: skip
HOT = Concern("temperature", "n1", Severity.CRIT, "The node is hot", "97 °C", "Look at its fans.", since_ms=-1)
SLOW = replace(HOT, rule="slow", severity=Severity.WARN)


def button(banner: Banner, words: str) -> Button:
    return next(one for one in banner.findChildren(Button) if one.text() == words and not one.isHidden())


def test_an_alarm_stands_on_every_page_until_its_finding_clears_or_is_accepted(qapp: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        await wait_for_value(desktop.is_filled, bool, timeout_s=20)
        desktop.pages.add_all()
        window, findings = desktop.window, desktop.stack.findings.findings
        desktop.stack.findings.rhythm.set_factor(1e6)  # nobody else looks meanwhile
        window.show_page("chat")
        findings.set((SLOW,))
        assert not [one for one in window.findChildren(Banner) if one.isVisible()], "nothing stops work"

        findings.set((FULL, HOT, SLOW))
        banner = window.alarm()
        assert banner.isVisible()
        assert banner.title() == "n1: The node is about to freeze"
        assert banner.kind == "crit"
        assert [notice.kind for notice in window.shell.notices] == ["crit", "crit"]
        click(button(banner, "Stop Qwen…"))
        await until(lambda: desktop.pages.cluster_pane.findings.dialog is not None, "the question")
        dialog = desktop.pages.cluster_pane.findings.dialog
        assert isinstance(dialog, AskDialog)
        dialog.reject()

        desktop.tell("ok", "Something else", "was said")
        assert banner.isVisible(), "nothing takes its place"
        findings.set((replace(FULL, evidence="1.1 GiB of memory is left"), HOT))
        assert "1.1 GiB" in banner.accessibleName()
        findings.set((HOT, replace(FULL, is_accepted=True)))
        assert banner.title() == "n1: The node is hot"
        window.show_page("cluster")
        assert banner.isHidden(), "the page's own sentence says it"
        window.show_page("chat")
        click(button(banner, "Show"))
        page = window.page("cluster")
        assert isinstance(page, ClusterPage)
        await until(lambda: page.finding_drawer.isVisible(), "the list")
        window.show_page("chat")
        findings.set(())
        assert banner.isHidden()

        findings.set((FULL,))
        banner.clear()
        findings.set((replace(FULL, evidence="1.0 GiB of memory is left"),))
        assert banner.isHidden(), "who closed it has read it"
        findings.set(())
        findings.set((FULL,))
        assert banner.isVisible(), "it is another one"
        assert len(window.shell.notices) == 5, "each is kept, with its time"

    assert play(qapp, story, WindowOptions(is_forgetful=True)) == 0
