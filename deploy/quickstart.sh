#!/usr/bin/env bash
# The whole job on this machine, for real: a sealed server keeps a secret, an app starts with it, a CI
# job gets it, the server is restarted and unsealed again. Needs Rust and a C compiler.
#
#   deploy/quickstart.sh [--keep] [--bin DIR]
#
#   --keep     leave the server up at the end, and say how to talk to it and how to stop it
#   --bin DIR  use vaultd, vaultctl and examples/web_app from DIR instead of building them
#
# Everything is kept in a temporary folder, which is removed at the end unless --keep is given.
# Exit code: 0 if every step did what it says.
set -euo pipefail

keep=no
bin=
while [ $# -gt 0 ]; do
    case $1 in
        --keep) keep=yes ;;
        --bin) bin=$(cd "${2:?--bin needs a folder}" && pwd); shift ;;
        -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "quickstart: unknown argument; try --help" >&2; exit 1 ;;
    esac
    shift
done
root=$(cd "$(dirname "$0")/.." && pwd)

# ---- how steps are shown and checked

bold=
plain=
if [ -t 1 ]; then
    bold=$'\033[1m'
    plain=$'\033[0m'
fi
step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
say() { printf '   %s\n' "$@"; }
fail() {
    printf '\nquickstart: FAILED: %s\n' "$*" >&2
    if [ -s server.log ]; then
        echo 'the last lines of the server:' >&2
        tail -n 20 server.log >&2
    fi
    exit 1
}
# Shows a command as one would type it, then runs it.
run() {
    printf '   $'
    printf ' %s' "$@"
    printf '\n'
    local status=0
    "$@" >output 2>&1 || status=$?
    sed 's/^/     /' output
    return "$status"
}
must() { run "$@" || fail "'$*' ended with exit code $?"; }
expect() { grep -qF -- "$1" output || fail "expected to see: $1"; }
# Wait until FILE holds TEXT, while process ID lives.
await() {
    local file=$1 text=$2 id=$3
    for _ in $(seq 300); do
        if grep -qF -- "$text" "$file"; then return; fi
        kill -0 "$id" 2>/dev/null || break
        sleep 0.1
    done
    cat "$file" >&2
    fail "no '$text' in $file"
}

server=
app=
finish() {
    local status=$?
    # --keep holds for a server that works.
    if [ "$keep" = yes ] && [ "$status" = 0 ]; then return; fi
    for id in $app $server; do
        kill "$id" 2>/dev/null || true
        wait "$id" 2>/dev/null || true
    done
    cd /
    rm -rf "$dir"
}
# Only on loopback, without a proxy in between.
get() {
    local address=$1 path=$2
    exec 3<>"/dev/tcp/${address%:*}/${address##*:}"
    printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$path" "$address" >&3
    cat <&3
    exec 3>&-
}

# ---- the steps

build() {
    step "Build vaultd, vaultctl and the example app"
    if [ -n "$bin" ]; then
        say "given: $bin"
    else
        say "The first build takes some minutes." '$ cargo build --release'
        (cd "$root" && cargo build --release --locked -p vaultd -p vaultctl \
            && cargo build --release --locked -p vault-sdk --example web_app)
        bin=${CARGO_TARGET_DIR:-$root/target}/release
        bin=$(cd "$root" && cd "$bin" && pwd)
    fi
    for program in vaultd vaultctl examples/web_app; do
        [ -x "$bin/$program" ] || fail "$bin/$program is not there"
    done
    PATH=$bin:$PATH
}

serve() {
    : >server.log
    vaultd server --config vaultd.toml >>server.log 2>&1 &
    server=$!
    await server.log 'listening on' "$server"
}

