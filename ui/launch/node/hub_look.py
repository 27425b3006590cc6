"""Has the hub asked about the form's model while a person stands on the form: a no is heard before the launch.

The one rule: what is being typed is asked about once it rests, the same thing never twice within some seconds, and
nothing while the page is hidden. Who asks says nothing where there is no way to the hub.
"""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import QObject, QTimer

from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.launch.hub_access import OK, asked_repos
from ui.launch.model import LaunchModel

REST_MS: Final = 1200
"""So long nothing is changed before somebody is asked."""
LEAST_S: Final = 5.0
"""The same is not asked sooner again."""
AGAIN_S: Final = 20.0
"""A no may be mended on the hub's page meanwhile, and what is not known may be known."""

Question = tuple[tuple[str, ...], tuple[str, ...]]
"""Nodes, and the repositories that would be fetched."""


class HubLook(QObject):
    """`begin` when the page is shown, `end` when it is hidden, `tick` every few seconds between."""

    def __init__(self, model: LaunchModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._is_shown = False
        self._question: Question | None = None
        self._asked_s: dict[tuple[str, ...], float] = {}
        """When these repositories were asked about last."""
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self._ask)
        model.preview_changed.connect(self._follow)
        model.form_changed.connect(self._follow)

    def begin(self) -> None:
        """The page is shown."""
        self._is_shown = True
        self._follow()

    def end(self) -> None:
        """The page is hidden: nobody waits for an answer."""
        self._is_shown = False
        self._drop()

    def tick(self) -> None:
        """Some seconds later: what was no, or not known, may be another answer now."""
        question = self._question
        if not self._is_shown or question is None or self._rest.isActive() or self._is_let_in(question):
            return
        if self._waited_s(question) >= AGAIN_S:
            self._ask()

    def _follow(self) -> None:
        """Another question drops the one before; the same one goes on."""
        if not self._is_shown:
            return
        question = self._question_of(self._model.preview.request)
        if question == self._question:
            return
        self._drop()
        self._question = question
        if question is not None:
            self._rest.start(REST_MS)

    def _drop(self) -> None:
        self._rest.stop()
        if self._question is not None:
            self._question = None
            self._model.feeds.forget_hub()

    def _ask(self) -> None:
        request, question = self._model.preview.request, self._question
        if request is None or question is None:
            return
        too_soon_s = LEAST_S - self._waited_s(question)
        if too_soon_s > 0:
            self._rest.start(math.ceil(too_soon_s * 1000))
            return
        self._asked_s[question[1]] = self._model.feeds.clock_s()
        self._model.feeds.ask_hub(request)

    def _waited_s(self, question: Question) -> float:
        return self._model.feeds.clock_s() - self._asked_s.get(question[1], -math.inf)

    def _nodes(self, request: LaunchRequest) -> list[NodeContext]:
        return [each for each in self._model.feeds.contexts.value if each.record.id in request.nodes]

    def _question_of(self, request: LaunchRequest | None) -> Question | None:
        if request is None:
            return None
        repos = dict.fromkeys(repo for node in self._nodes(request) for repo in asked_repos(request, node))
        return (request.nodes, tuple(repos)) if repos else None

    def _is_let_in(self, question: Question) -> bool:
        nodes, repos = question
        known = [each.hub_answers for each in self._model.feeds.contexts.value if each.record.id in nodes]
        return all(answers.get(repo) == OK for answers in known for repo in repos)
