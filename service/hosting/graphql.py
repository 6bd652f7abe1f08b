"""The bounds of GraphQL, which the UI asks some of its questions in: a few kinds of small queries."""

from __future__ import annotations

import re
from typing import Any

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse
from graphql.language.ast import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, InlineFragmentNode, Node

from service.domain.errors import InvalidInput

ASKED = {"mlflowGetExperiment", "mlflowGetRun", "mlflowGetMetricHistoryBulkInterval", "mlflowSearchRuns"}
"""The fields at the root that the UI's queries have."""
MAX_QUERY = 32 * 1024
MAX_NESTING = 30
MAX_TOKENS = 2000
MAX_ROOTS = 4
MAX_ALIASES = 10
_BRACKET = re.compile(r"[{(\[]|[})\]]")


def check_query(document: dict[str, Any]) -> None:
    """Raises InvalidInput unless the body is one query, within the bounds, for what the UI asks."""
    query = document.get("query")
    if not isinstance(query, str) or len(query) > MAX_QUERY:
        raise InvalidInput(f"A query is a text of at most {MAX_QUERY} characters.", field="query")
    if not isinstance(document.get("variables"), dict | None):
        raise InvalidInput("variables must be an object.", field="variables")
    if not isinstance(document.get("operationName"), str | None):
        raise InvalidInput("operationName must be a text.", field="operationName")
    depth = 0
    for bracket in _BRACKET.findall(query):
        depth += 1 if bracket in "{([" else -1
        if depth > MAX_NESTING:  # the parser recurses
            raise InvalidInput("The query is nested too deep.", field="query")
    try:
        definitions = parse(query, no_location=True, max_tokens=MAX_TOKENS).definitions
    except GraphQLError:
        raise InvalidInput("That is no query of GraphQL, or it is too long.", field="query") from None
    operations = [node for node in definitions if isinstance(node, OperationDefinitionNode)]
    fragments = {node.name.value: node for node in definitions if isinstance(node, FragmentDefinitionNode)}
    if len(operations) != 1 or operations[0].operation is not OperationType.QUERY:
        raise InvalidInput("Send one query; there are no mutations and no subscriptions.", field="query")
    roots = _fields(operations[0], fragments)
    if len(roots) > MAX_ROOTS or not {field.name.value for field in roots} <= ASKED:
        raise InvalidInput(f"A query asks for at most {MAX_ROOTS} of {', '.join(sorted(ASKED))}.", field="query")
    if sum(_aliases(node) for node in definitions) > MAX_ALIASES:
        raise InvalidInput(f"A query has at most {MAX_ALIASES} aliases.", field="query")


def _fields(operation: OperationDefinitionNode, fragments: dict[str, FragmentDefinitionNode]) -> list[FieldNode]:
    """The fields at the root, also those that come by fragments, each fragment once."""
    found: list[FieldNode] = []
    entered: set[str] = set()
    left: list[Node] = list(operation.selection_set.selections)
    while left:
        node = left.pop()
        if isinstance(node, FieldNode):
            found.append(node)
        elif isinstance(node, InlineFragmentNode):
            left += node.selection_set.selections
        elif isinstance(node, FragmentSpreadNode) and node.name.value not in entered:
            entered.add(node.name.value)
            if node.name.value in fragments:
                left += fragments[node.name.value].selection_set.selections
    return found


def _aliases(node: Node) -> int:
    aliases = 0
    left: list[Node] = [node]
    while left:
        part = left.pop()
        aliases += isinstance(part, FieldNode) and part.alias is not None
        selections = getattr(part, "selection_set", None)
        left += selections.selections if selections else ()
    return aliases
