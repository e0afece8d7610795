"""The schedule of the sun's hours, which the library ephem reckons."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from umbel.exceptions import ImproperlyConfigured
from umbel.schedules import BaseSchedule, schedstate
from umbel.suggestions import suggest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["solar"]

#: Event -> (how ephem calls it, where the horizon is taken to be, whether the sun's centre or its rim passes it).
_EVENTS: Final = {
    "dawn_astronomical": ("next_rising", "-18", True),
    "dawn_nautical": ("next_rising", "-12", True),
    "dawn_civil": ("next_rising", "-6", True),
    "sunrise": ("next_rising", "-0:34", False),
    "solar_noon": ("next_transit", "0", False),
    "sunset": ("next_setting", "-0:34", False),
    "dusk_civil": ("next_setting", "-6", True),
    "dusk_nautical": ("next_setting", "-12", True),
    "dusk_astronomical": ("next_setting", "-18", True),
}
#: Where the sun does not rise, or does not set, the event is looked for on so many days to come.
_MOST_DAYS: Final = 366


class solar(BaseSchedule):
    """Runs at *event* (``sunrise``, ``dusk_civil``...) as it is seen at latitude *lat* and longitude *lon*, in degrees.

    Needs ``pip install ephem``, else :class:`~umbel.exceptions.ImproperlyConfigured` is raised; ``ValueError`` for an
    unknown event or a place that is none.
    """

    def __init__(
        self,
        event: str,
        lat: float,
        lon: float,
        nowfun: Callable[[], dt.datetime] | None = None,
        app: Any = None,
    ) -> None:
        super().__init__(nowfun, app)
        if event not in _EVENTS:
            raise ValueError(
                f"expected one of {', '.join(sorted(_EVENTS))}, got {event!r}{suggest(str(event), _EVENTS)}"
            )
        for name, value, most in (("latitude", lat, 90), ("longitude", lon, 180)):
            if not -most <= value <= most:
                raise ValueError(f"expected the {name} to be between -{most} and {most} degrees, got {value!r}")
        try:
            import ephem
        except ImportError as error:
            raise ImproperlyConfigured("a solar schedule needs the library ephem: pip install ephem") from error
        self._ephem = ephem
        self.event, self.lat, self.lon = event, lat, lon

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        """Return when the event is seen next after *moment*; at the poles, where it may not be for a year, that."""
        ephem = self._ephem
        method, horizon, of_centre = _EVENTS[self.event]
        place = ephem.Observer()
        place.lat, place.lon = str(self.lat), str(self.lon)
        place.elevation = place.pressure = 0
        place.horizon = horizon
        sun = ephem.Sun()
        options = {"use_center": True} if of_centre else {}
        start = ephem.Date(moment.astimezone(dt.UTC).replace(tzinfo=None))
        for _ in range(_MOST_DAYS):
            try:
                found = getattr(place, method)(sun, start=start, **options)
                break
            except ephem.CircumpolarError:
                start = place.next_antitransit(sun, start=start)
        else:
            found = start
        moment_found: dt.datetime = found.datetime()
        return moment_found.replace(tzinfo=dt.UTC)

    def remaining_estimate(self, last_run_at: dt.datetime) -> dt.timedelta:
        return self.next_after(self.maybe_make_aware(last_run_at)) - self.now()

    def is_due(self, last_run_at: dt.datetime) -> schedstate:
        left_s = self.remaining_estimate(last_run_at).total_seconds()
        if left_s > 0:
            return schedstate(False, left_s)
        now = self.now()
        return schedstate(True, max(0.0, (self.next_after(now) - now).total_seconds()))

    def __repr__(self) -> str:
        return f"<solar: {self.event} at latitude {self.lat}, longitude: {self.lon}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.event, self.lat, self.lon)
