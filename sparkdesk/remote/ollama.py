"""Keeps one model loaded in the Ollama service of a node while its job runs; it is the job's main process.

    ollama.py MODEL [--port N] [--context N] [--purpose chat|embed] [--no-pull]

Ollama is a service that the node has: it is asked, never started, changed or stopped. The keeper pulls the model where
it is not there (a line of progress a second), loads it, holds it, and unloads it on TERM. What it prints is the job's
log: each line begins with "[ollama] ", and "[ollama] error: " says why it ends. Exit codes: 0 asked to end, 2 wrong
words, 3 no service, 4 pull, 5 load, 6 unloaded by somebody else, 7 the service went away.

The one rule: nothing stays loaded for nobody. The model is held by a lease (keep_alive) that is renewed while this
process lives; when it is killed outright the service unloads the model by itself. Stdlib only, Python 3.8+.

Environment: SPARKDESK_LOOPBACK is this node's loopback; SPARKDESK_OLLAMA_PACE times its waits, for tests.
Source of the requests: Ollama's docs/api.md. Unverified on hardware [ollama-on-gb10].
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import sys
import time

HOST = os.environ.get("SPARKDESK_LOOPBACK", "127.0.0.1")
PACE = float(os.environ.get("SPARKDESK_OLLAMA_PACE", "1"))
HOLD_S = 3.0 * PACE
LEASE_S = max(1, int(300 * PACE))
"""How long the service keeps the model when nobody renews it."""
RENEW_S = LEASE_S / 5
ASK_S, LOAD_S, STALL_S, UNLOAD_S = 5.0, 1800.0, 120.0, 8.0
PULL_TRIES, PULL_WAIT_S = 3, 2.0 * PACE
MOST_MISSES = 3
MAX_BODY_BYTES, MAX_LINE_BYTES, MAX_WORDS = 4 * 1024 * 1024, 1024 * 1024, 300
NO_SERVICE, NO_PULL, NO_LOAD, UNLOADED, GONE = 3, 4, 5, 6, 7

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from collections.abc import Iterator
    from typing import Any

    Record = dict[str, Any]


class KeeperError(Exception):
    """Why the keeper ends: words, and its exit code."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


class ServiceError(Exception):
    """The service answered with an error of its own; trying again does not help."""


class Asked(BaseException):
    """Somebody asked us to end; not an error, and caught by nothing but `main`."""


def say(words: str) -> None:
    """One line of the job's log. Where nobody reads it any more, we go on: there is a model to let go."""
    try:
        print("[ollama] " + words, flush=True)
    except OSError:
        pass


def clean(value: object) -> str:
    """Words of the service's as plain text of one line, bounded."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(value)[: 4 * MAX_WORDS])
    return " ".join(text.split())[:MAX_WORDS]


def count(value: object) -> int:
    """A number of bytes or tokens; 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 60 else 0


def full_name(model: str) -> str:
    """A name with its tag: without one the service means `latest`."""
    return model if ":" in model.rpartition("/")[2] else model + ":latest"


class Service:
    """Requests to the node's Ollama. Raises OSError when it does not answer, ServiceError with its own words."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, path: str, body: Record | None = None, timeout_s: float = ASK_S) -> Record:
        """One request: the answer's JSON object."""
        line = http.client.HTTPConnection(HOST, self.port, timeout=timeout_s)
        try:
            answer = self._send(line, method, path, body)
            data = read_object(answer.read(MAX_BODY_BYTES))
            if answer.status != 200 or "error" in data:
                raise ServiceError(clean(data.get("error") or "HTTP %d" % answer.status))
            return data
        except http.client.HTTPException as error:
            raise OSError("its answer is no HTTP: %r" % error) from error
        finally:
            line.close()

    def follow(self, path: str, body: Record) -> Iterator[Record]:
        """One request whose answer is a JSON object a line."""
        line = http.client.HTTPConnection(HOST, self.port, timeout=STALL_S)
        try:
            answer = self._send(line, "POST", path, body)
            while True:
                text = answer.readline(MAX_LINE_BYTES)
                if not text:
                    return
                data = read_object(text)
                if answer.status != 200 or "error" in data:
                    raise ServiceError(clean(data.get("error") or "HTTP %d" % answer.status))
                yield data
        except http.client.HTTPException as error:
            raise OSError("its answer ended early: %r" % error) from error
        finally:
            line.close()

    @staticmethod
    def _send(
        line: http.client.HTTPConnection, method: str, path: str, body: Record | None
    ) -> http.client.HTTPResponse:
        content = None if body is None else json.dumps(body)
        line.request(method, path, content, {"Content-Type": "application/json"})
        return line.getresponse()

    def find(self, path: str, model: str) -> Record | None:
        """The model's row in a list of models (/api/tags, /api/ps); None when it is not in it."""
        rows = self.ask("GET", path).get("models")
        for row in rows if isinstance(rows, list) else ():
            names = (row.get("name"), row.get("model")) if isinstance(row, dict) else ()
            if full_name(model) in names:
                return dict(row)
        return None


