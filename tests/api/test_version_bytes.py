"""Bytes of versions by stage, number and digest: ranges, codings, access, and what of them is damaged."""

from __future__ import annotations

import base64
import hashlib
import io
import random
import tarfile
import zlib
from collections.abc import Callable

import pytest
import requests
import zstandard
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from service.domain.errors import Damaged
from service.domain.layout import version_prefix
from service.usecases.clock import utc_now
from service.usecases.scrub import Scrubber
from service.wiring import Parts
from tests.api.conftest import Headers, Send
from tests.api.problems import problem
from tests.small_exports import MLMODEL, RUN, registered_model, run, version

PRODUCTION = "/v1/environments/prod/models/orders/stages/Production"
LARGE = random.Random(1).randbytes(3 * 1024 * 1024 + 5)
FILES = {
    "MLmodel": MLMODEL,
    "data/empty": b"",
    f"data/{'long ' * 30}ä.txt": b"a name that needs a header of its own",
    "data/half.bin": LARGE[: 512 * 1024],
    "data/model.pkl": LARGE,
    **{f"small/{number:02}": bytes([number]) * (500 * number) for number in range(20)},
}


@pytest.fixture
def held(send: Send, places: FlaskClient) -> FlaskClient:
    """A model of several files in Production of prod; a version whose bytes are no other's."""
    artifacts = {f"{RUN}/artifacts/model/{path}": data for path, data in FILES.items()}
    send({"model.json": registered_model(version("1")), f"{RUN}/run.json": run(), **artifacts})
    assert places.put(PRODUCTION, json={"version": 1}).status_code == 200
    return places


@pytest.fixture
def digest(held: FlaskClient) -> str:
    return str(held.get(PRODUCTION).get_json()["digest"])


