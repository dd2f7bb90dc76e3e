#!/usr/bin/env bash
# Runs the test suite of hvac 2.4.0, unmodified, against our binaries.
#
#   tests/compat/hvac.sh [DIR-WITH-BINARIES]      default: target/debug
#
# Needs Python 3.9 to 3.12, openssl, and PyPI at the first run; all that it makes is in target/compat.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=$(cd "${1:-$root/target/debug}" && pwd)
work=$root/target/compat
suite=$work/hvac-2.4.0
mkdir -p "$work"

python3 "$here/counts.py" --self-test

if [ ! -f "$work/venv/ready" ]; then
    echo "hvac: installing the suite's dependencies (once)"
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    (cd "$work" && venv/bin/pip download -q --no-deps --no-binary :all: hvac==2.4.0)
    tar -xzf "$work/hvac-2.4.0.tar.gz" -C "$work"
    "$work/venv/bin/pip" install -q 'pytest<8' 'pytest-xdist<4' pytest-mock pytest-timeout \
        parameterized==0.8.1 pyhcl==0.4.5 'packaging<24' requests==2.31.0 urllib3==2.1.0 requests-mock \
        'Authlib<1.4' 'Flask<3' 'Flask-SQLAlchemy<4' 'Werkzeug>=3.0.3,<4' python-ldap-test jwcrypto \
        greenlet semantic-version "$suite"
    touch "$work/venv/ready"
fi

# The certificate in the release has expired and is X.509 v1.
config=$suite/tests/config_files
openssl req -x509 -nodes -days 3650 -newkey rsa:2048 -config "$config/client.cnf" \
    -keyout "$config/client-key.pem" -out "$config/client-cert.pem" 2>"$work/openssl.log"
mkdir -p "$config/generated"

# The suite starts an executable of this name.
mkdir -p "$work/path"
ln -sf "$bin/vaultctl" "$work/path/vault"
ln -sf "$bin/vaultctl" "$work/path/vaultctl"
ln -sf "$bin/vaultd" "$work/path/vaultd"
export PATH="$work/path:$PATH"
vault -version

cd "$suite"
areas=$("$work/venv/bin/python" "$here/counts.py" --files)
status=0
# The files are names without blanks, one for each word.
# shellcheck disable=SC2086
"$work/venv/bin/python" -m pytest -q -p no:cacheprovider -n 2 --dist loadfile --timeout 60 \
    --junitxml "$work/hvac.xml" $areas || status=$?
python3 "$here/counts.py" "$work/hvac.xml"
exit "$status"
