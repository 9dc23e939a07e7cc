# shellcheck shell=bash
# What several scripts need. To be sourced, by a script that has set -euo pipefail.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# Whether Debian packages can be installed here without asking anybody for a password.
can_install() {
  command -v apt-get >/dev/null || return 1
  [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null
}

# Names of those packages that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    case "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" in
      installed) ;;
      *) printf '%s\n' "$package" ;;
    esac
  done
}

# Installs the Debian packages that are missing; does nothing, and needs no network, when none is.
need_packages() {
  local missing
  command -v dpkg-query >/dev/null || { say "not Debian: taking it that these are here: $*"; return 0; }
  mapfile -t missing < <(missing_packages "$@")
  if [ "${#missing[@]}" = 0 ]; then return 0; fi
  can_install || die "missing Debian packages: run as root 'apt-get install ${missing[*]}', then this again"
  say "installing Debian packages: ${missing[*]}"
  # The lists of a fresh system are empty, and old lists name packages that the mirror has since replaced: its words on
  # that would only worry. Whatever else is wrong, the second try says it.
  apt_install "${missing[@]}" 2>/dev/null || { as_root apt-get -qq update && apt_install "${missing[@]}"; } ||
    die "apt could not install ${missing[*]}: see its words above"
}

# Never at the price of another package: a machine with another init, say, then gets an error and keeps it.
apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends --no-remove install "$@" </dev/null >&2
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# What building needs: a C compiler and linker (SQLite and TLS come as C), and certificates to fetch crates.
need_build_tools() {
  need_packages build-essential ca-certificates pkg-config
  command -v cargo >/dev/null || die "no cargo on PATH: install Rust with rustup, then run this again"
}

# promtool, which reads our metrics as Prometheus does: unpacked from Debian's package, because installing that starts a server.
need_promtool() {
  local tools="${XDG_CACHE_HOME:-$HOME/.cache}/bursar/tools" box
  PATH="$PATH:$tools/usr/bin"
  if command -v promtool >/dev/null; then return 0; fi
  command -v apt-get >/dev/null || die "no promtool on PATH: install Prometheus' tools, then run this again"
  say "bringing promtool (package prometheus) into $tools"
  box=$(mktemp -d)
  (cd "$box" && { download_package prometheus 2>/dev/null || { as_root apt-get -qq update && download_package prometheus; }; }) ||
    die "apt could not download prometheus: see its words above"
  mkdir -p "$tools"
  dpkg -x "$box"/prometheus_*.deb "$tools"
  rm -r "$box"
}

# systemd's tools, which judge our units, and bubblewrap, which makes a sandbox like theirs. Installed rather than unpacked: the tools need a dozen
# libraries and systemd's own units. Installing the package neither boots systemd nor starts a service.
need_systemd_tools() {
  local tool
  for tool in systemd-analyze systemd-sysusers systemd-tmpfiles bwrap; do
    if ! command -v "$tool" >/dev/null; then need_packages systemd bubblewrap; return; fi
  done
}

# minisign, with which anybody checks what bursar signed.
need_minisign() {
  if command -v minisign >/dev/null; then return 0; fi
  need_packages minisign
}

# hledger and ledger, which read what the ledger exports.
need_journal_tools() {
  local tool
  for tool in hledger ledger; do
    if ! command -v "$tool" >/dev/null; then need_packages "$tool"; fi
  done
}

# cargo-deb, which makes the Debian package.
need_cargo_deb() {
  local version=3.8.0 tools="${XDG_CACHE_HOME:-$HOME/.cache}/bursar/tools/cargo"
  PATH="$tools/bin:$PATH"
  if [ "$(cargo-deb --version 2>/dev/null)" = "cargo-deb $version" ]; then return 0; fi
  say "bringing cargo-deb $version into $tools"
  cargo install --quiet --locked --root "$tools" --version "$version" cargo-deb </dev/null >&2
}

# schemathesis, which holds the HTTP API against its own description: in a Python environment of its own, pinned.
need_schemathesis() {
  local version=4.32.5 tools="${XDG_CACHE_HOME:-$HOME/.cache}/bursar/tools/schemathesis"
  PATH="$tools/bin:$PATH"
  if [ "$(schemathesis --version 2>/dev/null)" = "schemathesis, version $version" ]; then return 0; fi
  python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages python3-venv
  say "bringing schemathesis $version into $tools"
  rm -rf "$tools"
  python3 -m venv "$tools" || die "python3 could not make an environment in $tools: see its words above"
  "$tools/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version" </dev/null >&2 ||
    die "pip could not install schemathesis $version: see its words above"
}

download_package() {
  apt-get -qq -o APT::Sandbox::User=root download "$1" </dev/null >&2
}
