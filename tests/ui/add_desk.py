"""Feeds of the pages that add nodes, as the services would fill them, and a notebook of what the pages called."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sparkdesk.core.cluster.candidate import Candidate, SearchOptions, SearchProgress, SearchState, Sighting, Source
from sparkdesk.core.cluster.enrolment import Enrolment, EnrolStage, KeyOffer, Who
from sparkdesk.core.cluster.node import JumpHost, NodeStatus
from sparkdesk.core.feed import Latest
from ui.add_node.model import AddNodeFeeds, AddNodeModel
from ui.add_node.search_model import SearchFeeds, SearchModel
from ui.first_run.address import read_address

PRINT = "SHA256:Gq8mXkVw3T0bqk1Qe5rXy7o2h9LZsN4cD6fJ+uAqR2E"
OTHER_PRINT = "SHA256:9pTzYw1cB3vR6sK8mEo0LxHq2uJfN5dGaZ7iV4kXbQI"
ART = """+--[ED25519 256]--+
|        .o+B=.   |
|       . o.Xo.   |
|        = B.*    |
|       o @ B o   |
|        S O = .  |
|         = * + . |
|        . = + o .|
|         o . o E |
|          .   o  |
+----[SHA256]-----+"""
OFFER = KeyOffer("10.0.20.31", PRINT, "ssh-ed25519", ART)
WHO = Who("10.0.20.31", 22, "nvidia")
HOSTILE = "<b>spark</b>\n\u202e" + "x" * 4000


@dataclass
class Attempt:
    """One who adds nodes on paper: keeps each call, and moves the feed only where a test says so."""

    enrolment: Latest[Enrolment] = field(default_factory=lambda: Latest(Enrolment()))
    calls: list[tuple[object, ...]] = field(default_factory=list)

    def show(self, stage: EnrolStage, **changes: object) -> None:
        """The feed says this now; who and offer stay unless told."""
        before = self.enrolment.value
        kept = Enrolment(who=before.who, offer=before.offer, log=before.log)
        self.enrolment.set(replace(kept, stage=stage, **changes))  # type: ignore[arg-type]

    def write(self, *lines: str) -> None:
        """More lines in the log."""
        before = self.enrolment.value
        self.enrolment.set(replace(before, log=(*before.log, *lines)))

    def start(self, who: Who) -> None:
        self.calls.append(("start", who))
        self.enrolment.set(Enrolment(EnrolStage.LOOKING, who))

    def trust(self) -> None:
        self.calls.append(("trust",))

    def give_password(self, password: str, *, remember: bool) -> None:
        self.calls.append(("password", password, remember))
        self.show(EnrolStage.SIGNING_IN)

    def give_passphrase(self, text: str, *, remember: bool) -> None:
        self.calls.append(("passphrase", text, remember))
        self.show(EnrolStage.SIGNING_IN)

    def set_up_key(self) -> None:
        self.calls.append(("key",))
        self.show(EnrolStage.SETTING_UP_KEY)

    def keep_password(self) -> None:
        self.calls.append(("keep",))

    def take_same(self, *, is_same: bool) -> None:
        self.calls.append(("same", is_same))

    def retry(self) -> None:
        self.calls.append(("retry",))

    def cancel(self) -> None:
        self.calls.append(("cancel",))
        self.enrolment.set(Enrolment())


@dataclass
class Desk:
    """Everything the page reads."""

    attempt: Attempt = field(default_factory=Attempt)
    nodes: Latest[tuple[NodeStatus, ...]] = field(default_factory=lambda: Latest(()))
    is_keyring_durable: Latest[bool] = field(default_factory=lambda: Latest(True))
    candidates: Latest[tuple[Candidate, ...]] = field(default_factory=lambda: Latest(()))
    progress: Latest[tuple[SearchProgress, ...]] = field(default_factory=lambda: Latest(()))
    begins_as: SearchState = SearchState.RUNNING
    searches: list[SearchOptions] = field(default_factory=list)
    stops: int = 0

    def add_model(self) -> AddNodeModel:
        """The model of the three rows."""
        feeds = AddNodeFeeds(self.attempt.enrolment, self.attempt, self.nodes, self.is_keyring_durable)
        return AddNodeModel(feeds, local_user="hartmut")

    def search_model(self) -> SearchModel:
        """The model of the search."""
        return SearchModel(
            SearchFeeds(self.candidates, self.progress, self._start_search, self._stop_search, range_problem)
        )

    def _start_search(self, options: SearchOptions) -> None:
        self.searches.append(options)
        self.progress.set(tuple(SearchProgress(source, self.begins_as) for source in sorted(options.sources)))

    def _stop_search(self) -> None:
        self.stops += 1
        self.end_search()

    def end_search(self) -> None:
        """Every source that looked is done."""
        found = {
            source: sum(s.source is source for c in self.candidates.value for s in c.sightings) for source in Source
        }
        self.progress.set(
            tuple(
                replace(each, state=SearchState.DONE, found=found[each.source])
                if each.state is SearchState.RUNNING
                else each
                for each in self.progress.value
            )
        )


def range_problem(text: str) -> str:
    """A rule as strict as a test needs: addresses or networks with commas between."""
    for part in text.split(","):
        host = part.strip().split("/")[0].split("-")[0]
        try:
            read_address(host)
        except ValueError:
            return f"“{part.strip()[:40]}” is no address or range."
        if host.count(".") != 3:
            return f"“{part.strip()[:40]}” is no address or range."
    return ""


def candidate(i: int, **changes: object) -> Candidate:
    """Machine `i`; every third looks like nothing in particular."""
    base = Candidate(
        id=f"c{i}",
        name=f"spark-{0x5C2D + i * 977:04x}.local",
        address=f"10.0.20.{31 + i}",
        sightings=(Sighting(Source.MDNS, "announces SSH on this network as “spark”"),),
        likeness="" if i % 3 == 2 else "Looks like a DGX Spark",
    )
    return replace(base, **changes) if changes else base  # type: ignore[arg-type]


def found_some() -> tuple[Candidate, ...]:
    """A mixed handful."""
    return (
        candidate(0),
        candidate(1, user="nvidia", sightings=(Sighting(Source.SSH_CONFIG, "“lab” in your ~/.ssh/config"),)),
        candidate(2, name="nas", port=2222),
        candidate(
            3,
            name="",
            address="fe80::4ebb:47ff:fe2a:1%enp1s0f1np1",
            sightings=(Sighting(Source.NEIGHBOUR, "spark-5c2d sees it through port P1"),),
            jump=JumpHost("10.0.20.31", 22, "nvidia", "ssh-ed25519 AAAA"),
        ),
        candidate(4, known_as="spark-bd26", other_addresses=("192.168.100.4", "fe80::1", "10.9.9.9", "10.9.9.10")),
    )
