"""Paste anything: what is read is explained, nothing runs, and the form changes only when asked, and only with what a
person has approved where somebody else wrote it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sparkdesk.app.launch_pane import EXPORTS, export_request
from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.recipe.imported import Imported, digest_of
from sparkdesk.core.jobs.recipe.paste import read_paste
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.infra.yaml_text import read_yaml
from tests.ui.launch.desk import LaunchDesk
from tests.ui.launch.real import answer, catalogue, reference
from tests.ui.picture import host_page, take_pictures
from ui.launch.model import LaunchModel
from ui.launch.paste.drawer import PasteDrawer
from ui.launch.view import LaunchPage
from ui.main_window import MemoryStore
from ui.settings.model import SettingsModel

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")
DAY = "2026-11-21"
SERVE = "vllm serve openai/gpt-oss-120b --max-model-len 32768 --max-num-seqs 4 --port 8123 --kv-cache-dtype fp8"
HOSTILE = (
    "docker run --privileged -v /:/host --gpus all vllm/vllm-openai:latest --model openai/gpt-oss-120b --what-is-this 3"
)
RECIPE = """
recipe_version: "1"
name: two nodes
model: openai/gpt-oss-120b
container: vllm-node
mods: [mods/fix]
defaults: {port: 8000, tensor_parallel: 2, gpu_memory_utilization: 0.8, max_model_len: 65536}
command: |
  vllm serve openai/gpt-oss-120b --tensor-parallel-size {tensor_parallel} --max-model-len {max_model_len}
