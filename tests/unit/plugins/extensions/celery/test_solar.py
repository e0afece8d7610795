"""Schedules of the sun's hours."""

from __future__ import annotations

import datetime as dt
import pickle
import sys

import pytest

from umbel.exceptions import ImproperlyConfigured
from umbel.schedules import crontab
from umbel_extension_celery.solar import solar

GREENWICH = (51.48, 0.0)
SOLSTICE = dt.datetime(2026, 6, 21, tzinfo=dt.UTC)


def test_the_events_of_a_day_come_in_their_order() -> None:
    """[O18]"""
    names = ["dawn_nautical", "dawn_civil", "sunrise", "solar_noon", "sunset", "dusk_civil", "dusk_nautical"]
    times = [solar(name, *GREENWICH).next_after(SOLSTICE) for name in names]
    assert times == sorted(times)
    sunrise, noon, sunset = times[2:5]
    assert abs(sunrise - SOLSTICE.replace(hour=3, minute=43)) < dt.timedelta(minutes=3)
    assert abs(noon - SOLSTICE.replace(hour=12, minute=2)) < dt.timedelta(minutes=3)
    assert abs(sunset - SOLSTICE.replace(hour=20, minute=21)) < dt.timedelta(minutes=3)


def test_it_is_due_once_for_each_sunrise() -> None:
    now = SOLSTICE.replace(hour=4)
    schedule = solar("sunrise", *GREENWICH, nowfun=lambda: now)
    before = schedule.is_due(SOLSTICE)
    assert before.is_due
    assert 23 * 3600 < before.next < 24 * 3600
    after = schedule.is_due(now)
    assert not after.is_due
    assert after.next == pytest.approx(before.next)
    assert schedule.remaining_estimate(SOLSTICE) < dt.timedelta(0)


def test_the_polar_night_ends() -> None:
    winter = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
    sunrise = solar("sunrise", 78.2, 15.6).next_after(winter)
    assert dt.datetime(2027, 2, 10, tzinfo=dt.UTC) < sunrise < dt.datetime(2027, 2, 25, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("event", "lat", "lon", "said"),
    [
        ("sunrize", 0, 0, "did you mean 'sunrise'"),
        ("sunset", 91, 0, "latitude to be between -90 and 90 degrees, got 91"),
        ("sunset", 0, -181, "longitude to be between -180 and 180 degrees, got -181"),
    ],
)
def test_events_and_places_that_are_none_are_refused(event: str, lat: float, lon: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        solar(event, lat, lon)


def test_the_library_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ephem", None)
    with pytest.raises(ImproperlyConfigured, match="pip install ephem"):
        solar("sunset", *GREENWICH)


def test_equal_ones_travel() -> None:
    schedule = solar("sunset", *GREENWICH)
    assert pickle.loads(pickle.dumps(schedule)) == schedule != solar("sunrise", *GREENWICH)
    assert repr(schedule) == "<solar: sunset at latitude 51.48, longitude: 0.0>"


def test_a_schedule_may_have_a_time_zone_of_its_own() -> None:
    """Packages set it in a subclass, before the base class has its turn."""
    east = dt.timezone(dt.timedelta(hours=9))

    class Eastern(crontab):
        def __init__(self) -> None:
            self.tz = east
            super().__init__(minute="0", hour="6")

    found = Eastern().next_after(SOLSTICE)
    assert found == dt.datetime(2026, 6, 21, 21, tzinfo=dt.UTC)
