#!/usr/bin/env bash
# Runs the crate vaultrs 0.7.0, unmodified, against our binaries: a program of ours over TLS, and the
# crate's own tests, for which `vaultrs/containers` starts our server instead of a container.
#
#   tests/compat/vaultrs.sh [DIR-WITH-BINARIES]      default: target/debug
#
# Needs Python, openssl, and crates.io at the first run; all that it makes is in target/compat.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=$(cd "${1:-$root/target/debug}" && pwd)
work=$root/target/compat
suite=$work/vaultrs-suite
mkdir -p "$suite"
export CARGO_TARGET_DIR=$work/crates

program=(--locked --manifest-path "$here/vaultrs/Cargo.toml")
cargo build "${program[@]}"

# shellcheck source=tests/compat/server.sh
. "$here/server.sh"
start_tls
"$CARGO_TARGET_DIR/debug/vaultrs-compat" || blame vaultrs

# The crate as it was published, in a workspace that replaces one of its dependencies.
source=$(cargo metadata --format-version 1 "${program[@]}" | python3 -c '
import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(os.path.dirname(next(p["manifest_path"] for p in packages if p["name"] == "vaultrs")))')
rm -rf "$suite/vaultrs" "$suite/containers"
cp -r "$source" "$suite/vaultrs"
cp -r "$here/vaultrs/containers" "$suite"
cp "$here/vaultrs/suite.lock" "$suite/Cargo.lock"
cat >"$suite/Cargo.toml" <<'END'
[workspace]
members = ["vaultrs"]
resolver = "2"

[patch.crates-io]
dockertest-server = { path = "containers" }
END

# Without what is not there: SSH, databases, AWS, and PKI, which `sys` mounts too. Kubernetes and OIDC need
# a server beside ours.
files=(approle client kv1 kv2 token transit userpass)
export VAULTD_COMPAT_VAULT=$run/vault
cargo test --locked --manifest-path "$suite/Cargo.toml" -p vaultrs "${files[@]/#/--test=}" \
    2>&1 | tee "$run/tests.log" || blame 'the tests of vaultrs'
# Six tests of the client, and one of each area.
passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed; 0 failed; 0 ignored;.*/\1/p' "$run/tests.log" | paste -sd+ -)
if [ "$((passed))" -ne 12 ]; then
    echo "vaultrs: $((passed)) tests passed, 12 are expected" >&2
    exit 1
fi
