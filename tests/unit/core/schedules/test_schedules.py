"""Intervals and crontabs: when they run."""

from __future__ import annotations

import datetime as dt
import pickle
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.exceptions import ImproperlyConfigured
from umbel.schedules import ParseException, crontab, crontab_parser, maybe_schedule, schedule

NOON = dt.datetime(2026, 11, 28, 12, 0, 30, tzinfo=dt.UTC)


def app_in(zone: str, deadline_s: int | None = None) -> Any:
    conf = SimpleNamespace(beat_cron_starting_deadline=deadline_s)
    return SimpleNamespace(timezone=ZoneInfo(zone), naive_zone=dt.UTC, conf=conf)


def at(moment: dt.datetime) -> Any:
    return lambda: moment


# -- intervals --------------------------------------------------------------------------------------------------------


def test_an_interval_is_due_when_it_is_over() -> None:
    """[B600]"""
    every = schedule(20, nowfun=at(NOON))
    assert every.is_due(NOON - dt.timedelta(seconds=20)) == (True, 20.0)
    assert every.is_due(NOON - dt.timedelta(seconds=8)) == (False, 12.0)
    assert every.remaining_estimate(NOON - dt.timedelta(seconds=8)) == dt.timedelta(seconds=12)
    assert (every.seconds, schedule(dt.timedelta(hours=2)).human_seconds) == (20, "2.00 hours")


def test_a_clock_set_back_does_not_stretch_an_interval() -> None:
    every = schedule(20, nowfun=at(NOON - dt.timedelta(days=365)))
    assert every.is_due(NOON) == (False, 20.0)


def test_a_relative_interval_falls_on_the_clock() -> None:
    """[A300]"""
    hours = schedule(dt.timedelta(hours=2), relative=True, nowfun=at(NOON))
    assert hours.remaining_estimate(NOON) == dt.timedelta(hours=1, minutes=59, seconds=30)


@pytest.mark.parametrize("wrong", [0, -1, None, "30", True, dt.timedelta(0)])
def test_what_is_no_interval_is_refused(wrong: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="expected an interval to be seconds or a timedelta above zero"):
        schedule(wrong)


def test_seconds_and_timedeltas_become_schedules() -> None:
    """[B602]"""
    assert maybe_schedule(30) == schedule(30)
    assert maybe_schedule(dt.timedelta(minutes=1), relative=True).relative is True
    cron = crontab()
    assert maybe_schedule(cron) is cron
    assert maybe_schedule(7, app=app_in("Asia/Tokyo")).tz == ZoneInfo("Asia/Tokyo")


# -- the fields of a crontab --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "most", "least", "expected"),
    [
        ("*", 3, 0, {0, 1, 2}),
        ("5", 60, 0, {5}),
        ("1,13,30-45,50-59/2", 60, 0, {1, 13, *range(30, 46), *range(50, 60, 2)}),
        ("*/15", 60, 0, {0, 15, 30, 45}),
        ("*/5", 24, 0, {0, 5, 10, 15, 20}),
        ("*/3,8-17", 24, 0, {0, 3, 6, *range(8, 18), 18, 21}),
        ("22-2", 24, 0, {22, 23, 0, 1, 2}),
        ("thu-fri", 7, 0, {4, 5}),
        ("sunday", 7, 0, {0}),
        ("thu,fri", 7, 0, {4, 5}),
        ("fri-mon", 7, 0, {5, 6, 0, 1}),
        ("*/2", 31, 1, set(range(1, 32, 2))),
        ("jan,aug-oct", 12, 1, {1, 8, 9, 10}),
    ],
)
def test_a_field_is_a_set_of_numbers(spec: str, most: int, least: int, expected: set[int]) -> None:
    """[A303] [A304] [A306] [B273] [B594] [B595] [B596] [B598]"""
    assert crontab_parser(most, least).parse(spec) == expected


def test_a_union_of_steps_fires_on_all_of_them() -> None:
    """[A307]"""
    assert set(range(24)) - crontab(hour="*/2,*/3").hour == {1, 5, 7, 11, 13, 17, 19, 23}


@pytest.mark.parametrize("spec", ["", "60", "-1", "a", "1-", "*/0", "*/x", "1,,2", "5-61", "**", "1/2/3", "mon"])
def test_a_wrong_field_is_refused_with_what_was_expected(spec: str) -> None:
    with pytest.raises(ParseException, match="expected"):
        crontab(minute=spec)


@pytest.mark.parametrize("value", [60, -1, [], [5, 99], {"day": 1}])
def test_a_field_out_of_its_bounds_is_refused(value: Any) -> None:
    with pytest.raises(ParseException, match=r"expected numbers from 0 to 59|expected parts|expected a number"):
        crontab(minute=value)


@pytest.mark.parametrize("value", [None, 1.5, True])
def test_a_field_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="expected a field of a crontab to be a number, text or a list of numbers"):
        crontab(hour=value)


def test_five_fields_in_crons_own_order() -> None:
    read = crontab.from_string("30 7 1,15 * mon-fri")
    assert read == crontab(minute=30, hour=7, day_of_week="mon-fri", day_of_month="1,15")
    with pytest.raises(ParseException, match=r"expected five fields .*, got 4"):
        crontab.from_string("30 7 * *")


