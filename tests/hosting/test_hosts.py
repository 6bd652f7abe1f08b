"""The host names under which the hosted registry answers: exact ones."""

from __future__ import annotations

import pytest
from flask import Flask

from service.domain.host_names import HostNames
from service.hosting.hosts import only_for

HOSTS = HostNames.parse(["models.example", "10.0.0.7:8000", "[::1]", "Upper.Example"])


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("models.example", True),
        ("MODELS.example:8443", True),
        ("upper.example", True),
        ("10.0.0.7:8000", True),
        ("[::1]", True),
        ("[::1]:5080", True),
        ("10.0.0.7", False),
        ("10.0.0.7:80001", False),
        ("10.0.0.7.evil.example:8000", False),
        ("evil-models.example", False),
        ("a.models.example", False),
        ("models.example.", False),
        ("models.example.evil", False),
        ("models.example:", False),
        ("models.example:x", False),
        ("models.example@evil.example", False),
        ("evil.example, models.example", False),
        ("models.example\n", False),
        (" models.example", False),
        ("[::1", False),
        ("", False),
        ("*", False),
        ("a" * 100_000, False),
    ],
)
def test_which_are_answered(host: str, allowed: bool) -> None:
    app = Flask("test")
    app.add_url_rule("/", view_func=lambda: "hosted")
    app.wsgi_app = only_for(HOSTS, app.wsgi_app)  # type: ignore[method-assign]
    got = app.test_client().get("/", environ_overrides={"HTTP_HOST": host})
    if allowed:
        assert (got.status_code, got.text) == (200, "hosted")
    else:
        assert (got.status_code, got.get_json()["error_code"]) == (421, "BAD_REQUEST")
        assert "MODEL_REGISTRY_ALLOWED_HOSTS" in got.get_json()["message"]


@pytest.mark.parametrize("word", ["*.example", "*", "http://a", "a/b", "a b", "[::1", "a:b", "a:", ".a"])
def test_patterns_are_no_names(word: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        HostNames.parse(["models.example", word])
