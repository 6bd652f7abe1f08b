#!/bin/sh
# What a stage holds as a folder, with curl, tar, jq and sha256sum alone; the folder is a link that one rename swaps.
#   MODEL_REGISTRY_URL=https://… MODEL_REGISTRY_TOKEN=… sh pull.sh prod/orders/Production /models/orders
set -eu
IFS=/ read -r environment model stage <<REF
$1
REF
url=$MODEL_REGISTRY_URL/v1/environments/$environment/models/$model/stages/$stage to=$2
get() { printf 'header = "Authorization: Bearer %s"\n' "$MODEL_REGISTRY_TOKEN" | curl -sSf --retry 5 -K - "$@"; }
mkdir -p "$to.versions"
new=$(mktemp -d "$to.versions/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
get -o "$new/list" "$url/files"
digest=$(jq -r .digest "$new/list") && folder=$to.versions/${digest#sha256:}
# The digest is that of the list, and the list has the digest of each file.
jq -cjS '{files: [.files[] | {path, sha256, size}]}' "$new/list" | sha256sum | grep -q "^${digest#sha256:} "
if [ ! -d "$folder" ]; then
  mkdir "$new/files"
  get -D "$new/head" "$url/archive" | tar -x -C "$new/files"
  grep -qi "^x-model-digest: $digest" "$new/head"  # the stage may have changed in between: run it again
  jq -r '.files[] | .sha256 + "  " + .path' "$new/list" | (cd "$new/files" && sha256sum --quiet -c -)
  [ "$(find "$new/files" ! -type d | wc -l)" -eq "$(jq '.files | length' "$new/list")" ]
  sync && mv "$new/files" "$folder"
fi
ln -s "$(basename "$to").versions/${digest#sha256:}" "$new/link" && mv -fT "$new/link" "$to"
echo "$to holds $digest"
