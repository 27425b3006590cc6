"""What is offered when a conversation no longer fits."""

from __future__ import annotations

from sparkdesk.core.chat.context import WindowPolicy
from sparkdesk.core.chat.message import Sampling
from sparkdesk.core.chat.session import ChatSettings
from sparkdesk.core.chat.window.overflow import Held, Remedy, Server, needed_tokens, offers
from sparkdesk.core.jobs.backend import EndpointFailure


def overflow(prompt: int | None = None, limit: int | None = None) -> EndpointFailure:
    return EndpointFailure("context_overflow", "Too long", "Shorten it.", prompt_tokens=prompt, context_tokens=limit)


def test_all_ways_are_offered_with_what_each_does() -> None:
    found = offers(overflow(6031, 2048), ChatSettings(), Server(can_relaunch=True, has_vectors=True))
    assert [offer.remedy for offer in found] == [Remedy.RAISE, Remedy.SUMMARISE, Remedy.RETRIEVE, Remedy.DROP]
    assert found[0].context_tokens == 8192
    assert "6,031" in found[0].words
    assert found[0].policy is None
    assert {offer.policy for offer in found[1:]} == set(WindowPolicy) - {WindowPolicy.WHOLE}
    assert all("stay here" in offer.words for offer in found[1:]), "nothing is deleted"


def test_the_policy_that_is_set_and_servers_of_others_are_not_offered() -> None:
    found = offers(overflow(6031, 2048), ChatSettings(window=WindowPolicy.SUMMARISE), Server())
    assert [offer.remedy for offer in found] == [Remedy.DROP]


def test_a_longer_context_is_offered_only_as_far_as_the_model_goes() -> None:
    def raised(prompt: int | None, limit: int, most: int) -> int | None:
        server = Server(can_relaunch=True, max_context_tokens=most)
        way = offers(overflow(prompt, limit), ChatSettings(), server)[0]
        return way.context_tokens if way.remedy is Remedy.RAISE else None

    assert raised(6000, 4096, 6500) == 6500
    assert raised(9000, 4096, 8192) is None
    assert raised(None, 8192, 8192) is None
    assert raised(None, 2048, 8192) == 4096


def test_a_first_question_that_is_too_long_is_offered_only_what_can_help() -> None:
    def ways(server: Server, *, has_files: bool = False) -> dict[Remedy, str]:
        held = Held(has_older=False, has_files=has_files)
        return {way.remedy: way.reason for way in offers(overflow(9000, 4096), ChatSettings(), server, held)}

    ours = Server(can_relaunch=True, has_vectors=True)
    assert ways(ours) == {Remedy.RAISE: "", Remedy.EDIT: ""}
    assert set(ways(ours, has_files=True)) == {Remedy.RAISE, Remedy.RETRIEVE, Remedy.EDIT}
    assert "did not launch" in ways(Server())[Remedy.RAISE]
    assert "8,192 tokens at most" in ways(Server(can_relaunch=True, max_context_tokens=8192))[Remedy.RAISE]


def test_how_much_context_is_needed_counts_the_answer() -> None:
    assert needed_tokens(overflow(4000)) == 5120
    assert needed_tokens(overflow(4000), max_tokens=4192) == 8192
    assert needed_tokens(overflow(None)) is None
    long = offers(overflow(4000), ChatSettings(sampling=Sampling(max_tokens=5000)), Server(can_relaunch=True))
    assert long[0].context_tokens == 9216


def test_any_other_failure_has_no_such_offer() -> None:
    assert offers(EndpointFailure("overloaded", "Busy", "Wait."), ChatSettings(), Server(can_relaunch=True)) == ()
