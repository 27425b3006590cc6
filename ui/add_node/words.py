"""What the search and the three rows say, from plain values.

Rule: pure; whatever comes from a network or a node is bounded and made one line here, before a widget sees it.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from sparkdesk.core.cluster.candidate import Candidate, SearchProgress, SearchState, Source
from sparkdesk.core.cluster.enrolment import Enrolment, EnrolStage, KeyOffer, Who, read_place
from sparkdesk.core.cluster.node import NodeStatus, SignIn
from ui.text import memory, one_line, percent

Row = Literal["who", "trust", "sign_in"]

LONGEST_NAME: Final = 80
LONGEST_SENTENCE: Final = 400
LONGEST_DETAIL: Final = 4000
LONGEST_PLAN: Final = 20_000
_LONGEST_WORD: Final = 36
_EXCEPTION: Final = re.compile(r"(?:[A-Z][a-z]+){2,}: ")
_BREAK: Final = "\u200b"
"""A place to break a line that cannot be seen."""
SIGN_IN_TITLES: Final[dict[SignIn, str]] = {
    SignIn.AUTOMATIC: "Automatic",
    SignIn.AGENT: "SSH agent",
    SignIn.KEY: "Key file",
    SignIn.PASSWORD: "Password",
}
ROW_OF: Final[dict[EnrolStage, Row]] = {
    EnrolStage.IDLE: "who",
    EnrolStage.LOOKING: "trust",
    EnrolStage.TRUST: "trust",
    EnrolStage.CHANGED_KEY: "trust",
}
"""Every other stage but FAILED belongs to "sign_in"; FAILED stays where it happened."""


class SourceWords(NamedTuple):
    """A place to look: how its row reads. `idle` stands where nothing is known before the search."""

    title: str
    icon: str
    idle: str
    about: str


SOURCES: Final[dict[Source, SourceWords]] = {
    Source.MDNS: SourceWords(
        "Local network, mDNS", "globe", "about 5 s", "Machines that announce SSH on this network."
    ),
    Source.SSH_CONFIG: SourceWords("~/.ssh/config", "key", "your hosts", "Hosts that your own SSH config names."),
    Source.NEIGHBOUR: SourceWords(
        "CX-7 neighbours", "cable", "of your nodes", "What a node that you added sees through its QSFP ports."
    ),
    Source.RANGE: SourceWords(
        "Address range", "network", "you type it", "Asks each address for SSH once: 10.0.20.0/24 or 10.0.20.10-40."
    ),
}


def sentence(text: str, limit: int = LONGEST_SENTENCE) -> str:
    """Words of a node or a service for a label that wraps: one line, bounded, and no word too long to be broken."""
    words = one_line(text, limit).split(" ")
    return " ".join(
        _BREAK.join(word[i : i + _LONGEST_WORD] for i in range(0, len(word), _LONGEST_WORD)) for word in words
    )


def source_status(progress: SearchProgress) -> str:
    """How far a source is, in a few words."""
    found = f"{progress.found} {'host' if progress.source is Source.SSH_CONFIG else 'found'}"
    if progress.source is Source.SSH_CONFIG and progress.found != 1:
        found += "s"
    if progress.state is SearchState.UNAVAILABLE:
        return "not possible"
    if progress.state is SearchState.RUNNING:
        share = f", {percent(progress.fraction, is_done=False)}" if progress.fraction is not None else ""
        return f"{found}{share}" if progress.found or share else "looking"
    if progress.state is SearchState.DONE:
        return found if progress.found else "none found"
    return found if progress.found else one_line(progress.note, 40) or SOURCES[progress.source].idle


def neighbourhood_status(progress: tuple[SearchProgress, ...]) -> str:
    """Address range and CX-7 neighbours as one row."""
    if any(each.state is SearchState.RUNNING for each in progress):
        return f"{sum(each.found for each in progress)} found, looking"
    if any(each.state is SearchState.DONE for each in progress):
        return f"{sum(each.found for each in progress)} found"
    return "you choose"


def name_of(candidate: Candidate) -> str:
    """A candidate's name, or its address where it has none."""
    return one_line(candidate.name or candidate.address, LONGEST_NAME)


def place(host: str, port: int) -> str:
    """An address with its port where that is not SSH's own."""
    shown = one_line(host, 120)
    if port == 22:
        return shown
    return f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"


