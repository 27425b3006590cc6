"""Model servers that speak the OpenAI API over HTTP. With http_line.py all that knows httpx.

The one rule: nothing of httpx leaves here. What goes wrong before the answer begins is an `EndpointError`; what goes
wrong after it has begun is a `CutOff` event, because the text that came already must stay.

A request holds its own connection and closing the iterator closes that connection, which is how a server learns that
nobody waits for the rest: llama.cpp and vLLM both stop generating then.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import httpx

from sparkdesk.core.chat.event import ChatEvent, CutOff
from sparkdesk.core.chat.message import ChatRequest
from sparkdesk.core.chat.request.openai_request import to_body
from sparkdesk.core.chat.server.failure import FailureReader, HttpAnswer, explain
from sparkdesk.core.chat.stream.openai_event import ENDED_EARLY, ChunkDecoder
from sparkdesk.core.chat.stream.sse import SseParser
from sparkdesk.core.errors import EndpointError
from sparkdesk.core.jobs.backend import EndpointFailure
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.plain_text import lower_first
from sparkdesk.core.ports import LocalAddress
from sparkdesk.infra.certificates import system_roots, tls_trouble
from sparkdesk.infra.http_line import Line, StreamTransport, line_of
from sparkdesk.services.clock import SystemClock

CONNECT_TIMEOUT_S = 10.0
FIRST_TOKEN_TIMEOUT_S = 900.0
"""A long prompt on a busy server is read for minutes before the first token; anything that comes resets this."""
STALL_TIMEOUT_S = 30.0
"""Between two pieces once the answer has begun. llama.cpp sends a ping every 30 s by default while it computes."""
END_TIMEOUT_S = 1.0
"""After the last event: for the server to end its answer itself, before the connection is closed on it."""
PACE_S = 1 / 30
"""At least so long from one look at a stream to the next: a screen shows no more, and each wakes the whole program.
When each piece came is known all the same."""
MAX_CONNECTIONS = 72
"""To one server: 64 requests that are measured at once, chats, and the pages that are read beside them."""
LARGE_BODY_CHARS = 1 << 18
"""A longer conversation is written as JSON in a thread: 10 MB would hold the loop for a tenth of a second."""
ERROR_BODY_BYTES = 64 * 1024
JSON_HEADERS: Final = MappingProxyType({"Content-Type": "application/json"})
STILL_THERE: Final = "Check that the server runs: its deployment Ready, its node live, its address right. Then retry."
ADDRESS_RIGHT: Final = "Check the address and that the server runs there. Then retry."
"""Of a server that a person gave by its address: it has no deployment and no node of ours."""


class OpenAiClients:
    """Makes clients. `failures` maps an engine's key to its own reading of HTTP failures (`Backend.failure`)."""

    def __init__(
        self,
        *,
        failures: Mapping[str, FailureReader] = MappingProxyType({}),
        first_token_timeout_s: float = FIRST_TOKEN_TIMEOUT_S,
        stall_timeout_s: float = STALL_TIMEOUT_S,
        monotonic_s: Callable[[], float] | None = None,
        name_of: Callable[[str], str] = str,
    ) -> None:
        self._name_of = name_of
        """A node's name for its id, for messages."""
        self._failures = failures
        self._roots: ssl.SSLContext | None = None
        self._first_token_timeout_s = first_token_timeout_s
        self._stall_timeout_s = stall_timeout_s
        # The services' own clock: what they call the moment of sending must be of the same one as the events' times.
        self._monotonic_s = monotonic_s if monotonic_s is not None else SystemClock().monotonic_s

    def open(self, endpoint: Endpoint, via: LocalAddress | None, *, api_key: str = "") -> OpenAiClient:
        """A client for the endpoint, through the forward's unix socket when `via` is given.

        Raises EndpointError when host and port are not an address.
        """
        headers = {"accept-encoding": "identity"} | ({"authorization": f"Bearer {api_key}"} if api_key else {})
        with mapped(self._name_of(endpoint.node_id), is_ours=bool(endpoint.node_id)):
            scheme = "https" if endpoint.is_tls else "http"
            base = httpx.URL(scheme=scheme, host=endpoint.host, port=endpoint.port, path="/")
        client = httpx.AsyncClient(
            base_url=base,
            transport=StreamTransport(
                socket_path=via.socket_path if via is not None else None,
                tls=self._trust() if endpoint.is_tls else None,
                max_connections=MAX_CONNECTIONS,
                monotonic_s=self._monotonic_s,
            ),
            trust_env=False,
            follow_redirects=False,
            headers=headers,
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S, write=STALL_TIMEOUT_S, pool=CONNECT_TIMEOUT_S),
        )
        return OpenAiClient(
            client,
            endpoint,
            node=self._name_of(endpoint.node_id),
            failure=self._failures.get(endpoint.engine),
            timeouts_s=(self._first_token_timeout_s, self._stall_timeout_s),
            monotonic_s=self._monotonic_s,
        )

    def _trust(self) -> ssl.SSLContext:
        """Made once: reading all roots takes some milliseconds."""
        if self._roots is None:
            self._roots = system_roots() or httpx.create_ssl_context()
        return self._roots