start() {
    step "vaultd starts, on an embedded database, with its own CA and TLS certificate"
    cat >vaultd.toml <<END
[listener]
address = "127.0.0.1:0"

[storage]
type = "sqlite"
path = "data"
END
    say '$ cat vaultd.toml'
    sed 's/^/     /' vaultd.toml
    say '$ vaultd server --config vaultd.toml &'
    serve
    local address
    address=$(sed -n 's/.*listening on \(https:[^ ]*\).*/\1/p' server.log)
    # Any free port at first; the same one after a restart.
    sed -i "s|127.0.0.1:0|${address#https://}|" vaultd.toml
    export VAULT_ADDR=$address VAULT_CACERT=$dir/data/tls/ca.pem
    say "\$ export VAULT_ADDR=$VAULT_ADDR VAULT_CACERT=data/tls/ca.pem"
    is_sealed
}

is_sealed() {
    local status=0
    run vaultctl status || status=$?
    [ "$status" = 2 ] || fail "status: expected exit code 2 (sealed), got $status"
    say "Exit code 2: the server is there and sealed. It holds no key, so it can read nothing."
}

initialise() {
    step "Five operators get a share each; any three of them can unseal"
    say "Each share is wrapped by its operator's own passphrase. People are asked for it, hidden;" \
        "here the passphrases come from files, since nobody is there to type."
    local name
    mkdir -m 700 passphrases
    for name in "${operators[@]}"; do
        (umask 077 && head -c 24 /dev/urandom | base64 >"passphrases/$name")
    done
    local given=()
    for name in "${operators[@]}"; do given+=(--operator "$name"); done
    for name in "${operators[@]}"; do given+=(--passphrase-file "$name=passphrases/$name"); done
    must vaultctl operator init --threshold 3 --share-dir shares --root-token-file root.token "${given[@]}"
    for name in "${operators[@]}"; do
        [ -s "shares/$name.share" ] || fail "$name has no share file"
    done
    is_sealed
}

unseal() {
    local name
    for name in "$@"; do
        must vaultctl operator unseal "shares/$name.share" --passphrase-file "$name=passphrases/$name"
    done
    must vaultctl status
}

