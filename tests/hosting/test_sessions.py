"""The cookie of a browser's session: what opens it, and what does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Response

from service.domain.errors import NotConfigured
from service.domain.identity import Session
from service.hosting.sessions import Sessions
from service.webhooks.vault import FernetVault
from tests.conftest import KEY

OTHER = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HTTPS = "https://registry.example"


def sessions(*keys: str, url: str = HTTPS) -> Sessions:
    return Sessions(keys or (KEY,), 3600, url)


def test_what_was_sealed_opens_until_it_expires() -> None:
    value = sessions().seal("the-id", NOW)
    assert "the-id" not in value
    assert token_of(sessions().open(value, NOW)) == "the-id"
    assert sessions().open(value, NOW + timedelta(seconds=3600)) == sessions().open(value, NOW)
    assert sessions().open(value, NOW + timedelta(seconds=3601)) is None
    assert sessions().open(value, NOW - timedelta(hours=1)) is None, "sealed in the future"
    assert sessions().open(sessions().seal("the-id", NOW), NOW) != sessions().open(value, NOW), "each is one of its own"


def token_of(session: Session | None) -> str:
    assert session is not None
    assert session.id
    return session.token_id


def test_keys_are_rotated() -> None:
    value = sessions(OTHER).seal("the-id", NOW)
    assert token_of(sessions(KEY, OTHER).open(value, NOW)) == "the-id"
    assert sessions(KEY).open(value, NOW) is None
    assert token_of(sessions(KEY).open(sessions(KEY, OTHER).seal("the-id", NOW), NOW)) == "the-id"


def test_nothing_else_is_a_session() -> None:
    value = sessions().seal("the-id", NOW)
    middle = len(value) // 2
    changed = value[:middle] + ("A" if value[middle] != "A" else "B") + value[middle + 1 :]
    webhook = FernetVault((KEY,)).seal("the-id").decode()
    for text in ("", "x", "ä", "\ud800", "the-id", changed, value[:-4], webhook, "A" * 100_000):
        assert sessions().open(text, datetime.now(UTC) if text == webhook else NOW) is None


def test_without_a_key_there_are_none() -> None:
    without = Sessions((), 3600, HTTPS)
    with pytest.raises(NotConfigured, match="MODEL_REGISTRY_SECRET_KEY"):
        without.seal("the-id", NOW)
    assert without.open(sessions().seal("the-id", NOW), NOW) is None


@pytest.mark.parametrize(
    ("url", "name", "path", "secure", "origin"),
    [
        ("https://registry.example", "__Host-model-registry-session", "/", True, "https://registry.example"),
        ("https://A.example:443/r", "__Secure-model-registry-session", "/r/", True, "https://a.example"),
        ("http://127.0.0.1:5080", "model-registry-session", "/", False, "http://127.0.0.1:5080"),
        ("http://[::1]:5080/a/b", "model-registry-session", "/a/b/", False, "http://[::1]:5080"),
    ],
)
def test_the_cookie_fits_the_public_address(url: str, name: str, path: str, secure: bool, origin: str) -> None:
    made = sessions(url=url)
    given, taken = Response(), Response()
    made.give(given, "value")
    made.take(taken)
    assert made.origin == origin
    for response, age in ((given, "3600"), (taken, "0")):
        first, *attributes = response.headers["Set-Cookie"].split("; ")
        assert first == f"{name}={'value' if age == '3600' else ''}"
        assert {"HttpOnly", "SameSite=Lax", f"Path={path}", f"Max-Age={age}"} <= set(attributes)
        assert ("Secure" in attributes) is secure
        assert not any(attribute.startswith("Domain") for attribute in attributes)
