"""What can go wrong with a pull; each kind has the exit code that the command ends with."""

from __future__ import annotations


class PullError(Exception):
    """The message is for the user: what was wrong and what to do."""

    exit_code = 1


class Refused(PullError):
    """The registry answered, and said no: the token, the address, or what the stage holds. `status` is HTTP's."""

    exit_code = 3

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Unavailable(PullError):
    """The registry or its object store does not answer now; `retry_after` seconds is what it asked to wait."""

    exit_code = 4

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreUnavailable(Unavailable):
    """It is the object store behind the presigned URLs that does not answer, or not to this machine."""


class Damaged(PullError):
    """The bytes, or the list of files, are not what was registered; nothing of them was placed."""

    exit_code = 5


class TargetRefused(PullError):
    """The target cannot be used: something else is there, or another puller works on it."""

    exit_code = 7
