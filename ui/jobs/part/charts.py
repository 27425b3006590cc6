"""The charts of a deployment: tokens, requests, KV cache and first token, and a second row by tabs.

The one rule: a series that is not there says which flag or engine would give it; it is never a line at zero.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QWidget

from sparkdesk.core.jobs.rate import (
    ACCEPTANCE,
    GENERATED_RATE,
    PREFIX_SHARE,
    PROMPT_RATE,
    TPOT_P50_S,
    TPOT_P95_S,
    TTFT_MEAN_S,
    TTFT_P50_S,
    TTFT_P95_S,
)
from sparkdesk.core.jobs.reading import KV_USED, REQUESTS_RUNNING, REQUESTS_WAITING
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.planning.speed.bandwidth import PEAK_GB_PER_S
from sparkdesk.core.telemetry.metric import BANDWIDTH, TOKEN_ENERGY
from ui import text, theme
from ui.jobs.model import DeploymentsModel
from ui.jobs.words.gap import why_empty, why_silent
from ui.widgets.card import Card
from ui.widgets.chart import ChartFrame, LiveChart, Series, fitting_span_s
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label
from ui.widgets.segmented import Segmented

SPAN_S: Final = 900.0
NARROW_PX: Final = 760
CHART_PX: Final = 122
KV_ALERT: Final = 90.0
"""Per cent of the KV cache from which requests begin to wait or to be put off. Ours, as the ledger's limit is."""


class Line(NamedTuple):
    """One series: its key, its name in the legend, and the factor from code units to the screen's."""

    key: str
    name: str
    scale: float = 1.0


class Tab(NamedTuple):
    """One choice of the second row."""

    key: str
    title: str
    unit: str
    lines: tuple[Line, ...]
    high: float | None = None


TABS: Final = (
    Tab("prefill", "Prefill", "tok/s", (Line(PROMPT_RATE, ""),)),
    Tab("tpot", "TPOT", "ms", (Line(TPOT_P50_S, "p50", 1e3), Line(TPOT_P95_S, "p95", 1e3))),
    Tab("prefix", "Prefix hits", "%", (Line(PREFIX_SHARE, "", 100.0),), 100.0),
    Tab("accepted", "Acceptance", "%", (Line(ACCEPTANCE, "", 100.0),), 100.0),
    Tab("bandwidth", f"GB/s of {PEAK_GB_PER_S:.0f}", "GB/s", (Line(BANDWIDTH, "", 1e-9),), PEAK_GB_PER_S),
    Tab("energy", "J/token", "J", (Line(TOKEN_ENERGY, ""),)),
)


_BASIC: Final = (GENERATED_RATE, REQUESTS_RUNNING, REQUESTS_WAITING, KV_USED, TTFT_MEAN_S, TTFT_P50_S, TTFT_P95_S)
_TOLD: Final = (*_BASIC, *(line.key for tab in TABS if tab.key not in ("bandwidth", "energy") for line in tab.lines))
"""What engines tell of themselves."""


