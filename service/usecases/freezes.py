"""When a freeze is on: cron expressions read on the wall clock of a time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from service.domain.errors import InvalidInput
from service.domain.policy_rules import FreezeWindow

LONGEST = 100
"""Characters of an expression."""
SHIFT = timedelta(hours=3)
"""More than daylight saving puts any clock forward or back."""
_SOME_DAY = datetime(2026, 1, 1)


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())  # reads a folder tree


def check_window(window: FreezeWindow) -> None:
    """Raises InvalidInput naming `start` or `time_zone`."""
    if window.time_zone not in _time_zones():
        raise InvalidInput(
            f"{window.time_zone[:80]!r} is not a time zone: use a name such as Europe/Berlin, or UTC.",
            field="time_zone",
        )
    try:
        if len(window.start) > LONGEST or len(window.start.split()) != 5:
            raise CronSimError("Wrong number of fields")
        next(CronSim(window.start, _SOME_DAY))
    except (CronSimError, StopIteration) as error:
        why = str(error) or "it never comes"
        raise InvalidInput(
            f"{window.start[:LONGEST]!r} is not a cron expression ({why}): "
            "use minute, hour, day of month, month, day of week.",
            field="start",
        ) from None


def frozen_until(window: FreezeWindow, now: datetime) -> datetime | None:
    """The end of the freeze that is on at `now`, None when none is.

    A start that the clock skips when it is put forward comes as much later as the clock jumps; one that it shows
    twice when it is put back counts the first time. The duration is elapsed time.
    """
    zone = ZoneInfo(window.time_zone)
    wall = now.astimezone(zone).replace(tzinfo=None, microsecond=0)
    until: datetime | None = None
    last = wall - window.duration - SHIFT
    # On the bare wall clock, and beyond both ends: the order of starts there is not quite the order in time.
    for start in CronSim(window.start, wall + SHIFT, reverse=True):
        if start < last:
            break
        begin = start.replace(tzinfo=zone).astimezone(UTC)
        end = begin + window.duration
        if begin <= now < end:
            until = max(until or end, end)
            last = max(last, start - SHIFT)
    return until
