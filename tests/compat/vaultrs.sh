#!/usr/bin/env bash
# Runs the crate vaultrs 0.7.0, unmodified, against our binaries over TLS.
#
#   tests/compat/vaultrs.sh [DIR-WITH-BINARIES]      default: target/debug
#
# Needs openssl, and crates.io at the first run; all that it makes is in target/compat.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=$(cd "${1:-$root/target/debug}" && pwd)
work=$root/target/compat
mkdir -p "$work"

CARGO_TARGET_DIR=$work/vaultrs cargo build --locked --manifest-path "$here/vaultrs/Cargo.toml"

run=$(mktemp -d)
server=
cleanup() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
    rm -rf "$run"
}
trap cleanup EXIT

openssl req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=localhost \
    -addext 'subjectAltName=IP:127.0.0.1,DNS:localhost' -addext 'basicConstraints=critical,CA:FALSE' \
    -keyout "$run/key.pem" -out "$run/cert.pem" 2>"$run/openssl.log"
taken() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
port=$((20000 + RANDOM % 20000))
while taken; do port=$((port + 1)); done
cat >"$run/vault.hcl" <<END
storage "inmem" {}
listener "tcp" {
  address       = "127.0.0.1:$port"
  tls_cert_file = "$run/cert.pem"
  tls_key_file  = "$run/key.pem"
}
disable_mlock = true
END
ln -s "$bin/vaultctl" "$run/vault"
ln -s "$bin/vaultd" "$run/vaultd"
"$run/vault" server -config="$run/vault.hcl" >"$run/server.log" 2>&1 &
server=$!

for _ in $(seq 50); do
    if taken || ! kill -0 "$server" 2>/dev/null; then break; fi
    sleep 0.1
done
if ! VAULT_ADDR=https://127.0.0.1:$port VAULT_CACERT=$run/cert.pem "$work/vaultrs/debug/vaultrs-compat"; then
    echo 'vaultrs: failed; the last lines of the server:' >&2
    tail -n 20 "$run/server.log" >&2
    exit 1
fi
