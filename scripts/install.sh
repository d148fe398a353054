#!/usr/bin/env bash
# Installs what Fairway needs: Debian/Ubuntu packages (as root), a virtual environment with locked dependencies.
#   scripts/install.sh           to run Fairway
#   scripts/install.sh dev       to test it, too
# What is there already is left alone; a second run takes a second.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-run}
say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

packages=(python3 python3-venv iproute2 util-linux libnftables1 nftables conmon runc crun skopeo busybox-static
  golang-github-containers-common ca-certificates)
[ "$kind" = dev ] && packages+=(bridge-utils ethtool iptables net-tools curl docker-registry iputils-ping procps openssl)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    say "This is not Debian or Ubuntu. Install by hand what these packages hold: ${missing[*]}"
    exit 1
  elif [ "$(id -u)" != 0 ]; then
    say "Not root: cannot install ${missing[*]}"
    say "Run as root: apt-get install ${missing[*]}"
    say "Without them and without root the unit tests still work: make unit"
    [ "$kind" = unit ] || exit 1
  else
    say "Installing Debian packages: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  fi
fi

python=$(command -v python3)
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  { say "Python 3.11 or newer is needed, this is $("$python" -V)"; exit 1; }
if ! .venv/bin/python -c '' 2>/dev/null; then
  say "Making a virtual environment in .venv"
  rm -rf .venv
  "$python" -m venv .venv
fi
lock=requirements.lock
[ "$kind" = run ] || lock=requirements-dev.lock
stamp=.venv/.installed-$lock
if ! cmp -s "$lock" "$stamp"; then
  say "Installing locked Python dependencies ($lock)"
  .venv/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes -r "$lock"
  cp "$lock" "$stamp"
fi
if [ ! -x .venv/bin/fairwayd ] || [ pyproject.toml -nt .venv/.installed-fairway ]; then
  say "Installing Fairway into .venv"
  .venv/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements-build.lock
  .venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
  touch .venv/.installed-fairway
fi

# The tests also drive the stock docker command. Debian's is unpacked, not installed: no dockerd gets started.
if [ "$kind" = dev ] && ! command -v docker >/dev/null && [ ! -x .venv/bin/docker ] && [ "$(id -u)" = 0 ]; then
  say "Unpacking Debian's docker command into .venv"
  here=$PWD
  unpacked=$(mktemp -d)
  trap 'rm -rf "$unpacked"' EXIT
  cd "$unpacked"
  fetch() { apt-get download -qq docker-cli 2>/dev/null || apt-get download -qq docker.io 2>/dev/null; }
  if fetch || { apt-get update -qq && fetch; }; then
    dpkg-deb -x ./*.deb . && cp usr/bin/docker "$here/.venv/bin/docker"
  else
    say "Neither docker-cli nor docker.io can be downloaded: tests that need the docker command are skipped"
  fi
fi
