"""Routes of instances: what serves a stage, beside what the stage hands out."""

from __future__ import annotations

from datetime import timedelta

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from service.api import instance_payloads as ip
from service.api import payloads as p
from service.api.answers import answer, no_content
from service.api.auth import principal, scoped
from service.api.document import problems
from service.api.paths import STAGE
from service.domain.environment import Assignment, Place
from service.domain.instance import Drift, Instance
from service.usecases.watch_instances import remove_instance, report_instance, see_instances
from service.wiring import Parts

INSTANCES = Tag(name="instances", description="What serves a stage, as pullers say, beside what it hands out")
ONE = f"{STAGE}/instances/<instance>"


def add_instances(api: APIBlueprint, parts: Parts) -> None:
    @api.put(ONE, tags=[INSTANCES], responses={200: ip.ReportedOut, **problems(409, 413, 415)})
    @scoped("read", "promote", parameter="environment")
    def put_instance(path: ip.NewInstancePath, body: ip.InstanceIn) -> Response:
        """Say what an instance runs, again before its lease ends; answers with what it should run."""
        place = Place(path.environment, path.model, path.stage)
        lease = timedelta(seconds=body.lease_seconds)
        instance, drift, current = report_instance(
            parts.store, parts.clock, principal(), place, path.instance, body.digest, lease
        )
        return answer(ip.ReportedOut(**_shown(instance, drift), desired=_desired(current)))

    @api.delete(ONE, tags=[INSTANCES], responses={204: None})
    @scoped("read", "promote", parameter="environment")
    def delete_instance(path: ip.InstancePath) -> Response:
        """Forget an instance that has ended."""
        remove_instance(parts.store, Place(path.environment, path.model, path.stage), path.instance)
        return no_content()

    @api.get(f"{STAGE}/instances", tags=[INSTANCES], responses={200: ip.InstancesOut})
    @scoped("read", "promote", parameter="environment")
    def list_instances(path: p.StagePath, query: ip.InstancesQuery) -> Response:
        """What serves the stage, by id, each compared with what it hands out; expired ones for a day."""
        place = Place(path.environment, path.model, path.stage)
        seen = see_instances(parts.store, parts.clock, place, query.limit, query.after)
        counts = {drift.name.lower(): count for drift, count in seen.counts.items()}
        return answer(
            ip.InstancesOut(
                **place._asdict(),
                desired=_desired(seen.current),
                counts=ip.CountsOut(**counts),
                instances=[ip.InstanceOut(**_shown(*found)) for found in seen.instances],
            )
        )


def _shown(instance: Instance, drift: Drift) -> dict[str, object]:
    return {**vars(instance), "drift": drift.value}


def _desired(current: Assignment | None) -> ip.DesiredOut:
    if current is None:
        return ip.DesiredOut(version=None, digest=None, revision=None)
    return ip.DesiredOut.model_validate(current)
