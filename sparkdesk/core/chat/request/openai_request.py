"""A chat request as the JSON body that OpenAI-compatible servers take.

The one rule: only fields that every such server takes, save where the engine is known: a strict server refuses a
request with one field too many. A file's text is untrusted: it stands between fences that it cannot close.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from sparkdesk.core.chat.message import (
    AnswerForm,
    ChatRequest,
    FilePart,
    ImagePart,
    Message,
    Role,
    Sampling,
    TextPart,
    Thinking,
    ToolResultPart,
)
from sparkdesk.core.chat.request.continuation import ContinueWay, continue_way
from sparkdesk.core.chat.request.form_support import FormSupport, Wish, forms_of
from sparkdesk.core.plain_text import fence_for

ENDLESS_ENGINES = frozenset(("vllm", "sglang", "trtllm", "llamacpp"))
"""Engines whose chat requests take `ignore_eos`. Source: the ChatCompletionRequest of vLLM's, SGLang's and
TensorRT-LLM's servers; llama.cpp tools/server/README.md, POST /completion, whose options chat takes as well."""
MAX_NAME_CHARS = 120
SCHEMA_NAME = "answer"
"""The OpenAI API wants a name with every schema; servers do nothing with it."""
_IMAGE_TYPE = re.compile(r"image/[a-z0-9.+-]{1,40}")


def to_body(request: ChatRequest, *, engine: str = "") -> dict[str, Any]:
    """The body of a streaming POST to /chat/completions. `engine` is the backend's key, "" when not known."""
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [_to_json(message, request.images) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    forms = forms_of(engine)
    body.update(_sampling(request.sampling, forms))
    body.update(_form(request.form, forms))
    body.update(_thinking(request.form, forms, engine))
    if request.sampling.is_endless and engine in ENDLESS_ENGINES:
        body["ignore_eos"] = True
    if engine == "llamacpp":
        # Source: llama.cpp tools/server/README.md, POST /completion, "return_progress".
        body["return_progress"] = True
    if request.is_continuing:
        _continue(body, engine)
    return body


def message_text(message: Message) -> str:
    """All of a message that is sent as text: its files between fences, then its words."""
    files = [file_text(part) for part in message.files]
    return "\n\n".join((*files, message.text)) if files else message.text


def file_text(part: FilePart) -> str:
    """A file as text for a model: its name, and its content between fences that are longer than any inside it."""
    fence = fence_for(part.text)
    note = f" ({_one_line(part.note)})" if part.note else ""
    end = "" if part.text.endswith("\n") else "\n"
    return f'Attached file "{_one_line(part.name)}"{note}:\n{fence}\n{part.text}{end}{fence}'


def _one_line(text: str) -> str:
    """A name that can neither end its line nor its quotes, nor open a fence."""
    plain = "".join(char if char.isprintable() and char not in '"`' else " " for char in text[:MAX_NAME_CHARS])
    return " ".join(plain.split()) or "file"


def _sampling(sampling: Sampling, forms: FormSupport) -> dict[str, Any]:
    every = {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_tokens}
    wished = {
        Wish.SEED: sampling.seed,
        Wish.STOP: list(sampling.stop) or None,
        Wish.TOP_K: sampling.top_k,
        Wish.MIN_P: sampling.min_p,
    }
    taken = every | {wish.value: value for wish, value in wished.items() if forms.takes(wish)}
    return {name: value for name, value in taken.items() if value is not None}


def _form(form: AnswerForm, forms: FormSupport) -> dict[str, Any]:
    found: dict[str, Any] = {}
    schema = _schema(form.json_schema) if form.json_schema.strip() else None
    if schema is not None and forms.takes(Wish.JSON_SCHEMA):
        found["response_format"] = {"type": "json_schema", "json_schema": {"name": SCHEMA_NAME, "schema": schema}}
    if form.top_logprobs > 0 and forms.takes(Wish.LOGPROBS):
        found |= {"logprobs": True, "top_logprobs": form.top_logprobs}
    return found


def _thinking(form: AnswerForm, forms: FormSupport, engine: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if form.thinking is not Thinking.DEFAULT and forms.takes(Wish.THINKING):
        is_on = form.thinking is Thinking.ON
        if engine == "ollama":
            # Source: Ollama documentation, "OpenAI compatibility": reasoning_effort.
            found["reasoning_effort"] = "medium" if is_on else "none"
        else:
            found["chat_template_kwargs"] = {"enable_thinking": is_on}
    budget = form.thinking_budget_tokens
    if budget is not None and form.thinking is not Thinking.OFF and forms.takes(Wish.THINKING_BUDGET):
        found["thinking_budget_tokens" if engine == "llamacpp" else "thinking_token_budget"] = budget
    return found


def _continue(body: dict[str, Any], engine: str) -> None:
    """The last message is an answer that shall be written on."""
    way = continue_way(engine)
    if way is ContinueWay.FLAG:
        body["continue_final_message"] = True
        if engine == "vllm":
            body["add_generation_prompt"] = False  # vLLM refuses both at once; SGLang's requests have no such field.
    elif way is ContinueWay.PREFILL:
        # The thinking before an answer's words is over, and llama.cpp refuses to write on where it may begin.
        body["chat_template_kwargs"] = {"enable_thinking": False}
        body.pop("thinking_budget_tokens", None)


def _schema(text: str) -> dict[str, Any] | None:
    """The schema, which must be a JSON object; None for anything else. Whether it is a good one the server says."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _to_json(message: Message, images: Mapping[str, bytes]) -> dict[str, Any]:
    if len(message.parts) == 1 and isinstance(message.parts[0], TextPart):
        return {"role": message.role.value, "content": message.parts[0].text}
    results = [part for part in message.parts if isinstance(part, ToolResultPart)]
    if message.role is Role.TOOL and results:
        return {"role": "tool", "tool_call_id": results[0].call_id, "content": results[0].text}
    data: dict[str, Any] = {"role": message.role.value, "content": _content(message, images)}
    if message.calls:
        data["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.calls
        ]
    return data


def _content(message: Message, images: Mapping[str, bytes]) -> str | list[dict[str, Any]]:
    """Plain text where there is nothing else: templates of many models know no parts."""
    text = message_text(message)
    lost = [
        f"[The image {_one_line(part.name)} is not kept any more]"
        for part in message.images
        if part.digest not in images
    ]
    text = "\n\n".join((*lost, text)) if lost else text
    urls = [_data_url(part, images[part.digest]) for part in message.images if part.digest in images]
    if not urls:
        return text
    return [
        *({"type": "image_url", "image_url": {"url": url}} for url in urls),
        *([{"type": "text", "text": text}] if text else []),
    ]


def _data_url(part: ImagePart, data: bytes) -> str:
    media_type = part.media_type if _IMAGE_TYPE.fullmatch(part.media_type) else "image/png"
    return f"data:{media_type};base64,{b64encode(data).decode('ascii')}"
