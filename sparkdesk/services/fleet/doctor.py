"""Runs the doctor's checks on a node and publishes what they find, as it is found.

The one rule: it reads only. A node that is lost half way is a failed check-up with a remedy; no check passes for it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from sparkdesk.core.errors import NodeError
from sparkdesk.core.feed import Latest
from sparkdesk.core.probes.check import CheckUp
from sparkdesk.core.probes.doctor import batches, judge
from sparkdesk.core.probes.read import Answer, Read
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.reader import Reader

log = logging.getLogger(__name__)


class Doctor:
    """The check-ups of nodes; `check_ups` is the feed, by node id. What a finding offers is run by whoever shows it."""

    def __init__(self, *, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self.check_ups: Latest[Mapping[str, CheckUp]] = Latest({})

    async def run(self, node_id: str) -> CheckUp:
        """Check the node, and give the whole check-up; while one is under way, another is not begun.

        A node that cannot be asked is no exception: the check-up's state is "failed" then, and says what to do.
        """
        known = self.check_ups.value.get(node_id)
        if known is not None and known.state == "running":
            return known
        check_up = self._tell(CheckUp(node_id, state="running"))
        answers: dict[Read, Answer] = {}
        try:
            for reads in batches():
                answers |= await self._reader.read(node_id, reads)
                check_up = self._tell(replace(check_up, findings=judge(answers, node_id)))
        except NodeError as error:
            log.info("check-up of %s: %s", node_id, error.sentence())
            check_up = replace(check_up, state="failed", message=error.message, remedy=error.remedy)
        else:
            check_up = replace(check_up, state="done")
        finally:
            if check_up.state == "running":  # cancelled: the program ends, or the node's page was closed
                check_up = replace(check_up, state="failed", message="The check-up was ended", remedy="Run it again.")
            self._tell(replace(check_up, t_ms=self._clock.now_ms()))
        return self.check_ups.value[node_id]

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much: a check-up keeps its age."""
        known = self.check_ups.value.items()
        self.check_ups.set({key: replace(one, t_ms=one.t_ms + moved_ms * bool(one.t_ms)) for key, one in known})

    def forget(self, node_id: str) -> None:
        """A node was removed."""
        self.check_ups.set({key: value for key, value in self.check_ups.value.items() if key != node_id})

    def _tell(self, check_up: CheckUp) -> CheckUp:
        self.check_ups.set({**self.check_ups.value, check_up.node_id: check_up})
        return check_up
