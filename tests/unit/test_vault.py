"""The vault: what is sealed can be read with the keys only."""

from __future__ import annotations

import pytest

from service.domain.errors import NotConfigured
from service.webhooks.vault import FernetVault
from tests.conftest import KEY
from tests.unit.test_deliver_webhooks import OTHER_KEY


def test_sealed_and_opened_again() -> None:
    sealed = FernetVault((KEY,)).seal("whsec_secret")
    assert b"secret" not in sealed
    assert sealed != FernetVault((KEY,)).seal("whsec_secret")
    assert FernetVault((OTHER_KEY, KEY)).open(sealed) == "whsec_secret"


def test_without_the_key_nothing_opens() -> None:
    sealed = FernetVault((KEY,)).seal("whsec_secret")
    for vault in (FernetVault((OTHER_KEY,)), FernetVault(())):
        with pytest.raises(NotConfigured) as refused:
            vault.open(sealed)
        assert refused.value.where == {"setting": "MODEL_REGISTRY_SECRET_KEY"}
        assert vault.resealed(sealed) is None
    with pytest.raises(NotConfigured):
        FernetVault((KEY,)).open(sealed[:-1])
    with pytest.raises(NotConfigured):
        FernetVault(()).seal("x")
