#!/usr/bin/env bash
# Fuzzes the parsers of what comes from outside, with coverage, and first finds a planted mistake.
#
#   tests/fuzz/run.sh [SECONDS-FOR-EACH] [TARGET...]      default: 10, all
#
# Needs a C++ compiler, openssl and ssh-keygen; stable Rust does. What was found before is kept in
# target/fuzz/corpus/TARGET, what fails is left in target/fuzz/found and named. Exit code 0 if nothing
# fails.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
seconds=${1:-10}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(csr certificate ocsp policy ssh)
work=${CARGO_TARGET_DIR:-$root/target}/fuzz
mkdir -p "$work/found"

# What `cargo fuzz` asks of a nightly compiler for, without a sanitizer.
flags=(-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1)
# With a target named, the flags are not for build scripts and macros.
host=$(rustc -vV | sed -n 's/^host: //p')
cd "$here"
RUSTFLAGS="${flags[*]}" CARGO_TARGET_DIR="$work/target" \
    cargo build --quiet --locked --release --target "$host"
bin=$work/target/$host/release

seeds=$work/seeds
rm -rf "$seeds"
mkdir -p "$seeds"/{csr,certificate,ocsp,policy,ssh,planted}
(
    cd "$seeds"
    exec 2>/dev/null
    for kind in ec rsa ed25519; do
        case $kind in
        ec) new=(-newkey ec -pkeyopt ec_paramgen_curve:P-256) ;;
        rsa) new=(-newkey rsa:2048) ;;
        *) new=(-newkey ed25519) ;;
        esac
        names=(-addext 'subjectAltName=DNS:a.example.com,IP:10.0.0.1,email:a@example.com,URI:spiffe://a/b')
        openssl req -new -nodes "${new[@]}" -keyout key -subj /CN=a.example.com/O=Acme "${names[@]}" \
            -outform DER -out csr/$kind
        openssl req -inform DER -in csr/$kind -out csr/$kind.pem
        openssl req -x509 -new -nodes "${new[@]}" -keyout key -subj /CN=a "${names[@]}" \
            -outform DER -out certificate/$kind
        openssl x509 -inform DER -in certificate/$kind -out pem
        openssl ocsp -issuer pem -cert pem -reqout ocsp/$kind
    done
    for kind in ed25519 ecdsa rsa; do
        ssh-keygen -q -t $kind -N '' -f key-$kind
        cp key-$kind.pub ssh/$kind
        cut -d' ' -f2 key-$kind.pub | base64 -d >ssh/$kind.blob
        ssh-keygen -q -s key-$kind -I i -n ada key-$kind.pub
        cut -d' ' -f2 key-$kind-cert.pub | base64 -d >ssh/$kind.cert
        echo text | ssh-keygen -Y sign -n vaultd -f key-$kind >ssh/$kind.sig
    done
    cp csr/ec planted/
)
cat >"$seeds/policy/hcl" <<'HCL'
path "secret/data/+/x*" { capabilities = ["read", "list"] min_wrapping_ttl = "1s"
  allowed_parameters = { "a" = ["b", 1], "*" = [] } }
HCL
echo '{"path": {"a/b": {"capabilities": ["sudo"]}}}' >"$seeds/policy/json"

fuzz() {
    local target=$1
    mkdir -p "$work/corpus/$target"
    "$bin/$target" -max_total_time="$seconds" -max_len=8192 -timeout=5 -rss_limit_mb=2048 \
        -artifact_prefix="$work/found/$target-" "$work/corpus/$target" "$seeds/$target" >"$work/$target.log" 2>&1
}

if seconds=60 fuzz planted; then
    echo "fuzz: the planted mistake was not found in 60 s" >&2
    exit 1
fi
rm -f "$work/found"/planted-*
echo "fuzz: the planted mistake was found"
failed=0
for target in "${targets[@]}"; do
    if fuzz "$target"; then
        sed -n "s/^Done \([0-9]*\) runs.*/fuzz: $target: \1 inputs, nothing failed/p" "$work/$target.log"
    else
        failed=1
        tail -n 20 "$work/$target.log"
        echo "fuzz: $target FAILED; its input is in $work/found" >&2
    fi
done
exit $failed
