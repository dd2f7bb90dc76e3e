#!/usr/bin/env bash
# Runs every command of the package node-vault 0.12.0, unmodified, against our binaries over TLS.
#
#   tests/compat/node-vault.sh [DIR-WITH-BINARIES]      default: target/debug
#
# Needs Node.js 18 with npm, openssl, and the npm registry at the first run; all that it makes is in
# target/compat.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=$(cd "${1:-$root/target/debug}" && pwd)
work=$root/target/compat/node-vault
mkdir -p "$work"

cp "$here"/node-vault/* "$work"
if ! cmp -s "$work/package-lock.json" "$work/installed.json"; then
    (cd "$work" && npm ci --silent --no-audit --no-fund --ignore-scripts)
    cp "$work/package-lock.json" "$work/installed.json"
fi

# shellcheck source=tests/compat/server.sh
. "$here/server.sh"
start_tls
node "$work/check.js" || blame node-vault