class OpenAiClient:
    """Talks to one model server."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        endpoint: Endpoint,
        *,
        node: str,
        failure: FailureReader | None,
        timeouts_s: tuple[float, float],
        monotonic_s: Callable[[], float],
    ) -> None:
        self._client = client
        self._api_key = client.headers.get("authorization", "").removeprefix("Bearer ")
        self._endpoint = endpoint
        self._is_ours = bool(endpoint.node_id)
        self._node = node
        self._failure = failure
        self._first_token_timeout_s, self._stall_timeout_s = timeouts_s
        self._monotonic_s = monotonic_s

    async def chat(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Stream an answer; the last event is `Finished` or `CutOff`. Closing the generator aborts the request.

        Raises EndpointError when the answer does not begin.
        """
        body = to_body(request, engine=self._endpoint.engine)
        path = self._endpoint.api_path("chat/completions")
        async with self._answer("POST", path, body, timeout_s=self._first_token_timeout_s) as response:
            await self._require_stream(response)
            async with aclosing(self._events(response, request.model)) as events:
                async for event in events:
                    yield event

    async def get(self, path: str, *, timeout_s: float = 5.0, max_bytes: int = 1 << 20) -> tuple[int, bytes]:
        """Status and body of a GET on the server, `path` from its root. Raises EndpointError, also when too large."""
        return await self._whole("GET", path, None, timeout_s=timeout_s, max_bytes=max_bytes)

    async def post(
        self, path: str, body: Mapping[str, object], *, timeout_s: float = 30.0, max_bytes: int = 1 << 24
    ) -> tuple[int, bytes]:
        """Status and body of a POST of this JSON object. Raises EndpointError, also when the answer is too large."""
        return await self._whole("POST", path, body, timeout_s=timeout_s, max_bytes=max_bytes)

    async def _whole(
        self, method: str, path: str, body: Mapping[str, object] | None, *, timeout_s: float, max_bytes: int
    ) -> tuple[int, bytes]:
        deadline_s = self._monotonic_s() + timeout_s
        async with self._answer(method, path, body, timeout_s=timeout_s) as response:
            left_s = max(0.01, deadline_s - self._monotonic_s())
            found = await self._body(response, max_bytes + 1, timeout_s=left_s)
            if len(found) > max_bytes:
                raise EndpointError(
                    f"The answer to {path} has more than {max_bytes} bytes",
                    remedy="Check that the port belongs to the model server.",
                    node=self._node,
                )
            return response.status_code, found

    async def close(self) -> None:
        """Close every connection; running requests are aborted."""
        await self._client.aclose()

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, timeout_s: float
    ) -> AsyncIterator[httpx.Response]:
        with mapped(self._node, is_ours=self._is_ours):
            if body is not None and _is_large(body):
                content = await asyncio.to_thread(_to_json, body)
                request = self._client.build_request(method, path, content=content, headers=JSON_HEADERS)
            else:
                request = self._client.build_request(method, path, json=body)
            try:
                async with asyncio.timeout(timeout_s):
                    response = await self._client.send(request, stream=True)
            except TimeoutError:
                raise self._late(timeout_s) from None
        try:
            yield response
        finally:
            # Closing the connection is what stops the server; httpx does it even in a task that is being cancelled.
            await response.aclose()

    async def _require_stream(self, response: httpx.Response) -> None:
        head = HttpAnswer(response.status_code, response.headers.get("content-type", "")[:200])
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if head.is_event_stream and encoding in ("", "identity"):
            return
        body = await self._body(response, ERROR_BODY_BYTES, timeout_s=self._stall_timeout_s)
        told = {name: response.headers.get(name, "")[:400] for name in ("retry-after", "date", "location")}
        answer = HttpAnswer(
            head.status, head.content_type, told["retry-after"], body, date=told["date"], location=told["location"]
        )
        found = explain(answer, self._failure)
        failure = replace(found, message=self._hide_key(found.message))
        detail = self._hide_key(f"{head.status} {head.content_type}\n{body[:2000].decode('utf-8', 'replace')}")
        raise EndpointError(failure.message, remedy=failure.remedy, detail=detail, node=self._node, failure=failure)

    def _without_key(self, event: CutOff) -> CutOff:
        return replace(event, message=self._hide_key(event.message))

    def _hide_key(self, text: str) -> str:
        """What a server says back must not bring the key into a message, a log or the database."""
        return text.replace(self._api_key, "(the key)") if self._api_key else text

    async def _events(self, response: httpx.Response, asked: str) -> AsyncGenerator[ChatEvent, None]:
        parser, decoder, line = SseParser(), ChunkDecoder(asked, self._failure), line_of(response)
        cause, kind = ENDED_EARLY, "ended_early"
        try:
            while not decoder.is_over:
                limit_s = self._stall_timeout_s if decoder.has_token else self._first_token_timeout_s
                try:
                    with mapped(self._node, is_ours=self._is_ours):
                        async with asyncio.timeout(limit_s):
                            pieces = await line.read()
                except TimeoutError:
                    cause, kind = f"The answer was cut off: nothing came for {limit_s:g} s", "stalled"
                    break
                except EndpointError as error:
                    cause = f"The answer was cut off: {lower_first(error.message)}"
                    kind = "lost"
                    break
                if not pieces:
                    break
                next_s = self._monotonic_s() + PACE_S
                for came_s, piece in pieces:
                    for item in parser.feed(piece):
                        for event in decoder.feed(item, came_s):
                            yield self._without_key(event) if isinstance(event, CutOff) else event
                if not decoder.is_over:
                    await asyncio.sleep(next_s - self._monotonic_s())
            last = decoder.end(self._monotonic_s(), cause, kind)
            if last is not None:
                yield last
        finally:
            if decoder.is_over:
                await self._end(line)

    async def _end(self, line: Line) -> None:
        """Let the server end its answer itself."""
        with suppress(TimeoutError, httpx.HTTPError):
            async with asyncio.timeout(END_TIMEOUT_S):
                while await line.read():
                    pass

    async def _body(self, response: httpx.Response, max_bytes: int, *, timeout_s: float) -> bytes:
        kept = bytearray()
        with mapped(self._node, is_ours=self._is_ours):
            try:
                async with asyncio.timeout(timeout_s), reading(response) as body:
                    async for chunk in body.chunks:
                        kept += chunk
                        if len(kept) >= max_bytes:
                            break
            except TimeoutError:
                if response.is_success:
                    raise self._late(timeout_s) from None
        return bytes(kept[:max_bytes])

    def _late(self, timeout_s: float) -> EndpointError:
        whose = "deployment" if self._is_ours else "server"
        return EndpointError(
            f"The model server did not answer within {timeout_s:g} s",
            remedy=f"It may be overloaded or hung: read the log of the {whose}, then retry.",
            node=self._node,
        )


