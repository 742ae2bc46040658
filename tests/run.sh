#!/usr/bin/env bash
# The test command: installs the real clients that judge our output, then runs everything.
# A client that is missing and cannot be installed fails the run; nothing is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
# Everything is built once: what a next build would take up again is a third of the disk that a run needs.
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}

step() { printf '\n== %s\n' "$*"; }

# package -> a file (or pattern) that this package alone brings, and that the tests use
clients=(
  softhsm2:/usr/lib/softhsm/libsofthsm2.so
  opensc:/usr/bin/pkcs11-tool
  "opensc-pkcs11:/usr/lib/$(uname -m)-linux-gnu/pkcs11-spy.so"
  certbot:/usr/bin/certbot
  lego:/usr/bin/lego
  openssh-server:/usr/sbin/sshd
  openssh-client:/usr/bin/ssh-keygen
  openssl:/usr/bin/openssl
  gnutls-bin:/usr/bin/certtool
  libnss3-tools:/usr/bin/tstclnt
  osslsigncode:/usr/bin/osslsigncode
  ca-certificates:/usr/sbin/update-ca-certificates
  bsdutils:/usr/bin/script
  default-jre-headless:/usr/bin/keytool
  "postgresql:/usr/lib/postgresql/*/bin/postgres"
  pgbouncer:/usr/sbin/pgbouncer
  redis-server:/usr/bin/redis-server
  mariadb-server:/usr/sbin/mariadbd
  slapd:/usr/sbin/slapd
  ldap-utils:/usr/bin/ldapmodify
  nginx-light:/usr/sbin/nginx
  age:/usr/bin/age-keygen
  curl:/usr/bin/curl
  skopeo:/usr/bin/skopeo
  vim:/usr/bin/vim
  nano:/usr/bin/nano
  emacs-nox:/usr/bin/emacs
  systemd:/usr/bin/systemd-analyze
  git:/usr/bin/git
  jq:/usr/bin/jq
  util-linux:/usr/bin/setpriv
  "libfaketime:/usr/lib/$(uname -m)-linux-gnu/faketime/libfaketimeMT.so.1"
  "libp11-kit0:/usr/lib/$(uname -m)-linux-gnu/libp11-kit.so.0"
  python3:/usr/bin/python3
  chromium:/usr/bin/chromium
  nodejs:/usr/bin/node
  npm:/usr/bin/npm
  python3-cryptography:/usr/lib/python3/dist-packages/cryptography/__init__.py
  "python3-venv:/usr/lib/python3*/ensurepip/__init__.py"
  # kryoptic is built from source, OpenSSL with it
  perl:/usr/bin/perl
  make:/usr/bin/make
  "libclang1-14:/usr/lib/llvm-14/lib/libclang.so.1"
  "libclang-common-14-dev:/usr/lib/llvm-14/lib/clang/*/include/stddef.h"
)
present() { compgen -G "${1#*:}" >/dev/null; }
missing=()
for client in "${clients[@]}"; do
  present "$client" || missing+=("${client%%:*}")
