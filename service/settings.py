"""What the operator decides: one frozen record, read once from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from service.domain.endpoint import AddressRules
from service.domain.errors import InvalidInput
from service.domain.host_names import LOOPBACK, HostNames
from service.domain.names import check_slug

PREFIX = "MODEL_REGISTRY_"
SEARCH_PATH = "options=-csearch_path%3Dpublic"
MIB = 1024 * 1024
GIB = 1024 * MIB
_SHARE = re.compile(r"[0-9]{0,20}(\.[0-9]{0,20})?(?<=[0-9])", re.ASCII)
_KEY = re.compile("[A-Za-z0-9_-]{43}=")


class SettingsError(Exception):
    """The environment does not describe a runnable service; `problems` names every reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class S3Settings:
    """Where objects live. `endpoint` and `public_endpoint` are http(s) URLs without a path."""

    endpoint: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    bucket: str
    region: str = "us-east-1"
    public_endpoint: str = ""


@dataclass(frozen=True)
class WebhookSettings:
    """`keys` seal the secrets of webhooks, the first one new ones; none: no webhook can be made."""

    keys: tuple[str, ...] = field(default=(), repr=False)
    rules: AddressRules = field(default_factory=AddressRules)


@dataclass(frozen=True)
class Settings:
    """All settings. Sizes are bytes, times are seconds.

    `audit_reads` is the share of reads that the audit trail records, from 0 to 1. `watchers` is how many requests may
    wait for a change in one process. `default_environment` is the one whose stages MLflow's clients meet at the root;
    '' for none.
    """

    database_url: str = field(repr=False)
    s3: S3Settings
    public_url: str
    import_max_bytes: int = 20 * GIB
    presign_seconds: int = 900
    database_pool: int = 5
    audit_reads: float = 0.0
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    event_days: int = 30
    allowed_hosts: HostNames = field(default_factory=lambda: HostNames.parse(LOOPBACK))
    watchers: int = 2000
    session_hours: int = 12
    default_environment: str = ""
    gc_grace_hours: int = 24
    signing_key: str = field(default="", repr=False)
    rollback_days: int = 30

    @property
    def database_role(self) -> str:
        """The role of the service in the database; '' when the URL names none."""
        return unquote(urlsplit(self.database_url).username or "")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read `MODEL_REGISTRY_*`.

        Raises:
            SettingsError: naming every missing or unusable variable at once.
        """
        reader = _Reader(environ)
        database_url = _psycopg2_url(reader, "DATABASE_URL", reader.text("DATABASE_URL"))
        endpoint = reader.endpoint("S3_ENDPOINT")
        settings = cls(
            database_url=database_url,
            s3=S3Settings(
                endpoint=endpoint,
                access_key=reader.text("S3_ACCESS_KEY"),
                secret_key=reader.text("S3_SECRET_KEY"),
                bucket=reader.bucket("S3_BUCKET"),
                region=reader.text("S3_REGION", "us-east-1"),
                public_endpoint=reader.endpoint("S3_PUBLIC_ENDPOINT", endpoint),
            ),
            public_url=(public_url := reader.url("PUBLIC_URL").rstrip("/")),
            import_max_bytes=reader.number("IMPORT_MAX_BYTES", 20 * GIB, 1, 1024 * GIB),
            presign_seconds=reader.number("PRESIGN_SECONDS", 900, 1, 7 * 24 * 3600),
            database_pool=reader.number("DATABASE_POOL", 5, 1, 1000),
            audit_reads=reader.share("AUDIT_READS", 0.0),
            webhooks=WebhookSettings(reader.keys("SECRET_KEY"), reader.address_rules("WEBHOOK_ALLOW")),
            event_days=reader.number("EVENT_DAYS", 30, 4, 3650),  # retries go on for three
            allowed_hosts=reader.host_names("ALLOWED_HOSTS", public_url),
            watchers=reader.number("WATCHERS", 2000, 1, 100_000),
            session_hours=reader.number("SESSION_HOURS", 12, 1, 24 * 30),
            default_environment=reader.slug("DEFAULT_ENVIRONMENT"),
            signing_key=reader.private_key("SIGNING_KEY"),
            gc_grace_hours=reader.number("GC_GRACE_HOURS", 24, 1, 24 * 365),
            rollback_days=reader.number("ROLLBACK_DAYS", 30, 0, 3650),
        )
        if reader.problems:
            raise SettingsError(reader.problems)
        return settings


def migration_database_url(environ: Mapping[str, str]) -> str:
    """The database for the role that owns the tables, which only the migration is given; '' without such a role.

    Raises:
        SettingsError: when the variable is not a URL of a database.
    """
    reader = _Reader(environ)
    url = _psycopg2_url(reader, "MIGRATION_DATABASE_URL", reader.text("MIGRATION_DATABASE_URL", ""))
    if reader.problems:
        raise SettingsError(reader.problems)
    return url


def _psycopg2_url(reader: _Reader, name: str, url: str) -> str:
    """The URL for SQLAlchemy on psycopg2, and with a fixed search path.

    SQLAlchemy 2.1 maps a bare `postgresql://` to psycopg 3. And Postgres by default looks first into a schema
    named like the role: for a role `registry` MLflow would take our tables for its own.
    """
    scheme, separator, rest = url.partition("://")
    if scheme in ("postgresql", "postgres", "postgresql+psycopg2") and _has_sound_host(url):
        if "options=" not in rest:
            rest += ("&" if "?" in rest else "?") + SEARCH_PATH
        return f"postgresql+psycopg2{separator}{rest}"
    if url:
        # Without the value: text without a scheme may hold the password.
        reader.problems.append(f"{PREFIX}{name} must be like postgresql://user:password@host:5432/database")
    return ""


def _has_sound_host(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:  # an unclosed bracket, a port that is no number
        return False


def _is_url(value: str) -> bool:
    if not _has_sound_host(value):
        return False
    parts = urlsplit(value)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def _is_p256(pem: str) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ec  # few need it, and it takes its time
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        return False
    return isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)


class _Reader:
    """Reads variables one by one and remembers what was wrong with each."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(PREFIX + name, "").strip()
        if value:
            return value
        if default is None:
            self.problems.append(f"{PREFIX}{name} is not set")
            return ""
        return default

    def slug(self, name: str) -> str:
        """The name of an environment; '' when it is not set."""
        value = self.text(name, "")
        try:
            return value and check_slug("environment", value)
        except InvalidInput as error:
            self.problems.append(f"{PREFIX}{name} is no name of an environment: {error.detail}")
            return ""

    def url(self, name: str, default: str | None = None) -> str:
        value = self.text(name, default)
        if value and not _is_url(value):
            # Without the value, which may hold a password.
            self.problems.append(f"{PREFIX}{name} must be an http:// or https:// URL without user and password")
            return ""
        return value

    def endpoint(self, name: str, default: str | None = None) -> str:
        """A URL of a host alone: S3 requests are signed for its root."""
        value = self.url(name, default).rstrip("/")
        if urlsplit(value)[2:] != ("", "", ""):
            self.problems.append(f"{PREFIX}{name} must be a URL without a path")
            return ""
        return value

    def bucket(self, name: str) -> str:
        value = self.text(name)
        if value and not 3 <= len(value) <= 63:
            self.problems.append(f"{PREFIX}{name} must have 3 to 63 characters, not {len(value)}")
        return value

    def number(self, name: str, default: int, low: int, high: int) -> int:
        text = self.text(name, str(default))
        if not text.isascii() or not text.isdigit() or len(text) > 20 or not low <= int(text) <= high:
            self.problems.append(f"{PREFIX}{name} must be a whole number from {low} to {high}, not {text[:80]!r}")
            return default
        return int(text)

    def share(self, name: str, default: float) -> float:
        text = self.text(name, str(default))
        if not _SHARE.fullmatch(text) or not 0 <= float(text) <= 1:
            self.problems.append(f"{PREFIX}{name} must be a number from 0 to 1, not {text[:80]!r}")
            return default
        return float(text)

    def keys(self, name: str) -> tuple[str, ...]:
        """Fernet keys, separated by commas: each the URL-safe Base64 of 32 bytes."""
        keys = self._words(name)
        if not all(_KEY.fullmatch(key) for key in keys):
            self.problems.append(
                f"{PREFIX}{name} must be keys of 32 bytes in URL-safe Base64 (44 characters), separated by commas"
            )
            return ()
        return keys

    def private_key(self, name: str) -> str:
        """A PEM of a P-256 key, or of the file that `<name>_FILE` names; '' without one."""
        pem, path = self.text(name, ""), self.text(f"{name}_FILE", "")
        if pem and path:
            self.problems.append(f"{PREFIX}{name} and {PREFIX}{name}_FILE are both set: give one")
        if not pem and path:
            try:
                pem = Path(path).read_text()
            except (OSError, UnicodeDecodeError, ValueError):
                self.problems.append(f"{PREFIX}{name}_FILE must be a file that can be read, not {path[:80]!r}")
        if not pem:
            return ""
        if not _is_p256(pem):
            self.problems.append(f"{PREFIX}{name} must be an unencrypted private key of the curve P-256 in PEM")
            return ""
        return pem

    def address_rules(self, name: str) -> AddressRules:
        try:
            return AddressRules.parse(self._words(name))
        except ValueError as error:
            self.problems.append(
                f"{PREFIX}{name} must be networks and host names, separated by commas, not {str(error)[:80]!r}"
            )
            return AddressRules()

    def host_names(self, name: str, public_url: str) -> HostNames:
        host = urlsplit(public_url).hostname or ""
        default = [f"[{host}]" if ":" in host else host, *LOOPBACK] if host else LOOPBACK
        try:
            return HostNames.parse(self._words(name) or default)
        except ValueError as error:
            self.problems.append(
                f"{PREFIX}{name} must be host names, each with or without a port, separated by commas, not "
                f"{str(error)[:80]!r}"
            )
            return HostNames.parse(LOOPBACK)

    def _words(self, name: str) -> tuple[str, ...]:
        return tuple(word for part in self.text(name, "").split(",") if (word := part.strip()))
