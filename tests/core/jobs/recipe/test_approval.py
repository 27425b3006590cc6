"""An approval is of exact bytes, is kept with its day, and is asked for where somebody else's words come in."""

from __future__ import annotations

import pytest

from sparkdesk.core.jobs.recipe.approval import MAX_APPROVED, Approvals, needs_approval, read_approvals
from sparkdesk.core.jobs.recipe.imported import digest_of
from sparkdesk.core.jobs.recipe.paste import read_paste
from sparkdesk.infra.yaml_text import read_yaml
from tests.core.jobs.recipe.test_recipe import EUGR, SPARK_PULSE, SPARKRUN

DAY = "2026-11-21"
PLAIN = "{model: a/b, defaults: {port: 8123}, description: x}\n"
OWN = 'engine = "vllm"\nmodel = "a/b"\nport = 8123\n'


@pytest.mark.parametrize("text", [SPARKRUN, EUGR, SPARK_PULSE, OWN, PLAIN])
def test_every_recipe_needs_an_approval_of_its_exact_bytes(text: str) -> None:
    imported = read_paste(text, load_yaml=read_yaml)
    assert needs_approval(imported)
    assert not Approvals().may_fill(imported)
    approvals = Approvals().add(imported.digest, DAY)
    assert approvals.may_fill(imported)
    for changed in (f"{text} ", text.replace("8", "9", 1), text.replace("\n", "\r\n")):
        other = read_paste(changed, load_yaml=read_yaml)
        assert other.fields
        assert not approvals.may_fill(other), "a changed byte is another text"


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        ("openai/gpt-oss-120b", False),
        ("https://huggingface.co/openai/gpt-oss-120b/tree/abc", False),
        ("/models/a.Q4_K_M.gguf", False),
        ("what is this?", False),
        ("vllm serve a/b --tensor-parallel-size 2 --port 8123", False),
        ("vllm serve a/b --trust-remote-code", True),
        ("vllm serve a/b --chat-template /x.jinja", True),
        ("VLLM_X=1 vllm serve a/b", True),
        ("docker run vllm/vllm-openai:latest --model a/b", True),
        ("docker run -v /:/host --entrypoint vllm x serve a/b", True),
    ],
)
def test_a_command_needs_one_when_it_chooses_more_than_plain_fields(text: str, needs: bool) -> None:
    assert needs_approval(read_paste(text, load_yaml=read_yaml)) is needs


def test_approvals_are_read_back_as_they_were_written() -> None:
    approvals = Approvals().add(digest_of("a"), DAY).add(digest_of("b"), "2026-11-22").add(digest_of("a"), "2027-01-01")
    assert read_approvals(approvals.written()) == approvals
    assert approvals.day_of(digest_of("a")) == DAY, "the first day stays"
    assert approvals.day_of(digest_of("c")) == ""


def test_only_the_newest_approvals_are_kept() -> None:
    approvals = Approvals()
    for number in range(MAX_APPROVED + 3):
        approvals = approvals.add(digest_of(str(number)), DAY)
    assert len(approvals.days) == MAX_APPROVED
    assert not approvals.day_of(digest_of("2"))
    assert approvals.day_of(digest_of("3"))
    assert approvals.day_of(digest_of(str(MAX_APPROVED + 2)))


@pytest.mark.parametrize(
    "stored",
    [None, 7, True, [digest_of("a")], "", digest_of("a"), f"{digest_of('a')} 2026-02-30", f"{digest_of('a')} today",
     f"{digest_of('a').upper()} {DAY}", f" {digest_of('a')} {DAY}", f"{digest_of('a')[:-1]} {DAY}", "\x00" * 999],
)  # fmt: skip
def test_what_is_stored_and_no_approval_approves_nothing(stored: object) -> None:
    assert read_approvals(stored) == Approvals()


def test_a_text_without_a_digest_is_never_approved() -> None:
    assert Approvals().add("", DAY) == Approvals()
    assert Approvals().add(digest_of("a"), "some day") == Approvals()
