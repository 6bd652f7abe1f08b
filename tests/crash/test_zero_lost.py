"""The sum of all kills. Its name makes it the last one here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.kills import KILLS

LEAST = {
    "worker": 175,
    "request": 30,
    "web server's process": 6,
    "PostgreSQL": 6,
    "The object store": 6,
}
"""Of each kind. The sum counts, too."""
SUM = 200


def test_the_kills_add_up(request: pytest.FixtureRequest) -> None:
    """What every test here asserts is worth the more the more often something was killed."""
    here = Path(__file__).parent
    ran = {item.path for item in request.session.items}
    if not ran >= set(here.glob("test_*.py")):
        pytest.skip("only some of the tests that kill were chosen")
    assert sum(KILLS.values()) >= SUM, KILLS
    assert {kind: KILLS[kind] for kind, least in LEAST.items() if KILLS[kind] < least} == {}
