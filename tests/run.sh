#!/usr/bin/env bash
# Runs every test: format, lints, unit and end-to-end tests, a few seconds of fuzzing, the quick start, the
# README typed by hand, unmodified clients.
#
#   tests/run.sh
#
# Needs Rust, a C and a C++ compiler, OpenSSH's client and server, libnss-wrapper, pebble, bind9, nginx, HAProxy, Python 3.9 to 3.12 with venv, openssl, and at the first
# run crates.io and PyPI. VAULTD_SKIP_COMPAT=1 leaves out what needs them, and says so. The clients in Go and JavaScript
# are run where Go 1.25 and npm are installed; what was left out is counted. The last line sums up; exit
# code 0 if nothing failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
target=${CARGO_TARGET_DIR:-$PWD/target}
logs=$target/test-logs
mkdir -p "$logs"
passed=0
failed=0
skipped=0
wrong=()

# One check: its name and its command. All output is shown, and kept for counting.
check() {
    local name=$1 started=$SECONDS
    shift
    printf '\n=== %s: %s\n' "$name" "$*"
    if "$@" 2>&1 | tee "$logs/$name.log"; then
        passed=$((passed + 1))
        printf '=== %s: passed, %s s\n' "$name" $((SECONDS - started))
    else
        failed=$((failed + 1))
        wrong+=("$name")
        printf '=== %s: FAILED, %s s\n' "$name" $((SECONDS - started))
    fi
}

# Adds what cargo's test programs counted, in place of the one check that ran them.
count_tests() {
    local log=$logs/$1.log ok bad
    ok=$(sed -n 's/^test result: .* \([0-9]*\) passed; .*/\1/p' "$log" | paste -sd+ - | sed 's/^$/0/')
    bad=$(sed -n 's/^test result: .* \([0-9]*\) failed; .*/\1/p' "$log" | paste -sd+ - | sed 's/^$/0/')
    passed=$((passed + ok))
    failed=$((failed + bad))
    # A harness that ran nothing has proved nothing.
    if [ "$((ok))" -lt 300 ]; then
        failed=$((failed + 1))
        wrong+=("$1: only $((ok)) tests ran")
    fi
}

skip() {
    skipped=$((skipped + 1))
    printf '\n=== %s: SKIPPED: %s\n' "$1" "$2"
}

# Go 1.25 or newer.
has_go() {
    local version
    version=$(go env GOVERSION 2>/dev/null) || return 1
    [ "$(printf '%s\n' go1.25 "$version" | sort -V | head -n 1)" = go1.25 ]
}

compat_tools() {
    local tool missing=()
    for tool in python3 openssl; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
    [ ${#missing[@]} -eq 0 ] && return
    echo "missing: ${missing[*]}. Install them (Debian: apt-get install python3 python3-venv openssl),"
    echo "or leave out what needs them with VAULTD_SKIP_COMPAT=1."
    return 1
}

check format cargo fmt --all --check
check lints cargo clippy --locked --workspace --all-targets -- -D warnings
check build cargo build --locked --workspace --all-targets
check tests cargo test --locked --workspace --no-fail-fast
count_tests tests
if command -v c++ >/dev/null; then
    check fuzz tests/fuzz/run.sh 5
else
    skip fuzz 'no C++ compiler'
fi
check quickstart deploy/quickstart.sh
if [ "${VAULTD_SKIP_COMPAT:-}" = 1 ]; then
    skip compat 'by VAULTD_SKIP_COMPAT=1: the README by hand and all foreign clients were NOT run'
else
    check compat-tools compat_tools
    # The quick start has built what it types.
    check readme tests/readme.py --bin "$target/release"
    check hvac tests/compat/hvac.sh "$target/debug"
    check vaultrs tests/compat/vaultrs.sh "$target/debug"
    check hashicorp_vault tests/compat/hashicorp_vault.sh "$target/debug"
    if has_go; then
        check go tests/compat/go.sh "$target/debug"
    else
        skip go 'no Go 1.25 or newer'
    fi
    if command -v npm >/dev/null; then
        check node-vault tests/compat/node-vault.sh "$target/debug"
    else
        skip node-vault 'no npm'
    fi
fi

printf '\n'
for name in "${wrong[@]+"${wrong[@]}"}"; do printf 'failed: %s (see %s)\n' "$name" "$logs"; done
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
