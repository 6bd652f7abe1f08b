"""What policies look like in requests and answers: the source of their JSON schema."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from service.api.field_types import MAYBE_2_0, Storable
from service.api.payloads import EnvironmentPath, In, ModelPath, Out, Query
from service.domain.policy_rules import DURATION_PATTERN, RuleName

Name = Annotated[Storable, Field(min_length=1, max_length=250)]
Glob = Annotated[
    Storable, Field(min_length=1, max_length=200, description="`*` stands for any text, `?` for one character")
]
Number = Annotated[float, Field(allow_inf_nan=False)]
Duration = Annotated[Storable, Field(pattern=DURATION_PATTERN, description="such as 90s, 30m, 24h, 7d or 2w")]
Source = Annotated[
    Literal["run", "evaluation"],
    Field(description="run: the latest value of the version's run; evaluation: the latest one of its logged model"),
]
DATASET = Field(default="", max_length=500, description="only evaluations on the dataset of this name")


class CameFromIn(In):
    """The same bytes are, or were, current in a stage of an environment."""

    environment: Storable = Field(max_length=63)
    stage: Storable = Field(max_length=63)
    held_for: Duration | None = Field(default=None, description="for at least this long")
    unbroken: bool = Field(default=True, description="in one stretch; false: all stretches together")
    still_there: bool = Field(default=False, description="it must be current there now")


class ApprovalsIn(In):
    """Approvals by people other than the promoter, each of exactly these bytes."""

    count: Annotated[int, Field(ge=1, le=20), MAYBE_2_0]
    valid_for: Duration = Field(default="7d", description="how long each approval is good for")


class RequiredTagIn(In):
    """A tag of the version; with neither value nor pattern, any value will do."""

    key: Name
    value: Storable | None = Field(default=None, max_length=5000)
    pattern: Glob | None = None


class MetricBoundIn(In):
    """A metric that is measured, finite and within bounds."""

    metric: Name
    at_least: Number | None = None
    at_most: Number | None = None
    source: Source = "run"
    dataset: Storable = DATASET


class NoRegressionIn(In):
    """A metric that is not worse than the current version's by more than a margin."""

    metric: Name
    better: Literal["higher", "lower"]
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    source: Source = "run"
    dataset: Storable = DATASET
    without_current: Literal["refuse", "pass"] = Field(
        default="refuse", description="when the current version was not measured; an empty stage always passes"
    )


class FlavorsIn(In):
    allowed: list[Name] = Field(default=[], max_length=50)
    forbidden: list[Name] = Field(default=[], max_length=50)


class FilesIn(In):
    """Patterns of paths; `*` also stands for `/`, and case does not matter."""

    allowed: list[Glob] = Field(default=[], max_length=50)
    forbidden: list[Glob] = Field(default=[], max_length=50)


class PeriodIn(In):
    """No change from each start on, for a duration of elapsed time."""

    start: Storable = Field(max_length=100, description="cron: minute, hour, day of month, month, day of week")
    duration: Duration
    time_zone: Storable = Field(max_length=80, description="IANA name, such as Europe/Berlin")
    reason: Storable = Field(default="", max_length=500)


class RulesIn(In):
    """What a version must meet to go into a stage; a rule that is left out does not apply."""

    came_from: list[CameFromIn] = Field(default=[], max_length=20)
    approvals: ApprovalsIn | None = None
    signature: bool = Field(default=False, description="the model has a signature")
    input_example: bool = Field(default=False, description="the model has an input example")
    tags: list[RequiredTagIn] = Field(default=[], max_length=50)
    metrics: list[MetricBoundIn] = Field(default=[], max_length=50)
    regressions: list[NoRegressionIn] = Field(default=[], max_length=50)
    flavors: FlavorsIn | None = None
    files: FilesIn | None = None
    no_pickle: bool = Field(default=False, description="no file and no flavor is a pickle, by what they are named")
    source_workspaces: list[Annotated[Storable, Field(min_length=1, max_length=63)]] = Field(default=[], max_length=50)
    freezes: list[PeriodIn] = Field(default=[], max_length=20)
    rollback_skips: list[RuleName] = Field(
        default=["regressions"], max_length=20, description="rules that a rollback need not meet"
    )


class PolicyIn(In):
    """Rules by stage; a stage that is not named has the default's, one that is has its own alone."""

    default: RulesIn | None = None
    stages: dict[Annotated[Storable, Field(max_length=63)], RulesIn] = Field(default={}, max_length=50)


class ModelPolicyPath(EnvironmentPath, ModelPath):
    pass


class PolicyHeaders(BaseModel):
    if_match: Storable | None = Field(
        default=None,
        alias="If-Match",
        max_length=80,
        description="the ETag of the policy that this one is to replace: 412 when it is another by now",
    )


class PolicyHistoryQuery(Query):
    limit: int = Field(default=50, ge=1, le=500)
    before: int | None = Field(default=None, ge=1, le=2**31 - 1, description="version to go on after")


class PolicyOut(Out):
    environment: str
    model: str = Field(description="empty: the environment's own")
    version: int = Field(description="counts the changes from 1; 0: none was ever put, nothing is asked")
    policy: PolicyIn = Field(description="as it was put")
    changed_by: str
    changed_at: datetime | None


class PolicyChangeOut(PolicyOut):
    removed: bool = Field(description="from here on the environment's policy holds for the model")


class PolicyHistoryOut(Out):
    versions: list[PolicyChangeOut]
