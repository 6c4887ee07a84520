#!/usr/bin/env bash
# Runs all tests, or the named files, on an OpenSSL FIPS provider, which it builds if needed.
# OWNKEY_FIPS_DIR names a folder with a module that was built elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
export OWNKEY_FIPS_DIR="${OWNKEY_FIPS_DIR:-$PWD/.fips}"
scripts/build-fips-module.sh "$OWNKEY_FIPS_DIR"
# Processes of a test inherit these, and the cloud passes them to its engines.
export OPENSSL_MODULES="$OWNKEY_FIPS_DIR" OPENSSL_CONF="$OWNKEY_FIPS_DIR/openssl.cnf"
node=node_modules/.bin/node
[ -x "$node" ] || node=node
"$node" -e "import('./src/crypto/fips.ts').then(({fipsStatus}) => { if (fipsStatus() !== 'active') { console.error('fips: the provider does not work: ' + fipsStatus()); process.exit(1) } })"
exec "$node" scripts/test.ts "$@"
