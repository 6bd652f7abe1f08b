"""The source of a version as MLflow's clients name it: a URI into this registry's own space, and nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from service.domain.errors import InvalidInput
from service.domain.layout import REGISTERED

MAX_LENGTH = 500
"""As MLflow's table has it."""

_FORBIDDEN = re.compile("[\x00-\x1f\x7f\\\\?#\ud800-\udfff]")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_RUN = re.compile(r"[0-9A-Za-z_-]{1,64}")
_LOGGED_MODEL = re.compile(r"m-[0-9A-Za-z_-]{1,64}")
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class RunSource:
    """A folder of a run's artifacts; `path` may be empty."""

    run_id: str
    path: str


@dataclass(frozen=True)
class LoggedModelSource:
    model_id: str


@dataclass(frozen=True)
class VersionSource:
    model: str
    version: int


@dataclass(frozen=True)
class DigestSource:
    digest: str


@dataclass(frozen=True)
class PathSource:
    """A folder of the artifact proxy, as `mlflow-artifacts:/<path>`."""

    path: str


Source = RunSource | LoggedModelSource | VersionSource | DigestSource | PathSource


def parse_source(uri: str) -> Source:
    """Raises InvalidInput for whatever is not in this registry's space, or could be read as something else."""
    if len(uri) > MAX_LENGTH:
        raise _refused(f"is longer than {MAX_LENGTH} characters")
    scheme, separator, rest = uri.partition(":/")
    if not separator or scheme not in ("mlflow-artifacts", "runs", "models"):
        raise _refused("must be mlflow-artifacts:/…, runs:/<run>/<path>, models:/<name>/<version> or models:/m-<id>")
    _check(rest)
    segments = rest.split("/")
    match scheme:
        case "runs" if len(segments) > 1 and _RUN.fullmatch(segments[0]):
            return RunSource(segments[0], "/".join(segments[1:]))
        case "models" if len(segments) == 1 and _LOGGED_MODEL.fullmatch(rest):
            return LoggedModelSource(rest)
        case "models" if len(segments) == 2 and _NUMBER.fullmatch(segments[1]):
            return VersionSource(segments[0], int(segments[1]))
        case "mlflow-artifacts" if not f"{rest}/".startswith(REGISTERED):
            return PathSource(rest)
        case "mlflow-artifacts" if _DIGEST.fullmatch(rest.removeprefix(REGISTERED)):
            return DigestSource(f"sha256:{rest.removeprefix(REGISTERED)}")
        case _:
            raise _refused(f"names no folder of this registry: {uri[:80]!r}")


def _check(rest: str) -> None:
    """However often it is decoded, it is a plain relative path, without a host before it."""
    text = rest
    while True:
        if _FORBIDDEN.search(text):
            raise _refused("must have no control characters, backslashes, '?' and '#'")
        if text.startswith("/"):
            raise _refused("must have no host, and one slash after its scheme")
        if any(segment in ("", ".", "..") for segment in text.split("/")):
            raise _refused("must have no empty segments, '.' and '..', in any encoding")
        decoded = unquote(text, errors="surrogateescape")
        if decoded == text:
            return
        text = decoded


def _refused(why: str) -> InvalidInput:
    return InvalidInput(f"The source {why}: a version's files come from this registry itself.", field="source")
