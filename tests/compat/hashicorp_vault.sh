#!/usr/bin/env bash
# Runs the tests of the crate hashicorp_vault 2.1.1, unmodified, against our binaries.
#
#   tests/compat/hashicorp_vault.sh [DIR-WITH-BINARIES]      default: target/debug
#
# The tests speak to 127.0.0.1:8200 and to no other address: the port must be free.
# Needs crates.io at the first run; all that it makes is in target/compat.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=$(cd "${1:-$root/target/debug}" && pwd)
export CARGO_TARGET_DIR=$root/target/compat/crates
# shellcheck source=tests/compat/server.sh
. "$here/server.sh"

suite=(cargo test --locked --manifest-path "$here/hashicorp_vault/Cargo.toml" -p hashicorp_vault --lib)
"${suite[@]}" --no-run

if taken 8200; then
    echo 'hashicorp_vault: port 8200 is in use; its tests need it' >&2
    exit 1
fi
start_dev root 8200
# What the crate's README asks for.
"$run/vault" token create -id=test12345 -ttl=720h >/dev/null
"$run/vault" secrets enable transit
"${suite[@]}" 2>&1 | tee "$run/tests.log" || blame hashicorp_vault
# A suite that ran nothing has proved nothing.
if ! grep -q '^test result: ok\. 16 passed; 0 failed; 0 ignored;' "$run/tests.log"; then
    echo 'hashicorp_vault: not the 16 tests that are expected' >&2
    exit 1
fi
