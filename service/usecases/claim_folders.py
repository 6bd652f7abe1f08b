"""Keep what is being written from those who collect garbage, until a row refers to it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from service.domain.layout import collected_folder
from service.usecases.ports import Clock, RegistryStore

KEPT_FOR = timedelta(days=1)
"""How long what a request wrote is kept after it was killed."""


def claim(store: RegistryStore, clock: Clock, holder: str, keys: Iterable[str]) -> None:
    """Claim the folders that hold these keys, or are them; to be released when a row refers to them, or never will."""
    folders = {folder for key in keys if (folder := collected_folder(key)) is not None}
    if folders:
        with store.transaction() as tx:
            tx.claims.claim(holder, folders, clock() + KEPT_FOR)
