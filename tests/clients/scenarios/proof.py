"""What a scenario says: one JSON line for each call, on standard output.

The scenarios run in the client's own Python: standard library, MLflow and scikit-learn only. A call that fails does
not end its scenario, so that one run tells everything that is wrong.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from mlflow.exceptions import MlflowException

PREFIX = os.environ["SCENARIO_PREFIX"]
"""What the names of everything begin with: all clients meet in one environment."""


@contextmanager
def proven(call: str) -> Iterator[None]:
    """The body makes the call and asserts what it did."""
    with _told(call, "proven"):
        yield


@contextmanager
def refused(call: str, why: str, says: str) -> Iterator[None]:
    """The body makes the call, and the service's answer has the words `says`. `why` is for the reader of the table."""
    with _told(call, "refused", why):
        try:
            yield
        except (MlflowException, requests.HTTPError) as error:
            if says.lower() not in str(error).lower():
                raise AssertionError("refused, but in other words") from error
        else:
            raise AssertionError("it was not refused")


@contextmanager
def shortcoming(call: str, why: str) -> Iterator[None]:
    """The body asserts what comes of a fault of the client itself."""
    with _told(call, "shortcoming", why):
        yield


def knows(owner: object, name: str, call: str = "") -> bool:
    """Whether this client has the call; when not, that is said."""
    if not hasattr(owner, name):
        absent(call or name)
        return False
    return True


def absent(call: str) -> None:
    _say(call, "absent", "")


@contextmanager
def _told(call: str, state: str, why: str = "") -> Iterator[None]:
    began = time.monotonic()
    try:
        yield
    except Exception:  # noqa: BLE001  # whatever it is, it is told, and the next calls are made all the same
        traceback.print_exc()
        _say(call, "failed", traceback.format_exc(limit=-3))
    else:
        _say(call, state, why)
    print(f"{time.monotonic() - began:6.2f} s {call}", file=sys.stderr)


def _say(call: str, state: str, why: str) -> None:
    print(json.dumps({"call": call, "state": state, "why": why}), flush=True)
