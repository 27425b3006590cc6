"""The chat's panel under the hands of a person: each control changes its own field and no other."""

from __future__ import annotations

import itertools
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from sparkdesk.core.chat.context import ContextParts, ContextUse, PoolUse, SentContext, WindowPolicy
from sparkdesk.core.chat.message import AnswerForm, Sampling, Thinking
from sparkdesk.core.chat.session import ChatSettings
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import EndpointClient
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.chat.server_link import ServerLink
from tests.ui.picture import host_page
from tests.ui.walk import guessing_labels
from ui.chat.panel.context.sent_dialog import SentDialog
from ui.chat.panel.sampling.schema_text import EXAMPLE
from ui.chat.panel.section import WIDTH_PX
from ui.chat.panel.view import SettingsPanel

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")

DEFAULT = Sampling(temperature=0.6, top_p=0.95)
SETTINGS = ChatSettings(system_prompt="Be careful.", sampling=DEFAULT, created_ms=1)
PARTS = ContextParts(4120, 8204, 20130, 15660, is_counted=True, template=196)
POOL = PoolUse(0.05, 2_190_000, 1, 0, 4)
RIGHT = Qt.MouseButton.LeftButton


def endpoint(engine: str = "llamacpp", model: str = "qwen3.6-35b", node: str = "spark-afe0") -> ChatEndpoint:
    """A server that is only shown, never asked."""

    def unasked() -> AbstractAsyncContextManager[EndpointClient]:
        raise AssertionError("the panel asks no server")

    place = Endpoint("n1", "127.0.0.1", 1, model, engine=engine, context_tokens=262_144)
    return ChatEndpoint("job1", place, unasked, node, sampling=DEFAULT, pool=lambda: POOL)


