"""The puller as a library, and what it makes of a registry and an object store that do not behave."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.domain.model import Manifest, ManifestFile
from service.pulling.client import Registry
from service.pulling.errors import Damaged, PullError, Refused, TargetRefused, Unavailable
from service.pulling.manifest import File, document_digest, read_manifest
from service.pulling.progress import Progress
from service.pulling.pulling import Options, Pulled
from tests.pulling.hostile import Hostile, document, hostile, problem
from tests.pulling.site import REF, contents

FILES = [("MLmodel", b"flavors"), ("data/weights.bin", b"0123456789" * 1000)]
TITLE, DETAIL = "A needed part does not answer", "Postgres does not answer."


class Told(Progress):
    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.count = self.total = 0

    def start(self, label: str, total: int) -> None:
        self.count, self.total = 0, total

    def advance(self, count: int) -> None:
        self.count += count

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def server() -> Iterator[Hostile]:
    with hostile() as server:
        yield server


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def registry(server: Hostile, told: Told) -> Iterator[Registry]:
    registry = Registry(server.url, "secret", timeout=5, options=Options(via="files", retry_for=2), progress=told)
    yield registry
    registry.close()


def test_a_pull(server: Hostile, registry: Registry, told: Told, to: Path) -> None:
    digest = server.holds(FILES)
    resolved = registry.resolve(REF)
    assert (resolved.model, resolved.version, resolved.digest, resolved.etag) == ("orders", 3, digest, '"1"')
    assert registry.pull(REF, to) == Pulled("orders", 3, digest, to, changed=True)
    assert registry.pull(REF, str(to)) == Pulled("orders", 3, digest, to, changed=False)
    assert contents(to) == dict(FILES)
    assert (told.count, told.total, told.warnings) == (10_007, 10_007, [])
    assert registry.last(REF, to) == Pulled("orders", 3, digest, to, changed=False, offline=True)
    assert {os.stat(to / path).st_mode & 0o777 for path, _ in FILES} == {0o444}
    for path, headers in server.seen:
        assert ("Authorization" in headers) == path.startswith("/v1/"), "the token is not the object store's to know"
    with pytest.raises(ValueError, match="ENVIRONMENT/MODEL/STAGE"):
        registry.pull("prod/orders", to)


def test_the_digest_is_the_registrys() -> None:
    rows = [("b/ü\u2603.bin", 3, "0" * 64), ("a", 0, "f" * 64), ("b/a\\x", 10**12, "1" * 64)]
    ours = document_digest(sorted(File(*row) for row in rows))
    assert ours == Manifest.of(ManifestFile(*row) for row in rows).digest
    assert read_manifest([vars(File(*row)) for row in rows], ours).size == 10**12 + 3


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "./a",
        "a/.",
        "a/",
        "..",
        "nul\0",
        "new\nline",
        "bell\x07",
        "x" * 256,
        "half\ud800",
        "a/" + "ü" * 128,
        "c1\x85",
        "line\u2028",
        "paragraph\u2029",
    ],
)
def test_hostile_names(path: str, server: Hostile, registry: Registry, to: Path) -> None:
    data = b"x"
    row = {"path": path, "size": 1, "sha256": hashlib.sha256(data).hexdigest()}
    text = json.dumps({"files": [row]}, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    digest = "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    server.holds([("a", data)], digest=digest, files=[{**row, "url": f"{server.url}/object/0"}])
    with pytest.raises(Damaged, match="cannot be placed safely"):
        registry.pull(REF, to)
    nothing_came(server, to)


def nothing_came(server: Hostile, to: Path) -> None:
    """No byte was asked for, and none is anywhere near the target."""
    assert not to.exists()
    assert [path for path, _ in server.seen if "/object/" in path] == []
    assert [path.name for path in to.parent.parent.rglob("*") if not path.is_dir()] == [".lock"]


def test_names_of_other_systems_are_names_here(server: Hostile, registry: Registry, to: Path) -> None:
    """Neither a backslash nor a drive leads anywhere on the systems that a puller runs on."""
    files = [("..\\..\\x", b"1"), ("C:\\x", b"2"), ("C:/x", b"3"), ("~/x", b"4"), ("$HOME", b"5"), ("-rf", b"6")]
    server.holds(files)
    assert registry.pull(REF, to).changed
    assert contents(to) == dict(files)
    assert {path.name for path in to.parent.iterdir()} == {"orders", "orders.versions"}
    assert [path.name for path in to.parent.parent.iterdir()] == ["models"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([("a", b"1"), ("a", b"1")], "lists a file twice"),
        ([("a", b"1"), ("a/b", b"1")], "as a file and as a folder"),
        ([("a/b/c", b"1"), ("a-b", b"1"), ("a", b"1")], "as a file and as a folder"),
    ],
)
def test_names_that_exclude_each_other(
    files: list[tuple[str, bytes]], told: str, server: Hostile, registry: Registry, to: Path
) -> None:
    server.holds(files)
    with pytest.raises(Damaged, match=told):
        registry.pull(REF, to)
    nothing_came(server, to)


@pytest.mark.parametrize(
    "files", [("Model", "model"), ("\u00fc", "u\u0308"), ("A/x", "a/x"), ("A/x", "a/y"), ("a", "A/x"), ("\u212a", "k")]
)
def test_names_that_are_the_same_to_a_file_system(
    files: tuple[str, str], server: Hostile, registry: Registry, to: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.holds([(path, b"1") for path in files])
    monkeypatch.setattr(Path, "exists", lambda self: self.name == ".cASE" or os.path.exists(self))
    with pytest.raises(Damaged, match="the same to this file system"):
        registry.pull(REF, to)
    nothing_came(server, to)


def test_names_that_differ_in_case_alone(server: Hostile, registry: Registry, to: Path) -> None:
    """Fine where the file system keeps them apart, as here."""
    files = [("Model", b"1"), ("model", b"2")]
    server.holds(files)
    assert registry.pull(REF, to).changed
    assert contents(to) == dict(files)


@pytest.mark.parametrize(
    "changed",
    [
        {"digest": "sha256:" + "0" * 64},
        {"digest": "md5:0"},
        {"digest": None},
        {"files": None},
        {"files": ["a"]},
        {"files": [{"path": "a", "size": -1, "sha256": "0" * 64}]},
        {"files": [{"path": "a", "size": True, "sha256": "0" * 64}]},
        {"files": [{"path": "a", "size": 1, "sha256": "0"}]},
        {"files": []},
    ],
)
def test_a_list_that_is_not_the_digests(changed: dict[str, Any], server: Hostile, registry: Registry, to: Path) -> None:
    server.holds(FILES, **changed)
    with pytest.raises(Damaged):
        registry.pull(REF, to)
    assert not to.exists()


def test_an_unavailable_registry_is_asked_again(server: Hostile, registry: Registry, to: Path) -> None:
    server.holds(FILES)
    busy = [problem(503, "unavailable", TITLE, DETAIL, **{"Retry-After": "1"}), document({}, 429), document({}, 502)]
    server.answers["Production"][:0] = busy[:2]
    server.answers["files"][:0] = busy[2:]
    server.answers["1"][:0] = [(500, {}, b""), (503, {}, b"slow down")]
    assert registry.pull(REF, to).changed
    assert contents(to) == dict(FILES)


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (problem(503, "unavailable", TITLE, DETAIL), Unavailable, f"{TITLE}: {DETAIL}"),
        (
            problem(409, "version-withdrawn", "The version was withdrawn", "Not 7."),
            Refused,
            "The version was withdrawn: N",
        ),
        (
            problem(409, "damaged", "Stored bytes are damaged", "Those of 'a'."),
            Damaged,
            "Stored bytes are damaged: Thos",
        ),
        (problem(404, "x", "\x1b[2JNo", "such"), Refused, r"\\x1b\[2JNo: such"),
        ((200, {}, b"<html>sign in</html>"), Refused, "does not answer as a model registry"),
        ((200, {}, b"[1]"), Refused, "does not answer as a model registry"),
        ((302, {"Location": "https://elsewhere/"}, b""), Refused, "redirects to https://elsewhere/"),
    ],
)
def test_what_the_registry_says(
    answer: Any, kind: type[PullError], told: str, server: Hostile, registry: Registry, to: Path
) -> None:
    server.holds(FILES)
    server.answers["Production"] = [answer]
    with pytest.raises(kind, match=told):
        registry.pull(REF, to)


def test_a_url_that_expired_is_asked_for_anew(server: Hostile, registry: Registry, to: Path) -> None:
    server.holds(FILES)
    server.answers["1"].insert(0, (403, {}, b"<Code>AccessDenied</Code>"))
    assert registry.pull(REF, to).changed
    assert len([path for path, _ in server.seen if path.endswith("/files")]) == 2


def test_a_stage_that_changes_meanwhile(server: Hostile, registry: Registry, to: Path) -> None:
    server.holds(FILES)
    first = server.answers["files"][0]
    digest = server.holds([("MLmodel", b"other")])
    server.answers["files"].insert(0, first)
    server.answers["0"].insert(0, (403, {}, b""))
    server.answers["1"] = [(403, {}, b"")]
    assert registry.pull(REF, to).digest == digest
    assert contents(to) == {"MLmodel": b"other"}


@pytest.mark.parametrize("data", [b"9" * 10_000, b"0", b"0" * 20_000])
def test_other_bytes(data: bytes, server: Hostile, registry: Registry, to: Path) -> None:
    server.holds(FILES)
    server.answers["1"] = [(200, {}, data)]
    with pytest.raises(Damaged, match=r"The stored bytes of 'data/weights\.bin' are"):
        registry.pull(REF, to)
    assert not to.exists()


def test_other_bytes_on_the_way_only(server: Hostile, registry: Registry, told: Told, to: Path) -> None:
    server.holds(FILES)
    server.answers["1"].insert(0, (200, {}, b"9" * 10_000))
    assert registry.pull(REF, to).changed
    assert contents(to) == dict(FILES)
    assert told.count == told.total


def test_a_store_that_breaks_off_and_one_that_knows_no_ranges(server: Hostile, registry: Registry, to: Path) -> None:
    server.holds(FILES)
    broken = (200, {"Content-Length": "10000", "Connection": "close"}, FILES[1][1][:4000])
    server.answers["1"].insert(0, broken)
    assert registry.pull(REF, to).changed
    assert contents(to) == dict(FILES)
    asked = [headers.get("Range") for path, headers in server.seen if path.endswith("/1")]
    assert asked == [None, "bytes=4000-"]


def test_a_token_that_is_replaced(server: Hostile, told: Told, to: Path, tmp_path: Path) -> None:
    server.holds(FILES)
    file = tmp_path / "token"
    file.write_text("old\n")
    registry = Registry(server.url, file, options=Options(retry_for=0))
    original = Path.read_text
    server.answers["Production"].insert(0, problem(401, "not-authenticated", "A valid token is needed", "No."))
    values = iter(["old", "new"])

    def read(self: Path, *arguments: Any, **named: Any) -> str:
        return next(values, "new") if self == file else original(self, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_text", read)
        assert registry.pull(REF, to).changed
    registry.close()
    assert [headers["Authorization"] for _, headers in server.seen[:2]] == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize("url", ["", "gopher://a/b", "http://", "http://[::1", "http://a:port/", "http://a:99999/"])
def test_addresses_that_are_none(url: str, server: Hostile, registry: Registry, to: Path) -> None:
    with pytest.raises(PullError, match=r"not the http\(s\) address"):
        Registry(url)
    server.holds(FILES, files=[{**row, "url": url} for row in listed(server)])
    with pytest.raises(Unavailable, match="no usable address"):
        registry.pull(REF, to)


def listed(server: Hostile) -> list[dict[str, Any]]:
    server.holds(FILES)
    return list(json.loads(server.answers["files"][0][2])["files"])


@pytest.mark.parametrize("secret", ["two\nlines", "bell\x07", "ü"])
def test_a_token_that_is_none(secret: str, server: Hostile, to: Path) -> None:
    with pytest.raises(PullError, match="characters that no token has"):
        Registry(server.url, secret).pull(REF, to)
    assert server.seen == []


@pytest.mark.parametrize("headers", [{"Content-Length": "\xb2"}, {"Retry-After": "\xb2", "Content-Length": "0"}])
def test_numbers_that_are_none(headers: dict[str, str], server: Hostile, registry: Registry, to: Path) -> None:
    server.holds(FILES)
    server.answers["1"].insert(0, (503, headers, b""))
    server.answers["Production"].insert(0, (503, {"Connection": "close", **headers}, b""))
    assert registry.pull(REF, to).changed


def test_follow(server: Hostile, registry: Registry, told: Told, to: Path, tmp_path: Path) -> None:
    """`wait` is asked for once there is an ETag, and no more when the registry refuses it; trouble does not end it."""
    first = server.holds(FILES)
    stages = server.answers["Production"]
    following = registry.follow(REF, to, interval=0.1, wait=30)
    assert next(following).digest == first
    second = server.holds([("MLmodel", b"second")])
    stages += [problem(422, "invalid-input", "The request is not valid", "wait"), (304, {}, b""), (304, {}, b"")]
    stages += [problem(404, "stage-not-found", "No such stage", "It is empty."), *server.answers["Production"]]
    del stages[0]
    server.answers["Production"] = stages
    assert next(following).digest == second
    assert contents(to) == {"MLmodel": b"second"}
    assert len(told.warnings) == 1
    assert told.warnings[0].startswith("No such stage: It is empty. Trying again in ")
    asked = [path.rpartition("?")[2] for path, _ in server.seen if "Production" in path and "/files" not in path]
    assert asked[1] == "wait=30"
    assert "wait=30" not in asked[2:]
    with pytest.raises(TargetRefused, match="Another puller"):
        registry.pull(REF, to)
    following.close()  # type: ignore[attr-defined]
    assert registry.pull(REF, to).changed is False


def test_a_304_to_the_first_question(server: Hostile, registry: Registry, told: Told, to: Path) -> None:
    """By a cache in between. The follower asks again; a single pull has nothing to go by."""
    digest = server.holds(FILES)
    answers = server.answers["Production"]
    server.answers["Production"] = [(304, {}, b"")]
    for ask in (lambda: registry.resolve(REF), lambda: registry.pull(REF, to)):
        with pytest.raises(Unavailable, match="304 to a question without an ETag"):
            ask()
    server.answers["Production"] = [(304, {}, b""), *answers]
    following = registry.follow(REF, to, interval=0.1, wait=0)
    assert next(following).digest == digest
    assert told.warnings[0].startswith("The registry answers 304 to a question without an ETag. Trying again in ")
    following.close()  # type: ignore[attr-defined]


def test_what_runs_is_told(server: Hostile, told: Told, to: Path) -> None:
    digest = server.holds(FILES)
    registry = Registry(server.url, "secret", options=Options(instance="pod/1"), progress=told)
    server.answers["pod%2F1"] = [document({}), problem(403, "not-allowed", "The token does not allow this", "No.")]
    assert registry.pull(REF, to).changed
    assert server.told == [{"digest": digest, "lease_seconds": 300}]
    assert registry.pull(REF, to).digest == digest, "that nobody listens does not matter"
    assert told.warnings == ["The stage was not told what runs here: The token does not allow this: No."]
    registry.close()


def test_a_hook_that_fails_is_called_again(server: Hostile, registry: Registry, told: Told, to: Path) -> None:
    """By a follower, without another pull; what it failed for is told."""
    server.holds(FILES)
    calls: list[Pulled] = []

    def hook(pulled: Pulled) -> None:
        calls.append(pulled)
        if len(calls) < 3:
            raise PullError("The server is still starting.")

    following = registry.follow(REF, to, interval=0.1, wait=0, hook=hook)
    assert next(following).changed
    same: Any = (304, {}, b"")
    second = server.holds([("MLmodel", b"second")])
    server.answers["Production"][:0] = [same] * 3
    assert next(following).digest == second
    assert [pulled.changed for pulled in calls] == [True] * 3
    assert len({pulled.digest for pulled in calls}) == 1
    assert [warning.partition(" Trying")[0] for warning in told.warnings] == ["The server is still starting."] * 2
    following.close()  # type: ignore[attr-defined]
