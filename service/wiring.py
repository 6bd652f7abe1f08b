"""Builds the parts from the settings; nothing connects before it is first used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from service.settings import Settings
from service.signing.key import EcSigner
from service.stores.hand_out_rows import PostgresHandOut
from service.stores.look_rows import PostgresLooks
from service.stores.objects import S3Objects
from service.stores.parts import S3Parts
from service.stores.postgres import PostgresRegistry, make_engine
from service.stores.queue import JobQueue
from service.stores.tracking import PostgresTracking
from service.usecases.clock import utc_now
from service.usecases.collect_leftovers import Collector
from service.usecases.event_ports import WebhookParts
from service.usecases.follow_changes import Following
from service.usecases.look_up import Looks
from service.usecases.object_ports import ObjectStore, PartStore
from service.usecases.ports import Clock, RegistryStore
from service.usecases.record_reads import NO_READS, Reads
from service.usecases.resolve import Resolver
from service.usecases.signing_ports import Signer
from service.usecases.tracking_ports import TrackingStore
from service.webhooks.sender import HttpSender
from service.webhooks.vault import FernetVault


@dataclass(frozen=True)
class Parts:
    store: RegistryStore
    objects: ObjectStore
    part_store: PartStore
    tracking: TrackingStore
    webhooks: WebhookParts
    resolver: Resolver
    looks: Looks
    clock: Clock = utc_now
    reads: Reads = NO_READS
    signer: Signer | None = None


HURRIED = 4.0
"""Seconds for which somebody who waits for an answer waits for the object store."""


def make_parts(settings: Settings, engine: sa.Engine | None = None, patience: float = 60) -> Parts:
    """`patience`: seconds for which each byte that is read from the object store is waited for."""
    engine = engine or make_engine(settings.database_url, settings.database_pool)
    hand_out = PostgresHandOut(engine)
    return Parts(
        store=PostgresRegistry(engine, JobQueue()),
        objects=S3Objects(settings.s3, patience=patience),
        part_store=S3Parts(settings.s3),
        tracking=PostgresTracking(engine),
        reads=Reads(settings.audit_reads),
        webhooks=WebhookParts(HttpSender(settings.webhooks.rules), FernetVault(settings.webhooks.keys)),
        signer=EcSigner(settings.signing_key) if settings.signing_key else None,
        looks=PostgresLooks(engine),
        resolver=Resolver(hand_out, Following(hand_out, watchers=settings.watchers), utc_now),
    )


def make_collector(parts: Parts, settings: Settings, grace: timedelta | None = None) -> Collector:
    """`grace` instead of the one of the settings."""
    grace = timedelta(hours=settings.gc_grace_hours) if grace is None else grace
    return Collector(parts.store, parts.objects, parts.clock, grace, timedelta(days=settings.rollback_days))
