"""What the monitor works out from events, without a screen and without a broker."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from umbel.events import Task
from umbel_extension_monitor.picture.cluster import Cluster
from umbel_extension_monitor.picture.filtering import parse
from umbel_extension_monitor.picture.meters import Histogram, Meter, step
from umbel_extension_monitor.picture.wording import age, clean, clean_lines, count, duration, per_second
from umbel_extension_monitor.screen.charts import spark
from umbel_extension_monitor.screen.tones import fit, fit_name

# -- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0µs"),
        (4.2e-6, "4.2µs"),
        (0.000_85, "850µs"),
        (0.012, "12ms"),
        (0.9999, "1.0s"),
        (59.96, "1m00s"),
        (185, "3m05s"),
        (7_800, "2h10m"),
        (200_000, "2d07h"),
        (-1, "0µs"),
    ],
)
def test_spans_of_time_are_short(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1e9))
def test_numbers_and_spans_fit_their_columns(value: float) -> None:
    assert len(duration(value)) <= 7
    assert len(count(value)) <= 6
    assert len(per_second(value)) <= 6
    assert len(age(1.0, value)) <= 6


@pytest.mark.parametrize(
    ("number", "text"), [(9_999, "9,999"), (48_230, "48.2k"), (100_000, "100k"), (999_700, "1.0M"), (3_100_000, "3.1M")]
)
def test_numbers_are_short(number: float, text: str) -> None:
    assert count(number) == text


@given(st.text())
def test_no_text_steers_the_terminal(text: str) -> None:
    shown = clean(text) + "".join(clean_lines(text))
    assert all(character.isprintable() for character in shown)


def test_an_escape_sequence_is_shown_and_not_obeyed() -> None:
    assert clean("\x1b[31mred\x07 \x9b2J") == "�[31mred� �2J"
    assert clean_lines("a\tb\r\nc\x1b") == ["a   b", "c�"]


@given(st.text(), st.integers(1, 40))
def test_text_is_cut_to_cells(text: str, width: int) -> None:
    text = clean(text)
    assert cell_len(fit(text, width)) == width
    assert cell_len(fit_name(text, width)) <= width


def test_the_front_of_a_name_gives_way() -> None:
    name = "shop.orders.charge_card"
    assert [fit_name(name, width) for width in (23, 20, 15, 8)] == [
        name,
        "s.orders.charge_card",
        "s.o.charge_card",
        "…ge_card",
    ]


def test_columns_stand_for_several_values() -> None:
    assert spark([0, 1, 2, 4, 8], 5) == " ▁▂▄█"
    assert spark([0, 8, 0, 4], 2) == "█▄"
    assert spark([], 3) == "   "
    assert spark([0.001, 1000], 2) == "▁█"  # what is not nothing is seen


# -- meters -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(1e-5, 1e4), min_size=1, max_size=50), st.integers(1, 100))
def test_percentiles_are_right_within_a_fifth(spans: list[float], percent: int) -> None:
    histogram = Histogram()
    for span in spans:
        histogram.add(step(span))
    exact = sorted(spans)[max(0, math.ceil(len(spans) * percent / 100) - 1)]
    found = histogram.percentile(percent)
    assert found is not None
    assert 0.8 <= found / exact <= 1.25


def test_a_meter_forgets_what_is_old() -> None:
    meter = Meter(3)
    for second in range(10):
        meter.add(second, "succeeded", step(0.5))
    assert meter.series(10, "ended", 5) == [0, 0, 1, 1, 1]
    assert meter.totals["succeeded"] == 10
    assert len(meter._seconds) == 3
    assert meter.rate(10, "succeeded", 2) == 1
    assert meter.run_times(10, 2).total == 1


@pytest.mark.parametrize("span", [math.nan, math.inf, -math.inf, -5.0, 0.0])
def test_a_run_time_that_is_none_does_no_harm(span: float) -> None:
    assert step(span) == 0


# -- filter -----------------------------------------------------------------------------------------------------------


def a_task(**fields: Any) -> Task:
    task = Task("0badcafe", **{"name": "shop.add", "state": "SUCCESS", "args": "(1, 2)", **fields})
    task.runtime = fields.get("runtime", 0.5)
    return task


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("shop", True),
        ("SHOP.A", True),
        ("cafe", True),
        ("mail", False),
        ("-mail shop", True),
        ("-shop", False),
        ("state:success", True),
        ("state:failed", False),
        ("state:ended", True),
        ("state:active", False),
        ("args:2", True),
        ("name:2", False),
        (">0.4s", True),
        (">500ms", False),
        ("<1m", True),
        ("-<1m", False),
        ("Name:shop >1", False),
        ("http://x", False),
        ("error:x", False),
    ],
)
def test_words_choose_tasks(text: str, fits: bool) -> None:
    wanted = parse(text)
    assert wanted is not None
    assert wanted(a_task()) is fits


def test_no_words_choose_all() -> None:
    assert parse("  ") is None


def test_an_unknown_field_is_told_its_neighbour() -> None:
    with pytest.raises(ValueError, match=r"no field 'stat'; did you mean 'state'\?"):
        parse("stat:failed")


# -- cluster ----------------------------------------------------------------------------------------------------------


def events_of(uuid: str, *subjects: str, name: str = "shop.add", **fields: Any) -> list[dict[str, Any]]:
    now = time.time()
    common = {"uuid": uuid, "hostname": "w@h", "timestamp": now, "local_received": now, "clock": 1}
    told = []
    for number, subject in enumerate(subjects):
        more = {"name": name, "args": "()"} if subject == "received" else fields
        told.append({"type": f"task-{subject}", **common, "clock": number + 1, **more})
    return told


def test_a_cluster_counts_by_name_and_by_worker() -> None:
    cluster = Cluster()
    for number in range(3):
        for event in events_of(str(number), "received", "started", "succeeded", runtime=0.1):
            cluster.take(event)
    for event in events_of("x", "received", "failed", name="shop.bad", exception="E()"):
        cluster.take(event)
    by_name = {figures.name: dict(figures.meter.totals) for figures in cluster.names()}
    assert by_name["shop.add"] == {"received": 3, "started": 3, "succeeded": 3}
    assert by_name["shop.bad"] == {"received": 1, "failed": 1}
    assert cluster.node_meter("w@h").totals["succeeded"] == 3
    assert cluster.states() == {"SUCCESS": 3, "FAILURE": 1}
    tasks, found = cluster.tasks(parse("state:failed"), "latest", 10)
    assert ([task.uuid for task in tasks], found) == (["x"], 1)


def test_when_few_are_shown_all_are_counted_and_those_that_failed_are_shown() -> None:
    cluster = Cluster()
    cluster.one_in = 1024
    for number in range(500):
        ends = "failed" if number % 100 == 0 else "succeeded"
        for event in events_of(f"t{number}", "received", "started", ends, runtime=0.1, exception="E()"):
            cluster.take(event)
    assert cluster.meter.totals["received"] == 500
    assert cluster.states()["FAILURE"] == 5
    assert len(cluster.state.tasks) < 50
    failed, _ = cluster.tasks(parse("state:failed"), "latest", 10)
    assert {task.name for task in failed} == {"shop.add"}


def test_memory_is_bounded() -> None:
    cluster = Cluster(keep=100)
    for number in range(1500):
        for event in events_of(f"t{number}", "received", "succeeded", name=f"name{number}", runtime=0.1):
            cluster.take({**event, "hostname": f"w{number}@h"})
    assert len(cluster.state.tasks) == 100
    assert len(cluster._received) == 100
    assert len(cluster.names()) == 500
    assert len(cluster._nodes) == 500


def test_a_worker_that_has_left_is_remembered_for_a_while() -> None:
    cluster = Cluster()
    now = time.time()
    for number in range(60):
        for subject in ("online", "offline"):
            cluster.take(
                {"type": f"worker-{subject}", "hostname": f"w{number}@h", "timestamp": now, "local_received": now}
            )
    assert len(cluster.workers()) == 50
    cluster.take({"type": "worker-online", "hostname": "w59@h", "timestamp": now + 1, "local_received": now})
    names = [getattr(node, "hostname", "left") for node in cluster.workers()]
    assert (names[0], len(names)) == ("w59@h", 50)


def test_the_slowest_stand_first() -> None:
    cluster = Cluster()
    for number, span in enumerate([0.1, 3.0, 0.5]):
        for event in events_of(str(number), "received", "started", "succeeded", runtime=span):
            cluster.take(event)
    assert [task.runtime for task in cluster.tasks(None, "slowest", 2)[0]] == [3.0, 0.5]
