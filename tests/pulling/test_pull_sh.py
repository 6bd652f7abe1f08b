"""docs/pull.sh, as documented, against a running registry."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.pulling.site import REF, Done, Site, contents, ended, whole
from tests.pulling.test_damaged import spoil, version_prefix

SCRIPT = Path(__file__).parent.parent.parent / "docs" / "pull.sh"
FILES = {"a.bin": random.Random(7).randbytes(300_000), "data/a b/ü.txt": b"1", "empty": b""}


@pytest.fixture(scope="module")
def versions(shared_site: Site) -> tuple[int, int]:
    return shared_site.register(FILES), shared_site.register({"a.bin": b"second"})


def run(site: Site, to: Path, **variables: str) -> Done:
    return ended(["sh", str(SCRIPT), REF, str(to)], site.environ(MODEL_REGISTRY_URL=site.url, **variables))


def test_two_versions(site: Site, versions: tuple[int, int], to: Path) -> None:
    for number, files in zip(versions, (FILES, {"a.bin": b"second"}), strict=True):
        digest = site.hold(number)
        assert run(site, to) == Done(0, f"{to} holds {digest}\n", "")
        assert contents(to) == whole(files)
    assert len(list(to.with_name("orders.versions").iterdir())) == 2
    site.hold(versions[0])
    assert run(site, to).code == 0
    assert contents(to) == whole(FILES)


def test_it_shares_the_place_with_the_puller(site: Site, versions: tuple[int, int], to: Path) -> None:
    site.hold(versions[0])
    assert run(site, to).code == 0
    assert site.pull(to).code == 0
    assert contents(to) == whole(FILES)
    site.hold(versions[1])
    assert site.pull(to).code == 0
    site.hold(versions[0])
    assert run(site, to).code == 0
    assert contents(to) == whole(FILES)


@pytest.mark.parametrize("kind", ["flipped", "cut off", "deleted"])
def test_damaged(kind: str, site: Site, versions: tuple[int, int], to: Path) -> None:
    site.hold(versions[1])
    assert run(site, to).code == 0
    number = site.register({"a.bin": FILES["a.bin"], "b.txt": kind.encode()})
    spoil(site, version_prefix(site.hold(number)), "a.bin", kind, FILES["a.bin"])
    broken = run(site, to)
    assert broken.code != 0
    assert broken.out == "" or "holds" not in broken.out
    assert contents(to) == whole({"a.bin": b"second"})
    assert len(list(to.with_name("orders.versions").iterdir())) == 1, "nothing is left behind"


def test_refused(site: Site, versions: tuple[int, int], to: Path) -> None:
    site.hold(versions[0])
    refused = run(site, to, MODEL_REGISTRY_TOKEN="wrong")
    assert refused.code != 0
    assert "401" in refused.err
    assert not to.exists()
