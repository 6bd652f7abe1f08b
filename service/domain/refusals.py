"""Refusals that more than one place gives, each in the same words wherever it is found out."""

from __future__ import annotations

from service.domain.environment import Place
from service.domain.errors import ConcurrentChange, Conflict, NotFound
from service.domain.importing import Import

CHANGED_AT_ONCE = "Something else changed the same rows at the same time; try again."


# --- names


def name_of_another_workspace(name: str) -> Conflict:
    return Conflict(
        f"The model name {name!r} belongs to another workspace; choose another name with model_name.",
        field="model_name",
    )


def is_a_prompt(name: str, field: str) -> Conflict:
    return Conflict(f"{name!r} is a prompt, which has no files; choose another name.", field=field)


def prompt_name_taken(name: str) -> Conflict:
    return Conflict(
        f"The name {name!r} of a prompt is taken by someone else or by a model; choose another with model_prefix.",
        field="model_prefix",
    )


def experiment_name_taken(name: str) -> Conflict:
    return Conflict(
        f"The experiment name {name!r} is used by someone else; choose another with experiment_name.",
        field="experiment_name",
    )


def new_name_taken(name: str) -> Conflict:
    return Conflict(f"The name {name!r} is taken, or was; choose another.", field="new_name")


# --- imports and uploads


def idempotency_key_used(key: str) -> Conflict:
    return Conflict(
        "This Idempotency-Key was already used with another archive or other options; use a new key.",
        header="Idempotency-Key",
        key=key,
    )


def key_is_elsewhere(holder: Import, key: str) -> Conflict:
    """An archive was hashed, and `holder` has its Idempotency-Key: that is another archive, or not hashed yet."""
    return idempotency_key_used(key) if holder.archive_digest else ConcurrentChange(CHANGED_AT_ONCE)


def not_to_be_retried(state: str) -> Conflict:
    return Conflict(
        "Only an import that failed can be tried again, unless its archive has been sent again since.", state=state
    )


def part_replaced() -> Conflict:
    return Conflict("A part was replaced while the upload was completed; complete it again.")


# --- versions and stages


def no_version(model: str, version: int, registration: str | None = None) -> NotFound:
    """`registration` is the state of the one that asked for the version, if there was one."""
    match registration:
        case "pending":
            why = f"Version {version} of {model!r} is still being registered; wait until it is READY."
        case "failed":
            why = f"Version {version} of {model!r} could not be registered and has no bytes."
        case _:
            why = f"Model {model!r} has no version {version}."
    return NotFound("version", str(version), why)


def no_stage(environment: str, stage: str) -> NotFound:
    return NotFound("stage", stage, f"Environment {environment!r} has no stage {stage!r}.")


def no_revision(stage: str, revision: int) -> NotFound:
    return NotFound("revision", str(revision), f"Stage {stage!r} has no revision {revision}.")


def nothing_in(place: Place) -> NotFound:
    where = f"{place.environment}/{place.stage}"
    return NotFound("assignment", place.stage, f"No version of {place.model!r} is in {where}.")


def promotion_pending() -> Conflict:
    return Conflict("Another promotion of this stage is pending already.")


def promotion_decided() -> Conflict:
    return Conflict("The promotion was decided at the same time; look at it again.")


def too_many_instances(most: int) -> Conflict:
    return Conflict(f"The stage has {most} instances already, the most it may have.", limit=most)


def no_signature(key_id: str, digest: str) -> NotFound:
    return NotFound("signature", key_id or digest, "Nobody has signed these bytes with such a key.")
