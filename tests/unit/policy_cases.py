"""Each rule with facts that meet it, facts that do not and what it says then, and a document that is no rule.

Facts are changes to FACTS; a malformed document comes with the field that the refusal must name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from service.domain.policy_facts import Approved, Evaluation, Facts, Held, Measured
from service.domain.policy_refusal import Refused
from service.domain.policy_rules import FreezeWindow

NOW = datetime(2026, 3, 27, 19, 0, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 64
SKLEARN = {
    "python_function": {"loader_module": "mlflow.sklearn"},
    "sklearn": {"serialization_format": "skops", "pickled_model": "model.skops"},
}
FACTS = Facts(
    now=NOW,
    stage="Production",
    digest=DIGEST,
    promoter_id="id-ci",
    promoter="ci",
    workspace="dev",
    signature=True,
    flavors=SKLEARN,
    files=("MLmodel", "input_example.json", "model.skops"),
    tags={"validated": "yes", "ticket": "OPS-12"},
    measured=Measured({"accuracy": 0.91, "loss": 0.2}, (Evaluation("auc", "holdout", 0.8),)),
    current=Measured({"accuracy": 0.93, "loss": 0.1}, (Evaluation("auc", "holdout", 0.7),)),
    held={("qa", "Staging"): Held(timedelta(hours=30), timedelta(hours=40), True)},
)
WINDOW = FreezeWindow("0 18 * * FRI", timedelta(hours=62), "UTC", "weekend")


@dataclass(frozen=True)
class Yes:
    document: dict[str, Any]
    facts: Facts


@dataclass(frozen=True)
class No:
    document: dict[str, Any]
    facts: Facts
    refused: tuple[Refused, ...]


@dataclass(frozen=True)
class Malformed:
    document: dict[str, Any]
    field: str


def yes(document: dict[str, Any], **changed: Any) -> Yes:
    return Yes(document, replace(FACTS, **changed))


def no(document: dict[str, Any], expected: str, found: str, detail: str, **changed: Any) -> No:
    (rule,) = document
    return No(document, replace(FACTS, **changed), (Refused(rule, expected, found, detail),))


def approved(by: str = "ann", **changed: Any) -> Approved:
    own = Approved(f"id-{by}", by, DIGEST, NOW - timedelta(days=1), NOW + timedelta(days=6))
    return replace(own, **changed)


def held(longest: float, total: float = 0, now: bool = True) -> dict[tuple[str, str], Held]:
    return {("qa", "Staging"): Held(timedelta(hours=longest), timedelta(hours=max(longest, total)), now)}


QA = {"environment": "qa", "stage": "Staging"}
DAY = {"came_from": [{**QA, "held_for": "24h"}]}
TWO = {"approvals": {"count": 2, "valid_for": "3d"}}
BOUND = {"metrics": [{"metric": "accuracy", "at_least": 0.9}]}
MARGIN = {"regressions": [{"metric": "accuracy", "better": "higher", "margin": 0.02}]}
LOWER = {"regressions": [{"metric": "loss", "better": "lower", "margin": 0.1}]}
FREEZE = {"freezes": [{"start": "0 18 * * FRI", "duration": "62h", "time_zone": "UTC", "reason": "weekend"}]}
NOT_THERE = "in qa/Staging before"
FOR_A_DAY = "in qa/Staging before, for 1d without a break"
OTHERS = "2 by people other than ci"

CASES: dict[str, list[Yes | No | Malformed]] = {
    "came_from": [
        yes({"came_from": [QA]}),
        yes({"came_from": [QA]}, held=held(0, now=False)),
        yes({"came_from": [{**QA, "held_for": None}]}, held=held(0)),
        yes(DAY, held=held(24)),
        yes(DAY, held=held(24, now=False)),
        yes({"came_from": [{**QA, "held_for": "24h", "unbroken": False}]}, held=held(9, 24)),
        yes({"came_from": [{**QA, "still_there": True}]}),
        no(
            {"came_from": [QA]},
            NOT_THERE,
            "never there",
            f"The version must be {NOT_THERE}; it was never there.",
            held={},
        ),
        no(
            DAY,
            FOR_A_DAY,
            "there for 23h 59m",
            f"The version must be {FOR_A_DAY}; it was there for 23h 59m.",
            held=held(24 - 1 / 3600, 90),
        ),
        no(
            {"came_from": [{**QA, "held_for": "90m", "unbroken": False}]},
            "in qa/Staging before, for 1h 30m in all",
            "there for 1h",
            "The version must be in qa/Staging before, for 1h 30m in all; it was there for 1h.",
            held=held(0.5, 1),
        ),
        no(
            {"came_from": [{**QA, "still_there": True}]},
            "in qa/Staging now",
            "no longer there",
            "The version must be in qa/Staging now; it was no longer there.",
            held=held(99, now=False),
        ),
        Malformed({"came_from": QA}, "came_from"),
        Malformed({"came_from": [{"environment": "qa"}]}, "came_from.0.stage"),
        Malformed({"came_from": [{**QA, "held_for": "1.5h"}]}, "came_from.0.held_for"),
        Malformed({"came_from": [{**QA, "held_for": 24}]}, "came_from.0.held_for"),
        Malformed({"came_from": [{**QA, "held_for": "0h"}]}, "came_from.0.held_for"),
        Malformed({"came_from": [{**QA, "since": "24h"}]}, "came_from.0.since"),
        Malformed({"came_from": [{"environment": "absent", "stage": "Staging"}]}, "came_from.0.environment"),
        Malformed({"came_from": [{"environment": "qa", "stage": "Absent"}]}, "came_from.0.stage"),
    ],
    "approvals": [
        yes({"approvals": None}),
        yes({"approvals": {"count": 1}}, approvals=(approved(),)),
        yes(TWO, approvals=(approved("ann"), approved("bob"))),
        no(TWO, OTHERS, "0", f"The promotion needs approvals: {OTHERS}; it has 0 that hold."),
        *[
            no(
                TWO,
                OTHERS,
                "1 (ann)",
                f"The promotion needs approvals: {OTHERS}; it has 1 (ann) that hold.",
                approvals=(approved("ann"), second),
            )
            for second in (
                approved("ann", by_id="id-other"),
                approved("bob", by_id="id-ann"),
                approved("bob", by_id="id-ci"),
                approved("ci", by_id="id-other"),
                approved("bob", digest="sha256:" + "b" * 64),
                approved("bob", revoked=True),
                approved("bob", expires_at=NOW),
                approved("bob", at=NOW - timedelta(days=3)),
            )
        ],
        Malformed({"approvals": 2}, "approvals"),
        Malformed({"approvals": {}}, "approvals.count"),
        Malformed({"approvals": {"count": 0}}, "approvals.count"),
        Malformed({"approvals": {"count": "2"}}, "approvals.count"),
        Malformed({"approvals": {"count": 2, "valid_for": "a week"}}, "approvals.valid_for"),
        Malformed({"approvals": {"count": 2, "by": ["ann"]}}, "approvals.by"),
    ],
    "signature": [
        yes({"signature": True}),
        yes({"signature": False}, signature=False),
        no(
            {"signature": True},
            "a model signature",
            "none",
            "The version's MLmodel file has no signature.",
            signature=False,
        ),
        Malformed({"signature": "yes"}, "signature"),
        Malformed({"signature": 1}, "signature"),
    ],
    "input_example": [
        yes({"input_example": True}),
        yes({"input_example": False}, files=()),
        *[
            no(
                {"input_example": True},
                "the file input_example.json",
                "none",
                "The version has no input example.",
                files=files,
            )
            for files in ((), ("MLmodel",), ("data/input_example.json",))
        ],
        Malformed({"input_example": "input_example.json"}, "input_example"),
    ],
    "tags": [
        yes({"tags": [{"key": "validated"}, {"key": "validated", "value": "yes"}]}),
        yes({"tags": [{"key": "ticket", "pattern": "OPS-[0-9]*"}]}),
        yes({"tags": [{"key": "validated", "value": "yes", "pattern": None}]}),
        yes({"tags": [{"key": "empty"}]}, tags={"empty": ""}),
        no(
            {"tags": [{"key": "validated"}]},
            "validated set",
            "no such tag",
            "The version's tag validated must be set; found: no such tag.",
            tags={"Validated": "yes"},
        ),
        no(
            {"tags": [{"key": "validated", "value": "yes"}]},
            "validated = yes",
            "YES",
            "The version's tag validated must be = yes; found: YES.",
            tags={"validated": "YES"},
        ),
        no(
            {"tags": [{"key": "ticket", "pattern": "OPS-*"}]},
            "ticket like OPS-*",
            "x" * 99 + "…",
            f"The version's tag ticket must be like OPS-*; found: {'x' * 99}….",
            tags={"ticket": "x" * 5000},
        ),
        Malformed({"tags": ["validated"]}, "tags.0"),
        Malformed({"tags": [{"value": "yes"}]}, "tags.0.key"),
        Malformed({"tags": [{"key": ""}]}, "tags.0.key"),
        Malformed({"tags": [{"key": "a", "value": True}]}, "tags.0.value"),
        Malformed({"tags": [{"key": "a", "value": "x", "pattern": "x*"}]}, "tags.0"),
    ],
    "metrics": [
        yes(BOUND),
        yes({"metrics": [{"metric": "accuracy", "at_least": 0.9, "at_most": None}]}),
        yes(BOUND, measured=Measured({"accuracy": 0.9})),
        yes({"metrics": [{"metric": "loss", "at_least": 0, "at_most": 0.2}]}),
        yes({"metrics": [{"metric": "auc", "at_least": 0.8, "source": "evaluation", "dataset": "holdout"}]}),
        yes({"metrics": [{"metric": "auc", "at_least": 0.8, "source": "evaluation"}]}),
        *[
            no(
                BOUND,
                "accuracy >= 0.9",
                found,
                f"The run's metric accuracy must be >= 0.9; found: {found}.",
                measured=measured,
            )
            for found, measured in (
                ("0.8999999", Measured({"accuracy": 0.8999999})),
                ("nan", Measured({"accuracy": math.nan})),
                ("inf", Measured({"accuracy": math.inf})),
                ("not measured", Measured({"Accuracy": 0.95})),
                ("not measured", Measured({}, (Evaluation("accuracy", "", 0.95),))),
            )
        ],
        no(
            {"metrics": [{"metric": "loss", "at_most": 0.1}]},
            "loss <= 0.1",
            "0.2",
            "The run's metric loss must be <= 0.1; found: 0.2.",
        ),
        no(
            {"metrics": [{"metric": "auc", "at_least": 0.5, "source": "evaluation", "dataset": "other"}]},
            "auc >= 0.5",
            "not measured",
            "The evaluation's metric auc on other must be >= 0.5; found: not measured.",
        ),
        no(
            {"metrics": [{"metric": "auc", "at_least": 0.5, "source": "evaluation"}]},
            "auc >= 0.5",
            "0.4",
            "The evaluation's metric auc must be >= 0.5; found: 0.4.",
            measured=Measured({"auc": 0.9}, (Evaluation("auc", "old", 0.9), Evaluation("auc", "new", 0.4))),
        ),
        Malformed({"metrics": {"accuracy": 0.9}}, "metrics"),
        Malformed({"metrics": [{"at_least": 0.9}]}, "metrics.0.metric"),
        Malformed({"metrics": [{"metric": "accuracy"}]}, "metrics.0"),
        Malformed({"metrics": [{"metric": "accuracy", "at_least": "0.9"}]}, "metrics.0.at_least"),
        Malformed({"metrics": [{"metric": "accuracy", "at_least": math.nan}]}, "metrics.0.at_least"),
        Malformed({"metrics": [{"metric": "accuracy", "at_most": math.inf}]}, "metrics.0.at_most"),
        Malformed({"metrics": [{"metric": "accuracy", "at_least": 2, "at_most": 1}]}, "metrics.0"),
        Malformed({"metrics": [{"metric": "accuracy", "min": 0.9}]}, "metrics.0.min"),
        Malformed({"metrics": [{"metric": "a", "at_least": 1, "source": "dataset"}]}, "metrics.0.source"),
    ],
    "regressions": [
        yes(MARGIN),  # 0.93 - 0.02 is 0.91, though not in binary
        yes(MARGIN, measured=Measured({"accuracy": 0.99})),
        yes(LOWER),
        yes(MARGIN, current=None, measured=Measured()),
        yes({"regressions": [{"metric": "auc", "better": "higher", "source": "evaluation"}]}),
        yes({"regressions": [{"metric": "f1", "better": "higher", "without_current": "pass"}]}),
        yes(MARGIN, rollback=True, measured=Measured({"accuracy": 0.1})),
        no(
            {**MARGIN},
            "accuracy >= 0.91 (current: 0.93, margin: 0.02)",
            "0.9",
            "The run's metric accuracy must not get worse: expected accuracy >= 0.91 (current: 0.93, margin: 0.02); "
            "found: 0.9.",
            measured=Measured({"accuracy": 0.90}),
        ),
        no(
            LOWER,
            "loss <= 0.2 (current: 0.1, margin: 0.1)",
            "0.21",
            "The run's metric loss must not get worse: expected loss <= 0.2 (current: 0.1, margin: 0.1); found: 0.21.",
            measured=Measured({"loss": 0.21}),
        ),
        *[
            no(
                MARGIN,
                "accuracy >= 0.91 (current: 0.93, margin: 0.02)",
                found,
                "The run's metric accuracy must not get worse: expected accuracy >= 0.91 (current: 0.93, margin: "
                f"0.02); found: {found}.",
                measured=measured,
            )
            for found, measured in (("not measured", Measured()), ("nan", Measured({"accuracy": math.nan})))
        ],
        *[
            no(
                MARGIN,
                "accuracy of the current version",
                found,
                f"The run's metric accuracy cannot be compared: the current version's is {found}.",
                current=current,
            )
            for found, current in (("not measured", Measured()), ("nan", Measured({"accuracy": math.nan})))
        ],
        Malformed({"regressions": [{"metric": "accuracy"}]}, "regressions.0.better"),
        Malformed({"regressions": [{"metric": "accuracy", "better": "up"}]}, "regressions.0.better"),
        Malformed({"regressions": [{"metric": "a", "better": "higher", "margin": -0.1}]}, "regressions.0.margin"),
        Malformed({"regressions": [{"metric": "a", "better": "higher", "margin": math.nan}]}, "regressions.0.margin"),
    ],
    "flavors": [
        yes({"flavors": None}),
        yes({"flavors": {"allowed": ["sklearn"]}}),
        yes({"flavors": {"allowed": ["python_function"]}}, flavors={"python_function": {"loader_module": "own"}}),
        yes({"flavors": {"forbidden": ["python_function", "spark"]}}),
        no(
            {"flavors": {"allowed": ["xgboost", "lightgbm"]}},
            "one of xgboost, lightgbm",
            "sklearn",
            "The version's flavor must be one of xgboost, lightgbm; found: sklearn.",
        ),
        no(
            {"flavors": {"allowed": ["sklearn"]}},
            "one of sklearn",
            "python_function",
            "The version's flavor must be one of sklearn; found: python_function.",
            flavors={**SKLEARN, "python_function": {"loader_module": "mlflow.pyfunc.model"}},
        ),
        no(
            {"flavors": {"allowed": ["sklearn"]}},
            "one of sklearn",
            "none",
            "The version's flavor must be one of sklearn; it has none.",
            flavors={},
        ),
        no(
            {"flavors": {"forbidden": ["sklearn"]}},
            "not sklearn",
            "sklearn",
            "The version's flavor must be not sklearn; found: sklearn.",
        ),
        Malformed({"flavors": ["sklearn"]}, "flavors"),
        Malformed({"flavors": {"allowed": "sklearn"}}, "flavors.allowed"),
        Malformed({"flavors": {"denied": ["sklearn"]}}, "flavors.denied"),
    ],
    "files": [
        yes({"files": {"forbidden": ["*.pkl", "code/*"]}}),
        yes({"files": {"allowed": ["MLmodel", "*.json", "*.SKOPS"]}}),
        *[
            no(
                {"files": {"forbidden": ["*.pkl"]}},
                "no *.pkl",
                path,
                f"Files of the version are refused: {path}.",
                files=("MLmodel", path),
            )
            for path in ("model.pkl", "data/deep/model.pkl", "MODEL.PKL")
        ],
        no(
            {"files": {"allowed": ["*.json"]}},
            "only *.json",
            "f0, f1, f2, f3, f4 and 2 more",
            "Files of the version are not allowed: f0, f1, f2, f3, f4 and 2 more.",
            files=("a.json", *(f"f{number}" for number in range(7))),
        ),
        Malformed({"files": {"forbidden": "*.pkl"}}, "files.forbidden"),
        Malformed({"files": {"forbidden": [""]}}, "files.forbidden.0"),
    ],
    "no_pickle": [
        yes({"no_pickle": True}),
        yes({"no_pickle": False}, files=("model.pkl",)),
        *[
            no(
                {"no_pickle": True},
                "no pickle",
                path,
                f"The version holds pickles: {path}.",
                files=("MLmodel", path),
            )
            for path in ("model.pkl", "a/b.PICKLE", "data/model.pth", "x.joblib", "components/pytorch_model-01.bin")
        ],
        no(
            {"no_pickle": True},
            "no pickle",
            "flavor python_function (cloudpickle), flavor sklearn (CloudPickle)",
            "The version holds pickles: flavor python_function (cloudpickle), flavor sklearn (CloudPickle).",
            flavors={
                "sklearn": {"serialization_format": "CloudPickle"},
                "python_function": {"cloudpickle_version": "3.1.2"},
                "odd": "text",
            },
        ),
        Malformed({"no_pickle": "refuse"}, "no_pickle"),
    ],
    "source_workspaces": [
        yes({"source_workspaces": ["lab", "dev"]}),
        no(
            {"source_workspaces": ["lab"]},
            "from lab",
            "dev",
            "The version must come from lab; found: dev.",
        ),
        no(
            {"source_workspaces": ["lab"]},
            "from lab",
            "registered here, from no workspace",
            "The version must come from lab; found: registered here, from no workspace.",
            workspace="",
        ),
        Malformed({"source_workspaces": "dev"}, "source_workspaces"),
        Malformed({"source_workspaces": [""]}, "source_workspaces.0"),
    ],
    "freezes": [
        yes(FREEZE),
        yes(FREEZE, frozen={WINDOW: NOW}),
        yes({**FREEZE, "rollback_skips": ["freezes"]}, rollback=True, frozen={WINDOW: NOW + timedelta(hours=1)}),
        no(
            FREEZE,
            "outside of 0 18 * * FRI UTC for 2d 14h",
            "frozen until 2026-03-27T20:00:00+00:00",
            "The stage is frozen until 2026-03-27T20:00:00+00:00 (weekend).",
            frozen={WINDOW: NOW + timedelta(hours=1)},
        ),
        Malformed({"freezes": [{"duration": "1h", "time_zone": "UTC"}]}, "freezes.0.start"),
        *[
            Malformed({"freezes": [{"start": start, "duration": "1h", "time_zone": "UTC"}]}, "freezes.0.start")
            for start in (
                "",
                "18:00",
                "0 0 18 * * FRI",
                "0 25 * * *",
                "@daily",
                "0 0 30 2 *",
                "*/0 * * * *",
                "R R * * *",
            )
        ],
        *[
            Malformed({"freezes": [{"start": "0 0 * * *", "duration": "1h", "time_zone": zone}]}, "freezes.0.time_zone")
            for zone in ("", "Mars/Olympus", "../../etc/passwd", "+01:00")
        ],
        Malformed({"freezes": [{"start": "0 0 * * *", "duration": "", "time_zone": "UTC"}]}, "freezes.0.duration"),
    ],
}
