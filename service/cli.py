"""`model-registry`: run the service, its worker and its migrations; manage tokens; check the audit trail."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

if TYPE_CHECKING:
    from service.domain.audit import AuditRow

# Each command imports what it needs: `up` supervises for months and stays small, the others start fast.

DEFAULT_DATA = Path("registry-data")
DEFAULT_PORT = 5080


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="model-registry")
def main() -> None:
    """The model registry between environments."""


@main.command()
@click.option("--data", type=click.Path(path_type=Path), default=DEFAULT_DATA, show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True)
def up(data: Path, port: int, workers: int) -> None:
    """Run everything on this machine: Postgres, an S3 store, the service and its worker."""
    from service.embedded.supervisor import up as supervise

    sys.exit(supervise(data, port, workers=workers, console=click.echo))


@main.command()
@click.option("--bind", default="127.0.0.1:8000", show_default=True, help="host:port to listen on")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True)
def serve(bind: str, workers: int) -> None:
    """Serve the API and the hosted MLflow registry with gunicorn."""
    _checked_environ(os.environ)
    command = ["-m", "gunicorn", "-c", "python:service.gunicorn_config"]
    command += ["--bind", bind, "--workers", str(workers), "service.wsgi:app"]
    os.execv(sys.executable, [sys.executable, *command])  # noqa: S606 - gunicorn takes this process's place


@main.command()
@click.option("--concurrency", type=click.IntRange(1, 16), default=2, show_default=True, help="imports at once")
def worker(concurrency: int) -> None:
    """Run received imports and send webhooks."""
    from service.settings import Settings
    from service.worker import make_worker_app, run_worker

    _checked_environ(os.environ)
    _end_on_sigterm()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    run_worker(make_worker_app(Settings.from_env(os.environ), concurrency=concurrency), concurrency)


@main.command()
@click.option("--if-needed", is_flag=True, help="only look, when both schemas are at head already")
def migrate(if_needed: bool) -> None:
    """Bring the schemas of MLflow and of the registry to head, and create the bucket; safe to run twice."""
    from service.settings import Settings, migration_database_url
    from service.stores.heads import at_head
    from service.stores.migrate import MigrationError, grant_to
    from service.stores.migrate import migrate as run
    from service.stores.objects import S3Objects
    from service.stores.postgres import make_engine

    _checked_environ(os.environ)
    _end_on_sigterm()
    settings = Settings.from_env(os.environ)
    owner = migration_database_url(os.environ)
    engine = make_engine(owner or settings.database_url, pool=2)
    role = settings.database_role if owner else ""
    try:
        if if_needed and at_head(engine):
            grant_to(engine, click.echo, role)
        else:
            run(engine, click.echo, role)
    except MigrationError as error:
        raise click.ClickException(str(error)) from error
    S3Objects(settings.s3).make_bucket()
    click.echo("ready")


@main.command("import")
@click.argument("export", type=click.Path(exists=True, path_type=Path))
@click.option("--workspace", required=True, help="that the export comes from")
@click.option("--experiment-name", default="", help="central name of the one experiment")
@click.option("--model-name", default="", help="central name of the one registered model")
@click.option("--model-prefix", default="", help="what the central names of all its models begin with")
@click.option("--register", default="", help="artifact path to register of each run; needs --model-name")
@click.option("--environment", default="", help="apply the source's stages to this environment")
@click.option("--url", default=f"http://127.0.0.1:{DEFAULT_PORT}", show_default=True, help="of the registry")
@click.option("--token", envvar="MODEL_REGISTRY_TOKEN", required=True, help="[env: MODEL_REGISTRY_TOKEN]")
@click.option("--by-parts-from", type=click.IntRange(0), default=64, show_default=True, help="MiB")
@click.option("--no-wait", is_flag=True, help="end as soon as the export is received")
def import_(
    export: Path, workspace: str, url: str, token: str, by_parts_from: int, no_wait: bool, **options: str
) -> None:
    """Import EXPORT, a folder that an export command wrote, or an archive of one.

    Large ones go to the object store by parts; the same command goes on after a failure.
    """
    from service.console import print_import, progress
    from service.packing import PackingError, pack
    from service.sending import Destination, SendError, send

    given = {name: value for name, value in options.items() if value}
    to = Destination(url.rstrip("/"), token, workspace, given, by_parts_from * 1024 * 1024)
    try:
        done = send(pack(export), to, progress, wait_for_it=not no_wait)
    except (SendError, PackingError) as error:
        raise click.ClickException(str(error)) from error
    print_import(done)


@main.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def pull(arguments: tuple[str, ...]) -> None:
    """Let a folder hold what a stage holds, and follow it; for serving clusters."""
    from service.pulling.__main__ import main as run

    sys.exit(run(arguments, "model-registry pull"))


@main.command()
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--workspace", required=True, help="that it was imported for")
@click.option("--url", default=f"http://127.0.0.1:{DEFAULT_PORT}", show_default=True, help="of the registry")
@click.option("--token", envvar="MODEL_REGISTRY_TOKEN", required=True, help="an admin's [env: MODEL_REGISTRY_TOKEN]")
def compare(archive: Path, workspace: str, url: str, token: str) -> None:
    """Read an imported archive back through MLflow's client and list every difference."""
    from service.compare import NotImportedError, compare_import

    try:
        differences = compare_import(archive, workspace, url.rstrip("/"), token)
    except NotImportedError as error:
        raise click.ClickException(str(error)) from error
    for difference in differences:
        click.echo(str(difference))
    click.echo(f"{len(differences)} differences", err=True)
    sys.exit(1 if differences else 0)


