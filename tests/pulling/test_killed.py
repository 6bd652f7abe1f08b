"""kill -9 of the puller, of the service and of the object store in the middle of pulls: a hundred times in all.

Whenever somebody looks, the target is one version or another, complete.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pulling.relay import Relay
from tests.pulling.site import Files, Site, contents, ended, until, whole

_random = random.Random(5)
OLDEST = {"model.pkl": b"oldest"}
OLD = {"model.pkl": b"old", "data/shared.bin": _random.randbytes(60_000)}
NEW = {"model.pkl": b"new", **{f"data/{n}/part.bin": _random.randbytes(60_000) for n in range(4)}}
LARGE = {"model.pkl": b"large", "a.bin": _random.randbytes(60_000), "b.bin": _random.randbytes(8_000_000)}
RATE = 400_000
"""Bytes a second of a connection, so that a pull lasts long enough to be hit."""
BY_TIME = 34
SERVICE = 7
STORE = 6
KILLS: Counter[str] = Counter()
MIDDLE: Counter[str] = Counter()
"""The kills at which a part of the new version was on the disk, and not all of it placed."""


@pytest.fixture(scope="module")
def versions(shared_site: Site) -> list[int]:
    return [shared_site.register(files) for files in (OLDEST, OLD, NEW, LARGE)]


@pytest.fixture(scope="module")
def before(shared_site: Site, versions: list[int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a target that holds OLD and kept OLDEST."""
    folder = tmp_path_factory.mktemp("before")
    for number in versions[:2]:
        shared_site.hold(number)
        assert shared_site.pull(folder / "orders").code == 0
    return folder


@pytest.fixture
def fresh(before: Path, tmp_path: Path) -> Callable[[], Path]:
    """Makes the target as it is before a pull."""

    def make() -> Path:
        place = tmp_path / "models"
        if place.exists():
            shutil.rmtree(place)
        shutil.copytree(before, place, symlinks=True)
        return place / "orders"

    return make


def look(to: Path, *may_be: Files) -> None:
    found = contents(to)
    assert found in [whole(files) for files in may_be], found.keys()


def in_the_middle(to: Path) -> bool:
    staging = to.with_name("orders.versions") / ".staging"
    return any(path.is_file() for path in staging.rglob("*")) and contents(to) == whole(OLD)


def test_at_each_touch_of_the_disk(site: Site, versions: list[int], fresh: Callable[[], Path], tmp_path: Path) -> None:
    log = tmp_path / "log"
    site.hold(versions[2])

    def fused(at: int, to: Path) -> int:
        command = [sys.executable, "-m", "tests.pulling.fuse", str(at), str(log), *site.command(to)[3:], "--quiet"]
        return ended(command, site.environ()).code

    assert fused(10**9, fresh()) == 0
    touches = log.read_text().splitlines()
    assert sum(" ".join(touches).count(what) for what in ("os.rename", "os.symlink", "shutil.rmtree")) >= 5
    for at in range(len(touches)):
        to = fresh()
        assert fused(at, to) == -9
        KILLS["puller"] += 1
        MIDDLE["puller"] += in_the_middle(to)
        look(to, OLD, NEW)
        if at % 4 == 0:
            assert site.pull(to, "--quiet").code == 0
            look(to, NEW)
            names = {path.name.partition(".")[0] for path in to.with_name("orders.versions").iterdir()}
            assert len(names - {""}) == 2, "the current one and the one before; nothing is left behind"


def test_at_any_time(site: Site, versions: list[int], fresh: Callable[[], Path]) -> None:
    site.hold(versions[2])
    site.relay.rate = RATE
    began = time.monotonic()
    assert site.pull(fresh(), "--quiet").code == 0
    took = time.monotonic() - began
    moments = random.Random(6)
    for _ in range(BY_TIME):
        to = fresh()
        puller = subprocess.Popen(site.command(to, "--quiet"), env=site.environ(), stdout=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.2, 1.0) * took)
        puller.kill()
        killed = puller.wait() == -9
        KILLS["puller"] += killed
        MIDDLE["puller"] += killed and in_the_middle(to)
        look(to, OLD, NEW)
    site.relay.rate = None
    assert site.pull(to, "--quiet").code == 0
    look(to, NEW)


@pytest.fixture
def slow(site: Site) -> Iterator[Relay]:
    """The way to the service."""
    relay = Relay(int(site.url.rpartition(":")[2]))
    yield relay
    relay.stop()


def hit(
    to: Path,
    command: list[str],
    environ: dict[str, str],
    relay: Relay,
    what: str,
    kill: Callable[[], None],
    revive: Callable[[], None] = lambda: None,
) -> int:
    """Pull LARGE, and kill once some of it came through the relay, which is slow until then; the exit code."""
    relay.rate, before = RATE, relay.given
    puller = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: relay.given - before > 100_000 and in_the_middle(to))
    kill()
    KILLS[what] += 1
    MIDDLE[what] += in_the_middle(to) and puller.poll() is None
    look(to, OLD)
    relay.rate = None
    revive()
    code = puller.wait(120)
    look(to, OLD, LARGE)
    return code


def test_the_service_is_killed(site: Site, versions: list[int], slow: Relay, fresh: Callable[[], Path]) -> None:
    site.hold(versions[3])
    for _ in range(SERVICE):
        to = fresh()
        command = site.command(to, "--url", f"http://127.0.0.1:{slow.port}", "--via", "archive")
        assert hit(to, command, site.environ(), slow, "service", site.kill_service) == 0
        look(to, LARGE)


def test_the_object_store_is_killed(site: Site, versions: list[int], slow: Relay, fresh: Callable[[], Path]) -> None:
    site.hold(versions[3])
    for number in range(STORE):
        to = fresh()
        ways = (["--via", "files"], site.relay), (["--url", f"http://127.0.0.1:{slow.port}", "--via", "archive"], slow)
        more, relay = ways[number % 2]
        command = site.command(to, *more)
        assert hit(to, command, site.environ(), relay, "object store", site.kill_objects, site.objects.start) == 0
        look(to, LARGE)


def test_the_object_store_stays_away(site: Site, versions: list[int], fresh: Callable[[], Path]) -> None:
    site.hold(versions[3])
    to = fresh()
    try:
        command = site.command(to, "--retry-for", "1")
        assert hit(to, command, site.environ(), site.relay, "object store", site.kill_objects) == 6
        look(to, OLD)
    finally:
        site.objects.start()
    assert site.pull(to).code == 0
    look(to, LARGE)


def test_the_kills_add_up(request: pytest.FixtureRequest) -> None:
    ran = {item.name for item in request.session.items if item.path == Path(__file__)}
    if len(ran) < 6:
        pytest.skip("only some of the tests that kill were chosen")
    assert sum(KILLS.values()) >= 100, KILLS
    assert MIDDLE["puller"] >= 30, MIDDLE
    assert MIDDLE["service"] >= SERVICE - 2, MIDDLE
    assert MIDDLE["object store"] >= STORE - 1, MIDDLE
