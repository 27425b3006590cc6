"""What a token costs on the screen while an answer of 256 KiB is written: prose with all it can hold, one paragraph
without a line end, and one code.

Real rows in the real column and the real view of a growing answer, painted after every flush. The one rule: CPU time
of this process, and the last tenth of an answer is held against its first tenth in the same run; so a busy machine
slows both alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Hashable
from dataclasses import dataclass

from PySide6.QtWidgets import QApplication, QWidget

from sparkdesk.core.chat.event import TextDelta
from sparkdesk.core.chat.markdown_block import BlockKind
from sparkdesk.core.chat.message import Message, Role
from sparkdesk.core.chat.session import Turn, TurnState
from tests.bench.figure import Figure
from ui.chat.column import LazyColumn, RowWidget
from ui.chat.live import LiveAnswer
from ui.chat.row import BlockRow, TailRow
from ui.chat.transcript import estimate, is_large_table
from ui.chat.words.code_row import CodeBlock
from ui.chat.words.text_row import AnswerText, OpenText, RuleLine
from ui.style import install_style

NAMES = (
    "chat_render.prose_growth",
    "chat_render.paragraph_growth",
    "chat_render.code_growth",
    "chat_render.cost_of_a_token",
    "chat_render.longest_flush",
)
ANSWER_CHARS = 256 * 1024
TOKEN_CHARS = 4
"""About what a token of English or of code is."""
TOKENS_A_FLUSH = 16
"""At 30 flushes a second this is about 500 tok/s."""
GROWTH_LIMIT, TOKEN_LIMIT_MS, FLUSH_LIMIT_MS = 1.5, 0.5, 50.0
PROSE = """## What the planner does

The planner reads **the topology** of the cluster, the *shape* of the model and `max_model_len`, and tells what fits.
It does so without a network, which is why a [plan](https://example.org/plan) is a value that can be kept and compared.

1. Weights are split over tensor and pipeline ranks.
2. What is left holds the KV cache:
   - of every layer that has one,
   - in the format that was asked for, with $b = 2 n_{kv} d_h$ bytes a token.

| node | weights | KV cache | free |
|:-----|--------:|---------:|-----:|
| spark-a | 37.8 GiB | 41.0 GiB | 12.4 GiB |
| spark-b | 37.8 GiB | 41.0 GiB | 11.9 GiB |

```python
def kv_bytes(layers: int, heads: int, head_size: int, bytes_each: int = 2) -> int:
    \"\"\"Bytes of one token's keys and values.\"\"\"
    return 2 * layers * heads * head_size * bytes_each  # both halves
```

> A sliding window layer keeps only so much; see the table above.

"""
PARAGRAPH = "All of these words stand in one paragraph that has no end and no line end, as some models write them. "
CODE = """def step_{0}(state: dict[str, float], rate: float = 0.{0}) -> dict[str, float]:
    \"\"\"One step of many.\"\"\"
    return {{key: value - rate * gradient(key, state) for key, value in state.items()}}  # {0}

"""


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU ms of every flush of one answer."""

    flushes_ms: list[float]

    def growth(self) -> float:
        """The last tenth over the first."""
        tenth = len(self.flushes_ms) // 10
        return statistics.mean(self.flushes_ms[-tenth:]) / statistics.mean(self.flushes_ms[:tenth])

    def token_ms(self) -> float:
        """CPU ms a token."""
        return statistics.mean(self.flushes_ms) / TOKENS_A_FLUSH


class Desk:
    """The column with the rows of one growing answer."""

    def __init__(self, app: QApplication) -> None:
        self._app = app
        self._live = LiveAnswer(0, Turn(Message(Role.ASSISTANT, ()), state=TurnState.STREAMING))
        self.column = LazyColumn(self._make, estimate)
        self.column.resize(800, 700)
        self.column.show()

    def _make(self, row: Hashable, parent: QWidget) -> RowWidget:
        if isinstance(row, TailRow):
            tail = self._live.tail
            return CodeBlock(tail, row.language, is_open=True, parent=parent) if row.is_code else OpenText(tail, parent)
        if not isinstance(row, BlockRow):
            return RuleLine(parent)
        block = row.block
        if block.kind is BlockKind.CODE or is_large_table(block):
            return CodeBlock(block.text, block.language, block.title, parent=parent)
        return AnswerText(block.text, parent)

    def flush(self, text: str) -> None:
        """Take text as one flush of the page does, and paint."""
        growth = self._live.add([TextDelta(text, 0.0)])
        if growth.is_reset or not self.column.rows():
            self.column.set_rows(self._live.rows())
        for widget in reversed(self.column.widgets()):
            if isinstance(widget, OpenText) or (isinstance(widget, CodeBlock) and widget.is_open):
                if growth.is_reset:
                    widget.reset(growth.text)
                else:
                    widget.append(growth.text)
                break
        self._app.processEvents()


def cost_of(app: QApplication, text: str) -> Cost:
    """What each flush of an answer costs."""
    desk = Desk(app)
    step = TOKEN_CHARS * TOKENS_A_FLUSH
    flushes_ms: list[float] = []
    for start in range(0, ANSWER_CHARS, step):
        begun_s = time.process_time()
        desk.flush(text[start : start + step])
        flushes_ms.append((time.process_time() - begun_s) * 1000)
    desk.column.close()
    desk.column.deleteLater()
    return Cost(flushes_ms)


def answers() -> dict[str, str]:
    """The three answers, each long enough."""
    prose = PROSE * (ANSWER_CHARS // len(PROSE) + 1)
    code = "```python\n" + "".join(CODE.format(number) for number in range(ANSWER_CHARS // 200))
    return {"prose": prose, "paragraph": PARAGRAPH * (ANSWER_CHARS // len(PARAGRAPH) + 1), "code": code}


def measure() -> list[Figure]:
    """Growth of each answer's cost, the dearest token, the longest flush."""
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    install_style(app, "dark")
    cost_of(app, PROSE * 40)  # warm: the first code imports its reader, the first formula its own
    costs = {name: cost_of(app, text) for name, text in answers().items()}
    figures = []
    for name, (key, cost) in zip(NAMES, costs.items(), strict=False):
        note = f"{key} of 256 KiB, {TOKENS_A_FLUSH} tokens a flush, {cost.token_ms():.3f} ms a token"
        figures.append(Figure.at_most(name, cost.growth(), "last tenth / first tenth", GROWTH_LIMIT, note=note))
    token_ms = max(cost.token_ms() for cost in costs.values())
    longest_ms = max(max(cost.flushes_ms) for cost in costs.values())
    return [
        *figures,
        Figure.at_most(NAMES[3], token_ms, "CPU ms", TOKEN_LIMIT_MS, note="the dearest of the three"),
        Figure.at_most(NAMES[4], longest_ms, "CPU ms", FLUSH_LIMIT_MS, note="of all three"),
    ]