def unpacked(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_by_stage_number_and_digest_the_same_bytes(held: FlaskClient, digest: str) -> None:
    hexadecimal = digest.removeprefix("sha256:")
    bases = (PRODUCTION, "/v1/models/orders/versions/1", f"/v1/digests/{digest}", f"/v1/digests/{hexadecimal}")
    answers = [held.get(f"{base}/archive") for base in bases]
    assert unpacked(answers[0].data) == FILES
    assert {answer.data for answer in answers} == {answers[0].data}
    assert {answer.headers["ETag"] for answer in answers} == {f'"{digest}"'}
    caches = [answer.headers["Cache-Control"] for answer in answers]
    assert caches == ["private, no-cache"] * 2 + ["private, max-age=31536000, immutable"] * 2
    for base in bases:
        listed = held.get(f"{base}/files").get_json()
        assert {row["path"]: row["size"] for row in listed["files"]} == {
            path: len(data) for path, data in FILES.items()
        }
        url = next(row["url"] for row in listed["files"] if row["path"] == "data/half.bin")
        assert requests.get(url, timeout=30).content == FILES["data/half.bin"]


def test_the_manifest_is_what_the_digest_is_made_of(held: FlaskClient, digest: str) -> None:
    answer = held.get(f"/v1/digests/{digest}/manifest")
    shown = answer.get_json()
    assert shown["files"] == [
        {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for path, data in sorted(FILES.items())
    ]
    assert (shown["digest"], shown["size"]) == (digest, sum(map(len, FILES.values())))
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    tag = {"If-None-Match": answer.headers["ETag"]}
    assert held.get(f"/v1/digests/{digest}/manifest", headers=tag).status_code == 304


def test_the_digest_of_the_tar_is_told_once_it_is_known(held: FlaskClient) -> None:
    url = f"{PRODUCTION}/archive"
    assert "Repr-Digest" not in held.head(url).headers
    assert held.get(url, headers={"Range": "bytes=0-99"}).status_code == 206
    assert "Repr-Digest" not in held.head(url).headers, "a part of it says nothing of the whole"
    whole = held.get(url).data
    told = f"sha-256=:{base64.b64encode(hashlib.sha256(whole).digest()).decode()}:"
    for answer in (held.head(url), held.get(url), held.get(url, headers={"Range": "bytes=5-9"})):
        assert answer.headers["Repr-Digest"] == told
    assert "Repr-Digest" not in held.head(url, headers={"Accept-Encoding": "gzip"}).headers


def test_any_range_of_the_tar(held: FlaskClient) -> None:
    url = f"{PRODUCTION}/archive"
    whole = held.get(url).data
    size = len(whole)
    edges = [index for index in range(0, size, 512) if index < 20_000 or size - index < 60_000]
    positions = st.one_of(st.integers(0, size - 1), st.sampled_from(edges))

    @given(positions, st.one_of(st.integers(1, 2000), st.integers(1, size)))
    @hypothesis_settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def same(start: int, length: int) -> None:
        answer = held.get(url, headers={"Range": f"bytes={start}-{start + length - 1}"})
        assert answer.status_code == 206
        assert answer.data == whole[start : start + length]
        assert answer.headers["Content-Length"] == str(len(answer.data))
        assert answer.headers["Content-Range"] == f"bytes {start}-{min(size, start + length) - 1}/{size}"

    same()
    assert held.get(url, headers={"Range": f"bytes={size - 700_000}-"}).data == whole[-700_000:]
    assert held.get(url, headers={"Range": "bytes=-1"}).data == whole[-1:]
    beyond = held.get(url, headers={"Range": f"bytes={size}-"})
    problem(beyond, 416, "range-not-satisfiable")
    assert beyond.headers["Content-Range"] == f"bytes */{size}"
    tag = held.head(url).headers["ETag"]
    part = {"Range": "bytes=1-2"}
    assert held.get(url, headers={**part, "If-Range": tag}).data == whole[1:3]
    assert held.get(url, headers={**part, "If-Range": '"other"'}).data == whole


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_packed_it_is_the_same(held: FlaskClient, coding: str) -> None:
    url = f"{PRODUCTION}/archive"
    whole = held.get(url)
    packed = held.get(url, headers={"Accept-Encoding": coding, "Range": "bytes=0-1"})
    assert (packed.status_code, packed.headers["Content-Encoding"]) == (200, coding)
    assert "Content-Length" not in packed.headers
    assert packed.headers["ETag"] != whole.headers["ETag"]
    assert packed.headers["Vary"] == whole.headers["Vary"] == "Accept-Encoding"
    unpack = {
        "gzip": lambda data: zlib.decompress(data, 31),
        "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    }
    assert unpack[coding](packed.data) == whole.data
    same = held.get(url, headers={"Accept-Encoding": coding, "If-None-Match": packed.headers["ETag"]})
    assert same.status_code == 304


@pytest.mark.parametrize("sent", ["gzip, deflate", "gzip, deflate, br, zstd", "identity", "*", "gzip;q=0", ""])
def test_what_libraries_send_by_themselves_packs_nothing(held: FlaskClient, sent: str) -> None:
    answer = held.get(f"{PRODUCTION}/archive", headers={"Accept-Encoding": sent})
    assert "Content-Encoding" not in answer.headers
    assert unpacked(answer.data) == FILES


def test_one_file(held: FlaskClient, digest: str) -> None:
    for base in (PRODUCTION, "/v1/models/orders/versions/1", f"/v1/digests/{digest}"):
        url = f"{base}/files/data/model.pkl"
        moved = held.get(url)
        assert (moved.status_code, moved.headers["Cache-Control"]) == (307, "private, no-store")
        assert requests.get(moved.headers["Location"], timeout=30).content == LARGE
        got = held.get(url, query_string={"stream": "true"})
        assert (got.status_code, got.data) == (200, LARGE)
        assert got.headers["ETag"] == f'"{hashlib.sha256(LARGE).hexdigest()}"'
        assert base64.b64decode(got.headers["Repr-Digest"][9:-1]) == hashlib.sha256(LARGE).digest()
        assert got.headers["Content-Security-Policy"] == "sandbox"
        for first, last in ((0, 0), (5, 2_000_000), (1_500_000, len(LARGE) - 1), (len(LARGE) - 1, len(LARGE))):
            part = held.get(url, query_string={"stream": "true"}, headers={"Range": f"bytes={first}-{last}"})
            assert (part.status_code, part.data) == (206, LARGE[first : last + 1])
        assert held.get(f"{base}/files/data/empty?stream=1").data == b""
        problem(held.get(f"{base}/files/absent"), 404, "file-not-found", name="absent")
        problem(held.get(f"{base}/files/absent?stream=1"), 404, "file-not-found", name="absent")


def test_digests_that_are_not_there(held: FlaskClient, caller: Callable[[str], Headers], digest: str) -> None:
    for below in ("manifest", "files", "archive", "files/MLmodel"):
        problem(held.get(f"/v1/digests/sha256:{'0' * 64}/{below}"), 404, "digest-not-found")
        problem(held.get(f"/v1/digests/{digest[:-1]}/{below}"), 422, "invalid-input")
        url = f"/v1/digests/{digest}/{below}"
        hidden = held.get(url, headers=dict(caller("read:qa")))
        assert problem(hidden, 404, "digest-not-found")["detail"] == f"There is no digest {digest!r}."
    assert held.put(PRODUCTION.replace("prod", "qa"), json={"version": 1}).status_code == 200
    assert held.get(f"/v1/digests/{digest}/archive", headers=dict(caller("read:qa"))).status_code == 200


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def shortened(data: bytes) -> bytes:
    return data[:-1]


def lengthened(data: bytes) -> bytes:
    return data + b"x"


def removed(_: bytes) -> None:
    return None


def harm(parts: Parts, digest: str, path: str, how: Callable[[bytes], bytes | None]) -> None:
    key, data = version_prefix(digest) + path, how(FILES[path])
    parts.objects.delete([key])
    if data is not None:
        parts.objects.put(key, io.BytesIO(data), len(data))


def received(call: Callable[[], TestResponse]) -> bytes:
    """What comes before the connection breaks, or before the problem that is told while nothing has come."""
    got = bytearray()
    with pytest.raises(Damaged):
        got.extend(byte for block in _sound(call()).iter_encoded() for byte in block)
    return bytes(got)


def _sound(answer: TestResponse) -> TestResponse:
    if answer.status_code == 409:
        problem(answer, 409, "damaged", file="data/model.pkl")
        raise Damaged("It was told.")
    return answer


@pytest.mark.parametrize("how", [flipped, shortened, lengthened, removed])
def test_wrong_bytes_are_never_whole(
    held: FlaskClient, parts: Parts, digest: str, how: Callable[[bytes], bytes | None]
) -> None:
    url = f"{PRODUCTION}/archive"
    whole = held.get(url).data
    end = whole.index(LARGE) + len(LARGE)
    harm(parts, digest, "data/model.pkl", how)
    calls: list[Callable[[], TestResponse]] = [
        lambda: held.get(url),
        lambda: held.get(url, headers={"Range": f"bytes=0-{end + 100}"}),
        lambda: held.get(f"{PRODUCTION}/files/data/model.pkl?stream=1"),
    ]
    for call in calls:
        got = received(call)
        assert len(got) < end
        assert got in (whole[: len(got)], LARGE[: len(got)])
        _marked_and_cleared(held, parts, digest)
    for first, last in ((end - 10, end + 10), (end - 1, end - 1)):
        problem(held.get(url, headers={"Range": f"bytes={first}-{last}"}), 409, "damaged", file="data/model.pkl")
        _marked_and_cleared(held, parts, digest)
    assert held.get(url, headers={"Range": "bytes=0-99"}).data == whole[:100], "what is not of it is given"
    assert held.get(url, headers={"Range": f"bytes={end}-"}).data == whole[end:]


def _marked_and_cleared(held: FlaskClient, parts: Parts, digest: str) -> None:
    with parts.store.transaction() as tx:
        (mark,) = tx.damages.of(digest)
        assert mark.path == "data/model.pkl"
    for below in ("files", "archive", "files/MLmodel", "files/MLmodel?stream=1"):
        told = problem(held.get(f"{PRODUCTION}/{below}"), 409, "damaged", file="data/model.pkl", digest=digest)
        assert "model-registry scrub" in told["detail"]
    assert held.get(PRODUCTION).get_json()["version"] == 1, "what the stage holds is told all the same"
    with parts.store.transaction() as tx:
        assert tx.damages.clear(digest, utc_now())


def test_a_small_damaged_file_is_a_problem_and_restored_it_is_well(
    held: FlaskClient, parts: Parts, digest: str
) -> None:
    harm(parts, digest, "small/03", flipped)
    problem(held.get(f"{PRODUCTION}/files/small/03?stream=1"), 409, "damaged", file="small/03")
    scrubber = Scrubber(parts.store, parts.objects, parts.clock)
    scrubber.scrub(digest)
    problem(held.get(f"{PRODUCTION}/archive"), 409, "damaged", file="small/03")
    harm(parts, digest, "small/03", lambda data: data)
    problem(held.get(f"{PRODUCTION}/archive"), 409, "damaged", file="small/03")
    scrubber.scrub(digest)
    assert unpacked(held.get(f"{PRODUCTION}/archive").data) == FILES
    recorded = [row for row in held.get("/v1/audit").get_json()["rows"] if row["action"] == "bytes.damaged"]
    assert [(row["subject"], row["after"]["path"]) for row in recorded] == [(digest, "small/03")]


def test_importing_it_again_restores_it(held: FlaskClient, send: Send, parts: Parts, digest: str) -> None:
    harm(parts, digest, "data/model.pkl", flipped)
    received(lambda: held.get(f"{PRODUCTION}/archive"))
    artifacts = {f"{RUN}/artifacts/model/{path}": data for path, data in FILES.items()}
    again = {"model.json": registered_model(version("1")), f"{RUN}/run.json": run(), **artifacts}
    send({**again, "extra.txt": b"another archive"})
    Scrubber(parts.store, parts.objects, parts.clock).scrub(digest)
    assert unpacked(held.get(f"{PRODUCTION}/archive").data) == FILES
