"""The settings: read once, all problems told at once, no secret shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from service.domain.endpoint import AddressRules
from service.domain.host_names import HostNames
from service.settings import (
    GIB,
    SEARCH_PATH,
    S3Settings,
    Settings,
    SettingsError,
    WebhookSettings,
    migration_database_url,
)
from tests.stock_signing import new_key

KEYS = ("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=")
SECRETS = ("db-secret", "the-access-key", "the-secret-key", *KEYS)
ENVIRON = {
    "MODEL_REGISTRY_DATABASE_URL": "postgresql://registry:db-secret@postgres:5432/registry",
    "MODEL_REGISTRY_S3_ENDPOINT": "http://minio:9000",
    "MODEL_REGISTRY_S3_ACCESS_KEY": "the-access-key",
    "MODEL_REGISTRY_S3_SECRET_KEY": "the-secret-key",
    "MODEL_REGISTRY_S3_BUCKET": "models",
    "MODEL_REGISTRY_PUBLIC_URL": "https://registry.example/",
}


def problems(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env(environ)
    assert str(refused.value) == "\n".join(refused.value.problems)
    return refused.value.problems


def test_what_is_needed_and_the_defaults() -> None:
    assert Settings.from_env(ENVIRON) == Settings(
        database_url=f"postgresql+psycopg2://registry:db-secret@postgres:5432/registry?{SEARCH_PATH}",
        s3=S3Settings(
            endpoint="http://minio:9000",
            access_key="the-access-key",
            secret_key="the-secret-key",
            bucket="models",
            region="us-east-1",
            public_endpoint="http://minio:9000",
        ),
        public_url="https://registry.example",
        import_max_bytes=20 * GIB,
        presign_seconds=900,
        database_pool=5,
        audit_reads=0,
        allowed_hosts=HostNames(frozenset({"registry.example", "localhost", "127.0.0.1", "[::1]"})),
    )


def test_everything_given() -> None:
    given = {
        "S3_REGION": "eu-west-1",
        "S3_PUBLIC_ENDPOINT": "https://objects.example/",
        "IMPORT_MAX_BYTES": "1",
        "PRESIGN_SECONDS": "604800",
        "DATABASE_POOL": " 5 ",
        "SECRET_KEY": f"{KEYS[0]}, {KEYS[1]}",
        "WEBHOOK_ALLOW": "10.1.0.0/16, chat.internal,",
        "EVENT_DAYS": "4",
        "ALLOWED_HOSTS": "Registry.Example, models.internal:8443,",
        "SESSION_HOURS": "1",
        "GC_GRACE_HOURS": "1",
        "ROLLBACK_DAYS": "0",
        "WATCHERS": "7",
    }
    settings = Settings.from_env({**ENVIRON, **{f"MODEL_REGISTRY_{name}": value for name, value in given.items()}})
    assert settings.s3.region == "eu-west-1"
    assert settings.s3.public_endpoint == "https://objects.example"
    assert (settings.import_max_bytes, settings.presign_seconds, settings.database_pool) == (1, 604800, 5)
    rules = AddressRules.parse(("10.1.0.0/16", "chat.internal"))
    assert (settings.webhooks, settings.event_days) == (WebhookSettings(KEYS, rules), 4)
    assert settings.allowed_hosts.names == {"registry.example", "models.internal:8443"}
    assert settings.session_hours == 1
    assert (settings.gc_grace_hours, settings.rollback_days) == (1, 0)
    assert settings.watchers == 7


def test_all_that_is_missing_is_told_at_once() -> None:
    assert problems({}) == [f"{name} is not set" for name in ENVIRON]


@pytest.mark.parametrize("name", ENVIRON)
def test_each_that_is_missing_is_told(name: str) -> None:
    assert problems({**ENVIRON, name: " "}) == [f"{name} is not set"]


def test_all_that_is_wrong_is_told_at_once() -> None:
    wrong = {
        "DATABASE_URL": "mysql://registry:db-secret@host/registry",
        "S3_ENDPOINT": "minio:9000",
        "S3_PUBLIC_ENDPOINT": "ftp://the-access-key:the-secret-key@host",
        "S3_BUCKET": "ab",
        "PUBLIC_URL": "registry.example",
        "IMPORT_MAX_BYTES": "20GiB",
        "PRESIGN_SECONDS": "0",
        "DATABASE_POOL": "-1",
        "AUDIT_READS": "1.1",
        "SECRET_KEY": f"{KEYS[0]}{KEYS[1]}",
        "WEBHOOK_ALLOW": "10.0.0.1/8",
        "EVENT_DAYS": "3",
        "ALLOWED_HOSTS": "*.example",
        "DEFAULT_ENVIRONMENT": "Prod",
        "GC_GRACE_HOURS": "0",
        "ROLLBACK_DAYS": "-1",
        "WATCHERS": "0",
    }
    found = problems({**ENVIRON, **{f"MODEL_REGISTRY_{name}": value for name, value in wrong.items()}})
    assert [line.partition(" ")[0] for line in found] == [
        "MODEL_REGISTRY_DATABASE_URL",
        "MODEL_REGISTRY_S3_ENDPOINT",
        "MODEL_REGISTRY_S3_BUCKET",
        "MODEL_REGISTRY_S3_PUBLIC_ENDPOINT",
        "MODEL_REGISTRY_PUBLIC_URL",
        "MODEL_REGISTRY_IMPORT_MAX_BYTES",
        "MODEL_REGISTRY_PRESIGN_SECONDS",
        "MODEL_REGISTRY_DATABASE_POOL",
        "MODEL_REGISTRY_AUDIT_READS",
        "MODEL_REGISTRY_SECRET_KEY",
        "MODEL_REGISTRY_WEBHOOK_ALLOW",
        "MODEL_REGISTRY_EVENT_DAYS",
        "MODEL_REGISTRY_ALLOWED_HOSTS",
        "MODEL_REGISTRY_WATCHERS",
        "MODEL_REGISTRY_DEFAULT_ENVIRONMENT",
        "MODEL_REGISTRY_GC_GRACE_HOURS",
        "MODEL_REGISTRY_ROLLBACK_DAYS",
    ]
    assert not [secret for secret in SECRETS if secret in "\n".join(found)]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_URL", "registry:db-secret@host/registry", "must be like postgresql://"),
        ("DATABASE_URL", "postgresql+psycopg://registry:db-secret@host/registry", "must be like postgresql://"),
        ("DATABASE_URL", "postgresql://registry:db-secret@host:port/registry", "must be like postgresql://"),
        ("DATABASE_URL", "postgresql://registry:db-secret@[::1/registry", "must be like postgresql://"),
        ("S3_ENDPOINT", "http://", "must be an http:// or https:// URL"),
        ("S3_ENDPOINT", "http://[::1", "must be an http:// or https:// URL"),
        ("S3_ENDPOINT", "http://minio:port", "must be an http:// or https:// URL"),
        ("S3_ENDPOINT", "http://minio:0", "must be an http:// or https:// URL"),
        ("S3_ENDPOINT", "http://the-access-key:the-secret-key@minio", "without user and password"),
        ("S3_ENDPOINT", "http://minio/models", "must be a URL without a path"),
        ("S3_ENDPOINT", "http://minio?x=1", "must be a URL without a path"),
        ("S3_PUBLIC_ENDPOINT", "https://objects.example/models", "must be a URL without a path"),
        ("S3_BUCKET", "x" * 64, "must have 3 to 63 characters, not 64"),
        ("PUBLIC_URL", "//registry.example", "must be an http:// or https:// URL"),
        ("IMPORT_MAX_BYTES", "1.5", "must be a whole number from 1 to"),
        ("IMPORT_MAX_BYTES", "9" * 5000, "must be a whole number from 1 to"),
        ("PRESIGN_SECONDS", "604801", "must be a whole number from 1 to 604800, not '604801'"),
        ("DATABASE_POOL", "\N{FULLWIDTH DIGIT FIVE}", "must be a whole number from 1 to 1000"),
        ("DATABASE_POOL", "\N{SUPERSCRIPT TWO}", "must be a whole number from 1 to 1000"),
        ("SECRET_KEY", KEYS[0][:-4], "must be keys of 32 bytes"),
        ("SECRET_KEY", KEYS[0].replace("M", "+"), "must be keys of 32 bytes"),
        ("SECRET_KEY", "\N{FULLWIDTH DIGIT FIVE}" * 44, "must be keys of 32 bytes"),
        ("WEBHOOK_ALLOW", "chat.internal,https://chat.internal", "not 'https://chat.internal'"),
        ("EVENT_DAYS", "3651", "must be a whole number from 4 to 3650"),
        ("GC_GRACE_HOURS", "1d", "must be a whole number from 1 to 8760"),
        ("ROLLBACK_DAYS", "3651", "must be a whole number from 0 to 3650"),
    ],
)
def test_each_that_is_wrong_is_told_once(name: str, value: str, words: str) -> None:
    (line,) = problems({**ENVIRON, f"MODEL_REGISTRY_{name}": value})
    assert line.startswith(f"MODEL_REGISTRY_{name} ")
    assert words in line
    assert len(line) < 200
    assert not [secret for secret in SECRETS if secret in line]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql://u:p@h/d", f"postgresql+psycopg2://u:p@h/d?{SEARCH_PATH}"),
        ("postgres://u:p@h/d", f"postgresql+psycopg2://u:p@h/d?{SEARCH_PATH}"),
        ("postgresql+psycopg2://u:p@h/d", f"postgresql+psycopg2://u:p@h/d?{SEARCH_PATH}"),
        ("postgresql://u:p@h/d?sslmode=require", f"postgresql+psycopg2://u:p@h/d?sslmode=require&{SEARCH_PATH}"),
        ("postgresql:///d?host=/run/postgresql", f"postgresql+psycopg2:///d?host=/run/postgresql&{SEARCH_PATH}"),
        ("postgresql://u:p@h/d?options=-cx%3D1", "postgresql+psycopg2://u:p@h/d?options=-cx%3D1"),
        ("postgresql://u:%40%2F%3A@[::1]:5433/d", f"postgresql+psycopg2://u:%40%2F%3A@[::1]:5433/d?{SEARCH_PATH}"),
    ],
)
def test_the_database_url_is_for_psycopg2(given: str, expected: str) -> None:
    settings = Settings.from_env({**ENVIRON, "MODEL_REGISTRY_DATABASE_URL": given})
    assert settings.database_url == expected
    assert sa.make_url(expected).get_driver_name() == "psycopg2"


def test_no_secret_is_shown() -> None:
    settings = Settings.from_env({**ENVIRON, "MODEL_REGISTRY_SECRET_KEY": KEYS[0]})
    for shown in (repr(settings), str(settings), f"{settings.s3!r}"):
        assert not [secret for secret in SECRETS if secret in shown]


def test_settings_do_not_change() -> None:
    settings = Settings.from_env(ENVIRON)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.database_pool = 1  # type: ignore[misc]  # this is what is tested


def test_other_variables_are_not_read() -> None:
    assert Settings.from_env({**ENVIRON, "DATABASE_URL": "x", "MODEL_REGISTRY_UNKNOWN": "y"}) == Settings.from_env(
        ENVIRON
    )


@pytest.mark.parametrize(("text", "share"), [("0", 0), ("1", 1), ("0.25", 0.25), (".5", 0.5), ("1.0", 1)])
def test_a_share(text: str, share: float) -> None:
    assert Settings.from_env({**ENVIRON, "MODEL_REGISTRY_AUDIT_READS": text}).audit_reads == share


@pytest.mark.parametrize("text", ["-0.1", "1.01", "2", "nan", "1e-3", "0,5", "1.", "half", "."])
def test_no_share(text: str) -> None:
    (problem,) = problems({**ENVIRON, "MODEL_REGISTRY_AUDIT_READS": text})
    assert problem == f"MODEL_REGISTRY_AUDIT_READS must be a number from 0 to 1, not {text!r}"


def test_the_migration_s_database() -> None:
    name = "MODEL_REGISTRY_MIGRATION_DATABASE_URL"
    assert migration_database_url({}) == ""
    assert migration_database_url({name: "postgresql://owner:db-secret@db/registry"}) == (
        f"postgresql+psycopg2://owner:db-secret@db/registry?{SEARCH_PATH}"
    )
    with pytest.raises(SettingsError, match=f"{name} must be like") as refused:
        migration_database_url({name: "mysql://owner:db-secret@db/registry"})
    assert "db-secret" not in str(refused.value)


P384 = (
    ec.generate_private_key(ec.SECP384R1())
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode()
)


def test_a_key_to_sign_with(tmp_path: Path) -> None:
    key = new_key()
    (tmp_path / "key.pem").write_text(key)
    by_value = {**ENVIRON, "MODEL_REGISTRY_SIGNING_KEY": key}
    by_file = {**ENVIRON, "MODEL_REGISTRY_SIGNING_KEY_FILE": str(tmp_path / "key.pem")}
    assert Settings.from_env(ENVIRON).signing_key == ""
    for environ in (by_value, by_file):
        settings = Settings.from_env(environ)
        assert settings.signing_key.strip() == key.strip()
        assert "PRIVATE" not in repr(settings)
    assert ["are both set" in line for line in problems({**by_value, **by_file})] == [True]
    (absent,) = problems({**ENVIRON, "MODEL_REGISTRY_SIGNING_KEY_FILE": str(tmp_path / "absent")})
    assert "must be a file that can be read" in absent
    for wrong in ("secret", key.replace("M", "N"), P384):
        (line,) = problems({**ENVIRON, "MODEL_REGISTRY_SIGNING_KEY": wrong})
        assert line == "MODEL_REGISTRY_SIGNING_KEY must be an unencrypted private key of the curve P-256 in PEM"