_DATA = click.option("--data", type=click.Path(path_type=Path), help="the data directory of `model-registry up`")


@main.group()
@_DATA
@click.pass_context
def token(context: click.Context, data: Path | None) -> None:
    """Create, list and revoke tokens, straight in the database."""
    context.obj = _environ_of(data)


@token.command("create")
@click.option("--name", required=True)
@click.option("--scope", "scopes", multiple=True, required=True, help="may be given several times")
@click.option("--days", type=int, help="days until it expires")
@click.option("--plain", is_flag=True, help="print only the token")
@click.pass_obj
def create(environ: Mapping[str, str], name: str, scopes: tuple[str, ...], days: int | None, plain: bool) -> None:
    """Create a token and print it, once."""
    from service.domain.errors import RegistryError
    from service.domain.identity import OPERATOR
    from service.settings import Settings
    from service.usecases.manage_tokens import create_token
    from service.wiring import make_parts

    parts = make_parts(Settings.from_env(environ))
    try:
        made, secret = create_token(parts.store, parts.clock, OPERATOR, name, scopes, days)
    except RegistryError as error:
        raise click.ClickException(error.detail) from error
    if not plain:
        click.echo(f"Token {made.name!r} ({made.id}), shown only now:", err=True)
    click.echo(secret)


@token.command("list")
@click.pass_obj
def list_(environ: Mapping[str, str]) -> None:
    """List tokens, without their secrets."""
    from service.settings import Settings
    from service.wiring import make_parts

    with make_parts(Settings.from_env(environ)).store.transaction() as tx:
        for item in tx.tokens.list():
            state = "revoked" if item.revoked_at else f"expires {item.expires_at or 'never'}"
            click.echo(f"{item.id}  {item.name}  {' '.join(map(str, item.scopes))}  {state}")


@token.command("revoke")
@click.argument("token_id")
@click.pass_obj
def revoke(environ: Mapping[str, str], token_id: str) -> None:
    """Revoke a token by its id."""
    from service.domain.errors import RegistryError
    from service.domain.identity import OPERATOR
    from service.settings import Settings
    from service.usecases.manage_tokens import revoke_token
    from service.wiring import make_parts

    parts = make_parts(Settings.from_env(environ))
    try:
        click.echo(f"revoked {revoke_token(parts.store, parts.clock, OPERATOR, token_id).name!r}")
    except RegistryError as error:
        raise click.ClickException(error.detail) from error


@main.group()
def audit() -> None:
    """Check the audit trail, or write it out."""


@audit.command()
@_DATA
@click.option("--file", type=click.File("rb"), help="an export to check, instead of the database; - is stdin")
@click.option("--head", default="", help="hash of a row that was noted earlier and must still be there")
def verify(data: Path | None, file: BinaryIO | None, head: str) -> None:
    """Recompute the chain of hashes. Exit code 1, and the first broken row, when it does not hold."""
    from service.usecases.verify_audit import Broken, parse_rows
    from service.usecases.verify_audit import verify as run

    try:
        done = run(parse_rows(file) if file else _audit_rows(data), head.strip().lower())
    except Broken as broken:
        raise click.ClickException(f"the audit trail is broken at {broken}") from broken
    click.echo(f"{done.rows} rows, none changed and none missing; the hash of the last one is {done.head}")


@audit.command()
@_DATA
def export(data: Path | None) -> None:
    """Write the whole trail to stdout as JSON lines, oldest first; `verify --file` checks them anywhere."""
    for row in _audit_rows(data):
        sys.stdout.buffer.write(row.line())


