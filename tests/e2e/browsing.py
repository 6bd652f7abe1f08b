"""Headless Chromium, and a record of what its pages asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or ""
ARGUMENTS = [
    "--disable-gpu",
    "--enable-unsafe-swiftshader",  # WebGL without a graphics card
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]
NOT_HOSTED = {
    ("GET", "ajax-api/2.0/mlflow/users/current"),
    ("GET", "ajax-api/3.0/mlflow/assistant/config"),
    ("GET", "ajax-api/3.0/mlflow/assistant/providers"),
}
"""What MLflow's pages ask for although the registry does not host it: they answer 404 and show the user no error."""

HARMLESS = "ResizeObserver loop completed"
"""MLflow's tables say so when they are laid out slowly."""

TELL = "addEventListener('securitypolicyviolation', e => console.error('policy:', e.violatedDirective, e.blockedURI))"


@dataclass
class Seen:
    """`failed` are answers from 400 on but for NOT_HOSTED, `errors` what scripts reported and what policies refused."""

    url: str
    asked: list[tuple[str, str]] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    failed: list[tuple[int, str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.add_init_script(TELL)
        page.on("request", lambda request: self._request(request.method, request.url))
        page.on("response", lambda answer: self._answer(answer.status, answer.request.method, answer.url))
        page.on("pageerror", lambda error: self._error(str(error)))
        page.on("console", lambda message: self._message(message.type, message.text))

    def clean(self) -> bool:
        return not (self.foreign or self.failed or self.errors)

    def _request(self, method: str, url: str) -> None:
        if url.startswith(f"{self.url}/"):
            self.asked.append((method, url.removeprefix(self.url).partition("?")[0]))
        elif urlsplit(url).scheme not in ("data", "blob"):
            self.foreign.append(url)

    def _answer(self, status: int, method: str, url: str) -> None:
        path = url.removeprefix(self.url).partition("?")[0]
        hosted = not (status == 404 and any(method == verb and path.endswith(end) for verb, end in NOT_HOSTED))
        if status >= 400 and hosted:
            self.failed.append((status, method, path))

    def _message(self, kind: str, text: str) -> None:
        if kind == "error" and not text.startswith("Failed to load resource"):  # an answer, see above
            self._error(text)

    def _error(self, text: str) -> None:
        if HARMLESS not in text:
            self.errors.append(text)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        as_root = os.geteuid() == 0
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=ARGUMENTS, headless=True, chromium_sandbox=not as_root
        )
        yield browser
        browser.close()


def signed_in(browser: Browser, url: str, token: str) -> BrowserContext:
    """A profile of its own with a session."""
    answer = requests.post(
        f"{url}/login", data={"token": token}, headers={"Origin": url}, allow_redirects=False, timeout=30
    )
    assert answer.status_code == 303, answer.text
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.add_cookies([{"name": name, "value": value, "url": url} for name, value in answer.cookies.items()])
    return context
