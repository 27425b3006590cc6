"""What a person pastes elsewhere to use a server: curl, Python, the environment of coding agents, the launch command.

The one rule: every value from outside is quoted for the place where it is pasted; a key is only where it was asked for.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Final

NO_KEY: Final = "not-needed"
"""A server without a key takes any; OpenAI's own clients refuse to start with none."""
KEY_VARIABLE: Final = "OPENAI_API_KEY"
PROMPTS: Final[Mapping[str, tuple[str, Mapping[str, object]]]] = {
    "chat": ("/chat/completions", {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 64}),
    "vision": ("/chat/completions", {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 64}),
    "embed": ("/embeddings", {"input": ["Hello"]}),
    "rerank": ("/rerank", {"query": "Hello", "documents": ["Good morning", "Goodbye"]}),
}
_PYTHON: Final = {
    "chat": """answer = client.chat.completions.create(
    model={model},
    messages=[{{"role": "user", "content": "Hello"}}],
)
print(answer.choices[0].message.content)
""",
    "embed": """answer = client.embeddings.create(model={model}, input=["Hello"])
print(len(answer.data[0].embedding))
""",
    "rerank": """answer = client.post(
    "/rerank",
    body={{"model": {model}, "query": "Hello", "documents": ["Good morning", "Goodbye"]}},
    cast_to=object,
)
print(answer)
""",
}


def curl_text(url: str, model: str, *, purpose: str = "chat", has_key: bool = False) -> str:
    """A request as one command; a key is taken from the environment."""
    path, body = PROMPTS.get(purpose, PROMPTS["chat"])
    data = json.dumps({"model": model, **body}, ensure_ascii=False)
    lines = [f"curl {shlex.quote(url + path)}", "-H 'Content-Type: application/json'"]
    if has_key:
        lines.append(f'-H "Authorization: Bearer ${KEY_VARIABLE}"')
    lines.append(f"-d {shlex.quote(data)}")
    return " \\\n  ".join(lines) + "\n"


def python_text(url: str, model: str, *, purpose: str = "chat", has_key: bool = False) -> str:
    """A short program for the openai package."""
    key = f'os.environ["{KEY_VARIABLE}"]' if has_key else json.dumps(NO_KEY)
    head = "import os\n\n" if has_key else ""
    body = _PYTHON.get(purpose, _PYTHON["chat"]).format(model=json.dumps(model))
    return f"{head}from openai import OpenAI\n\nclient = OpenAI(base_url={json.dumps(url)}, api_key={key})\n{body}"


def agent_text(url: str, model: str, *, key: str = "") -> str:
    """The variables that coding agents and most programs read."""
    values = (("OPENAI_BASE_URL", url), (KEY_VARIABLE, key or NO_KEY), ("OPENAI_MODEL", model))
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values)