def _audit_rows(data: Path | None) -> Iterator[AuditRow]:
    from service.domain.audit import AuditQuery
    from service.domain.errors import RegistryError
    from service.settings import Settings
    from service.usecases.read_audit import audit_rows
    from service.wiring import make_parts

    parts = make_parts(Settings.from_env(_environ_of(data)))
    try:
        yield from audit_rows(parts.store, AuditQuery())
    except RegistryError as error:
        raise click.ClickException(error.detail) from error


@main.command()
@_DATA
@click.option("--dry-run", is_flag=True, help="tell what would go, and why, and change nothing")
@click.option("--grace", help="how long garbage stays, like 90s, 30m, 24h or 7d, instead of the setting")
def gc(data: Path | None, dry_run: bool, grace: str | None) -> None:
    """Delete the bytes that nothing needs, as the worker does every hour."""
    from service.domain.errors import RegistryError
    from service.domain.policy_rules import duration
    from service.housekeeping import print_garbage
    from service.settings import Settings
    from service.wiring import make_collector, make_parts

    settings = Settings.from_env(_environ_of(data))
    try:
        collector = make_collector(make_parts(settings), settings, None if grace is None else duration(grace))
        print_garbage(collector.look() if dry_run else collector.run(), click.echo, dry_run=dry_run)
    except RegistryError as error:
        raise click.ClickException(error.detail) from error


@main.command()
@_DATA
@click.option("--digest", help="only these bytes: sha256:…")
@click.option("--all", "everything", is_flag=True, help="also what was verified within --days")
@click.option(
    "--days", type=click.IntRange(0, 3650), default=7, show_default=True, help="how long verified is verified"
)
@click.option("--rate", type=click.IntRange(1), help="MiB a second at most")
@click.option("--threads", type=click.IntRange(1, 64), default=4, show_default=True, help="objects read at once")
def scrub(data: Path | None, digest: str | None, everything: bool, days: int, rate: int | None, threads: int) -> None:
    """Read the stored bytes of every version, and name each object that is damaged or missing.

    What was ended goes on where it was. Exit code 3 when something is damaged, 1 when it could not be told.
    """
    from service.domain.errors import RegistryError
    from service.housekeeping import print_scrubbed
    from service.settings import Settings
    from service.usecases.scrub import Pace, Scrubber
    from service.wiring import make_parts

    parts = make_parts(Settings.from_env(_environ_of(data)))
    scrubber = Scrubber(parts.store, parts.objects, parts.clock, threads, Pace((rate or 0) * 1024 * 1024))
    try:
        wanted = [digest] if digest else scrubber.due(parts.clock() - timedelta(days=0 if everything else days))
        sound = print_scrubbed(scrubber.run(wanted), click.echo)
    except RegistryError as error:
        raise click.ClickException(error.detail) from error
    sys.exit(0 if sound else 3)


@main.command()
@_DATA
@click.option("--missing", is_flag=True, required=True, help="what nobody has signed yet")
def sign(data: Path | None, missing: bool) -> None:
    """Sign the bytes of versions with MODEL_REGISTRY_SIGNING_KEY."""
    from service.domain.errors import RegistryError
    from service.settings import Settings
    from service.usecases.sign_versions import sign_missing
    from service.wiring import make_parts

    parts = make_parts(Settings.from_env(_environ_of(data)))
    if parts.signer is None:
        raise click.ClickException("There is no key: set MODEL_REGISTRY_SIGNING_KEY, or …_FILE.")
    try:
        signed = sum(1 for _ in sign_missing(parts.store, parts.signer, parts.clock))
    except RegistryError as error:
        raise click.ClickException(error.detail) from error
    click.echo(f"signed {signed} digests with the key {parts.signer.key_id}")


def _environ_of(data: Path | None) -> Mapping[str, str]:
    """The settings: those of the service that runs in `data`, or without it those of this shell."""
    environ: Mapping[str, str] = os.environ
    if data is not None:
        from service.embedded.connection import NotRunningError, load_environ

        try:
            environ = load_environ(data)
        except (NotRunningError, PermissionError) as error:
            raise click.ClickException(str(error)) from error
    return _checked_environ(environ)


def _end_on_sigterm() -> None:
    """As a container's first process one is deaf to SIGTERM until a handler is there; libraries set theirs late."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _checked_environ(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The same environment. Exits with every problem named when the settings cannot be read from it."""
    from service.settings import Settings, SettingsError, migration_database_url

    try:
        Settings.from_env(environ)
        migration_database_url(environ)
    except SettingsError as error:
        raise click.ClickException("the settings are not complete:\n  " + "\n  ".join(error.problems)) from error
    return environ


if __name__ == "__main__":
    main()