def who_line(who: Who, behind: str = "") -> str:
    """Who is being added, in one line. `behind`: where a machine was seen whose address tells a person nothing."""
    if behind:
        return f"{one_line(who.user, 64)}, {one_line(behind, 120)} · {SIGN_IN_TITLES[who.sign_in]}"
    user = f"{one_line(who.user, 64)}@" if who.user else ""
    way = f" through {one_line(who.jump, 120)}" if who.jump else ""
    return f"{user}{place(who.address, who.port)}{way} · {SIGN_IN_TITLES[who.sign_in]}"


def why_found(candidate: Candidate) -> str:
    """Why a machine is on the list."""
    seen = [one_line(sighting.words, 120) for sighting in candidate.sightings[:6] if sighting.words]
    return " · ".join(seen) or "found"


def way_to(candidate: Candidate) -> str:
    """Through which other machine the way leads, "" when straight."""
    through = candidate.jump.address if candidate.jump is not None else candidate.jump_host
    return f"through {one_line(through, LONGEST_NAME)}" if through else ""


def other_ways(candidate: Candidate) -> str:
    """Its other addresses, in a few words."""
    others = [one_line(each, 64) for each in candidate.other_addresses[:3]]
    more = len(candidate.other_addresses) - len(others)
    return f"also {', '.join(others)}{f' and {more} more' if more > 0 else ''}" if others else ""


def draft_of(candidate: Candidate, user: str) -> Who:
    """The first row's form, filled from a candidate; `user` where the candidate names none."""
    return Who(
        address=candidate.address,
        port=candidate.port,
        user=candidate.user or user,
        jump="" if candidate.jump is not None else candidate.jump_host,
        candidate_id=candidate.id,
    )


def is_of_jump_host(offer: KeyOffer, who: Who | None) -> bool:
    """Whether the key offered is the jump host's, which comes first, and not the node's own."""
    if who is None or not who.jump:
        return False
    jump = read_place(who.jump, user=who.user)
    host = offer.host.casefold()
    return jump is not None and host == jump.address.casefold() != who.address.casefold()


def key_words(key_type: str) -> str:
    """A key's type as people name it: "ssh-ed25519" is ED25519."""
    plain = key_type.lower().removesuffix("@openssh.com").removesuffix("-cert-v01")
    for part, words in (("ed25519", "ED25519"), ("ecdsa", "ECDSA"), ("rsa", "RSA")):
        if part in plain:
            return f"{words} on a security key" if plain.startswith("sk-") else words
    return one_line(key_type, 20) or "type not known"


def console_command(key_type: str, *, has_art: bool) -> str:
    """What a person types at the Spark to read its own fingerprint.

    Source: ssh-keygen(1), -l and -v; the key files' names are sshd's own defaults.
    """
    flags = "-lvf" if has_art else "-lf"
    kind = key_words(key_type).lower()
    if kind in ("ed25519", "ecdsa", "rsa"):
        return f"ssh-keygen {flags} /etc/ssh/ssh_host_{kind}_key.pub"
    return f'for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen {flags} "$key"; done'


def art_lines(art: str) -> str:
    """Randomart, bounded to what OpenSSH draws (11 lines of 19)."""
    return "\n".join(one_line(line, 19) for line in art.splitlines()[:11])


def node_words(status: NodeStatus | None) -> str:
    """Who a node is, from what it said about itself; "" while that is not known."""
    if status is None:
        return ""
    facts = status.facts
    size = str(memory(facts.mem_total_bytes)) + " unified memory" if facts.mem_total_bytes else ""
    called = f"calls itself {facts.hostname}" if facts.hostname else ""
    parts = (facts.product or facts.gpu_name, facts.os_version, size, called)
    return " · ".join(sentence(part, 60) for part in parts if part)


def tried_words(text: str) -> str:
    """What was offered and what the node takes, in one line; a library's own exception says nothing to a person."""
    lines = [line.strip() for line in text.splitlines()[:12] if line.strip() and not _EXCEPTION.match(line.strip())]
    words = sentence(" · ".join(lines))
    return words[:1].upper() + words[1:]


def failure(enrolment: Enrolment) -> tuple[str, str, str]:
    """What went wrong, what to do, and the evidence."""
    return (
        sentence(enrolment.message) or "The attempt ended without a reason.",
        sentence(enrolment.remedy) or "Try again; the log on this page shows how far it came.",
        enrolment.detail[:LONGEST_DETAIL],
    )
