"""Rows that tell garbage from what is needed, and when bytes were verified."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from service.domain.layout import VERSIONS, digest_of
from service.domain.promotion import PromotionState
from service.stores import tables as t
from service.stores.garbage_tables import CLAIM, HOLD, claimed, claims, marks
from service.stores.instance_tables import instances
from service.stores.promotion_tables import promotions
from service.usecases.garbage_ports import Unneeded


class PostgresClaims:
    """Implements `service.usecases.garbage_ports.Claims`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def claim(self, holder: str, folders: Collection[str], until: datetime) -> None:
        self._connection.execute(CLAIM)
        each = sa.func.unnest(sa.cast(sorted(folders), ARRAY(sa.Text)))
        rows = sa.select(each, sa.literal(holder), sa.literal(until))
        new = insert(claims).from_select(["folder", "holder", "until"], rows)
        again = new.on_conflict_do_update(index_elements=["folder", "holder"], set_={"until": new.excluded.until})
        self._connection.execute(again)
        digests = [digest_of(folder) for folder in folders if folder.startswith(VERSIONS)]
        self._connection.execute(sa.delete(marks).where(marks.c.digest.in_(digests)))

    def release(self, holder: str) -> None:
        self._connection.execute(sa.delete(claims).where(claims.c.holder == holder))


class PostgresGarbage:
    """Implements `service.usecases.garbage_ports.Garbage`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def unneeded(self, now: datetime, since: datetime) -> Sequence[Unneeded]:
        m = t.manifests.c
        files = sa.func.jsonb_array_length(m.files)
        query = (
            sa.select(m.digest, files, m.size, marks.c.marked_at)
            .join_from(t.manifests, marks, marks.c.digest == m.digest, isouter=True)
            .where(_unneeded(now, since))
            .order_by(m.digest.collate("C"))
        )
        return [Unneeded(*row) for row in self._connection.execute(query)]

    def mark(self, now: datetime, since: datetime) -> None:
        self._connection.execute(sa.delete(claims).where(~claimed(now)))
        unneeded = sa.select(t.manifests.c.digest).where(_unneeded(now, since))
        self._connection.execute(sa.delete(marks).where(marks.c.digest.not_in(unneeded)))
        new = sa.select(t.manifests.c.digest, sa.literal(now)).where(_unneeded(now, since))
        self._connection.execute(insert(marks).from_select(["digest", "marked_at"], new).on_conflict_do_nothing())

    def remove(self, digest: str, now: datetime, since: datetime, before: datetime) -> bool:
        self._connection.execute(HOLD)
        here = t.manifests.c.digest == digest
        # Whoever adds a version without a claim waits for this row; the next statement sees who was faster.
        self._connection.execute(sa.select(t.manifests.c.digest).where(here).with_for_update())
        marked = sa.exists().where(marks.c.digest == digest, marks.c.marked_at <= before)
        gone = self._connection.execute(sa.delete(t.manifests).where(here, marked, _unneeded(now, since)))
        return gone.rowcount == 1


def _unneeded(now: datetime, since: datetime) -> sa.ColumnElement[bool]:
    """Of the manifest in the enclosing statement."""
    digest = t.manifests.c.digest
    changes = t.transitions.c
    folder = sa.literal("models/") + sa.func.replace(digest, ":", "/") + "/"
    return sa.and_(
        ~sa.exists().where(t.versions.c.live_digest == digest),  # what a stage holds is such a version, too
        ~sa.exists().where(changes.at >= since, (changes.digest == digest) | (changes.previous_digest == digest)),
        ~sa.exists().where(promotions.c.digest == digest, promotions.c.state == PromotionState.PENDING),
        ~sa.exists().where(instances.c.digest == digest, instances.c.lease_end > now),
        ~sa.exists().where(claims.c.folder == folder, claimed(now)),
    )


class PostgresChecks:
    """Implements `service.usecases.garbage_ports.Checks`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def due(self, before: datetime, limit: int, after: str) -> Sequence[str]:
        m = t.manifests.c
        in_order = m.digest.collate("C")
        query = sa.select(m.digest).where(in_order > after, m.verified_at.is_(None) | (m.verified_at < before))
        return self._connection.scalars(query.order_by(in_order).limit(limit)).all()

    def checked(self, digest: str, at: datetime) -> None:
        m = t.manifests
        self._connection.execute(sa.update(m).where(m.c.digest == digest).values(verified_at=at))

    def versions(self, digest: str) -> Sequence[tuple[str, int]]:
        v = t.versions.c
        rows = self._connection.execute(sa.select(v.model, v.version).where(v.live_digest == digest))
        return sorted((row.model, row.version) for row in rows)
