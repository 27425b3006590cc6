"""Asks a job's server whether it is there (`ready`) and whether it does what it is for (`token`).

Loaded by job.py from the job's folder, where both lie; `here` is that module. The one rule: a server is proved by an
answer with content - a generated token, a vector, scores - and an error inside an answer of status 200 is an error.
Stdlib only, Python 3.8+. Environment: SPARKDESK_LOOPBACK is this node's loopback.
"""

from __future__ import annotations

import base64
import http.client
import json
import mmap
import os
import socket
import struct
import time
import zlib

LOOPBACK = os.environ.get("SPARKDESK_LOOPBACK", "127.0.0.1")
TOKEN_WAIT_S = 150.0

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any

    Record = dict[str, Any]


def find_host(where: Record) -> str:
    """Where the server listens, as this node reaches it."""
    host = str(where.get("host") or "127.0.0.1")
    return LOOPBACK if host in ("127.0.0.1", "localhost", "0.0.0.0") else host


def ask(here: Any, job: Any, where: Record, body: Record | None, timeout_s: float) -> tuple[int, str]:
    """One HTTP request to the server at `where`: status, text. No proxy is ever asked."""
    secrets = job.read("secrets.json") or {}
    host, path = find_host(where), str(where.get("path") or "/")
    headers = {"Authorization": f"Bearer {secrets[where['key_env']]}"} if where.get("key_env") in secrets else {}
    try:
        line = http.client.HTTPConnection(host, int(where["port"]), timeout=timeout_s)
        content = None if body is None else json.dumps(dict(body, model=where.get("model")))
        headers["Content-Type"] = "application/json"
        line.request("GET" if content is None else "POST", path, content, headers)
        answer = line.getresponse()
        return answer.status, answer.read(1024 * 1024).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException, KeyError, ValueError, TypeError) as error:
        raise here.JobError(f"{host}:{where.get('port')}{path}: {str(error) or repr(error)}"[:400]) from error


def has_line(job: Any, words: bytes, since: int) -> bool:
    """Whether the log holds these words behind an offset."""
    for begin, path in reversed(job.log_files()):
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    if content.find(words, max(since - begin, 0)) >= 0:
                        return True
        if begin <= since:
            break
    return False


def find_rival(here: Any, job: Any, where: Record) -> str:
    """An older job of this account that is not over and has the same port: what answers there is that one, not ours."""
    mine = job.read("job.json") or {}
    root = os.path.dirname(job.folder)
    for name in os.listdir(root) if where.get("port") else ():
        other = here.Job(os.path.join(root, name))
        try:
            record, spec = other.read("job.json") or {}, other.read("spec.json") or {}
            is_older = (record.get("started_ms") or 0, name) < (mine.get("started_ms") or 0, job.job_id)
            has_port = (spec.get("ready") or {}).get("port") == where["port"]
            if is_older and has_port and other.derive_state()[0] in ("running", "unknown"):
                return str(spec.get("title") or name)[:100]
        except (here.JobError, TypeError, AttributeError):
            continue  # not a job's folder, or of another release
    return ""


def refuse_rival(here: Any, job: Any, where: Record) -> None:
    """Raise JobError where an answer on the port would not be ours."""
    rival = find_rival(here, job, where)
    if rival:
        raise here.JobError(f"port {where['port']} is held by {rival}, which was started before")


def ready(here: Any, job: Any) -> Record:
    """{"ready": bool, "detail": words}: one look at the server, by the way that the spec names. Raises JobError."""
    where, record = job.read_spec().get("ready") or {}, job.read("job.json") or {}
    kind = str(where.get("kind") or "http")
    refuse_rival(here, job, where)
    if kind == "http":
        code, text = ask(here, job, where, None, 3.0)
        said = f"{str(where.get('path') or '')[:200]} answers {code}"
        said += "" if code == 200 else "; it must answer 200" + (f": {text[:200]}" if text else "")
        return {"ready": code == 200, "detail": said}
    if kind == "log":
        words = str(where.get("words") or "")
        has_said = bool(words) and has_line(job, words.encode(), int(record.get("log_from") or 0))
        return {"ready": has_said, "detail": f'its log {"says" if has_said else "does not say"} "{words[:100]}"'}
    host = find_host(where)
    try:
        socket.create_connection((host, int(where["port"])), 3.0).close()
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise here.JobError(f"{host}:{where.get('port')}: {error}"[:200]) from error
    return {"ready": True, "detail": "its port is open"}