@dataclass(slots=True)
class Body:
    """A body that is being read, and how long it may take to end when nobody reads on."""

    chunks: AsyncIterator[bytes]
    end_timeout_s: float = 0.0


def _is_large(body: Mapping[str, Any]) -> bool:
    said = (message.get("content") for message in body.get("messages", ()))
    return sum(len(each) if isinstance(each, str) else LARGE_BODY_CHARS for each in said) >= LARGE_BODY_CHARS


def _to_json(body: Mapping[str, Any]) -> bytes:
    """As httpx writes it, but piece by piece: one call for all of it would let no other thread run meanwhile."""
    encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return "".join(encoder.iterencode(dict(body))).encode()


@asynccontextmanager
async def reading(response: httpx.Response) -> AsyncIterator[Body]:
    """Read a response's body, also if not to its end.

    httpx reads through generators inside generators. Left half read, each is ended apart by the garbage collector,
    outside the task that it belongs to, which fails with a traceback on standard error. A time-out in the innermost
    read ends all of them in their order, here.
    """
    body = Body(response.aiter_raw())
    try:
        yield body
    finally:
        with suppress(TimeoutError, StopAsyncIteration, httpx.HTTPError, httpx.StreamError, OSError):
            async with asyncio.timeout(body.end_timeout_s):
                while True:
                    await anext(body.chunks)


@contextmanager
def mapped(node: str, *, is_ours: bool = True) -> Iterator[None]:
    """Turn every exception of httpx, and of the sockets below it, into an EndpointError."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        kind, message, remedy = _words(error, STILL_THERE if is_ours else ADDRESS_RIGHT)
        # The words of a header that cannot be sent are not quoted: a key may be among them.
        detail = "" if isinstance(error, httpx.LocalProtocolError) else f"{type(error).__name__}: {error}"[:400]
        failure = EndpointFailure(kind, message, remedy)
        cause = None if isinstance(error, httpx.LocalProtocolError) else error
        raise EndpointError(message, remedy=remedy, detail=detail, node=node, failure=failure) from cause


def _words(error: Exception, is_gone: str) -> tuple[str, str, str]:
    """Kind, message and remedy; `is_gone` is that of a server which is not there."""
    tls = tls_trouble(error)
    if tls is not None:
        return tls
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | ConnectionRefusedError | FileNotFoundError):
        return "unreachable", "The model server cannot be reached", is_gone
    if isinstance(error, httpx.PoolTimeout):
        return "overloaded", "Too many requests to this server are open already", "Stop one of them, then retry."
    if isinstance(error, httpx.TimeoutException):
        return "lost", "The model server does not take or send anything any more", is_gone
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError | OSError):
        return "lost", "The connection to the model server was lost", is_gone
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return "other", "The model server's address cannot be used", "Check host and port of the endpoint."
    words = "The model server gave an answer that is not HTTP as it should be"
    return "not_model_server", words, "Check that the port is the right one."