numbers = st.integers(0, 59)
part = st.one_of(
    numbers.map(str),
    st.tuples(numbers, numbers).map(lambda pair: f"{pair[0]}-{pair[1]}"),
    st.integers(1, 59).map(lambda step: f"*/{step}"),
    st.tuples(numbers, numbers, st.integers(1, 20)).map(lambda three: f"{three[0]}-{three[1]}/{three[2]}"),
)


@given(st.lists(part, min_size=1, max_size=4))
def test_a_list_is_the_union_of_its_parts(parts: list[str]) -> None:
    parser = crontab_parser(60)
    whole = parser.parse(",".join(parts))
    assert whole == set().union(*(parser.parse(one) for one in parts))
    assert whole
    assert whole <= set(range(60))


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = crontab_parser(60).parse(text)
    except ParseException:
        return
    assert found <= set(range(60))


# -- when a crontab runs ------------------------------------------------------------------------------------------------

MOMENTS = st.datetimes(NOON.replace(tzinfo=None, year=2000), NOON.replace(tzinfo=None, year=2040))
fields = {
    "minute": st.one_of(st.just("*"), st.sets(st.integers(0, 59), min_size=1, max_size=3)),
    "hour": st.one_of(st.just("*"), st.sets(st.integers(0, 23), min_size=1, max_size=3)),
    "day_of_week": st.one_of(st.just("*"), st.sets(st.integers(0, 6), min_size=1, max_size=3)),
}


@given(st.fixed_dictionaries(fields), MOMENTS)
def test_the_next_run_is_what_a_walk_through_the_minutes_finds(chosen: dict[str, Any], start: dt.datetime) -> None:
    """In UTC, where every minute comes once."""
    cron = crontab(**chosen)
    moment = start.replace(tzinfo=dt.UTC)
    found = cron.next_after(moment)
    assert found > moment
    assert (found.minute in cron.minute, found.hour in cron.hour, found.isoweekday() % 7 in cron.day_of_week) == (
        True,
        True,
        True,
    )
    walker = (moment + dt.timedelta(minutes=1)).replace(second=0, microsecond=0)
    for _ in range(180):  # no earlier minute matches, as far as we walk
        if walker >= found:
            break
        assert not (
            walker.minute in cron.minute
            and walker.hour in cron.hour
            and walker.isoweekday() % 7 in cron.day_of_week
            and walker > moment
        )
        walker += dt.timedelta(minutes=1)


def runs(cron: crontab, start: str, count: int) -> list[str]:
    moment = dt.datetime.fromisoformat(start)
    found = []
    for _ in range(count):
        moment = cron.next_after(moment)
        found.append(moment.isoformat())
    return found


def test_a_time_that_summer_time_leaves_out_is_run_after_the_gap() -> None:
    cron = crontab(minute=30, hour=2, app=app_in("Europe/Berlin"))
    assert runs(cron, "2026-03-28T12:00:00+01:00", 2) == ["2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"]


def test_a_time_that_comes_twice_runs_once() -> None:
    cron = crontab(minute=30, hour=2, app=app_in("Europe/Berlin"))
    assert runs(cron, "2026-10-24T12:00:00+02:00", 2) == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]


def test_every_half_hour_stays_every_half_hour_when_the_clock_is_set_back() -> None:
    cron = crontab(minute="0,30", app=app_in("Europe/Berlin"))
    assert runs(cron, "2026-10-25T01:40:00+02:00", 4) == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T02:30:00+01:00",
    ]


def test_a_day_that_never_comes_is_an_error_and_not_a_hang() -> None:
    with pytest.raises(ImproperlyConfigured, match="never comes"):
        crontab(0, 0, day_of_month=30, month_of_year=2).next_after(NOON)
    leap = crontab(0, 0, day_of_month=29, month_of_year=2, day_of_week="sunday")
    assert leap.next_after(NOON) == dt.datetime(2032, 2, 29, tzinfo=dt.UTC)


def test_a_crontab_without_fields_runs_every_minute() -> None:
    """[A301]"""
    every = crontab(nowfun=at(NOON))
    assert every.is_due(NOON - dt.timedelta(seconds=31)) == (True, 30.0)
    assert every.is_due(NOON) == (False, 30.0)


def test_a_missed_run_is_made_up_for_once() -> None:
    cron = crontab(minute=0, nowfun=at(NOON))
    due = cron.is_due(NOON - dt.timedelta(hours=5))
    assert due == (True, 3570.0)


@pytest.mark.parametrize(("deadline_s", "is_due"), [(None, True), (20, False), (40, True)])
def test_a_run_that_was_missed_for_too_long_is_left_out(deadline_s: int | None, is_due: bool) -> None:
    cron = crontab(minute=0, nowfun=at(NOON), app=app_in("UTC", deadline_s))
    assert cron.is_due(NOON - dt.timedelta(hours=5)).is_due is is_due


def test_schedules_are_equal_by_what_they_say_and_travel() -> None:
    cron = crontab(minute="*/5", hour=[1, 2], day_of_week="mon")
    assert pickle.loads(pickle.dumps(cron)) == cron
    assert cron != crontab(minute="*/5")
    assert repr(cron) == "<crontab: */5 1,2 * * mon (m/h/dM/MY/d)>"
    assert pickle.loads(pickle.dumps(schedule(5, relative=True))) == schedule(5, relative=True)
