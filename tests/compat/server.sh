# shellcheck shell=bash
# For the scripts beside this one: a server for one client, gone when the script ends. To be sourced.
# It takes the binaries from $bin. Everything that it makes is in the new folder $run.

run=$(mktemp -d)
server=
stop_server() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
    rm -rf "$run"
}
trap stop_server EXIT

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
    local port=$((20000 + RANDOM % 20000))
    while taken "$port"; do port=$((port + 1)); done
    echo "$port"
}

# Starts `vault` with these arguments, and waits until it listens on this port.
start_server() {
    if [ -n "$server" ]; then kill "$server"; fi
    local port=$1
    shift
    ln -sf "$bin/vaultctl" "$run/vault"
    ln -sf "$bin/vaultd" "$run/vaultd"
    "$run/vault" server "$@" >"$run/server.log" 2>&1 &
    server=$!
    for _ in $(seq 300); do
        if taken "$port"; then return; fi
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    echo 'the server does not listen:' >&2
    tail -n 20 "$run/server.log" >&2
    exit 1
}

# Not initialised, over TLS. Exports VAULT_ADDR and VAULT_CACERT.
start_tls() {
    local port
    port=$(free_port)
    openssl req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=localhost \
        -addext 'subjectAltName=IP:127.0.0.1,DNS:localhost' -addext 'basicConstraints=critical,CA:FALSE' \
        -keyout "$run/key.pem" -out "$run/cert.pem" 2>"$run/openssl.log"
    cat >"$run/vault.hcl" <<END
storage "inmem" {}
listener "tcp" {
  address       = "127.0.0.1:$port"
  tls_cert_file = "$run/cert.pem"
  tls_key_file  = "$run/key.pem"
}
disable_mlock = true
END
    start_server "$port" -config="$run/vault.hcl"
    export VAULT_ADDR=https://127.0.0.1:$port VAULT_CACERT=$run/cert.pem
}

# In memory and unsealed, over HTTP, with this root token and port. Exports VAULT_ADDR and VAULT_TOKEN.
start_dev() {
    start_server "$2" -dev -dev-no-store-token -dev-root-token-id="$1" -dev-listen-address="127.0.0.1:$2"
    export VAULT_ADDR=http://127.0.0.1:$2 VAULT_TOKEN=$1
}

# What a client that failed wants to be looked at beside.
blame() {
    echo "$1: failed; the last lines of the server:" >&2
    tail -n 20 "$run/server.log" >&2
    exit 1
}
