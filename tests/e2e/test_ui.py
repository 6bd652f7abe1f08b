"""MLflow's pages in a browser: behind sign-in, with this registry's data, and without anybody else's help."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

from tests.conftest import EXPORTS
from tests.e2e.browsing import CHROMIUM, Seen, chromium, signed_in
from tests.e2e.conftest import Service, cli

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="missing: chromium")

MODEL = "orders-outliers-model"
EXPERIMENT = "dev//Shared/orders/iris-classification"
ATTACK = """
const own = document.createElement("b"); own.id = "ran"; document.documentElement.append(own); document.title = "ran";
fetch("%(url)s/ajax-api/2.0/mlflow/experiments/create",
  {method: "POST", headers: {"Content-Type": "application/json"}, body: '{"name": "owned"}'});
fetch("%(url)s/ajax-api/2.0/mlflow/experiments/search?max_results=1", {credentials: "include"});
"""


@dataclass(frozen=True)
class Story:
    """A model of three versions, v2 in prod/Production; `runs` are two of its runs; `logged` is one with a history of a
    metric and artifacts that attack."""

    service: Service
    experiment: str
    runs: tuple[str, str]
    logged: str

    @property
    def url(self) -> str:
        return self.service.url

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = requests.request(
            method, f"{self.url}/api/2.0/{path}", json=body, headers=self.service.headers, timeout=30
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture(scope="module")
def story(service: Service) -> Story:
    assert service.put("/v1/workspaces/dev", {"kind": "mlflow"}).status_code == 201
    assert service.send("dev", EXPORTS / "mlflow317-master-model-orders.tar.gz").status_code == 201
    for environment, version in (("prod", 2), ("qa", 3)):
        assert service.put(f"/v1/environments/{environment}", {}).status_code == 201
        stage = f"/v1/environments/{environment}/models/{MODEL}/stages/Production"
        assert service.put(stage, {"version": version}).status_code == 200
    story = Story(service, "", ("", ""), "")
    found = story.call("GET", f"mlflow/experiments/get-by-name?experiment_name={EXPERIMENT}")["experiment"]
    runs = story.call("POST", "mlflow/runs/search", {"experiment_ids": [found["experiment_id"]]})["runs"]
    ids = sorted(run["info"]["run_id"] for run in runs)
    return Story(service, found["experiment_id"], (ids[0], ids[1]), _log(story, found["experiment_id"]))


def _log(story: Story, experiment: str) -> str:
    run = story.call("POST", "mlflow/runs/create", {"experiment_id": experiment, "run_name": "by-hand"})["run"]
    run_id = str(run["info"]["run_id"])
    metrics = [{"key": "loss", "value": 1 / step, "timestamp": step, "step": step} for step in range(1, 9)]
    story.call("POST", "mlflow/runs/log-batch", {"run_id": run_id, "metrics": metrics})
    place = "mlflow-artifacts/artifacts/" + run["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
    script = ATTACK % {"url": story.url}
    source = f"{story.url}/get-artifact?path=evil.js&run_uuid={run_id}"
    page = f"<h1>Report</h1><script>{script}</script><script src='{source}'></script><img src=x onerror='{script}'>"
    picture = f"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><script>{script}</script></svg>"
    for name, text in (("evil.html", page), ("evil.js", script), ("evil.svg", picture), ("notes.md", page)):
        put = requests.put(
            f"{story.url}/api/2.0/{place}/{name}", data=text.encode(), headers=story.service.headers, timeout=30
        )
        assert put.status_code == 200
    return run_id


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def session(browser: Browser, story: Story) -> BrowserContext:
    """Signed in as an administrator; what it has loaded once stays in its cache."""
    return signed_in(browser, story.url, story.service.token)


@pytest.fixture
def seen(story: Story) -> Seen:
    return Seen(story.url)


@pytest.fixture
def page(session: BrowserContext, seen: Seen) -> Iterator[Page]:
    page = session.new_page()
    page.set_default_timeout(20_000)
    seen.watch(page)
    yield page
    page.close()


def test_signing_in(browser: Browser, story: Story, seen: Seen) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        seen.watch(page)
        page.goto(f"{story.url}/#/models/{MODEL}")
        expect(page.get_by_role("heading")).to_have_text("Sign in to the model registry")
        page.get_by_label("Token").fill("mreg_wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("The token is unknown, expired or revoked.")
        assert (context.cookies(), seen.failed) == ([], [(401, "POST", "/login")])
        page.get_by_label("Token").fill(story.service.token)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Registered At").first).to_be_visible(timeout=30_000)
        assert page.url == f"{story.url}/#/models/{MODEL}", "where the link led"
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
        assert "model-registry-session" not in page.evaluate("document.cookie")
        assert (seen.foreign, seen.errors, len(seen.failed)) == ([], [], 1)


def test_model_training_is_the_default_and_a_choice_is_kept(page: Page, story: Story, seen: Seen) -> None:
    page.goto(f"{story.url}/#/experiments")
    links = page.get_by_role("navigation").get_by_role("link")
    expect(links.filter(has_text="Model registry")).to_be_visible()
    for absent in ("Prompts", "AI Gateway", "MCP registry"):
        expect(links.filter(has_text=absent)).to_have_count(0)
    expect(page.locator("[data-assistant-ui]:visible")).to_have_count(0)
    page.get_by_text("GenAI", exact=True).click()
    page.reload()
    expect(links.filter(has_text="Prompts")).to_be_visible()
    page.get_by_text("Model training", exact=True).click()
    expect(links.filter(has_text="Model registry")).to_be_visible()
    assert not [path for _, path in seen.asked if "telemetry" in path]
    assert seen.clean(), seen


def test_experiments_and_their_runs(page: Page, story: Story, seen: Seen) -> None:
    page.goto(f"{story.url}/#/experiments")
    page.get_by_role("link", name=EXPERIMENT).first.click()
    expect(page.get_by_text("4 matching runs")).to_be_visible()
    for run in ("by-hand", "logreg-C0.1", "logreg-C10.0"):
        expect(page.get_by_role("link", name=run)).to_be_visible()
    assert seen.clean(), seen


def test_a_run(page: Page, story: Story, seen: Seen) -> None:
    page.goto(f"{story.url}/#/experiments/{story.experiment}/runs/{story.runs[0]}")
    expect(page.get_by_text("Parameters (").first).to_be_visible()
    expect(page.get_by_role("link", name="accuracy")).to_be_visible()
    expect(page.get_by_text("solver", exact=True).first).to_be_visible()
    assert ("POST", "/graphql") in seen.asked
    assert seen.clean(), seen


def test_the_plot_of_a_metric(page: Page, story: Story, seen: Seen) -> None:
    page.goto(f"{story.url}/#/experiments/{story.experiment}/runs/{story.logged}/model-metrics")
    line = page.locator(".js-plotly-plot path.js-line").first
    expect(line).to_have_attribute("d", re.compile("^M.*[LQC]"))
    assert seen.clean(), seen


def test_artifacts_of_a_run(page: Page, story: Story, seen: Seen) -> None:
    artifacts = f"{story.url}/#/experiments/{story.experiment}/runs/{story.runs[0]}/artifacts"
    page.goto(f"{artifacts}/confusion_matrix.png")
    image = page.get_by_role("img", name="confusion_matrix.png")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    page.get_by_role("listitem").filter(has_text="metrics.json").click()
    expect(page.get_by_text('"accuracy"').first).to_be_visible()
    assert seen.clean(), seen


def test_two_runs_compared(page: Page, story: Story, seen: Seen) -> None:
    runs = json.dumps(story.runs)
    page.goto(f'{story.url}/#/compare-runs?runs={runs}&experiments=["{story.experiment}"]')
    for run in story.runs:
        expect(page.get_by_role("link", name=run)).to_be_visible()
    expect(page.get_by_role("cell", name="accuracy").or_(page.get_by_text("accuracy")).first).to_be_visible()
    expect(page.locator(".js-plotly-plot canvas").first).to_be_visible()
    expect(page.get_by_text("WebGL is not supported")).to_have_count(0)
    assert seen.clean(), seen


def test_models_and_versions(page: Page, story: Story, seen: Seen) -> None:
    page.goto(f"{story.url}/#/models")
    page.get_by_role("link", name=MODEL).click()
    page.get_by_role("link", name="Version 2").click()
    expect(page.get_by_text("Source Run")).to_be_visible()
    expect(page.get_by_text("Inputs (4)")).to_be_visible()
    assert seen.clean(), seen


def test_each_environment_has_its_own_pages(page: Page, story: Story, seen: Seen) -> None:
    page.goto(f"{story.url}/environments/")
    for environment, version, other in (("prod", 2, 3), ("qa", 3, 2)):
        page.get_by_role("link", name=environment, exact=True).click()
        page.goto(f"{page.url}#/models/{MODEL}/versions/{version}")
        expect(page.get_by_text("Production", exact=True)).to_be_visible()
        page.goto(f"{story.url}/environments/{environment}/#/models/{MODEL}/versions/{other}")
        expect(page.get_by_text("Production", exact=True)).to_have_count(0)
        page.get_by_role("link", name=f"Environment: {environment}").click()
    place = f"/environments/prod/#/experiments/{story.experiment}/runs/{story.runs[0]}"
    page.goto(f"{story.url}{place}")
    expect(page.get_by_role("link", name="accuracy")).to_be_visible()
    page.goto(f"{story.url}{place}/artifacts/metrics.json")
    expect(page.get_by_text('"accuracy"').first).to_be_visible()
    assert {
        path.split("/", 3)[3].partition("/")[0] for _, path in seen.asked if path.startswith("/environments/prod/")
    } >= {"", "ajax-api", "get-artifact", "graphql", "static-files"}
    assert not [path for _, path in seen.asked if path.startswith(("/ajax-api/", "/graphql", "/get-artifact"))]
    assert seen.clean(), seen


@pytest.mark.parametrize("place", ["", "/environments/prod"])
def test_a_file_of_a_version(session: BrowserContext, story: Story, place: str) -> None:
    address = f"{story.url}{place}/model-versions/get-artifact?name={MODEL}&version=2&path=MLmodel"
    answer = session.request.get(address)
    assert answer.ok, answer.text()
    assert "flavors:" in answer.text()
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["evil.html", "evil.svg", "notes.md"])
def test_an_artifact_that_attacks_is_only_shown(page: Page, story: Story, seen: Seen, name: str) -> None:
    page.goto(f"{story.url}/#/experiments/{story.experiment}/runs/{story.logged}/artifacts/{name}")
    expect(page.get_by_text(f"artifacts/{name}").first).to_be_visible()
    if name == "evil.html":
        expect(page.frame_locator("iframe").get_by_role("heading")).to_have_text("Report")
    page.wait_for_timeout(500)
    _nothing_ran(page, story, seen)
    assert (seen.foreign, seen.failed) == ([], [])


def test_an_artifact_that_attacks_is_no_page(page: Page, story: Story, seen: Seen) -> None:
    for name in ("evil.html", "evil.svg", "evil.js"):
        address = f"{story.url}/get-artifact?path={name}&run_uuid={story.logged}"
        with pytest.raises(Error, match="Download is starting"):
            page.goto(address)
        answer = page.request.get(address)
        assert answer.ok
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    page.goto(f"{story.url}/environments/")
    page.evaluate(f"document.body.append(Object.assign(document.createElement('iframe'), {{src: {address!r}}}))")
    page.wait_for_timeout(300)
    _nothing_ran(page, story, seen)


def _nothing_ran(page: Page, story: Story, seen: Seen) -> None:
    assert all(frame.locator("#ran").count() == 0 for frame in page.frames)
    assert ("POST", "/ajax-api/2.0/mlflow/experiments/create") not in seen.asked
    found = story.call("GET", "mlflow/experiments/search?max_results=100")["experiments"]
    assert "owned" not in {item["name"] for item in found}


def test_signing_out(browser: Browser, story: Story, seen: Seen) -> None:
    with signed_in(browser, story.url, story.service.token) as context:
        page = context.new_page()
        seen.watch(page)
        page.goto(f"{story.url}/#/experiments")
        expect(page.get_by_role("link", name="The whole registry")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading")).to_have_text("Sign in to the model registry")
        assert context.cookies() == []
        page.go_back()
        expect(page.get_by_role("heading")).to_have_text("Sign in to the model registry")
        assert page.request.get(f"{story.url}/ajax-api/2.0/mlflow/experiments/search").status == 401
        assert (seen.foreign, seen.errors) == ([], [])


def test_a_revoked_token_ends_the_session(browser: Browser, story: Story, seen: Seen) -> None:
    token = cli(story.service.environ, "token", "create", "--name", "brief", "--scope", "admin", "--plain")
    with signed_in(browser, story.url, token) as context:
        page = context.new_page()
        seen.watch(page)
        page.goto(f"{story.url}/environments/")
        expect(page.get_by_text("Signed in as brief.")).to_be_visible()
        expect(page.get_by_role("link", name="prod")).to_be_visible()
        page.goto(f"{story.url}/#/experiments")
        expect(page.get_by_role("link", name=EXPERIMENT).first).to_be_visible()
        known = story.service.get("/v1/tokens").json()["tokens"]
        (token_id,) = [item["id"] for item in known if item["name"] == "brief"]
        gone = requests.delete(f"{story.url}/v1/tokens/{token_id}", headers=story.service.headers, timeout=30)
        assert gone.status_code in (200, 204)
        assert page.evaluate("fetch('ajax-api/2.0/mlflow/experiments/search').then(answer => answer.status)") == 401
        page.reload()
        expect(page.get_by_role("heading")).to_have_text("Sign in to the model registry")
