#!/usr/bin/env bash
# The story of the model that always answers 42: trained in a DEV workspace, served in PROD.
# Every command is shown before it runs. DEMO_EXIT=1 stops the registry at the end, DEMO_PORT chooses its port.
set -euo pipefail
cd "$(dirname "$0")/.."

port="${DEMO_PORT:-5080}"
url="http://127.0.0.1:$port"
work="$(mktemp -d)"
data="${DEMO_DATA:-$work/data}"
export_file="tests/exports/mlflow317-master-model-dummy.tar.gz"

finish() {
  code=$?
  if [ -n "${registry:-}" ] && kill -0 "$registry" 2>/dev/null; then
    kill "$registry" 2>/dev/null || true
    wait "$registry" 2>/dev/null || true
  fi
  rm -rf "$work"
  exit "$code"
}
trap finish EXIT

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
show() { printf '\033[36m$ %s\033[0m\n' "$*"; }
pretty() { python -c 'import json,sys; print(json.dumps(json.load(sys.stdin), indent=2)[:1400])'; }
field() { python -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
# api METHOD PATH [curl arguments]: show the call, make it with the token in $token, show the answer.
api() {
  local method=$1 path=$2 shown="" argument; shift 2
  for argument in "$@"; do shown+=" $(printf '%q' "$argument")"; done
  show "curl -X $method -H \"Authorization: Bearer \$TOKEN\"$shown $url$path"
  curl --silent --show-error --fail-with-body -X "$method" -H "Authorization: Bearer $token" "$@" "$url$path" >"$work/answer"
  pretty <"$work/answer"
}
json=(-H 'Content-Type: application/json' --data)

say "Start Postgres, an S3 store, the registry and its worker on this machine"
show "model-registry up --data $data --port $port"
model-registry up --data "$data" --port "$port" >"$work/up.log" 2>&1 &
registry=$!
for _ in $(seq 600); do
  grep -q 'Ctrl-C' "$work/up.log" && break
  kill -0 "$registry" 2>/dev/null || { cat "$work/up.log"; exit 1; }
  sleep 0.2
done
sed 's/mreg_[A-Za-z0-9_-]*/mreg_…/' "$work/up.log"
token="$(model-registry token --data "$data" create --name demo --scope admin --plain)"

say "A workspace: where models come from"
api PUT /v1/workspaces/databricks-dev "${json[@]}" '{"kind": "databricks", "url": "https://adb-42.azuredatabricks.net"}'

say "Two environments: where models are used"
api PUT /v1/environments/prod "${json[@]}" '{"description": "serves customers"}'
api PUT /v1/environments/qa "${json[@]}" '{}'

say "The workspace's export of the 42 model, sent with one curl"
api POST '/v1/workspaces/databricks-dev/imports?model_name=answer' -H 'Prefer: wait=60' --data-binary "@$export_file"

say "Its four versions are registered; a run's artifacts can be registered by hand, too"
run_id="$(python -c 'import json,sys; print(json.load(open(sys.argv[1]))["report"]["versions"][0]["run_id"])' "$work/answer")"
api POST /v1/models/answer/versions "${json[@]}" "{\"run_id\": \"$run_id\", \"artifact_path\": \"model\"}"
api GET /v1/models/answer

say "Version 4 is Production in prod, version 3 is Staging in qa"
api PUT /v1/environments/prod/models/answer/stages/Production "${json[@]}" '{"version": 4, "comment": "approved by QA"}'
api PUT /v1/environments/qa/models/answer/stages/Staging "${json[@]}" '{"version": 3}'

say "A token for the serving cluster: it may read prod and nothing else"
api POST /v1/tokens "${json[@]}" '{"name": "serving", "scopes": ["read:prod"], "expires_in_days": 30}' | sed 's/mreg_[A-Za-z0-9_-]*/mreg_…/'
token="$(field token <"$work/answer")"

say "As the serving cluster: what is Production in prod?"
api GET /v1/environments/prod/models/answer/stages/Production
digest="$(field digest <"$work/answer")"

say "Pull its files, check every digest, load it and ask"
show "curl -H \"Authorization: Bearer \$TOKEN\" $url/v1/environments/prod/models/answer/stages/Production/archive | tar -x -C model"
mkdir "$work/model"
curl --silent --show-error --fail -H "Authorization: Bearer $token" \
  "$url/v1/environments/prod/models/answer/stages/Production/archive" | tar -x -C "$work/model"
api GET /v1/environments/prod/models/answer/stages/Production/files
python docs/demo_serve.py pulled "$work/model" "$work/answer" "$digest"

say "The same with plain MLflow code: models:/answer/Production means prod's Production"
show "MLFLOW_TRACKING_URI=$url/environments/prod python -c 'mlflow.pyfunc.load_model(\"models:/answer/Production\").predict(…)'"
MLFLOW_TRACKING_URI="$url/environments/prod" MLFLOW_TRACKING_TOKEN="$token" python docs/demo_serve.py mlflow answer

say "The story is told"
echo "  API docs       $url/docs"
echo "  MLflow's UI    $url/            (any user name, a token as password)"
echo "  for MLflow     MLFLOW_TRACKING_URI=$url/environments/prod"
echo "  new tokens     model-registry token --data $data create --name me --scope admin"
if [ "${DEMO_EXIT:-}" = 1 ]; then
  echo "  DEMO_EXIT=1: stopping."
else
  echo "  The registry keeps running; Ctrl-C stops it."
  wait "$registry"
fi