done
if [ ${#missing[@]} -gt 0 ]; then
  install="apt-get install -y --no-install-recommends ${missing[*]}"
  step "installing what the tests need: ${missing[*]}"
  if [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $install >/dev/null
  elif sudo -n true 2>/dev/null; then
    sudo apt-get update -qq
    sudo DEBIAN_FRONTEND=noninteractive $install >/dev/null
  else
    echo "missing: ${missing[*]}. As root run:  apt-get update && $install" >&2
    exit 1
  fi
  for client in "${clients[@]}"; do
    present "$client" || { echo "still missing after the install: $client" >&2; exit 1; }
  done
fi

if [ ! -d tests/browser/node_modules/axe-core ] || [ ! -d tests/browser/node_modules/playwright-core ]; then
  step "installing what judges the pages"
  npm ci --prefix tests/browser --no-audit --no-fund
fi

# Makes requests out of the OpenAPI document, and judges ML-DSA, for which Debian's openssl is too old; in an environment of its own,
# as Debian wants it.
python=target/clients/python
if ! "$python/bin/python" -c 'import schemathesis, cryptography.hazmat.primitives.asymmetric.mldsa' 2>/dev/null; then
  step "installing schemathesis and cryptography"
  rm -rf "$python"
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet --disable-pip-version-check 'schemathesis>=4.32,<5' 'cryptography>=50,<51'
fi
# A certbot that follows renewal information, which Debian's does not.
certbot=target/clients/certbot
if [ ! -x "$certbot/bin/certbot" ]; then
  step "installing a newer certbot"
  rm -rf "$certbot"
  python3 -m venv "$certbot"
  "$certbot/bin/pip" install --quiet --disable-pip-version-check 'certbot>=4.1,<6'
fi
# A server of S3's protocol that is not ours.
moto=target/clients/moto
if ! "$moto/bin/python" -c 'import moto.server' 2>/dev/null; then
  step "installing moto"
  rm -rf "$moto"
  python3 -m venv "$moto"
  "$moto/bin/pip" install --quiet --disable-pip-version-check 'moto[s3,server]>=5,<6'
fi
# Judges manifests by Kubernetes' own schemas, and reads YAML; in an environment of its own.
kubernetes=target/clients/kubernetes
if [ ! -x "$kubernetes/bin/kubernetes-validate" ]; then
  step "installing kubernetes-validate"
  rm -rf "$kubernetes"
  python3 -m venv "$kubernetes"
  "$kubernetes/bin/pip" install --quiet --disable-pip-version-check 'kubernetes-validate>=1.37,<2'
fi
# Judges certificates and CRLs; in an environment of its own.
pkilint=target/clients/pkilint
if [ ! -x "$pkilint/bin/lint_pkix_cert" ]; then
  step "installing pkilint"
  rm -rf "$pkilint"
  python3 -m venv "$pkilint"
  "$pkilint/bin/pip" install --quiet --disable-pip-version-check 'pkilint>=0.13.3,<0.14'
fi
# The package of promtool would start a server of its own: the one file is taken out of it, and nothing is installed.
promtool=target/clients/promtool
if [ ! -x "$promtool" ]; then
  step "fetching promtool"
  mkdir -p target/clients
  fetched=$(mktemp -d)
  as_root=$([ "$(id -u)" = 0 ] || echo "sudo -n")
  # A machine that has all of the above may never have read the lists of packages.
  (cd "$fetched" && { apt-get download -qq prometheus || { $as_root apt-get update -qq && apt-get download -qq prometheus; }; } 2>/dev/null)
  dpkg-deb --fsys-tarfile "$fetched"/prometheus_*.deb | tar -xO ./usr/bin/promtool >"$promtool.new"
  chmod 755 "$promtool.new" && mv "$promtool.new" "$promtool"
  rm -rf "$fetched"
fi

step "format"
cargo fmt --all --check
step "clippy, warnings denied"
cargo clippy --workspace --all-targets --locked -- -D warnings
if command -v cargo-deny >/dev/null; then
  step "cargo-deny: bans, licences, sources"
  cargo deny --offline check bans licenses sources
else
  step "cargo-deny is not installed: the lock file is checked for banned crates"
  banned='pkcs11|sled|openssl-sys|native-tls|aws-lc-sys|bincode|serde_yaml'
  if cargo tree --workspace --locked --prefix none -e normal,build,dev | grep -E "^($banned) v"; then
    echo "a banned crate came in (see deny.toml)" >&2
    exit 1
  fi
fi
step "kryoptic, the token of PKCS#11 3.2 (a workspace of its own; some minutes the first time)"
cargo build --release --locked --manifest-path tests/kryoptic/Cargo.toml --target-dir target/kryoptic
step "tests"
cargo test --workspace --locked --no-fail-fast
step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
step "all green"
