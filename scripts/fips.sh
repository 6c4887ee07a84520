#!/usr/bin/env bash
# Runs the tests on an OpenSSL FIPS provider, which it builds where there is none: all of them, or the files that are named.
# OWNKEY_FIPS_DIR names a folder with a module that was built elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
export OWNKEY_FIPS_DIR="${OWNKEY_FIPS_DIR:-$PWD/.fips}"
scripts/build-fips-module.sh "$OWNKEY_FIPS_DIR"
# Each process that a test starts inherits these, and the cloud's engines are given them.
export OPENSSL_MODULES="$OWNKEY_FIPS_DIR" OPENSSL_CONF="$OWNKEY_FIPS_DIR/openssl.cnf"
node=node_modules/.bin/node
[ -x "$node" ] || node=node
"$node" -e "import('./src/crypto/fips.ts').then(({fipsStatus}) => { if (fipsStatus() !== 'active') { console.error('fips: the provider does not work: ' + fipsStatus()); process.exit(1) } })"
exec "$node" scripts/test.ts "$@"
