"""What the record beside a copy says, and which copies stand in for a stage while the registry is away."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.domain.model import Manifest, ManifestFile
from service.domain.signature import bundle, encoded, statement
from service.pulling.__main__ import main
from service.pulling.client import Registry
from service.pulling.placing import Target
from service.pulling.pulling import Options, Pulled
from service.signing.key import EcSigner
from tests.pulling.hostile import Hostile, hostile
from tests.pulling.site import REF, contents
from tests.stock_signing import new_key

FILES = [("MLmodel", b"flavors"), ("code/predict.py", b"print()")]
STAGING = "staging/orders/Staging"
SIGNER, OTHER = EcSigner(new_key()), EcSigner(new_key())
GONE = ("--url", "http://127.0.0.1:1", "--retry-for", "0", "--offline-ok")


@pytest.fixture
def server() -> Iterator[Hostile]:
    with hostile() as server:
        yield server


@pytest.fixture
def registry(server: Hostile) -> Iterator[Registry]:
    registry = Registry(server.url, "secret", options=Options(via="files", retry_for=1))
    yield registry
    registry.close()


@pytest.fixture
def offline(
    to: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """A pull with --offline-ok while nothing answers: exit code, stdout, stderr."""
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def pull(ref: str = REF, *more: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([ref, "--to", str(to), *GONE, *more])
        return code, *capsys.readouterr()

    return pull


def about(server: Hostile, **changed: Any) -> None:
    """Let the registry say something else of the same bytes, at each stage."""
    for name in ("Production", "files"):
        status, headers, body = server.answers[name][-1]
        server.answers[name] = [(status, headers, json.dumps({**json.loads(body), **changed}).encode())]
    server.answers["Staging"] = server.answers["Production"]


def record_of(to: Path) -> Path:
    return Path(f"{to.resolve()}.json")


def test_the_record_follows_the_registry(server: Hostile, registry: Registry, to: Path) -> None:
    """Equal bytes are not brought again, under whatever name and number they are registered."""
    digest = server.holds(FILES)
    assert registry.pull(REF, to).version == 3
    folder = to.resolve()
    about(server, version=5)
    assert registry.pull(REF, to) == Pulled("orders", 5, digest, to, changed=False)
    assert registry.last(REF, to) == Pulled("orders", 5, digest, to, changed=False, offline=True)
    about(server, model="returns", version=1)
    assert registry.pull("prod/returns/Production", to) == Pulled("returns", 1, digest, to, changed=False)
    placed = Target(to).current()
    assert placed is not None
    assert (placed.folder, placed.origin.model, placed.origin.version) == (folder, "returns", 1)
    assert sum("/object/" in path for path, _ in server.seen) == len(FILES)


def test_a_command_is_told_the_name_and_number_of_now(server: Hostile, registry: Registry, to: Path) -> None:
    told: list[Pulled] = []
    server.holds(FILES)
    registry.pull(REF, to)
    other = server.holds([("MLmodel", b"other")])
    registry.pull(REF, to)
    assert server.holds(FILES) != other
    about(server, model="returns", version=9)
    registry.pull("prod/returns/Production", to, hook=told.append)
    assert [(pulled.model, pulled.version, pulled.changed) for pulled in told] == [("returns", 9, True)]


def test_a_copy_of_another_stage_does_not_stand_in(
    server: Hostile, registry: Registry, to: Path, offline: Callable[..., tuple[int, str, str]]
) -> None:
    digest = server.holds(FILES)
    about(server)
    registry.pull(STAGING, to)
    assert offline(STAGING)[:2] == (0, f"offline orders 3 {digest}\n")
    code, out, err = offline()
    assert (code, out) == (4, "")
    assert f"{to} is not used: version 3 of orders in it came for {STAGING}, not for {REF}." in err
    for near in ("prod/orders/Staging", "staging/returns/Staging", "staging/orders/staging"):
        assert offline(near)[0] == 4, near
    assert registry.pull(REF, to).changed is False
    assert offline()[0] == 0
    assert offline(STAGING)[0] == 4


def test_a_copy_of_an_older_puller_is_accepted_after_the_next_pull(
    server: Hostile, registry: Registry, to: Path, offline: Callable[..., tuple[int, str, str]]
) -> None:
    server.holds(FILES)
    registry.pull(REF, to)
    record = json.loads(record_of(to).read_text())
    kept = {name: record[name] for name in ("model", "version", "digest", "files")}
    record_of(to).write_text(json.dumps(kept))
    code, _, err = offline()
    assert code == 4
    assert "was placed by a puller that noted no stage" in err
    assert registry.pull(REF, to).changed is False
    assert offline()[0] == 0


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    for name, signer in (("signer", SIGNER), ("other", OTHER)):
        (tmp_path / f"{name}.pub").write_text(signer.public_key)
    return {name: str(tmp_path / f"{name}.pub") for name in ("signer", "other")}


def signature(server: Hostile, signer: EcSigner = SIGNER) -> dict[str, Any]:
    """Of the files that the server lists."""
    rows = json.loads(server.answers["files"][-1][2])["files"]
    payload = statement(Manifest.of(ManifestFile(row["path"], row["size"], row["sha256"]) for row in rows))
    return bundle(payload, signer.key_id, signer.sign(encoded(payload)))


def test_a_copy_that_no_key_has_signed_does_not_stand_in(
    server: Hostile, registry: Registry, to: Path, keys: dict[str, str], offline: Callable[..., tuple[int, str, str]]
) -> None:
    """Also not one that was placed before keys were asked for."""
    server.holds(FILES)
    signed = signature(server)
    registry.pull(REF, to)
    assert offline()[0] == 0
    code, out, err = offline(REF, "--verify-key", keys["signer"])
    assert (code, out) == (4, "")
    assert f"{to} is not used: Nobody has signed" in err
    about(server, signatures=[signature(server, OTHER), signed])
    asking = Registry(server.url, "secret", options=Options(verify_keys=(Path(keys["signer"]),)))
    assert asking.pull(REF, to).changed is False
    asking.close()
    for key in keys.values():  # both of a rotation
        assert offline(REF, "--verify-key", key)[0] == 0
    record = json.loads(record_of(to).read_text())
    record_of(to).write_text(json.dumps({**record, "signatures": [signature(server, EcSigner(new_key()))]}))
    assert offline(REF, "--verify-key", keys["signer"])[0] == 4


def test_signatures_are_kept_with_what_is_placed(
    server: Hostile, registry: Registry, to: Path, keys: dict[str, str], offline: Callable[..., tuple[int, str, str]]
) -> None:
    server.holds(FILES)
    about(server, signatures=[signature(server)])
    registry.pull(REF, to)
    assert offline(REF, "--verify-key", keys["signer"])[0] == 0
    assert offline(REF, "--verify-key", keys["other"])[0] == 4
    server.holds([("MLmodel", b"other")])
    assert offline(REF, "--verify-key", keys["signer"])[0] == 0


def _link_the_folder(to: Path) -> None:
    elsewhere = to.parent / "elsewhere"
    (to / "code").resolve().rename(elsewhere)
    (to / "code").symlink_to(elsewhere)


ADDITIONS: dict[str, Callable[[Path], object]] = {
    "a file": lambda to: (to / "code" / "evil.py").write_text("x"),
    "a file at the top": lambda to: (to / "sitecustomize.py").write_text("x"),
    "byte code": lambda to: [(to / "code/__pycache__").mkdir(), (to / "code/__pycache__/predict.pyc").write_text("x")],
    "a link": lambda to: (to / "code" / "json").symlink_to("/tmp"),
    "a link to nothing": lambda to: (to / "code" / "json.py").symlink_to("absent"),
    "a folder": lambda to: (to / "json").mkdir(),
    "a link for a folder": _link_the_folder,
}


@pytest.mark.parametrize("added", ADDITIONS)
def test_a_copy_with_additions_is_replaced(
    added: str, server: Hostile, registry: Registry, to: Path, offline: Callable[..., tuple[int, str, str]]
) -> None:
    """Nothing is taken out of the folder that a server may have open: it stays beside the new one."""
    server.holds(FILES)
    registry.pull(REF, to)
    folder = to.resolve()
    ADDITIONS[added](to)
    before = sorted(folder.rglob("*"))
    assert (offline()[0], registry.last(REF, to)) == (4, None)
    assert registry.pull(REF, to).changed
    assert contents(to) == dict(FILES)
    assert to.resolve() != folder
    assert sorted(folder.rglob("*")) == before
    assert offline()[0] == 0
    assert registry.pull(REF, to).changed is False


def test_a_changed_copy_does_not_stand_in(
    server: Hostile, registry: Registry, to: Path, offline: Callable[..., tuple[int, str, str]]
) -> None:
    server.holds(FILES)
    registry.pull(REF, to)
    (to / "MLmodel").chmod(0o644)
    (to / "MLmodel").write_bytes(b"FLAVORS")
    code, _, err = offline()
    assert code == 4
    assert f"{to} is not used: its files are not those that were registered." in err
