#!/usr/bin/env bash
# Builds OpenSSL's FIPS provider from Debian's OpenSSL source package, and a configuration that makes Node use it.
# Usage: scripts/build-fips-module.sh [FOLDER]    (default: .fips beside package.json; about 3 minutes on two cores)
# FOLDER then holds fips.so, fipsmodule.cnf and openssl.cnf. `./ownkey start --fips` finds .fips by itself; elsewhere OWNKEY_FIPS_DIR names it.
set -euo pipefail
folder=$(realpath -m "${1:-$(dirname "$0")/../.fips}")
case "$(uname -m)" in
  x86_64) target=linux-x86_64 ;;
  aarch64) target=linux-aarch64 ;;
  *) echo "build-fips-module: no target is known for $(uname -m)." >&2; exit 1 ;;
esac
for program in apt-get gcc make perl dpkg-source openssl; do
  command -v "$program" >/dev/null || { echo "build-fips-module: $program is missing. Debian, Ubuntu: apt-get install build-essential dpkg-dev perl openssl" >&2; exit 1; }
done
if [ -f "$folder/fips.so" ] && [ -f "$folder/openssl.cnf" ]; then echo "There is a module in $folder already."; exit 0; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Source packages of this machine's distribution, from its configured hosts. The configuration is not changed.
mkdir -p "$work/sources.d" "$work/lists/partial" "$work/source"
sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/*.sources >"$work/sources.d/source.sources" 2>/dev/null || true
grep -h '^deb ' /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed 's/^deb /deb-src /' >"$work/sources.d/source.list" || true
options=(-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/sources.d" -o Dir::State::lists="$work/lists" -o APT::Sandbox::User=root)
apt-get -qq "${options[@]}" update
cd "$work/source"
# The newest version first, since a mirror may lack some that its index names.
versions=$(apt-cache "${options[@]}" showsrc openssl | sed -n 's/^Version: //p' | sort -rV | uniq)
for version in $versions; do
  if apt-get -qq "${options[@]}" source --only-source "openssl=$version" >"$work/apt.log" 2>&1; then break; fi
  echo "build-fips-module: the source of openssl $version can't be downloaded." >&2
done
cd openssl-*/ 2>/dev/null || { cat "$work/apt.log" >&2; exit 1; }

./Configure "$target" enable-fips no-tests no-apps no-docs >/dev/null 2>&1 || ./Configure "$target" enable-fips no-tests >/dev/null
make -s -j"$(nproc)" build_generated >/dev/null
make -s -j"$(nproc)" providers/fips.so >/dev/null
mkdir -p "$folder"
install -m 644 providers/fips.so "$folder/fips.so"
# The module's checksum, and that its self-tests passed on this machine.
openssl fipsinstall -quiet -module "$folder/fips.so" -out "$folder/fipsmodule.cnf"
cat >"$folder/openssl.cnf" <<CONFIG
nodejs_conf = nodejs_init
.include $folder/fipsmodule.cnf
[nodejs_init]
providers = provider_sect
alg_section = algorithm_sect
[provider_sect]
fips = fips_sect
base = base_sect
[base_sect]
activate = 1
[algorithm_sect]
default_properties = fips=yes
CONFIG
echo "Built $folder/fips.so of $(basename "$PWD") ($(sha256sum "$folder/fips.so" | cut -c1-16)...)."
