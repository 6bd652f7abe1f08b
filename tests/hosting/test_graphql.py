"""The bounds of GraphQL: the UI's own queries pass, and nothing that costs more or asks for more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from werkzeug.test import Client

from service.domain.errors import InvalidInput
from service.hosting.graphql import check_query

RUN = "query GetRun($data: MlflowGetRunInput!) { mlflowGetRun(input: $data) { run { info { runUuid } } } }"
ROOT = "mlflowSearchRuns(input: {}) { runs { info { runUuid } } }"
SOUND = [
    RUN,
    f"query SearchRuns {{ {ROOT} }}",
    '{ mlflowGetExperiment(input: {experimentId: "1"}) { ...E } } fragment E on Experiment { __typename }',
    '{ mlflowGetMetricHistoryBulkInterval(input: {runIds: ["a"]}) { metrics { key } } }',
]
HOSTILE = [
    "",
    "{",
    "query Q { __schema { types { name } } }",
    'query Q { __type(name: "Query") { name } }',
    'query Q { test(inputString: "a") { output } }',
    'mutation M { testMutation(inputString: "a") { output } }',
    "subscription S { mlflowGetRun { run { info { runUuid } } } }",
    f"{RUN} {RUN.replace('GetRun(', 'Other(', 1)}",
    f"{{ {' '.join(f'a{number}: {ROOT}' for number in range(5))} }}",
    "{ ...F } fragment F on Query { __schema { types { name } } }",
    "{ ... on Query { ... on Query { __schema { types { name } } } } }",
    "{ mlflowGetRun { run { " + " ".join(f"a{number}: info {{ runUuid }}" for number in range(11)) + " } } }",
    "{ mlflowGetRun " + "{ a " * 40 + "}" * 40 + " }",
    "{ mlflowGetRun(input: " + "[" * 10_000 + "]" * 10_000 + ") { run } }",
    "{ mlflowGetRun { " + "a " * 3000 + "} }",
    "{ mlflowGetRun { a } } #" + "x" * 40_000,
    "fragment F on Query { mlflowGetRun { run } }",
]


@pytest.mark.parametrize("query", SOUND)
def test_what_the_ui_asks(query: str) -> None:
    check_query({"query": query, "variables": {"data": {"runId": "a"}}, "operationName": None})


@pytest.mark.parametrize("query", HOSTILE)
def test_what_is_out_of_bounds(query: str) -> None:
    with pytest.raises(InvalidInput):
        check_query({"query": query})


@pytest.mark.parametrize(
    "document",
    [{}, {"query": None}, {"query": [RUN]}, {"query": RUN, "variables": []}, {"query": RUN, "operationName": 1}],
)
def test_fields_of_the_wrong_kind(document: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        check_query(document)


def test_fragments_that_go_in_circles_end() -> None:
    check_query({"query": "{ mlflowGetRun { a } ...F } fragment F on Query { ...G } fragment G on Query { ...F }"})


def test_errors_in_good_answers_tell_nothing(hosted: Callable[..., Client]) -> None:
    client = hosted("browse")
    for value in ("x", "99999999999999999999", "1 OR 1=1"):
        query = f'query Q {{ mlflowGetExperiment(input: {{experimentId: "{value}"}}) {{ experiment {{ name }} }} }}'
        got = client.post("/graphql", json={"query": query})
        assert got.status_code in (200, 400)
        for word in ("psycopg", "SELECT", "sqlalche", ".py"):
            assert word not in got.text
    query = 'query Q { mlflowGetExperiment(input: {experimentId: "0"}) { experiment { name } } }'
    told = client.post("/graphql", json={"query": query}).get_json()
    assert told == {"data": {"mlflowGetExperiment": {"experiment": {"name": "Default"}}}, "errors": None}