class Desk:
    """The panel beside what it told."""

    def __init__(self, settings: ChatSettings = SETTINGS, server: ChatEndpoint | None = None) -> None:
        self.panel = SettingsPanel()
        self.told: list[dict[str, Any]] = []
        self.panel.changed.connect(self.told.append)
        self.host = host_page(self.panel, WIDTH_PX, 1180)
        target = server or endpoint()
        self.panel.show_models((target,), target, "")
        self.panel.show_settings(settings, "chat1")
        self.panel.sampling.head.setChecked(True)
        self.panel.form.head.setChecked(True)
        QApplication.processEvents()

    def type_into(self, field: QWidget, text: str) -> None:
        """Replace what is in a field and press Enter."""
        field.setFocus()
        QTest.keyClick(field, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClick(field, Qt.Key.Key_Delete)
        QTest.keyClicks(field, text)
        QTest.keyClick(field, Qt.Key.Key_Return)

    def sampling(self) -> Sampling:
        """The one change that was told, which must be of the sampling alone."""
        (change,) = self.told
        assert set(change) == {"sampling"}
        sampling: Sampling = change["sampling"]
        return sampling

    def form(self) -> AnswerForm:
        """The last change that was told, which must be of the answer's form alone."""
        assert set(self.told[-1]) == {"form"}
        form: AnswerForm = self.told[-1]["form"]
        return form


@pytest.mark.parametrize(
    ("key", "typed", "wanted"),
    [
        ("temperature", "0.33", replace(DEFAULT, temperature=0.33)),
        ("top_p", "0.5", replace(DEFAULT, top_p=0.5)),
        ("top_k", "40", replace(DEFAULT, top_k=40)),
        ("min_p", "0.05", replace(DEFAULT, min_p=0.05)),
        ("max_tokens", "12,345", replace(DEFAULT, max_tokens=12345)),
    ],
)
def test_a_typed_number_changes_its_own_field(dressed: QApplication, key: str, typed: str, wanted: Sampling) -> None:
    desk = Desk()
    desk.type_into(desk.panel.sampling.knobs[key].field, typed)
    assert desk.sampling() == wanted
    assert desk.panel.sampling.knobs[key].dot.isVisible()


@pytest.mark.parametrize("key", ["temperature", "top_p", "top_k", "min_p", "max_tokens"])
def test_a_slider_moved_by_a_key_changes_its_own_field(dressed: QApplication, key: str) -> None:
    desk = Desk()
    knob = desk.panel.sampling.knobs[key]
    knob.slider.setFocus()
    QTest.keyClick(knob.slider, Qt.Key.Key_Left if key in ("temperature", "top_p") else Qt.Key.Key_Right)
    got = desk.sampling()
    assert replace(got, **{key: getattr(DEFAULT, key)}) == DEFAULT
    assert getattr(got, key) in knob.kind.steps


def test_a_stored_value_between_two_steps_stays_when_another_knob_moves(dressed: QApplication) -> None:
    stored = Sampling(temperature=0.337, top_p=0.95, max_tokens=5000, seed=7, stop=("x",), is_endless=True)
    desk = Desk(replace(SETTINGS, sampling=stored))
    assert desk.panel.sampling.knobs["temperature"].field.text() == "0.337"
    assert desk.panel.sampling.knobs["max_tokens"].field.text() == "5,000"
    desk.panel.sampling.knobs["top_p"].slider.setValue(3)
    assert desk.sampling() == replace(stored, top_p=desk.panel.sampling.knobs["top_p"].kind.steps[2])


def test_a_wheel_that_scrolls_over_a_slider_turns_nothing(dressed: QApplication) -> None:
    desk = Desk()
    slider = desk.panel.sampling.knobs["temperature"].slider
    desk.panel.model.model.setFocus()
    none = Qt.KeyboardModifier.NoModifier
    where = QPointF(slider.rect().center())
    wheel = QWheelEvent(where, where, QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton, none,
                        Qt.ScrollPhase.NoScrollPhase, False)  # fmt: skip
    QApplication.sendEvent(slider, wheel)
    assert desk.told == []


def test_what_is_no_number_is_said_beside_its_field_and_not_told(dressed: QApplication) -> None:
    desk = Desk()
    knob = desk.panel.sampling.knobs["temperature"]
    desk.type_into(knob.field, "3")
    assert desk.told == []
    assert knob.problem.isVisible()
    assert knob.problem.text() == "Must be between 0 and 2"
    desk.panel.show_settings(replace(SETTINGS, label="other"), "chat1")
    assert knob.field.text() == "3"
    desk.type_into(knob.field, "1")
    assert desk.sampling().temperature == 1.0
    assert not knob.problem.isVisible()


def test_an_emptied_field_is_the_model_s_own_default(dressed: QApplication) -> None:
    desk = Desk()
    desk.type_into(desk.panel.sampling.knobs["temperature"].field, "")
    assert desk.sampling() == replace(DEFAULT, temperature=None)
    assert desk.panel.sampling.knobs["temperature"].field.placeholderText() == "default"


def test_a_dot_gives_its_own_value_back_and_the_link_all_of_them(dressed: QApplication) -> None:
    changed = Sampling(temperature=1.5, top_p=0.5, max_tokens=99, seed=4, stop=("x",), is_endless=True)
    desk = Desk(replace(SETTINGS, sampling=changed))
    QTest.mouseClick(desk.panel.sampling.knobs["temperature"].dot, RIGHT)
    assert desk.sampling() == replace(changed, temperature=0.6)
    assert not desk.panel.sampling.knobs["temperature"].dot.isVisible()
    desk.told.clear()
    QTest.mouseClick(desk.panel.sampling.reset, RIGHT)
    assert desk.sampling() == replace(DEFAULT, is_endless=True)
    assert not desk.panel.sampling.reset.isVisible()
    assert desk.panel.sampling.head.summary() == "temperature 0.60"


def test_seed_and_stop_words_change_their_own_fields(dressed: QApplication) -> None:
    desk = Desk()
    part = desk.panel.sampling
    desk.type_into(part.seed, "42")
    assert desk.sampling() == replace(DEFAULT, seed=42)
    desk.told.clear()
    desk.type_into(part.stops, "###, \\n\\nUser:")
    assert desk.sampling() == replace(DEFAULT, seed=42, stop=("###", "\n\nUser:"))
    desk.told.clear()
    desk.type_into(part.stops, "a\\q")
    assert desk.told == []
    assert "backslash" in part.problems[part.stops].text()
    QTest.mouseClick(part.dice, RIGHT)
    thrown = desk.sampling().seed
    assert thrown is not None
    assert part.seed.text() == str(thrown)
    assert "backslash" in part.problems[part.stops].text()


@pytest.mark.parametrize(
    ("key", "form"),
    [
        ("off", AnswerForm(thinking=Thinking.OFF)),
        ("on", AnswerForm(thinking=Thinking.ON)),
        ("budget", AnswerForm(thinking=Thinking.ON, thinking_budget_tokens=2048)),
    ],
)
def test_thinking_is_chosen_with_a_click(dressed: QApplication, key: str, form: AnswerForm) -> None:
    desk = Desk()
    thinking = desk.panel.form.thinking
    QTest.mouseClick(thinking.choice._parts[key], RIGHT)
    assert desk.form() == form
    assert thinking.budget.isVisible() == (key == "budget")
    QTest.mouseClick(thinking.choice._parts["default"], RIGHT)
    assert desk.form() == AnswerForm()


def test_a_thinking_budget_is_typed_and_judged(dressed: QApplication) -> None:
    desk = Desk(replace(SETTINGS, form=AnswerForm(thinking=Thinking.ON, thinking_budget_tokens=512, top_logprobs=3)))
    thinking = desk.panel.form.thinking
    desk.type_into(thinking.budget, "0")
    assert desk.told == []
    assert thinking.problem.isVisible()
    desk.type_into(thinking.budget, "4,096")
    assert desk.form() == AnswerForm(thinking=Thinking.ON, thinking_budget_tokens=4096, top_logprobs=3)


def test_what_an_engine_does_not_take_is_off_with_the_reason(dressed: QApplication) -> None:
    desk = Desk(server=endpoint(engine=""))
    assert not desk.panel.sampling.knobs["top_k"].field.isEnabled()
    assert "not known" in desk.panel.sampling.knobs["top_k"].field.toolTip()
    assert desk.panel.sampling.knobs["temperature"].field.isEnabled()
    thinking = desk.panel.form.thinking
    assert [key for key, part in thinking.choice._parts.items() if part.isEnabled()] == ["default"]
    assert "engine is not known" in thinking.reason.text()
    known = endpoint("vllm")
    desk.panel.show_models((known,), known, "")
    assert all(part.isEnabled() for part in thinking.choice._parts.values())


def test_sureness_is_switched_on_and_off_and_a_stored_number_stays(dressed: QApplication) -> None:
    desk = Desk(replace(SETTINGS, form=AnswerForm(json_schema="{}")))
    QTest.mouseClick(desk.panel.form.logprobs, RIGHT)
    assert desk.form() == AnswerForm(json_schema="{}", top_logprobs=5)
    QTest.mouseClick(desk.panel.form.logprobs, RIGHT)
    assert desk.form() == AnswerForm(json_schema="{}")


def test_a_schema_is_judged_while_it_is_typed_and_used_only_as_json(dressed: QApplication) -> None:
    desk = Desk(replace(SETTINGS, form=AnswerForm(thinking=Thinking.OFF)))
    QTest.mouseClick(desk.panel.form.schema, RIGHT)
    dialog = desk.panel.form.dialog()
    assert dialog is not None
    assert not dialog.isModal()
    QTest.keyClicks(dialog.editor, '{"type": ')
    assert "line 1, column 10" in dialog.problem.text()
    assert not dialog.use.isEnabled()
    QTest.mouseClick(dialog.example, RIGHT)
    assert dialog.problem.text() == ""
    QTest.mouseClick(dialog.use, RIGHT)
    assert desk.form() == AnswerForm(json_schema=EXAMPLE, thinking=Thinking.OFF)
    assert desk.panel.form.schema_words.text() == "object, 2 fields"
    QTest.mouseClick(desk.panel.form.schema_dot, RIGHT)
    assert desk.form() == AnswerForm(thinking=Thinking.OFF)


def test_a_system_prompt_holds_when_it_is_left_and_is_never_told_for_another_chat(dressed: QApplication) -> None:
    desk = Desk()
    prompt = desk.panel.prompt.prompt
    prompt.setFocus()
    QTest.keyClicks(prompt, "Now ")
    assert desk.told == []
    desk.panel.model.model.setFocus()
    assert desk.told == [{"system_prompt": "Now Be careful."}]
    desk.told.clear()
    prompt.setFocus()
    QTest.keyClicks(prompt, "for the first chat only ")
    desk.panel.show_settings(replace(SETTINGS, system_prompt="Second.", created_ms=2), "chat2")
    assert prompt.toPlainText() == "Second."
    QTest.qWait(600)
    desk.panel.model.model.setFocus()
    assert desk.told == []


def test_a_panel_that_is_put_away_keeps_what_was_written(dressed: QApplication) -> None:
    desk = Desk()
    desk.panel.prompt.prompt.setPlainText("Written, not left.")
    desk.panel.hide()
    assert desk.told == [{"system_prompt": "Written, not left."}]


def test_the_context_is_asked_for_again_only_while_the_panel_is_seen(dressed: QApplication) -> None:
    desk = Desk()
    asked: list[bool] = []
    desk.panel.context_asked.connect(lambda: asked.append(True))
    desk.panel._ticks.setInterval(10)
    QTest.qWait(60)
    assert asked
    desk.panel.hide()
    asked.clear()
    QTest.qWait(60)
    assert asked == []


def test_a_system_prompt_is_told_after_a_rest_and_what_is_written_then_stays(dressed: QApplication) -> None:
    desk = Desk()
    prompt = desk.panel.prompt.prompt
    prompt.setFocus()
    QTest.keyClicks(prompt, "A")
    QTest.qWait(600)
    assert desk.told == [{"system_prompt": "ABe careful."}]
    QTest.keyClicks(prompt, "B")
    desk.panel.show_settings(replace(SETTINGS, system_prompt="ABe careful."), "chat1")
    assert prompt.toPlainText() == "ABBe careful."


def test_two_changes_before_the_first_was_kept_hold_both(dressed: QApplication) -> None:
    desk = Desk()
    desk.type_into(desk.panel.sampling.knobs["temperature"].field, "1")
    target = replace(endpoint(), sampling=Sampling())
    desk.panel.show_models((target,), target, "")
    desk.type_into(desk.panel.sampling.knobs["top_p"].field, "0.5")
    assert desk.told[-1] == {"sampling": Sampling(temperature=1.0, top_p=0.5)}


def test_what_happens_when_the_window_fills_is_chosen_and_explained(dressed: QApplication) -> None:
    desk = Desk()
    part = desk.panel.context
    part.policy.setFocus()
    QTest.keyClick(part.policy, Qt.Key.Key_Down)
    assert desk.told == [{"window": WindowPolicy.SLIDING}]
    assert "oldest messages are not sent" in part.why.text()
    desk.panel.show_settings(replace(SETTINGS, window=WindowPolicy.RETRIEVE), "chat1")
    assert "No embedding model is ready" in part.why.text()
    assert len(desk.told) == 1


def test_the_context_is_shown_by_parts_and_warns_when_it_fills(dressed: QApplication) -> None:
    desk = Desk()
    part = desk.panel.context
    desk.panel.show_context(ContextUse(48_310, 604, None, 262_144, PARTS, POOL), 6)
    assert part.used.text() == "48,914 / 262,144 tokens"
    assert part.rows.text().splitlines()[2] == "Files, 6 20,130"
    assert "A question here takes about 48,914 of it" in part.words.text()
    assert part.bar.level() == "border"
    assert not part.warning.isVisible()
    desk.panel.show_context(ContextUse(48_310, 604, None, 60_000, PARTS, POOL), 6)
    assert part.bar.level() == "warn"
    assert part.warning.text() == "11,086 tokens are left."
    desk.panel.show_context(ContextUse())
    assert part.used.text() == "n/a"
    assert part.rows.text() == ""


def test_what_was_summed_up_opens(dressed: QApplication) -> None:
    desk = Desk()

    def said(number: int) -> str:
        return "An old question" if number == 0 else ""

    desk.panel.show_sent(SentContext(WindowPolicy.SUMMARISE, left_out=(0, 1), summary="<b>All</b> of it"), said)
    assert desk.panel.context.sent.text() == "2 messages summed up"
    QTest.mouseClick(desk.panel.context.sent, RIGHT)
    (dialog,) = desk.panel.findChildren(SentDialog)
    assert "<b>All</b> of it" in dialog.text.toPlainText()
    assert "An old question" in dialog.text.toPlainText()
    assert not dialog.isModal()
    desk.panel.show_sent(None, said)
    assert not desk.panel.context.sent.isVisible()


HOSTILE = (
    "<img src=file:///etc/passwd>",
    "a\u202egnp.exe",
    "x" * 5000,
    "line\none\x00two",
    "&amp;&Quit",
    "",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_model_name_is_one_plain_line_that_widens_nothing(dressed: QApplication, name: str) -> None:
    desk = Desk(server=endpoint(model=name, node=name))
    QApplication.processEvents()
    assert desk.panel.minimumSizeHint().width() <= WIDTH_PX
    shown = desk.panel.model.model.currentText()
    assert not set(shown) & {"\n", "\x00", "\u202e"}
    assert len(shown) <= 130
    assert guessing_labels(desk.panel) == []
    desk.host.grab()


def test_a_server_is_connected_to_by_address_and_a_key_that_nobody_sees(dressed: QApplication) -> None:
    desk = Desk()
    asked: list[tuple[str, str]] = []
    desk.panel.server_asked.connect(lambda url, key: asked.append((url, key)))
    QTest.mouseClick(desk.panel.model.connect_server, RIGHT)
    form = desk.panel.model.server
    QTest.mouseClick(form.connect_button, RIGHT)
    assert asked == []
    assert form.address_field.error()
    QTest.keyClicks(form.address, " http://10.0.0.5:8000/v1 ")
    QTest.keyClicks(form.key, "sk-secret")
    assert "secret" not in form.key.displayText()
    QTest.keyClick(form.key, Qt.Key.Key_Return)
    assert asked == [("http://10.0.0.5:8000/v1", "sk-secret")]
    desk.panel.close_address()
    assert not form.isVisible()
    assert (form.address.text(), form.key.text()) == ("", "")


def test_a_remembered_server_is_shown_with_its_trouble_asked_again_and_forgotten(dressed: QApplication) -> None:
    desk = Desk()
    told: list[str] = []
    desk.panel.again_asked.connect(lambda id: told.append(f"again {id}"))
    desk.panel.forget_asked.connect(lambda id: told.append(f"forget {id}"))
    desk.panel.show_servers(
        (ServerLink("http://a/v1", ("m",), has_key=True), ServerLink("http://b/v1", problem="Gone."))
    )
    QTest.mouseClick(desk.panel.model.connect_server, RIGHT)
    form = desk.panel.model.server
    QTest.mouseClick(form.agains["http://b/v1"], RIGHT)
    QTest.mouseClick(form.forgets["http://a/v1"], RIGHT)
    assert told == ["again http://b/v1", "forget http://a/v1"]
    desk.panel.show_servers(())
    assert form.forgets == {}


def test_another_model_is_chosen_and_the_slots_are_said(dressed: QApplication) -> None:
    desk = Desk()
    chosen: list[str] = []
    desk.panel.endpoint_chosen.connect(chosen.append)
    other = replace(endpoint(model="gpt-oss-120b"), id="job2", pool=lambda: None)
    first = endpoint()
    desk.panel.show_models((first, other), first, "")
    assert desk.panel.model.state.text() == "ready, 4 slots"
    desk.panel.model.model.setFocus()
    QTest.keyClick(desk.panel.model.model, Qt.Key.Key_Down)
    assert chosen == ["job2"]
    desk.panel.show_models((first, other), other, "")
    assert desk.panel.model.state.text() == "ready"
    desk.panel.show_context(ContextUse(pool=PoolUse(slots=2)))
    assert desk.panel.model.state.text() == "ready, 2 slots"
    desk.panel.show_models((), None, "tiny is loading on spark-a")
    assert desk.panel.model.state.text() == "loading"
    assert desk.panel.model.launch.isVisible()


def test_the_tab_key_goes_through_every_control_from_the_top(dressed: QApplication) -> None:
    desk = Desk()
    desk.host.activateWindow()
    panel = desk.panel
    panel.model.model.setFocus()
    heights = []
    for _ in range(40):
        QTest.keyClick(QApplication.focusWidget() or panel, Qt.Key.Key_Tab)
        widget = QApplication.focusWidget()
        if widget is None or not panel.isAncestorOf(widget) or widget is panel.model.model:
            break
        assert widget.accessibleName() or getattr(widget, "text", str)(), type(widget).__name__
        heights.append(widget.mapTo(panel, QPoint(0, widget.height() // 2)).y())
    assert len(heights) >= 18
    assert all(later >= earlier - 16 for earlier, later in itertools.pairwise(heights)), heights


def test_the_panel_fits_its_place_folded(dressed: QApplication) -> None:
    desk = Desk()
    desk.panel.sampling.head.setChecked(False)
    desk.panel.form.head.setChecked(False)
    desk.panel.show_context(ContextUse(48_310, 604, 44_000, 262_144, PARTS, POOL), 6)
    QTest.qWait(50)
    inner = desk.panel.area.widget()
    assert inner is not None
    assert inner.sizeHint().height() <= 652
    assert inner.minimumSizeHint().width() <= WIDTH_PX
