"""What is proposed after a failed launch: out of the line that names the cause, and only where one does."""

from __future__ import annotations

import math

import pytest

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.fix import FailedLaunch, Fix, Neighbour, apply_fix, difference, find_fixes, same_again
from sparkdesk.core.jobs.request import LaunchRequest

REQUEST = LaunchRequest(
    engine="vllm",
    model="owner/model",
    nodes=("n1",),
    served_name="m",
    context_tokens=131072,
    concurrency=4,
    memory_fraction=0.9,
    extra_flags=("--enable-foo", "--bar", "3", "--swap=1"),
)
NEIGHBOUR = Neighbour("abcdefghijklmnop", "Tiny", 20 << 30)
LINES: tuple[tuple[str, dict[str, object]], ...] = (
    (
        "ValueError: To serve at least one request with the model's max seq len (131072), (16.0 GiB KV cache is "
        "needed, which is larger than the available KV cache memory (1.4 GiB). Based on the available memory, the "
        "estimated maximum model length is 11299.",
        {"context_tokens": 11296},
    ),
    ("couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8000", {"port": 8002}),
    ("OSError: [Errno 98] Address already in use", {"port": 8002}),
    (
        "Free memory on device cuda:0 (74.9/121.7 GiB) on startup is less than desired GPU memory utilization (0.9, "
        "109.5 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes.",
        {"memory_fraction": 0.59},
    ),
    ("vllm: error: unrecognized arguments: --bar 3", {"extra_flags": ("--enable-foo", "--swap=1")}),
    ("error: invalid argument: --enable-foo", {"extra_flags": ("--bar", "3", "--swap=1")}),
    ("unknown flag: --swap", {"extra_flags": ("--enable-foo", "--bar", "3")}),
    ("Please pass the argument `trust_remote_code=True` to allow custom code to be run.", {"trust_remote_code": True}),
    ("torch.OutOfMemoryError: CUDA out of memory.", {"memory_fraction": 0.85}),
    ("memory floor: 3 GiB available, at least 4 wanted", {"memory_fraction": 0.85}),
)


@pytest.mark.parametrize(("line", "change"), LINES)
def test_the_line_that_names_the_cause_names_what_to_change(line: str, change: dict[str, object]) -> None:
    (fix, *_) = find_fixes(FailedLaunch(REQUEST, f"Failed\n{line}", used_ports={8000: "x", 8001: "y"}))
    assert dict(fix.change) == change
    changed = apply_fix(REQUEST, fix)
    assert {name: getattr(changed, name) for name in change} == change
    assert changed.model == REQUEST.model


def test_a_neighbour_that_holds_memory_is_named_first_and_stopped_in_the_same_plan() -> None:
    (first, second, *_) = find_fixes(FailedLaunch(REQUEST, "CUDA out of memory", neighbours=(NEIGHBOUR,)))
    assert (first.stop_job_id, first.change) == (NEIGHBOUR.job_id, ())
    assert "20 GiB" in first.words
    assert second.stop_job_id == ""


def test_what_a_person_must_do_first_is_said() -> None:
    gated = find_fixes(FailedLaunch(REQUEST, "Cannot access gated repo for url"))[0]
    assert (gated.opens, "owner/model" in gated.words) == ("licence", True)
    assert find_fixes(FailedLaunch(REQUEST, "401 Client Error: the hub wants a token"))[0].opens == "token"


def test_a_load_that_was_not_waited_out_is_waited_for_longer_and_not_for_ever() -> None:
    words = "Load the model until the server answers: not so after 900 s"
    fix = find_fixes(FailedLaunch(REQUEST, words, load_timeout_s=900.0))[0]
    assert fix.load_timeout_s == 1800.0
    assert find_fixes(FailedLaunch(REQUEST, words, load_timeout_s=4 * 3600.0)) == ()


def test_an_unknown_cause_and_a_flag_of_the_plans_own_give_no_fix() -> None:
    assert find_fixes(FailedLaunch(REQUEST, "it ended, and nobody saw how")) == ()
    assert find_fixes(FailedLaunch(REQUEST, "unrecognized arguments: --max-model-len")) == ()
    assert find_fixes(FailedLaunch(REQUEST, "")) == ()


def test_what_was_taken_away_is_launched_again_as_it_was() -> None:
    for words in ("node was restarted", "container was removed by someone else"):
        (fix,) = find_fixes(FailedLaunch(REQUEST, f"Load the model until the server answers: its {words}"))
        assert fix == Fix(f"Launch the same again: its {words}")


def test_where_no_cause_is_known_the_same_is_offered_again_and_nothing_is_claimed() -> None:
    plain = same_again(FailedLaunch(REQUEST, "ended with exit code 3"), "KeyError: 'rope'")
    assert plain == Fix("Look at the first error in its log, \"KeyError: 'rope'\"; then start it again as it was")
    assert "no error" in same_again(FailedLaunch(REQUEST, "ended with exit code 3")).words
    assert len(same_again(FailedLaunch(REQUEST, ""), "x" * 9000).words) < 300
    least = REQUEST.model_copy(update={"context_tokens": 128, "concurrency": 1, "memory_fraction": None})
    full = FailedLaunch(least, "memory floor: 1.0 GiB available, at least 4.0 GiB wanted")
    assert find_fixes(full) == ()
    assert "smaller model" in same_again(full).words


def test_a_change_that_no_request_can_have_is_refused() -> None:
    with pytest.raises(PlanError):
        apply_fix(REQUEST, Fix("", (("port", 1),)))
    other = REQUEST.model_copy(update={"port": 9000, "model": "b/c"})
    assert apply_fix(REQUEST, Fix("", difference(REQUEST, other))) == other
    assert math.isnan(Fix("").load_timeout_s)