def make_picture() -> str:
    """A red PNG of 64 x 64 as a data URL: smaller ones are refused by some models' patch sizes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\x00" + b"\xd0\x20\x20" * 64) * 64
    head = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def make_proof(kind: str) -> tuple[str, Record]:
    """The path below the server's base and the body of the request that proves this purpose."""
    if kind == "embed":
        return "/embeddings", {"input": "Say OK."}
    if kind == "rerank":
        return "/rerank", {"query": "Which is a fruit?", "documents": ["An apple is a fruit.", "A spark is hot."]}
    content: Any = "Say OK."
    if kind == "vision":
        content = [{"type": "text", "text": "Name the colour."}, {"type": "image_url", "image_url": {}}]
        content[1]["image_url"]["url"] = make_picture()
    body = {"max_tokens": 8, "temperature": 0, "stream": False, "messages": [{"role": "user", "content": content}]}
    return "/chat/completions", body


def read_proof(kind: str, value: Record) -> tuple[str, int]:
    """What the answer proves: words and tokens; "" and 0 is nothing. Raises what a wrong shape raises."""
    if value.get("error") or value.get("object") == "error":  # some servers answer so with status 200
        return "", 0
    usage = value.get("usage") or {}
    if kind == "embed":
        vector = [float(number) for number in value["data"][0]["embedding"]]
        is_vector = any(vector) and all(number - number == 0.0 for number in vector)  # no NaN, no infinity
        return (f"a vector of {len(vector)} numbers" if is_vector else ""), int(usage.get("prompt_tokens") or 0)
    if kind == "rerank":
        scores = [float(row["relevance_score"]) for row in value["results"]]
        is_scored = bool(scores) and all(score - score == 0.0 for score in scores)
        return (f"{len(scores)} scores" if is_scored else ""), int(usage.get("total_tokens") or 0)
    message = value["choices"][0]["message"]
    text = str(message.get("content") or message.get("reasoning_content") or message.get("reasoning") or "")
    return text, int(usage.get("completion_tokens") or 0)


def plain_words(told: str) -> str:
    """What a server says of its failure without the JSON around it; the start of its text where it has another form."""
    try:
        value: Any = json.loads(told)
        for _ in range(3):
            if not isinstance(value, dict):
                break
            value = value.get("error") or value.get("message") or value.get("detail")
        if isinstance(value, str) and value.strip():
            told = value
        elif told.startswith(("{", "[")):
            return "an answer without content or words"
    except (ValueError, RecursionError):
        pass
    return " ".join(told.split())[:300]


def token(here: Any, job: Any) -> Record:
    """{"ok": true, "text": ..., "tokens": n, "seconds": s} once the server has done what it is for."""
    where = job.read_spec().get("token") or {}
    kind, begun = str(where.get("proof") or "chat"), time.monotonic()
    text, tokens, told = "", 0, ""
    refuse_rival(here, job, where)
    if kind != "none":
        path, body = make_proof(kind)
        base = str(where.get("path") or "")
        base = base[: -len("/chat/completions")] if base.endswith("/chat/completions") else base
        code, told = ask(here, job, dict(where, path=base + path), body, TOKEN_WAIT_S)
        try:
            text, tokens = read_proof(kind, json.loads(told))
        except (KeyError, ValueError, TypeError, IndexError, AttributeError, RecursionError):
            pass
        is_proved = bool(text) or (tokens > 0 and kind in ("chat", "vision"))
        if code != 200 or not is_proved:
            what = "token was generated" if kind in ("chat", "vision") else f"{kind} answer came"
            raise here.JobError(f"no {what}: HTTP {code}: {plain_words(told)}")
    return {"ok": True, "text": text[:200], "tokens": tokens, "seconds": round(time.monotonic() - begun, 4)}


VERBS = {"ready": ready, "token": token}
