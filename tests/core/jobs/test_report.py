"""What a node says of jobs is a stranger's text: typed, bounded, and never more than it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.jobs.report import (
    MAX_JOBS,
    UNKNOWN_ACCOUNT,
    name_account,
    read_foreign_reports,
    read_reports,
)

JOB = "abcdefghijklmnop"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
ROWS = st.lists(
    st.dictionaries(st.sampled_from(("job_id", "account", "title", "holder", "owner", "state")), VALUES) | VALUES
)


@given(jobs=ROWS | VALUES, others=ROWS | VALUES)
def test_any_answer_is_read(jobs: object, others: object) -> None:
    found = {"jobs": jobs, "others": others}
    for report in (*(report for report, _ in read_reports(found, "n1")), *read_foreign_reports(found, "n1")):
        assert report.node_id == "n1"
        assert "\n" not in report.owner + report.holder + report.account + report.title


def test_who_started_a_job_and_who_has_it_are_kept_apart() -> None:
    row = {"job_id": JOB, "state": "running", "owner": "me@here", "holder": "anna@there"}
    ((report, _),) = read_reports({"jobs": [row]}, "n1")
    assert (report.owner, report.holder, report.account) == ("me@here", "anna@there", "")


def test_of_another_accounts_job_only_its_owner_and_title_are_believed() -> None:
    row = {"job_id": JOB, "account": "eve\x1b[31m", "title": "an image", "state": "ended", "owner": "me@here", "pid": 7}
    (report,) = read_foreign_reports({"others": [row, dict(row), {"job_id": "../../x", "account": "eve"}]}, "n1")
    assert report.account.startswith("eve")
    assert "\x1b" not in report.account
    assert (report.state, report.title, report.owner, report.pid) == ("running", "an image", "", None)


def test_an_account_that_is_not_known_is_called_so() -> None:
    (report,) = read_foreign_reports({"others": [{"job_id": JOB}]}, "n1")
    assert report.account == UNKNOWN_ACCOUNT == name_account(report.account)
    assert name_account("eve") == "the account eve"


def test_more_jobs_than_fit_are_left_out() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    ids = [f"{letters[i // 26]}{letters[i % 26]}{'a' * 14}" for i in range(MAX_JOBS + 50)]
    assert len(read_foreign_reports({"others": [{"job_id": job_id} for job_id in ids]}, "n1")) == MAX_JOBS
