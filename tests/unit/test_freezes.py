"""When a freeze is on, across time zones and changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.domain.errors import InvalidInput
from service.domain.policy_rules import FreezeWindow, duration
from service.usecases.freezes import check_window, frozen_until

BERLIN = "Europe/Berlin"


def window(start: str, lasts: str, zone: str = BERLIN) -> FreezeWindow:
    return FreezeWindow(start, duration(lasts), zone)


@pytest.mark.parametrize(
    ("frozen", "now", "until"),
    [
        # The weekend in winter and in summer: 18:00 in Berlin is 17:00 or 16:00 in UTC.
        (window("0 18 * * FRI", "62h"), "2026-01-09T16:59:59", None),
        (window("0 18 * * FRI", "62h"), "2026-01-09T17:00:00", "2026-01-12T07:00:00"),
        (window("0 18 * * FRI", "62h"), "2026-01-12T06:59:59", "2026-01-12T07:00:00"),
        (window("0 18 * * FRI", "62h"), "2026-01-12T07:00:00", None),
        (window("0 18 * * FRI", "62h"), "2026-07-10T15:59:59", None),
        (window("0 18 * * FRI", "62h"), "2026-07-10T16:00:00", "2026-07-13T06:00:00"),
        # The clock goes forward at 01:00 UTC on 29 March: the same elapsed time, another hour on the wall.
        (window("0 18 * * FRI", "62h"), "2026-03-28T12:00:00", "2026-03-30T07:00:00"),
        # 02:30 is not on the wall that day, and comes as 03:30.
        (window("30 2 * * *", "30m"), "2026-03-29T01:29:59", None),
        (window("30 2 * * *", "30m"), "2026-03-29T01:30:00", "2026-03-29T02:00:00"),
        (window("30 2 * * *", "30m"), "2026-03-29T02:00:00", None),
        # 03:15 is, and comes before it.
        (window("30 2,3 * * *", "30m"), "2026-03-29T01:45:00", "2026-03-29T02:00:00"),
        (window("15,30 2,3 * * *", "20m"), "2026-03-29T01:34:59", "2026-03-29T01:50:00"),
        # The clock goes back at 01:00 UTC on 25 October: 02:30 is there twice, and counts the first time.
        (window("30 2 * * *", "2h"), "2026-10-25T00:29:59", None),
        (window("30 2 * * *", "2h"), "2026-10-25T00:30:00", "2026-10-25T02:30:00"),
        (window("30 2 * * *", "2h"), "2026-10-25T01:15:00", "2026-10-25T02:30:00"),
        (window("30 2 * * *", "30m"), "2026-10-25T01:30:00", None),
        # Half an hour of daylight saving, and a zone that skipped a whole day.
        (window("0 2 * * *", "1h", "Australia/Lord_Howe"), "2026-04-04T15:29:59", None),
        (window("0 2 * * *", "1h", "Australia/Lord_Howe"), "2026-04-04T15:30:00", "2026-04-04T16:30:00"),
        (window("0 0 * * *", "1h", "Pacific/Apia"), "2011-12-30T10:30:00", "2011-12-30T11:00:00"),
        # The year's end, a leap day, months.
        (window("0 0 20 12 *", "3w", "UTC"), "2027-01-09T23:59:59", "2027-01-10T00:00:00"),
        (window("0 0 29 2 *", "1d", "UTC"), "2028-02-29T12:00:00", "2028-03-01T00:00:00"),
        (window("0 0 29 2 *", "1d", "UTC"), "2027-03-01T00:00:00", None),
        (window("* * * * *", "1m", "UTC"), "2026-05-05T05:05:30", "2026-05-05T05:06:00"),
        (window("0 0 * * *", "9999w", "UTC"), "2026-05-05T05:05:30", "2217-12-23T00:00:00"),
    ],
)
def test_frozen_until(frozen: FreezeWindow, now: str, until: str | None) -> None:
    check_window(frozen)
    found = frozen_until(frozen, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found == (None if until is None else datetime.fromisoformat(until).replace(tzinfo=UTC))


MINUTES = st.integers(0, 366 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@given(MINUTES, st.sampled_from(["1m", "30m", "61m", "5h", "3d"]), st.sampled_from([BERLIN, "UTC", "America/St_Johns"]))
@example(datetime(2026, 3, 29, 1, 15, tzinfo=UTC), "30m", BERLIN)
def test_every_start_is_seen(now: datetime, lasts: str, zone: str) -> None:
    """A freeze is on exactly when one of the last minutes was a start, those minutes tried one by one."""
    frozen = window("*/20 2,3,18 * * *", lasts, zone)

    def starts_at(at: datetime) -> bool:
        wall = at.astimezone(ZoneInfo(zone))
        return wall.minute % 20 == 0 and wall.hour in (2, 3, 18) and not wall.fold

    minutes = [now - timedelta(minutes=back) for back in range(int(frozen.duration.total_seconds()) // 60)]
    found = frozen_until(frozen, now)
    assert (found is not None) == any(starts_at(at) for at in minutes)
    assert found is None or now < found <= now + frozen.duration


looks_like_one = st.lists(st.text("0123456789*/,-LW#AMONSU", min_size=1, max_size=6), min_size=5, max_size=5)


@given(st.text(max_size=40) | looks_like_one.map(" ".join))
@example("* * * * MON#5/2")
@example("1-5/2,L LW * * *")
@example("* * L-3 * 5L/2")
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    frozen = FreezeWindow(text, timedelta(hours=1), "UTC")
    refused = None
    try:
        check_window(frozen)
    except InvalidInput as error:
        refused = error
    if refused is None:
        frozen_until(frozen, datetime(2026, 1, 1, tzinfo=UTC))
    else:
        assert refused.where == {"field": "start"}
