"""Prompts of an export: one `prompt.json` for each version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.exports.documents import read_tool
from service.exports.fields import Fields
from service.exports.records import ToolRecord

_KNOWN = {
    *("name", "version", "template", "tags", "creation_timestamp", "last_updated_timestamp", "user_id"),
    *("description", "commit_message", "variables", "uri", "_creation_timestamp", "_last_updated_timestamp"),
}
MAX_FAILED = 1000
RESERVED = ("mlflow.prompt.is_prompt", "mlflow.prompt.text", "_mlflow_prompt_type")
"""Tags by which MLflow keeps a prompt in a registered model; never taken from an export's own tags."""


@dataclass(frozen=True)
class PromptRecord:
    """One version. `text` is the template as MLflow stores it: that of a `chat` is a JSON list of messages."""

    name: str
    version: int
    text: str
    chat: bool
    description: str
    user: str
    tags: Mapping[str, str]
    creation_time: int | None
    last_updated_time: int | None
    unknown: Mapping[str, Any]
    tool: ToolRecord

    @property
    def digest(self) -> str:
        """What never changes about a version: its template."""
        return "sha256:" + hashlib.sha256(f"{self.chat}\n{self.text}".encode()).hexdigest()


def read_prompt(document: dict[str, Any], file: str) -> PromptRecord:
    """Raises ExportRefused naming the field."""
    prompt = Fields(document, file).object("mlflow").object("prompt")
    number = prompt.integer("version")
    if number is None or not 0 < number < 2**31:
        raise prompt.refuse("version", "a version number")
    text, chat = _template(prompt)
    return PromptRecord(
        name=prompt.required("name", 256),
        version=number,
        text=text,
        chat=chat,
        description=prompt.text("commit_message", limit=5000) or prompt.text("description", limit=5000),
        user=prompt.text("user_id", limit=256),
        tags={key: value for key, value in prompt.mapping("tags", 250).items() if key not in RESERVED},
        creation_time=prompt.integer("creation_timestamp"),
        last_updated_time=prompt.integer("last_updated_timestamp"),
        unknown=prompt.rest(_KNOWN),
        tool=read_tool(document, file),
    )


def read_failed(document: dict[str, Any], file: str) -> int:
    """How many the tool could not export, as the summary beside the prompts or evaluation datasets says, unnamed."""
    return min(max(Fields(document, file).optional("mlflow").integer("failed_exports") or 0, 0), MAX_FAILED)


def _template(prompt: Fields) -> tuple[str, bool]:
    template = prompt.data.get("template")
    if isinstance(template, str):
        return prompt.text("template"), False
    if not isinstance(template, list):
        raise prompt.refuse("template", "text or a list of messages")
    for message in prompt.objects("template"):
        message.required("role")
        message.text("content")
    return json.dumps(template), True
