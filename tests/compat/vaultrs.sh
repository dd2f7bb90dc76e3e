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

# shellcheck source=tests/compat/server.sh
. "$here/server.sh"
start_tls
"$work/vaultrs/debug/vaultrs-compat" || blame vaultrs
