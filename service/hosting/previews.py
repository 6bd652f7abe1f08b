"""Single files as MLflow's pages show them: of a run, of a version, of a logged model.

MLflow's own handlers copy a file, or a whole folder, to the disk of the process before they send it. Here files are
streamed as the artifact proxy does, with the same checks.
"""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Response, request

from service.domain.errors import NotFound
from service.domain.layout import artifact_prefix
from service.hosting.artifacts import artifact_file, file_of
from service.hosting.caller import caller
from service.hosting.lookups import asked_version, parameter
from service.usecases.hand_out import HandOutBytes
from service.usecases.view_versions import download_uri
from service.wiring import Parts

PLAIN = ("image/", "audio/", "video/", "application/pdf", "application/octet-stream")
"""What a browser can show or keep as it is; anything else, such as a script, is told to be text."""


def preview_routes(parts: Parts) -> Blueprint:
    """The paths below which the pages look, seen from the root of a view."""
    routes = Blueprint("previews", __name__)
    registered = HandOutBytes(parts.store, parts.objects, parts.clock, parts.reads)

    def shown(uri: str, inner: str) -> Response:
        if artifact_prefix(uri) is None:
            raise NotFound("artifact", inner)
        path = artifact_file(f"{uri.partition(':/')[2].strip('/')}/{inner}")
        response = file_of(parts.objects, registered, path)
        name = quote(inner.rpartition("/")[2], safe="")
        response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
        if not (response.mimetype or "").startswith(PLAIN):
            response.mimetype = "text/plain"
        return response

    @routes.before_request
    def known() -> None:
        _ = caller().environment  # an address of no environment is refused

    @routes.get("/get-artifact")
    def of_run() -> Response:
        run_id = request.args.get("run_id") or parameter("run_uuid")
        with caller().transaction() as tx:
            uri = tx.models.run(run_id).artifact_uri
        return shown(uri, parameter("path"))

    @routes.get("/model-versions/get-artifact")
    def of_version() -> Response:
        return shown(download_uri(asked_version()), parameter("path"))

    @routes.get("/ajax-api/2.0/mlflow/logged-models/<model_id>/artifacts/files")
    def of_logged_model(model_id: str) -> Response:
        with caller().transaction() as tx:
            uri = tx.models.logged_model(model_id).artifact_uri
        return shown(uri, parameter("artifact_file_path"))

    return routes
