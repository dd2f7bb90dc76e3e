#!/usr/bin/env bash
# Runs the Go packages of Vault and of OpenBao, unmodified, against our binaries over TLS.
#
#   tests/compat/go.sh [DIR-WITH-BINARIES]      default: target/debug
#
# Needs Go 1.25, openssl, and the Go module proxy at the first run; all that it makes is in target/compat.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=$(cd "${1:-$root/target/debug}" && pwd)
work=$root/target/compat/go
mkdir -p "$work/vault" "$work/bao"

cp "$here"/go/go.* "$work"
cp "$here/go/main.go" "$work/vault"
sed 's|github.com/hashicorp/vault/api"|github.com/openbao/openbao/api/v2"|' "$here/go/main.go" >"$work/bao/main.go"
(cd "$work" && go build -o run/ ./vault ./bao)

# shellcheck source=tests/compat/server.sh
. "$here/server.sh"
for package in vault bao; do
    start_tls
    "$work/run/$package" 2>&1 | tee "$run/client.log" || blame "$package"
    # A program that did nothing has proved nothing.
    grep -qx 'go: 12 steps passed' "$run/client.log"
done
