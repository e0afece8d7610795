"""The lines above the tables: where we are, how it goes, and the charts."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from umbel_extension_monitor.feeds.site import Site
from umbel_extension_monitor.picture.wording import clean, count, duration, per_second
from umbel_extension_monitor.screen.charts import Chart
from umbel_extension_monitor.screen.tones import STATE_MARKS, TONES

__all__ = ["ChartBox", "Charts", "Heading", "Totals"]

_STYLES = {tone: css.removeprefix("color: ").partition(";")[0] for tone, css in TONES.items()}
_LATE_S = 2.0


class Heading(Static):
    """Who is watched, over which broker, and whether it is heard."""

    DEFAULT_CSS = """
    Heading { height: 1; padding: 0 1; background: $panel; }
    Heading.-away { background: $error 35%; }
    """

    def update_from(self, site: Site) -> None:
        """Say how it is now."""
        listening = site.listening
        away = listening.trouble is not None
        self.set_class(away, "-away")
        now = time.time()
        right = self._status(site, now)
        left = Content.assemble(
            ("umbel ", "bold $accent"), (clean(site.name), "bold"), (f"  {clean(site.broker)}", _STYLES["dim"])
        )
        room = max(1, self.size.width - right.cell_length)
        left = left.truncate(max(1, room - 2), ellipsis=True)
        left = left.pad_right(max(0, room - left.cell_length))
        self.update(left + right)

    def _status(self, site: Site, now: float) -> Content:
        listening, cluster = site.listening, site.cluster
        if listening.trouble is not None:
            wait_s = max(0, round(listening.retry_at - now))
            return Content.assemble(("✗ broker away", "bold"), f", again in {wait_s} s" if wait_s else ", trying again")
        if not listening.is_connected:
            return Content.assemble(("○ connecting", _STYLES["warn"]))
        parts: list[tuple[str, str] | str] = []
        if listening.skips:
            parts.append((f"{listening.skips}x skipped  ", _STYLES["warn"]))
        if cluster.one_in > 1:
            parts.append((f"1 in {cluster.one_in} shown  ", _STYLES["warn"]))
        if cluster.lag_s > _LATE_S and cluster.meter.rate(now, "events"):
            parts.append((f"{duration(cluster.lag_s)} late  ", _STYLES["warn"]))
        events = cluster.looking(lambda: cluster.meter.rate(now, "events", 3))
        parts += [("● live", f"bold {_STYLES['good']}"), f" {per_second(events)} events/s"]
        return Content.assemble(*parts)


class Totals(Static):
    """How many tasks are in which state."""

    DEFAULT_CSS = "Totals { height: 1; padding: 0 1; }"

    def update_from(self, site: Site) -> None:
        """Count anew."""
        cluster = site.cluster
        states, totals = cluster.states(), cluster.meter.totals
        waiting = sum(queue.depth or 0 for queue in site.surveying.queues())
        figures = (
            (STATE_MARKS["STARTED"][0], states["STARTED"], "running", "busy"),
            (STATE_MARKS["RECEIVED"][0], states["RECEIVED"], "held", "plain"),
            ("≡", waiting, "waiting", "plain"),
            (STATE_MARKS["SUCCESS"][0], totals["succeeded"], "done", "good"),
            (STATE_MARKS["FAILURE"][0], totals["failed"], "failed", "bad"),
            (STATE_MARKS["RETRY"][0], totals["retried"], "retried", "warn"),
            (STATE_MARKS["REVOKED"][0], totals["revoked"], "revoked", "odd"),
        )
        content = _in_a_row(figures, "   ")
        if content.cell_length > self.size.width:  # closer together, and without what has not happened
            content = _in_a_row([figure for figure in figures if figure[1] or figure[3] not in ("warn", "odd")], "  ")
        self.update(content)


def _in_a_row(figures: Iterable[tuple[str, int, str, str]], gap: str) -> Content:
    parts: list[tuple[str, str]] = []
    for mark, number, word, tone in figures:
        style = _STYLES[tone] if number else _STYLES["dim"]
        parts += [(f"{mark} ", style), (count(number), f"bold {style}" if number else style)]
        parts.append((f" {word}{gap}", _STYLES["dim"]))
    return Content.assemble(*parts).rstrip()


class ChartBox(Vertical):
    """A chart under its title."""

    DEFAULT_CSS = """
    ChartBox { width: 1fr; padding: 0 1; }
    ChartBox > Static { height: 1; }
    ChartBox > Chart { height: 1fr; }
    """

    def __init__(self, chart: Chart) -> None:
        super().__init__()
        self.chart = chart
        self.title = Static("")

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield self.title
        yield self.chart

    def show(self, *groups: Sequence[tuple[str, str]]) -> None:
        """Draw the chart anew, under a title: of *groups* of (text, tone)s as many as there is room for."""
        title = Content("")
        for group in groups:
            longer = title + Content.assemble(*[(text, _STYLES[tone]) for text, tone in group])
            if longer.cell_length > self.size.width:
                break
            title = longer
        self.title.update(title)
        self.chart.update()


class Charts(Horizontal):
    """What ended, how long it ran, and what waits: of the last minutes."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self._site = site
        self._ended = ChartBox(Chart(self._ended_series, "good", "bad"))
        self._ran = ChartBox(Chart(self._run_time_series, "faint", "busy"))
        self._waiting = ChartBox(Chart(self._waiting_series, "odd", "odd"))

    def compose(self) -> ComposeResult:
        """Lay them out."""
        yield self._ended
        yield self._ran
        yield self._waiting

    def update_all(self) -> None:
        """Draw all three anew."""
        now, cluster = time.time(), self._site.cluster
        meter = cluster.meter
        ended, failed, run_times, waits = cluster.looking(
            lambda: (meter.rate(now, "ended"), meter.rate(now, "failed"), meter.run_times(now), meter.waits(now))
        )
        self._ended.show(
            [("ended ", "dim"), (f"{per_second(ended)}/s", "good" if ended else "dim")],
            [(f"  failed {per_second(failed)}/s", "bad")] if failed else [],
        )
        self._ran.show(
            [("ran ", "dim"), (duration(run_times.percentile(50)), "busy"), (" p95 ", "dim")],
            [(duration(run_times.percentile(95)), "plain")],
            [("  held ", "dim"), (duration(waits.percentile(50)), "plain"), (" p95 ", "dim")],
            [(duration(waits.percentile(95)), "plain")],
        )
        depths = self._site.surveying.total_depths(16)
        change = (depths[-1] - depths[0]) / 15
        self._waiting.show(
            [("waiting ", "dim"), (count(depths[-1]), "odd" if depths[-1] else "dim")],
            [(f"  {'+' if change > 0 else '-'}{per_second(abs(change))}/s", "dim")] if abs(change) >= 0.05 else [],
        )

    def _ended_series(self, length: int) -> tuple[Sequence[float], Sequence[float]]:
        cluster, now = self._site.cluster, time.time()
        return cluster.looking(
            lambda: (cluster.meter.series(now, "ended", length), cluster.meter.series(now, "failed", length))
        )

    def _run_time_series(self, length: int) -> tuple[Sequence[float], Sequence[float]]:
        cluster, now = self._site.cluster, time.time()
        highest, middle = cluster.looking(
            lambda: (
                cluster.meter.run_time_series(now, 95, length),
                cluster.meter.run_time_series(now, 50, length),
            )
        )
        return [_log_height(seconds) for seconds in highest], [_log_height(seconds) for seconds in middle]

    def _waiting_series(self, length: int) -> tuple[Sequence[float], Sequence[float]]:
        depths = self._site.surveying.total_depths(length)
        return depths, [0] * length


def _log_height(seconds: float) -> float:
    """Return how high a span of time stands: tenfold is one more, so that milliseconds are seen beside seconds."""
    return math.log10(1 + seconds / 1e-3)
