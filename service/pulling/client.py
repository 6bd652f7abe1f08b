"""The puller as a library:

registry = Registry("https://registry.example.com", Path("/var/run/secrets/registry/token"))
registry.resolve("prod/orders/Production").version
registry.pull("prod/orders/Production", "/models/orders").path
for pulled in registry.follow("prod/orders/Production", "/models/orders"):
    reload(pulled.path)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Union

from service.pulling.asking import Api, Ref, Resolved, Token
from service.pulling.connection import Http
from service.pulling.errors import Damaged
from service.pulling.manifest import shown
from service.pulling.placing import Placed, Target, is_whole
from service.pulling.progress import Progress
from service.pulling.pulling import Hook, Options, Pulled, Puller, unasked
from service.pulling.verifying import Verifier

Where = Union[str, "os.PathLike[str]"]


class Registry:
    """`token`: the secret itself, or the Path of the file that holds it. `timeout`: seconds that an answer may take;
    `options.retry_for`: seconds to go on while nothing answers.

    All methods raise PullError, by its kinds in `service.pulling.errors`, OSError for what the disk of this machine
    refuses, and ValueError for a `ref` that is not ENVIRONMENT/MODEL/STAGE.
    """

    def __init__(
        self,
        url: str,
        token: str | Path = "",
        *,
        timeout: float = 30.0,
        options: Options | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._options = options or Options()
        self._progress = progress or Progress()
        self._http = Http(timeout)
        self._api = Api(url, Token(token), self._http, self._options.retry_for)

    def resolve(self, ref: str) -> Resolved:
        """What the stage holds now."""
        resolved = self._api.resolve(Ref.parse(ref))
        if resolved is None:
            raise unasked()
        return resolved

    def pull(self, ref: str, to: Where, *, hook: Hook | None = None) -> Pulled:
        """Let `to` hold what the stage holds, every byte verified. `hook` is called after a change."""
        return self._puller(ref, to, hook).once()

    def follow(
        self, ref: str, to: Where, *, interval: float = 30.0, wait: int = 60, hook: Hook | None = None
    ) -> Iterator[Pulled]:
        """As `pull`, and again whenever the stage changes, for ever. What goes wrong is told to the progress and tried
        again; only TargetRefused is raised. `interval`: seconds, for a registry that does not let `wait`."""
        return self._puller(ref, to, hook).follow(interval, wait)

    def last(self, ref: str, to: Where) -> Pulled | None:
        """What `to` holds, without asking the registry. None, and the progress is told why, unless it came for `ref`,
        every byte of it is as it was registered, and one of the keys, if there are any, has signed it."""
        stage, target = Ref.parse(ref), Target(Path(to))
        placed = target.current()
        if placed is None:
            return None
        objection = self._objection(placed, stage)
        if objection:
            self._progress.warn(f"{target.path} is not used: {objection}")
            return None
        origin = placed.origin
        return Pulled(origin.model, origin.version, placed.manifest.digest, target.path, False, offline=True)

    def close(self) -> None:
        """End the kept connections."""
        self._http.close()

    def _objection(self, placed: Placed, stage: Ref) -> str:
        """Why the copy must not stand in for what the stage holds; '' when it may."""
        origin, keys = placed.origin, self._options.verify_keys
        if origin.ref != str(stage):
            came = f"came for {shown(origin.ref)}" if origin.ref else "was placed by a puller that noted no stage"
            return f"version {origin.version} of {shown(origin.model)} in it {came}, not for {stage}."
        if not is_whole(placed):
            return "its files are not those that were registered."
        try:
            if keys:
                Verifier(keys).check(placed.manifest, origin.signatures)
        except Damaged as error:
            return str(error)
        return ""

    def _puller(self, ref: str, to: Where, hook: Hook | None) -> Puller:
        return Puller(self._api, self._http, Ref.parse(ref), Target(Path(to)), self._options, self._progress, hook)