class ChartCards(QWidget):
    """Four charts, two beside each other, and one more below whose series is chosen."""

    def __init__(self, model: DeploymentsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._longest_s = SPAN_S
        frame = ChartFrame(window_s=SPAN_S)
        self.tokens = LiveChart("Generated tokens", unit="tok/s", frame=frame)
        self.requests = LiveChart("Requests", frame=frame)
        self.kv = LiveChart("KV cache in use", unit="%", frame=frame)
        self.ttft = LiveChart("TTFT", unit="s", frame=frame)
        self.more = LiveChart("Prefill", unit="tok/s", frame=frame)
        self.tabs = Segmented([(tab.key, tab.title) for tab in TABS], what="More of this deployment")
        self._cards = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(theme.GAP)
        for chart in (self.tokens, self.requests, self.kv, self.ttft):
            card = Card()
            card.column(margins=(14, 8, 14, 8)).addWidget(chart)
            card.setFixedHeight(CHART_PX)
            self._cards.append(card)
        self._last = Card()
        column = self._last.column(margins=(14, 8, 14, 8))
        column.addWidget(self.tabs)
        column.addWidget(self.more, 1)
        self._last.setFixedHeight(CHART_PX + 34)
        self.none = Label("", "dense", "text2", is_wrapped=True)
        self._none = Card()
        silent = QHBoxLayout()
        silent.setSpacing(8)
        silent.addWidget(IconLabel("circle-help", "text3", size=14))
        silent.addWidget(self.none, 1)
        self._none.column(margins=(14, 9, 14, 9)).addLayout(silent)
        self._columns = 0
        self.set_columns(2)
        self.tabs.changed.connect(lambda _key: self._show_more())

    def set_columns(self, columns: int) -> None:
        """Lay the charts out in this many columns."""
        if columns == self._columns:
            return
        self._columns = columns
        for i, card in enumerate(self._cards):
            self._grid.addWidget(card, i // columns, i % columns)
        self._grid.addWidget(self._last, 4, 0, 1, 2)
        self._grid.addWidget(self._none, 5, 0, 1, 2)

    def set_longest(self, span_s: float) -> None:
        """How far back to look at most."""
        self._longest_s = span_s

    def _window_s(self, job: JobStatus) -> float:
        times_s, _ = self._model.feeds.traces.series(job.job_id, GENERATED_RATE)
        return fitting_span_s(times_s, 0.0, self._longest_s)

    def show_job(self, job: JobStatus) -> None:
        """Show what there is of the job's past; one line where its server tells nothing of itself."""
        is_silent = self.is_silent(job)
        for card in (*self._cards, self._last):
            card.setVisible(not is_silent)
        self._none.setVisible(is_silent)
        if is_silent:
            self.none.setText(f"No charts. {why_silent(job.engine)}.")
            return
        self._show_tokens(job)
        self._show_rest(job)

    def is_silent(self, job: JobStatus) -> bool:
        """Whether its server has no metrics page, and never told a figure that a chart could show."""
        has_page = job.endpoint is not None and bool(job.endpoint.metrics_path)
        return not has_page and not any(self._model.feeds.traces.has(job.job_id, key) for key in _TOLD)

    def _show_tokens(self, job: JobStatus) -> None:
        traces, window_s = self._model.feeds.traces, self._window_s(job)
        mark, mark_text = self._model.compare_to(job)
        self.tokens.set_frame(
            ChartFrame(
                window_s=window_s, chosen_s=self._longest_s, limit=mark, limit_text=mark_text, limit_tint="text3"
            ),
        )
        rate = traces.newest(job.job_id, GENERATED_RATE)
        self._show(self.tokens, job, (Line(GENERATED_RATE, ""),), text.token_rate(rate).value)

    def _show_rest(self, job: JobStatus) -> None:
        traces, window_s = self._model.feeds.traces, self._window_s(job)
        running, waiting = traces.newest(job.job_id, REQUESTS_RUNNING), traces.newest(job.job_id, REQUESTS_WAITING)
        said = text.NOT_KNOWN
        if text.is_known(running):
            said = f"{running:.0f}" + (f" / {waiting:.0f}" if text.is_known(waiting) else "")
        self.requests.set_frame(ChartFrame(window_s=window_s, chosen_s=self._longest_s, high=self._even_top(job)))
        lines = (Line(REQUESTS_RUNNING, "running"), Line(REQUESTS_WAITING, "waiting"))
        self._show(self.requests, job, lines, said)
        used = traces.newest(job.job_id, KV_USED)
        percent = f"{used * 100:.0f}" if text.is_known(used) else text.NOT_KNOWN
        alert = f"alert above {KV_ALERT:.0f}{text.THIN_SPACE}%"
        has_kv = traces.has(job.job_id, KV_USED)
        self.kv.set_frame(
            ChartFrame(
                window_s=window_s,
                chosen_s=self._longest_s,
                high=100.0,
                limit=KV_ALERT if has_kv else None,
                limit_text=alert,
            )
        )
        self._show(self.kv, job, (Line(KV_USED, "", 100.0),), percent)
        self._show_ttft(job, window_s)
        self._show_more()

    def _show_ttft(self, job: JobStatus, window_s: float) -> None:
        traces = self._model.feeds.traces
        self.ttft.set_frame(ChartFrame(window_s=window_s, chosen_s=self._longest_s))
        has_quantiles = traces.has(job.job_id, TTFT_P50_S)
        if not has_quantiles and traces.has(job.job_id, TTFT_MEAN_S):
            self.ttft.set_title("TTFT, mean")
            self._show(self.ttft, job, (Line(TTFT_MEAN_S, ""),), _seconds(traces.newest(job.job_id, TTFT_MEAN_S)))
            return
        self.ttft.set_title("TTFT")
        p50, p95 = traces.newest(job.job_id, TTFT_P50_S), traces.newest(job.job_id, TTFT_P95_S)
        said = f"{_seconds(p50)} / {_seconds(p95)}" if text.is_known(p50) else text.NOT_KNOWN
        self._show(self.ttft, job, (Line(TTFT_P50_S, "p50"), Line(TTFT_P95_S, "p95")), said)

    def _show_more(self) -> None:
        job = self._model.job()
        tab = next((tab for tab in TABS if tab.key == self.tabs.key()), TABS[0])
        if job is None:
            return
        newest = [self._model.feeds.traces.newest(job.job_id, line.key) * line.scale for line in tab.lines]
        digits = 2 if tab.key == "energy" else 0 if tab.unit in ("%", "tok/s") else 1
        known = [text.grouped(value, digits) for value in newest if text.is_known(value)]
        unit = tab.unit
        self.more.set_title(f"{tab.title}, {unit}" if unit not in tab.title else tab.title)
        self.more.set_frame(ChartFrame(window_s=self._window_s(job), chosen_s=self._longest_s, high=tab.high))
        self._show(self.more, job, tab.lines, " / ".join(known) or text.NOT_KNOWN)

    def _even_top(self, job: JobStatus) -> float:
        """The top of the requests' axis: whole requests at the middle line too."""
        series = (self._model.feeds.traces.series(job.job_id, key)[1] for key in (REQUESTS_RUNNING, REQUESTS_WAITING))
        peak = max((value for values in series for value in values if text.is_known(value)), default=0.0)
        return next((float(top) for top in (2, 4, 8, 20, 40, 80, 200, 400, 800) if top >= peak), 2.0 * peak)

    def _show(self, chart: LiveChart, job: JobStatus, lines: tuple[Line, ...], value_text: str) -> None:
        traces, shown = self._model.feeds.traces, []
        for line in lines:
            times_s, values = traces.series(job.job_id, line.key)
            shown.append(Series(line.name, times_s, [value * line.scale for value in values]))
        key = lines[0].key
        was_seen = any(traces.has(job.job_id, line.key) for line in lines)
        chart.set_empty_text(why_empty(job, key, was_seen=was_seen, is_off=self._model.switched_off(job, key)))
        chart.set_series(shown, now_s=0.0, value_text=value_text)


def _seconds(value: float) -> str:
    return f"{value:.2f}" if text.is_known(value) and value < 10 else text.grouped(value, 1)