"""


UNKNOWN = RECIPE.replace('recipe_version: "1"', 'recipe_version: "2"\nbrand_new: {a: [1, {b: null}]}\nruntime: vllm')


class Written:
    """Files that a person may choose, and what is written out of the form. Their names are never opened."""

    def __init__(self) -> None:
        self.files = {
            "/a/one.yaml": RECIPE,
            "/a/windows.yaml": RECIPE.replace("\n", "\r\n"),
            "/a/x.YML": "openai/gpt-oss-20b",
        }

    def read(self, path: str, tell: object) -> None:
        found = self.files.get(path)
        tell(found or "", "" if found else "There is no such file")  # type: ignore[operator]  # as the page gives it

    def export(self, kind: str, request: LaunchRequest, origin: Imported | None) -> str:
        if kind == "broken":
            raise PlanError("Not of this", remedy="Choose another.")
        if kind in EXPORTS:
            return export_request(kind, request, origin)
        return f"{kind}: {request.model} on {request.port}"


@pytest.fixture
def settings() -> SettingsModel:
    return SettingsModel(MemoryStore())


@pytest.fixture
def page(qtbot: QtBot, dressed: object, settings: SettingsModel) -> LaunchPage:
    few = tuple(spec for spec in catalogue() if spec.key in ("gpt-oss-120b", "gpt-oss-20b"))
    desk, written = LaunchDesk(answer, few, reference().engines), Written()
    feeds = replace(
        desk.feeds(),
        read_paste=partial(read_paste, catalogue=few, backends=("vllm", "llamacpp"), load_yaml=read_yaml),
        approvals=settings.approvals,
        approve=lambda digest: settings.approve_recipe(digest, DAY),
        read_file=written.read,
        export=written.export,
        export_kinds=(("plain", "Plain"), ("broken", "Broken"), ("sparkrun", "Recipe")),
    )
    page = LaunchPage(LaunchModel(feeds))
    qtbot.addWidget(host_page(page, 1232, 852))
    page.window().activateWindow()
    page.model.recompute()
    return page


def opened(page: LaunchPage, text: str) -> PasteDrawer:
    QTest.mouseClick(page.catalogue.paste, Qt.MouseButton.LeftButton)
    assert page.paste is not None
    QGuiApplication.clipboard().setText(text)
    page.paste.input.paste()
    page.paste.model.recompute()
    return page.paste


def lines(drawer: PasteDrawer, key: str) -> list[str]:
    return [
        f"{line.title}: {line.words}" for section in drawer.sections() if section.key == key for line in section.lines
    ]


def test_a_pasted_command_fills_the_form_when_asked(page: LaunchPage) -> None:
    drawer = opened(page, SERVE)
    assert drawer.model.verdict() == ("Command", "ok")
    assert "Context per request: 32,768" in lines(drawer, "taken")
    before = page.model.form
    assert page.model.form == before, "reading changes nothing"
    QTest.mouseClick(drawer.fill, Qt.MouseButton.LeftButton)
    page.model.recompute()
    form = page.model.form
    assert (form.engine, form.model, form.context_tokens, form.concurrency) == (
        "vllm", "openai/gpt-oss-120b", "32,768", 4,
    )  # fmt: skip
    assert (form.port, form.kv_dtype) == ("8123", "fp8")
    assert not drawer.isVisible()
    assert page.model.preview.errors == {}
    assert "--port 8123" in page.plan.commands.text()


def test_what_was_understood_is_said_in_a_person_s_words_and_once(page: LaunchPage) -> None:
    drawer = opened(page, f"A=1 B=2 {SERVE} --frobnicate 3 --seed 4")
    taken = lines(drawer, "taken")
    assert {"Engine: vLLM", "Port: 8123", "Context per request: 32,768"} <= set(taken)
    assert {"Extra flags: --seed 4", "Environment: A=1  B=2"} <= set(taken)
    assert lines(drawer, "passed") == [": --frobnicate 3"]
    assert lines(drawer, "unknown") == []
    assert drawer.model.verdict() == ("Command", "warn")


def test_what_a_clean_command_leaves_open_is_a_note_and_no_problem(page: LaunchPage) -> None:
    drawer = opened(page, "vllm serve openai/gpt-oss-120b --port 8123")
    assert lines(drawer, "problems") == []
    assert len(lines(drawer, "notes")) == 2
    assert drawer.model.verdict() == ("Command", "ok")
    assert (drawer.chip.text(), drawer.chip.kind()) == ("Command", "ok"), "green, with the kind's own tick"
    drawer = opened(page, "trtllm-serve openai/gpt-oss-120b --tp_size 2")
    assert drawer.model.verdict() == ("Command", "warn")


def test_an_export_says_what_the_form_shows_and_a_recipe_keeps_its_own_silence(page: LaunchPage) -> None:
    quiet = "vllm serve openai/gpt-oss-120b --max-model-len 8192"
    imported = read_paste(quiet)
    for kind in ("command", "script", "compose", "kubernetes"):
        text = export_request(kind, imported.request(("n",)), imported)
        assert ("max-num-seqs" in text, "8192" in text) == (True, True), kind
    text = export_request("sparkrun", imported.request(("n",)), imported)
    assert ("max-num-seqs" in text, "8192" in text) == (False, True)


def test_a_whole_command_says_none_where_it_is_silent_and_a_bare_id_says_nothing(page: LaunchPage) -> None:
    for name, value in (("kv_dtype", "fp8"), ("speculative", "ngram"), ("extra_flags", "--mine 1")):
        page.model.set_field(name, value)
    drawer = opened(page, "openai/gpt-oss-20b")
    QTest.mouseClick(drawer.fill, Qt.MouseButton.LeftButton)
    assert page.model.form.extra_flags == "--mine 1"
    drawer = opened(page, "vllm serve openai/gpt-oss-120b --port 8123")
    QTest.mouseClick(drawer.fill, Qt.MouseButton.LeftButton)
    page.model.recompute()
    form = page.model.form
    assert (form.kv_dtype, form.speculative, form.build, form.extra_flags) == ("", "none", "stock", "")
    assert {"kv_dtype", "speculative"} <= form.touched, "the best plan does not change what the command said"


def test_what_a_hostile_command_asks_for_is_explained_and_never_reaches_the_form(page: LaunchPage) -> None:
    drawer = opened(page, HOSTILE)
    problems = " ".join(lines(drawer, "problems"))
    assert "/:/host" in problems
    assert "privileged" in problems
    assert lines(drawer, "passed") == [": --what-is-this 3"]
    assert drawer.model.verdict()[1] == "crit"
    QTest.mouseClick(drawer.fill, Qt.MouseButton.LeftButton)
    page.model.recompute()
    for line in (page.model.form.extra_flags, page.plan.commands.text()):
        assert "privileged" not in line
        assert "/:/host" not in line


def test_a_recipe_for_two_nodes_takes_two_and_its_mods_stay_off(page: LaunchPage) -> None:
    drawer = opened(page, RECIPE)
    assert drawer.model.verdict()[0].startswith("eugr recipe")
    assert any("mods/fix" in line for line in lines(drawer, "off"))
    QTest.mouseClick(drawer.fill, Qt.MouseButton.LeftButton)
    page.model.recompute()
    assert len(page.model.form.nodes) == 2
    assert page.model.form.parallelism == Parallelism(2)
    request = page.model.preview.request
    assert request is not None
    assert (request.tensor_parallel_size, request.context_tokens) == (2, 65_536)
    assert request.memory_fraction == 0.8, "what has no place on the form is kept with it"


def test_a_hub_id_alone_chooses_the_model_and_leaves_the_rest(page: LaunchPage) -> None:
    page.model.set_field("port", "8222")
    drawer = opened(page, "https://huggingface.co/openai/gpt-oss-20b")
    assert drawer.model.verdict()[0] == "Hub model"
    QTest.mouseClick(drawer.fill, Qt.MouseButton.LeftButton)
    spec = page.model.spec()
    assert spec is not None
    assert spec.key == "gpt-oss-20b"


def test_a_name_that_the_catalogue_has_under_another_suffix_is_that_model(page: LaunchPage) -> None:
    llama = tuple(spec for spec in catalogue() if spec.key == "llama-3.3-70b")
    model = LaunchModel(replace(page.model.feeds, catalogue=llama))
    for words, name in (
        ("https://huggingface.co/nvidia/Llama-3.3-70B-Instruct-FP4", "nvidia/Llama-3.3-70B-Instruct-NVFP4"),
        ("meta-llama/LLAMA-3.3-70b-instruct", "meta-llama/Llama-3.3-70B-Instruct"),
        ("someone/Llama-3.3-70B-Instruct-FP4", "someone/Llama-3.3-70B-Instruct-FP4"),
    ):
        model.take_import(read_paste(words, catalogue=llama, backends=("vllm",), load_yaml=read_yaml))
        model.recompute()
        assert model.form.model == name
        assert (model.spec() is None) is (name == words), "another owner's is another model"


def test_a_text_without_a_quantization_takes_none_from_the_model_before(page: LaunchPage) -> None:
    page.model.set_field("quantization", "MXFP4")
    page.model.set_field("weights_path", "/a/other.gguf")
    QTest.mouseClick(opened(page, "vllm serve unknown/Foo-7B --port 8123").fill, Qt.MouseButton.LeftButton)
    page.model.recompute()
    form = page.model.form
    assert (form.model, form.quantization, form.weights_path) == ("unknown/Foo-7B", "", "")


@pytest.mark.parametrize(
    "text", ["", "   \n", "rm -rf / && curl x | sh", "\x00\u202e", "!!python/object:os.system [x]"]
)
def test_what_is_not_understood_fills_nothing(page: LaunchPage, text: str) -> None:
    drawer = opened(page, text)
    before = page.model.form
    assert not drawer.fill.isEnabled()
    assert drawer.fill.toolTip()
    QTest.mouseClick(drawer.fill, Qt.MouseButton.LeftButton)
    assert page.model.form == before


def test_it_is_read_while_it_is_typed_and_escape_closes_it(qtbot: QtBot, page: LaunchPage) -> None:
    drawer = opened(page, "")
    QTest.keyClicks(drawer.input, "openai/gpt-oss-20b")
    qtbot.waitUntil(lambda: drawer.model.verdict()[0] == "Hub model", timeout=3000)
    QTest.keyClick(drawer.input, Qt.Key.Key_Escape)
    assert not drawer.isVisible()


def test_a_chosen_file_goes_through_the_drawer_and_a_bad_one_is_said(page: LaunchPage) -> None:
    QTest.mouseClick(page.catalogue.opener, Qt.MouseButton.LeftButton)
    assert page.dialog is not None
    assert not page.dialog.isModal() or page.dialog.isVisible()
    page.dialog.fileSelected.emit("/a/one.yaml")
    assert page.paste is not None
    assert page.paste.isVisible()
    assert page.paste.model.verdict()[0].startswith("eugr recipe")
    page.paste.close_drawer()
    page.dialog.fileSelected.emit("/gone.yaml")
    assert page.banner.title() == "The file cannot be read"
    assert not page.paste.isVisible()


def choose_file(page: LaunchPage, path: str) -> PasteDrawer:
    QTest.mouseClick(page.catalogue.opener, Qt.MouseButton.LeftButton)
    assert page.dialog is not None
    page.dialog.fileSelected.emit(path)
    assert page.paste is not None
    return page.paste


def test_a_recipe_fills_the_form_only_with_the_approval_that_the_button_names(
    page: LaunchPage, settings: SettingsModel
) -> None:
    drawer = opened(page, RECIPE)
    before = page.model.form
    assert drawer.approval.words() == f"Not approved on this computer · sha256 {digest_of(RECIPE)[:8]}…"
    assert drawer.fill.text() == "Approve and fill the form"
    assert digest_of(RECIPE)[16:32] in lines(drawer, "bytes")[0]
    assert (settings.approvals.value.days, page.model.form) == ((), before), "looking approves nothing"
    QTest.mouseClick(drawer.fill, Qt.MouseButton.LeftButton)
    assert settings.approvals.value.days == ((digest_of(RECIPE), DAY),)
    assert page.model.form.context_tokens == "65,536"
    drawer = opened(page, RECIPE)
    assert drawer.approval.words().startswith(f"Approved on this computer since {DAY} · sha256 ")
    assert drawer.fill.text() == "Fill the form"


def test_a_changed_byte_is_not_approved_again(page: LaunchPage, settings: SettingsModel) -> None:
    settings.approve_recipe(digest_of(RECIPE), DAY)
    drawer = opened(page, f"{RECIPE} ")
    assert drawer.approval.words().startswith("Not approved")
    settings.approve_recipe(digest_of(f"{RECIPE} "), DAY)
    assert drawer.fill.text() == "Fill the form", "an approval shows at once"
    settings.forget_recipes()
    assert drawer.fill.text() == "Approve and fill the form", "so does its end"


def test_a_text_that_was_changed_and_not_shown_yet_is_not_approved_by_the_click(
    page: LaunchPage, settings: SettingsModel
) -> None:
    drawer = opened(page, RECIPE)
    before = page.model.form
    drawer.input.appendPlainText("# another")
    QTest.mouseClick(drawer.fill, Qt.MouseButton.LeftButton)
    assert settings.approvals.value.days == ()
    assert page.model.form == before
    assert drawer.isVisible()
    QTest.mouseClick(drawer.fill, Qt.MouseButton.LeftButton)
    assert settings.approvals.value.days == ((digest_of(f"{RECIPE}\n# another"), DAY),)


@pytest.mark.parametrize("text", [RECIPE, HOSTILE, "vllm serve openai/gpt-oss-20b --trust-remote-code"])
def test_what_is_not_approved_reaches_no_form_and_so_no_launch(page: LaunchPage, text: str) -> None:
    launched: list[object] = []
    page.launch_asked.connect(launched.append)
    before, request = page.model.form, page.model.preview.request
    drawer = opened(page, text)
    imported = drawer.model.imported
    assert imported is not None
    drawer.fill_asked.emit(imported)  # as if the drawer had forgotten to ask
    page.model.take_import(imported)
    page.model.recompute()
    assert (page.model.form, page.model.imported, page.model.preview.request) == (before, None, request)
    page.model.launch()
    assert [plan.request for plan in launched] == [request]  # type: ignore[attr-defined]  # a LaunchPlan


def test_plain_fields_of_a_command_need_no_approval_and_an_image_does(page: LaunchPage) -> None:
    drawer = opened(page, SERVE)
    assert not drawer.approval.isVisible()
    assert drawer.fill.text() == "Fill the form"
    drawer = opened(page, HOSTILE)
    assert drawer.approval.isVisible()
    assert drawer.fill.text() == "Approve and fill the form"


def test_a_file_is_approved_by_its_own_bytes_not_by_those_of_the_input(
    page: LaunchPage, settings: SettingsModel
) -> None:
    drawer = choose_file(page, "/a/windows.yaml")
    QTest.mouseClick(drawer.fill, Qt.MouseButton.LeftButton)
    assert settings.approvals.value.days == ((digest_of(RECIPE.replace("\n", "\r\n")), DAY),)


def test_a_recipe_s_file_is_read_as_one_until_it_is_typed_into(page: LaunchPage) -> None:
    drawer = choose_file(page, "/a/x.YML")
    assert drawer.model.verdict()[1] == "crit", "a recipe's file can be nothing else"
    assert not drawer.fill.isEnabled()
    drawer.input.insertPlainText(" ")
    drawer.model.recompute()
    assert drawer.model.verdict()[0] == "Hub model"


def test_what_a_recipe_says_that_nobody_knows_survives_the_form(page: LaunchPage) -> None:
    drawer = opened(page, UNKNOWN)
    assert "brand_new" in " ".join(lines(drawer, "unknown"))
    QTest.mouseClick(drawer.fill, Qt.MouseButton.LeftButton)
    page.model.set_field("context_tokens", "16,384")
    page.model.recompute()
    page.form.foot.menu.actions()[2].trigger()
    data = read_yaml(QGuiApplication.clipboard().text())
    assert data["brand_new"] == {"a": [1, {"b": None}]}
    assert (data["name"], data["mods"]) == ("two nodes", ["mods/fix"])
    assert data["defaults"]["max_model_len"] == 16_384, "what the form says wins"
    page.model.pick(page.model.feeds.catalogue[0].name)
    page.model.recompute()
    page.form.foot.menu.actions()[2].trigger()
    assert "brand_new" not in QGuiApplication.clipboard().text(), "another model came from no recipe"


def test_a_launch_of_before_came_from_no_recipe(page: LaunchPage) -> None:
    drawer = opened(page, UNKNOWN)
    QTest.mouseClick(drawer.fill, Qt.MouseButton.LeftButton)
    page.model.recompute()
    request = page.model.preview.request
    assert request is not None
    assert page.model.imported is not None
    page.load(request)
    assert page.model.imported is None


def test_the_command_is_copied_as_the_form_says_it(page: LaunchPage) -> None:
    page.model.set_field("port", "8333")
    page.model.recompute()
    QTest.mouseClick(page.form.foot.copy, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text().startswith("command: ")
    assert QGuiApplication.clipboard().text().endswith(" on 8333")
    page.form.foot.menu.actions()[0].trigger()
    assert QGuiApplication.clipboard().text().startswith("plain: ")
    page.form.foot.menu.actions()[1].trigger()
    assert QGuiApplication.clipboard().text().startswith("plain: "), "what cannot be written leaves the clipboard alone"
    assert "Not of this" in page.form.foot.copy.toolTip()
    page.model.set_field("port", "80")
    page.model.recompute()
    assert not page.form.foot.copy.isEnabled()


def test_pictures_of_pasted_text(page: LaunchPage, settings: SettingsModel) -> None:
    opened(page, HOSTILE)
    take_pictures(page, "launch-paste")
    opened(page, RECIPE)
    take_pictures(page, "launch-paste-recipe")
    settings.approve_recipe(digest_of(RECIPE), DAY)
    take_pictures(page, "launch-paste-approved")