def read_object(data: bytes) -> Record:
    """A JSON object of the service's; what is none is an error of its own."""
    try:
        value = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"error": "its answer is no JSON object: " + clean(data[:80])}


class Pull:
    """How far a download is: layers come one after the other, each with its own total."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}
        self._said_s = self._since_s = time.monotonic()
        self._first = -1
        self.is_whole = False

    def take(self, row: Record) -> None:
        """One line of the answer; says it at most once a second."""
        status = clean(row.get("status", ""))
        self.is_whole = status == "success"
        digest, total = clean(row.get("digest", ""))[:80], count(row.get("total"))
        if digest and total and (digest in self._layers or len(self._layers) < 1000):
            self._layers[digest] = (min(count(row.get("completed")), total), total)
        now_s = time.monotonic()
        if digest and now_s - self._said_s < 1.0:
            return
        self._said_s = now_s
        say("pull " + self.words(status, now_s))

    def words(self, status: str, now_s: float) -> str:
        """Share, bytes and rate so far; the rate counts what came in this try."""
        done, total = (sum(layer[part] for layer in self._layers.values()) for part in (0, 1))
        self._first = done if self._first < 0 else self._first
        if not total:
            return status
        rate = (done - self._first) / max(now_s - self._since_s, 0.001)
        return "%.1f%% %d of %d bytes, %d bytes/s: %s" % (100.0 * done / total, done, total, max(rate, 0), status)


class Keeper:
    """One model's stay in the service."""

    def __init__(self, model: str, service: Service, context: int, purpose: str) -> None:
        self.model, self.service, self.context, self.purpose = model, service, context, purpose
        self._renewed_s = 0.0
        self.is_loading = False

    def greet(self) -> None:
        """Find the service."""
        try:
            version = clean(self.service.ask("GET", "/api/version").get("version", "of an unknown version"))
        except (OSError, ServiceError) as error:
            where = "%s:%d" % (HOST, self.service.port)
            raise KeeperError(NO_SERVICE, "no Ollama service answers on %s: %s" % (where, clean(error))) from error
        say("service %s on port %d" % (version, self.service.port))

    def fetch(self, may_pull: bool) -> None:
        """Have the model on the node, whole: the service checks each part of it."""
        try:
            if self.service.find("/api/tags", self.model) is not None:
                return say("model is on the node")
            if not may_pull:
                raise KeeperError(NO_PULL, "%s is not on the node, and it is not to be pulled" % self.model)
            words = ""
            for tries in range(PULL_TRIES, 0, -1):
                pull = Pull()
                try:
                    for row in self.service.follow("/api/pull", {"model": self.model, "stream": True}):
                        pull.take(row)
                    if pull.is_whole and self.service.find("/api/tags", self.model) is not None:
                        return say("pulled")
                    words = "the download ended before it was whole"
                except OSError as error:
                    words = clean(error) or repr(error)
                if tries > 1:
                    say("note: pull stopped: %s; it goes on where it was" % words)
                    time.sleep(PULL_WAIT_S)
            raise KeeperError(NO_PULL, "pull failed: " + words)
        except ServiceError as error:
            raise KeeperError(NO_PULL, "pull failed: %s" % error) from error
        except OSError as error:
            raise KeeperError(GONE, "the service went away: " + clean(error)) from error

    def load(self) -> None:
        """Have it in memory, with our context."""
        say("loading %s with a context of %d" % (self.model, self.context))
        begun_s = time.monotonic()
        self.is_loading = True
        try:
            self._touch(self.context, LEASE_S, LOAD_S)
            row = self.service.find("/api/ps", self.model)
        except ServiceError as error:
            raise KeeperError(NO_LOAD, "load failed: %s" % error) from error
        except OSError as error:
            raise KeeperError(NO_LOAD, "load failed: the service does not answer: " + clean(error)) from error
        if row is None:
            raise KeeperError(NO_LOAD, "load failed: the service says that it is not loaded")
        self._renewed_s = time.monotonic()
        words = "loaded %d bytes, %d of them for the GPU, context %d, in %.1f s"
        found = (count(row.get("size")), count(row.get("size_vram")), count(row.get("context_length")))
        say(words % (*found, self._renewed_s - begun_s))

    def hold(self) -> None:
        """Until the model or the service is gone."""
        say("holding")
        misses, seen = 0, self.context
        while True:
            time.sleep(HOLD_S)
            try:
                row = self.service.find("/api/ps", self.model)
                if row is None and misses:
                    raise KeeperError(UNLOADED, "%s was unloaded by somebody else" % self.model)
                misses = 0 if row is not None else misses + 1
                context = count((row or {}).get("context_length")) or seen
                if context != seen:
                    say("note: the context is %d now: somebody's request loaded it anew" % context)
                    seen = context
                if row is not None and time.monotonic() - self._renewed_s >= RENEW_S:
                    # With the context that it has: another one would load it anew.
                    self._touch(seen, LEASE_S, ASK_S)
                    self._renewed_s = time.monotonic()
            except (OSError, ServiceError) as error:
                misses += 1
                if misses >= MOST_MISSES:
                    raise KeeperError(GONE, "the service does not answer any more: " + clean(error)) from error

    def let_go(self) -> None:
        """Unload it, and see that it is."""
        if not self.is_loading:
            return say("nothing was loaded")
        until_s = time.monotonic() + UNLOAD_S
        try:
            self._touch(0, 0, UNLOAD_S)
            while self.service.find("/api/ps", self.model) is not None:
                if time.monotonic() > until_s:
                    return say("note: still loaded: a request of somebody else's holds it")
                time.sleep(0.1)
            say("unloaded")
        except (OSError, ServiceError) as error:
            say("note: could not be unloaded: " + clean(error))

    def _touch(self, context: int, keep_s: int, timeout_s: float) -> None:
        """A request without a question: it loads, renews the lease, or (keep_s 0) unloads."""
        body: Record = {"model": self.model, "keep_alive": keep_s, "stream": False}
        body.update({"options": {"num_ctx": context}} if context else {})
        if self.purpose == "embed" and keep_s:  # it unloads by the other path, as `ollama stop` does
            self.service.ask("POST", "/api/embed", dict(body, input=[]), timeout_s)
        else:
            self.service.ask("POST", "/api/generate", body, timeout_s)


def keep(keeper: Keeper, may_pull: bool) -> int:
    """The whole stay; gives the exit code."""

    def end(number: int, _: object) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)  # the second one comes while we unload
        raise Asked(number)

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, end)
    try:
        keeper.greet()
        keeper.fetch(may_pull)
        keeper.load()
        keeper.hold()
    except KeeperError as error:
        say("error: %s" % error)
        return error.code
    except Asked:
        say("asked to end")
        keeper.let_go()
    return 0


def main(arguments: list[str]) -> int:
    """Read the words and keep the model."""
    parser = argparse.ArgumentParser(prog="ollama.py")
    parser.add_argument("model")
    parser.add_argument("--port", type=int, default=11434)
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--purpose", choices=("chat", "embed"), default="chat")
    parser.add_argument("--no-pull", action="store_true")
    words = parser.parse_args(arguments)
    return keep(Keeper(words.model, Service(words.port), words.context, words.purpose), not words.no_pull)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
