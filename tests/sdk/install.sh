#!/bin/sh
# Installs what the tests send with, below DIRECTORY: the OpenTelemetry SDKs for Python and Node, and rotel.
#
#   sh tests/sdk/install.sh target/sdk
#
# Each part that is there afterwards has a file NAME.ready with the versions it was made for; a part that could not be
# installed has none, and NAME.log says why. A registry that does not answer within seconds is given up, all of it takes half a
# minute as a rule and four at most, and what is installed already is left alone.
set -u
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1" || exit 1

# Whether `name.ready` says what `wanted` (a file) says.
is_ready() { cmp -s "$1.ready" "$2"; }

python_part() {
    name=$1 wanted=$2
    is_ready "$name" "$wanted" && return
    rm -rf "$name" "$name.ready"
    # One small package first: is the registry there at all?
    timeout 20 python3 -m pip download -q --no-deps --retries 0 --timeout 8 -d "$name.probe" typing_extensions &&
        timeout 60 python3 -m venv "$name" &&
        timeout 180 "$name/bin/pip" install -q --retries 1 --timeout 15 --prefer-binary -r "$wanted" &&
        cp "$wanted" "$name.ready"
    rm -rf "$name.probe"
}

node_part() {
    wanted=$here/node/package.json
    is_ready node "$wanted" && return
    rm -rf node node.ready
    mkdir node && cp "$wanted" node/ && cd node &&
        timeout 20 npm view @opentelemetry/api version --fetch-retries=0 --fetch-timeout=8000 &&
        timeout 180 npm install --no-package-lock --no-audit --no-fund --ignore-scripts --fetch-retries=1 --fetch-timeout=15000 &&
        cp package.json ../node.ready
}

python_part python "$here/python/requirements.txt" >python.log 2>&1 &
python_part python-json "$here/python/requirements-json.txt" >python-json.log 2>&1 &
python_part rotel "$here/python/requirements-rotel.txt" >rotel.log 2>&1 &
(node_part) >node.log 2>&1 &
wait