store() {
    step "A secret is stored; its value comes from a file, not from the command line"
    export VAULT_TOKEN_FILE=$dir/root.token
    say '$ export VAULT_TOKEN_FILE=root.token'
    must vaultctl secrets enable --path secret kv-v2
    (umask 077 && head -c 24 /dev/urandom | base64 | tr -d '\n' >password)
    must vaultctl kv put secret/apps/web db_user=web db_password=@password
    [ "$(vaultctl get 'secret/apps/web#db_password')" = "$(cat password)" ] || fail "another value came back"
    ! grep -rqF -- "$(cat password)" data server.log || fail "the password is readable in the server's files"
    ! grep -rqF -- 'apps/web' data/*.db* || fail "the name of the secret is readable in the database"
    say "The same value comes back. Neither it nor its name can be found in the database files."
}

roles() {
    step "The app and the CI job get a policy and an AppRole each"
    must vaultctl auth enable approle
    local role
    for role in app ci; do
        cp "$root/deploy/policies/$role.hcl" .
        must vaultctl policy write "$role" "$role.hcl"
        must vaultctl write "auth/approle/role/$role" "token_policies=$role" token_ttl=20m secret_id_num_uses=10
        say "\$ vaultctl read --field role_id auth/approle/role/$role/role-id >$role.role-id" \
            "\$ vaultctl write --force --field secret_id auth/approle/role/$role/secret-id >$role.secret-id"
        (
            umask 077
            vaultctl read --field role_id "auth/approle/role/$role/role-id" >"$role.role-id"
            vaultctl write --force --field secret_id "auth/approle/role/$role/secret-id" >"$role.secret-id"
        )
        [ -s "$role.role-id" ] && [ -s "$role.secret-id" ] || fail "no role id or secret id for $role"
    done
}

start_app() {
    step "An app built on the SDK starts with the secret"
    say "\$ VAULT_ROLE_ID=\$(cat app.role-id) VAULT_SECRET_ID_FILE=app.secret-id web_app &"
    : >app.log
    env -u VAULT_TOKEN_FILE LISTEN=127.0.0.1:0 VAULT_ROLE_ID="$(cat app.role-id)" \
        VAULT_SECRET_ID_FILE=app.secret-id "$bin/examples/web_app" >app.log 2>&1 &
    app=$!
    await app.log 'ready:' "$app"
    sed 's/^/     /' app.log
    local address
    address=$(sed -n 's|.*http://\([0-9.:]*\).*|\1|p' app.log)
    get "$address" /healthz >output
    say "\$ GET http://$address/healthz"
    sed -n '1p;$p' output | tr -d '\r' | sed 's/^/     /'
    expect '200 OK'
    expect 'ok'
    ! grep -qF -- "$(cat password)" app.log || fail "the app printed the password"
    kill "$app"
    wait "$app" || fail "the app did not end well"
    app=
    say "Stopped; it gave its token back."
}

ci_job() {
    step "A CI job gets the secret through vaultctl run"
    cat >job.sh <<'END'
set -eu
[ "$DB_PASSWORD" = "$(cat password)" ]
if env | grep -Eq '^(VAULT|BAO)_(TOKEN|SECRET_ID)'; then exit 1; fi
echo "deploying with a password of ${#DB_PASSWORD} characters; no vault token in my environment"
END
    # Where the job keeps its own token; the root token is not its business.
    (
        unset VAULT_TOKEN_FILE
        export VAULT_TOKEN_PATH=$dir/ci.token
        must vaultctl login --method approle role_id=@ci.role-id secret_id=@ci.secret-id
        must vaultctl run -s DB_PASSWORD=secret/apps/web#db_password -- bash job.sh
        expect 'deploying with a password'
        run vaultctl kv get secret/apps/other && fail "the job could read what its policy does not grant"
        say "Exit code 2: its policy grants one secret, and not this one."
        must vaultctl logout
    )
}

restart() {
    step "The server is restarted: it is sealed again"
    say "\$ kill $server && vaultd server --config vaultd.toml &"
    kill "$server"
    wait "$server" || fail "the server did not stop well"
    serve
    is_sealed
    if run vaultctl kv get secret/apps/web; then fail "a sealed server gave out a secret"; fi
    step "Another three of the five unseal it, and the secret is still there"
    unseal carol dave erin
    [ "$(vaultctl get 'secret/apps/web#db_password')" = "$(cat password)" ] || fail "the secret is gone"
    say "\$ vaultctl get 'secret/apps/web#db_password'" "     the same password as before"
}

check() {
    step "Nothing was tampered with: the stored rows, and the audit log"
    must vaultctl operator verify
    # A checkpoint is signed at least every second.
    sleep 1.2
    must vaultctl audit verify data/audit.log
    expect 'Sound'
    ! grep -qF -- "$(cat password)" data/audit.log || fail "the password is readable in the audit log"
}

unset "${!VAULT_@}" "${!BAO_@}"
operators=(alice bob carol dave erin)
dir=$(mktemp -d "${TMPDIR:-/tmp}/vaultd-quickstart.XXXXXX")
trap finish EXIT
build
cd "$dir"
start
initialise
step "Three operators unseal the server"
unseal alice bob carol
store
roles
start_app
ci_job
restart
check

step "Done: every step did what it says"
if [ "$keep" = yes ]; then
    say "The server is still up. In another terminal:" "" \
        "export PATH=$bin:\$PATH" \
        "export VAULT_ADDR=$VAULT_ADDR" \
        "export VAULT_CACERT=$VAULT_CACERT" \
        "export VAULT_TOKEN_FILE=$VAULT_TOKEN_FILE" \
        "vaultctl kv get --reveal secret/apps/web" "" \
        "To stop it and remove everything: kill $server; rm -rf $dir"
fi
