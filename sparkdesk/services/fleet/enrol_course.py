"""The course of one attempt to add a node: the way there, trust, sign-in, who it is, and how it signs in from now on.

The one rule: nothing secret goes to a machine whose host key no person has confirmed, and a password that was given for
one machine is sent to that machine alone. After two refused sign-ins it stops and waits for the person.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sparkdesk.core.cluster.candidate import Candidate
from sparkdesk.core.cluster.enrolment import EnrolStage, KeyOffer, Who, read_place
from sparkdesk.core.cluster.host_key import describe_host_key, fingerprint_of
from sparkdesk.core.cluster.identity import addresses_of
from sparkdesk.core.cluster.machine import IDENTIFY, MAX_OUTPUT_BYTES, TIMEOUT_S, read_machine
from sparkdesk.core.cluster.node import JumpHost, NodeRecord, SignIn
from sparkdesk.core.command import Command
from sparkdesk.core.errors import AuthFailed, HostKeyChanged, KeyLocked, SparkDeskError, Unreachable
from sparkdesk.core.ports import Connection, Connector, KeyFolder, KnownHosts, Offer, Store
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.credentials import Credentials
from sparkdesk.services.fleet.enrol_screen import Screen
from sparkdesk.services.fleet.key_setup import KeyPlan, KeySetUp, plan_key
from sparkdesk.services.fleet.recognition import Fleet, Recognition, known_nodes
from sparkdesk.services.fleet.touch import Tell
from sparkdesk.services.ident import new_id

T = TypeVar("T")
_HELLO = Command(("true",))

MAX_REFUSALS = 2
"""A node that counts bars this computer from the third on (Source: sshd_config.5, PerSourcePenalties)."""

_BARRED = (
    "SparkDesk stops here: after some failed sign-ins a node bars a computer, for up to 10 minutes. Check the user "
    "name and the password at the node itself, wait a minute, then try again."
)


@dataclass(frozen=True, slots=True)
class CourseParts:
    """What an attempt works with."""

    connector: Connector
    fleet: Fleet
    credentials: Credentials
    keys: KeyFolder
    known_hosts: KnownHosts
    store: Store
    clock: Clock
    computer: str
    """This computer's name, for the comment of a key's public line."""
    look: Callable[[str, int, JumpHost | None, str | None, Tell], Awaitable[Offer]]
    refused: Callable[[str, int, JumpHost | None], None]
    """Told of a machine that showed another key than the one that was confirmed."""
    candidate: Callable[[str], Candidate | None] = lambda _candidate_id: None


@dataclass
class Memory:
    """What one attempt and its repetitions have learned: a person is not asked twice for the same."""

    confirmed: dict[str, str] = field(default_factory=dict)
    """Machine ("10.0.0.1:22", behind its jump host) -> the host key that the person confirmed."""
    refusals: int = 0
    are_keys_refused: bool = False
    jump_password: str | None = field(default=None, repr=False)
    is_jump_password_remembered: bool = False


class Course:
    """One attempt. `run` ends when the node is kept; whoever gives up cancels it."""

    def __init__(self, who: Who, memory: Memory, parts: CourseParts, screen: Screen) -> None:
        self._who = who
        self._memory = memory
        self._parts = parts
        self._screen = screen
        self._connection: Connection | None = None
        self._key: KeySetUp | None = None
        self._jump: JumpHost | None = None
        self._password: str | None = None
        self._is_remembered = False

    async def run(self) -> None:
        """From the first look to the kept node. Expected errors are shown, not raised."""
        try:
            await self._run()
        except HostKeyChanged as error:
            self._show_changed(error)
        except SparkDeskError as error:
            self._screen.fail(error)
        finally:
            await self._leave()

    async def _leave(self) -> None:
        """Close what is open, and take back a key that nobody will use."""
        try:
            if self._key is not None:
                await self._key.undo()
        finally:  # also where the end of the program cuts that off
            self._password = None
            if self._connection is not None:
                await self._connection.close()

    async def _run(self) -> None:
        who = self._who
        jump = self._jump = await self._find_jump()
        known = self._known_at(who.address, who.port, jump)
        record = NodeRecord(
            id=new_id(), name=who.address, address=who.address, port=who.port, user=who.user, sign_in=who.sign_in,
            key_path=who.key_path if who.sign_in is SignIn.KEY else "", jump=jump,
        )  # fmt: skip
        if known is not None:
            self._screen.say(f"{known.name} is known at this address; it must show the key that was trusted before")
            key_path = record.key_path or (known.key_path if who.sign_in is SignIn.AUTOMATIC else "")
            record = replace(
                known, user=who.user, sign_in=who.sign_in, key_path=key_path, jump=jump, address=who.address
            )  # fmt: skip
        else:
            record = replace(record, host_key=await self._confirm(who.address, who.port, jump))
        self._connection = await self._sign_in(record)
        record = await self._identify(record)
        if not await Recognition(self._parts.fleet, self._screen).is_new(record, known):
            return
        record = await self._choose_sign_in(record)
        await self._keep(record, is_known=known is not None)

    # The way there, and trust -----------------------------------------------------------------------------------

    async def _find_jump(self) -> JumpHost | None:
        """The jump host with a confirmed key, if the way leads through one."""
        candidate = self._parts.candidate(self._who.candidate_id) if self._who.candidate_id else None
        if candidate is not None and candidate.jump is not None and candidate.address == self._who.address:
            return candidate.jump
        if not self._who.jump:
            return None
        place = read_place(self._who.jump, user=self._who.user)
        if place is None:
            raise Unreachable("The jump host cannot be read", remedy="Write it as [user@]host[:port].")
        known = self._known_at(place.address, place.port, None)
        if known is not None:
            own_key = known.key_path if place.user == known.user else ""
            return JumpHost(place.address, place.port, place.user, known.host_key, own_key)
        key = await self._confirm(place.address, place.port, None, is_jump=True)
        return JumpHost(place.address, place.port, place.user, key)

    def _known_at(self, address: str, port: int, jump: JumpHost | None) -> NodeRecord | None:
        """The node that was last met there, by the same way."""
        way = jump.host_key if jump is not None else ""
        found = [
            node
            for node in known_nodes(self._parts.fleet)
            if (address, port) in addresses_of(node) and (node.jump.host_key if node.jump is not None else "") == way
        ]
        return found[-1] if found and found[-1].host_key else None

    async def _confirm(self, address: str, port: int, jump: JumpHost | None, *, is_jump: bool = False) -> str:
        """The host key that is shown there, after a person said that it is the right one."""
        machine = f"{address}:{port}:{jump.host_key if jump is not None else ''}"
        if machine in self._memory.confirmed:
            return self._memory.confirmed[machine]
        self._screen.show(EnrolStage.LOOKING)
        what = f"jump host {address}" if is_jump else address
        self._screen.say(f"asking {what} port {port} for its host key; nothing secret is sent")
        offer = await self._through(
            jump, lambda password: self._parts.look(address, port, jump, password, self._tell_rest)
        )
        self._screen.note()
        look = describe_host_key(offer.host_key)
        self._screen.say(f"it shows a key of kind {look.kind}, {look.fingerprint}")
        if await self._parts.known_hosts.revokes(address, port, offer.host_key):
            raise Unreachable(
                f"Your own list of hosts says that the key of {what} must not be trusted",
                remedy="Look for the @revoked line in ~/.ssh/known_hosts; whoever put it there knows why.",
                detail=look.fingerprint,
                node=address,
            )
        self._screen.show_offer(await self._describe(address, port, offer.host_key))
        await self._screen.ask(EnrolStage.TRUST)
        self._screen.say(f"you confirmed the host key of {what}")
        self._memory.confirmed[machine] = offer.host_key
        return offer.host_key

    async def _describe(self, address: str, port: int, host_key: str) -> KeyOffer:
        """What a person compares, with what speaks for the key and against it."""
        hosts, look = self._parts.known_hosts, describe_host_key(host_key)
        same = next((node for node in known_nodes(self._parts.fleet) if node.host_key == host_key), None)
        others = [describe_host_key(each) for each in await hosts.others(address, port, host_key)]
        if others:
            self._screen.say(f"your own list of SSH hosts knows this address by another key: {others[0].fingerprint}")
        return KeyOffer(
            host=address,
            fingerprint=look.fingerprint,
            key_type=look.kind,
            art=look.art,
            known_as=same.name if same is not None else "",
            in_known_hosts=await hosts.has(address, port, host_key),
            other_fingerprint=others[0].fingerprint if others else "",
            other_key_type=others[0].kind if others else "",
        )

    async def _through(self, jump: JumpHost | None, work: Callable[[str | None], Awaitable[T]]) -> T:
        """Work that leads through the jump host; asks for its password when it lets in by nothing else."""
        if jump is None:
            return await work(None)
        password = self._memory.jump_password
        if password is None:
            password = (await self._parts.credentials.get(_as_node(jump))).password
        while True:
            try:
                done = await work(password)
            except AuthFailed as error:
                if error.node != jump.title:
                    raise
                if isinstance(error, KeyLocked) and not error.takes_password:
                    raise _locked_at_jump(error, jump) from error
                stage = self._screen.stage
                password = await self._ask_password(error, password, asked_for=jump.title)
                self._memory.is_jump_password_remembered, self._is_remembered = self._is_remembered, False
                self._screen.show(stage)
            else:
                self._memory.jump_password = password
                return done

    # Sign in ----------------------------------------------------------------------------------------------------

    async def _sign_in(self, record: NodeRecord) -> Connection:
        """A connection, by what the person chose, or by password when that is refused."""
        how = self._who.sign_in
        passphrase = (await self._parts.credentials.get(record)).passphrase if how is SignIn.KEY else None
        password: str | None = None
        if how is SignIn.PASSWORD or self._memory.are_keys_refused:
            password = await self._ask_password(None, None)
        while True:
            try:
                connection = await self._try(record, password, passphrase)
            except KeyLocked as error:
                passphrase = await self._ask_passphrase(error, record, passphrase)
            except AuthFailed as error:
                self._memory.are_keys_refused = True
                password = await self._ask_password(error, password)
            else:
                self._password = password
                by = "the password" if password is not None else "a key"
                self._screen.say(f"signed in as {record.user} with {by}")
                return connection

    async def _try(self, record: NodeRecord, password: str | None, passphrase: str | None) -> Connection:
        attempt = record if password is None else replace(record, sign_in=SignIn.PASSWORD)
        self._screen.show(EnrolStage.SIGNING_IN)
        self._screen.say(f"signing in as {record.user}: {_ways(attempt)}")
        return await self._through(
            record.jump,
            lambda jump_password: self._parts.connector.connect(
                attempt, password=password, passphrase=passphrase, jump_password=jump_password
            ),
        )

    async def _ask_password(self, refused: AuthFailed | None, password: str | None, *, asked_for: str = "") -> str:
        """Ask for a password after a refusal (None: at once). Raises AuthFailed when there is no sense in it."""
        if refused is not None:
            self._screen.say(refused.message)
            self._count(refused)
            if not refused.takes_password:
                raise refused
        is_second = refused is not None and (password is not None or bool(asked_for))
        self._screen.note(
            message=refused.message if is_second and refused is not None else "",
            remedy=refused.remedy if is_second and refused is not None else "",
            tried=refused.detail if refused is not None else "",
        )
        self._screen.ask_for(asked_for)
        answer = await self._screen.ask(EnrolStage.NEEDS_PASSWORD)
        self._is_remembered = answer.is_remembered
        self._screen.note()
        return answer.text

    def _count(self, refused: AuthFailed) -> None:
        """Raises AuthFailed at the second login that was refused."""
        self._memory.refusals += refused.was_login
        if self._memory.refusals < MAX_REFUSALS:
            return
        self._memory.refusals = MAX_REFUSALS - 1  # a person who goes on has one try each time
        self._memory.are_keys_refused = True
        raise AuthFailed(refused.message, remedy=_BARRED, detail=refused.detail, node=refused.node) from refused

    async def _ask_passphrase(self, error: KeyLocked, record: NodeRecord, former: str | None) -> str:
        self._screen.say(error.message)
        if former is not None:
            await self._parts.credentials.forget_passphrase(record.key_path)
        self._screen.note(message=error.message, remedy=error.remedy)
        answer = await self._screen.ask(EnrolStage.NEEDS_PASSPHRASE)
        self._screen.note()
        if answer.is_remembered:
            words = await self._parts.credentials.keep_passphrase(record.key_path, answer.text)
            self._screen.say(f"the passphrase is {words}")
        else:
            self._parts.credentials.hold_passphrase(record.key_path, answer.text)
        return answer.text

    # Who it is --------------------------------------------------------------------------------------------------

    async def _identify(self, record: NodeRecord) -> NodeRecord:
        """The record with what the machine says of itself."""
        assert self._connection is not None
        self._screen.show(EnrolStage.IDENTIFYING)
        self._screen.say("reading who it is")
        outcome = await self._connection.run(IDENTIFY, timeout_s=TIMEOUT_S, max_bytes=MAX_OUTPUT_BYTES)
        if not outcome.is_ok:
            raise Unreachable(
                f"{record.name} could not be asked who it is",
                remedy="Try again; if it stays so, look at what the user's start-up files do on the node.",
                detail=outcome.explain(),
                node=record.name,
            )
        machine = read_machine(outcome.stdout)
        shown = f", machine id {machine.machine_id[:8]}…" if machine.machine_id else ""
        self._screen.say(f"it is {machine.words()}{shown}")
        name = machine.hostname if record.name == record.address and machine.hostname else record.name
        return replace(
            record,
            name=name,
            machine_id=machine.machine_id or record.machine_id,
            serial_hash=machine.serial_hash or record.serial_hash,
            macs=machine.macs or record.macs,
        )

    # How it signs in from now on --------------------------------------------------------------------------------

    async def _choose_sign_in(self, record: NodeRecord) -> NodeRecord:
        """After a sign-in by password: a key of its own, or the password; as the person chooses."""
        if self._password is None:
            return record
        record = replace(record, sign_in=SignIn.PASSWORD, key_path="")
        assert self._connection is not None
        plan = await plan_key(record, self._connection, self._parts.store)
        words = plan.words(self._parts.computer)
        self._screen.note(can_set_up_key=True, key_plan=words)
        while True:
            answer = await self._screen.ask(EnrolStage.IDENTIFYING)
            if not answer.is_yes:
                self._is_remembered = True
                return record
            self._screen.note()
            self._screen.show(EnrolStage.SETTING_UP_KEY)
            try:
                return await self._set_up_key(record, plan)
            except SparkDeskError as error:
                self._screen.say(error.message)
                self._screen.note(
                    can_set_up_key=True,
                    key_plan=words,
                    message=error.message,
                    remedy=error.remedy,
                    detail=error.detail,
                )

    async def _set_up_key(self, record: NodeRecord, plan: KeyPlan) -> NodeRecord:
        if self._connection is None or not (await self._connection.run(_HELLO, timeout_s=5.0)).is_ok:
            self._screen.say("the connection was lost meanwhile; connecting again")
            lost, self._connection = self._connection, None
            if lost is not None:
                await lost.close()
            self._connection = await self._try(record, self._password, None)
            self._screen.show(EnrolStage.SETTING_UP_KEY)
        parts = self._parts
        key = KeySetUp(
            keys=parts.keys, connector=parts.connector, store=parts.store, clock=parts.clock, say=self._screen.say
        )
        self._key = key
        try:
            return await key.install(
                record, self._connection, plan, computer=parts.computer, jump_password=self._memory.jump_password
            )
        except SparkDeskError:
            self._key = None  # it has taken everything back by itself
            raise

    async def _keep(self, record: NodeRecord, *, is_known: bool) -> None:
        parts = self._parts
        words = f"{record.name} was known already; it now signs in so" if is_known else f"{record.name} is added"
        await self._keep_jump_password(record.jump)
        password = self._password if self._password is not None and self._is_remembered else None
        if password is not None:
            kept = await parts.credentials.keep_password(record, password)
            words += f"; the password is {kept}"
        elif self._password is not None:
            words += "; it lets in by its own key, and the password is forgotten"
        await parts.fleet.add_node(record, password=password or "")
        key, self._key = self._key, None  # from here on it belongs to the node
        if key is not None:
            await key.keep()
        self._screen.finish(record.id, words)

    async def _keep_jump_password(self, jump: JumpHost | None) -> None:
        password = self._memory.jump_password
        if jump is None or password is None:
            return
        if self._memory.is_jump_password_remembered:
            kept = await self._parts.credentials.keep_password(jump, password)
            self._screen.say(f"the password of the {jump.title} is {kept}")
        else:
            self._parts.credentials.hold_password(jump, password)

    # Showing ----------------------------------------------------------------------------------------------------

    def _tell_rest(self, age_s: float, left_s: float) -> None:
        self._screen.note(
            message=f"It was asked {age_s:.0f} s ago, and a machine is asked once a minute: again in {left_s:.0f} s."
        )
        self._screen.show(EnrolStage.LOOKING)

    def _show_changed(self, error: HostKeyChanged) -> None:
        who, jump = self._who, self._jump
        is_jump = jump is not None and error.node == jump.title
        if is_jump and jump is not None:
            self._parts.refused(jump.address, jump.port, None)
        else:
            self._parts.refused(who.address, who.port, jump)
        self._memory.confirmed.clear()
        known = [node for node in known_nodes(self._parts.fleet) if fingerprint_of(node.host_key) == error.trusted]
        if not known:
            error = HostKeyChanged(
                "It showed you one key, and another one at the sign-in",
                remedy="Nothing was sent. Two machines may share the address, or somebody stands in between. Compare "
                "at the console which key is its own, then begin again: what it shows then is asked about anew.",
                trusted=error.trusted,
                offered=error.offered,
                node=error.node,
            )
        self._screen.refuse_changed(error, host=who.address, known_as=known[-1].name if known else "")


def _locked_at_jump(error: KeyLocked, jump: JumpHost) -> AuthFailed:
    return AuthFailed(
        f"{error.message}; the {jump.title} lets in by it",
        remedy="Add it to the SSH agent (ssh-add), then try again.",
        detail=error.detail,
        node=jump.title,
    )


def _as_node(jump: JumpHost) -> NodeRecord:
    return NodeRecord(
        id="", name=jump.title, address=jump.address, port=jump.port, user=jump.user, host_key=jump.host_key
    )


def _ways(record: NodeRecord) -> str:
    return {
        SignIn.AUTOMATIC: "with a key of SparkDesk if there is one, the SSH agent, then the usual keys",
        SignIn.AGENT: "with the keys of the SSH agent",
        SignIn.KEY: f"with the key {record.key_path}",
        SignIn.PASSWORD: "with the password, once",
    }[record.sign_in]
