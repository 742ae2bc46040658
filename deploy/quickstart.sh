#!/usr/bin/env bash
# Chancery in one command: a token, a CA, a server on loopback, and the main job shown once.
#
#   deploy/quickstart.sh           leaves the server running until Ctrl-C
#   deploy/quickstart.sh --once    stops it at the end
#
# Everything lives in ./chancery-demo; run twice, it continues. CHANCERY_DEMO names another folder,
# CHANCERY_BIN a binary that is already built.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
demo=${CHANCERY_DEMO:-$PWD/chancery-demo}
once=false
case "${1:-}" in
  --once) once=true ;;
  "") ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

say() { printf '%-12s %s\n' "$1" "$2"; }
die() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

# 1. What it stands on: a PKCS#11 token in software, and ssh-keygen for the SSH part.
module=""
find_module() {
  for module in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so /usr/lib64/pkcs11/libsofthsm2.so ""; do
    [ -n "$module" ] && [ -e "$module" ] && return 0
  done
  return 1
}
needed=()
find_module || needed+=(softhsm2)
command -v ssh-keygen >/dev/null || needed+=(openssh-client)
command -v openssl >/dev/null || needed+=(openssl)
command -v cc >/dev/null || [ -n "${CHANCERY_BIN:-}" ] || needed+=(gcc libc6-dev)
if [ ${#needed[@]} -gt 0 ]; then
  line="apt-get update && apt-get install -y ${needed[*]}"
  say install "${needed[*]}"
  if [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${needed[@]}" >/dev/null
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${needed[@]}" >/dev/null
  else
    die "I may not install ${needed[*]}. As root, run:  $line"
  fi
  find_module || die "softhsm2 is installed, but its module libsofthsm2.so is not where I look"
fi

# 2. The binary. Cargo shows its own progress.
if [ -n "${CHANCERY_BIN:-}" ]; then
  bin=$CHANCERY_BIN
else
  command -v cargo >/dev/null || die "the Rust toolchain is missing; see https://rustup.rs"
  say build "release binary (some minutes the first time)"
  (cd "$repo" && cargo build --release --locked --bin chancery)
  bin=${CARGO_TARGET_DIR:-$repo/target}/release/chancery
fi
[ -x "$bin" ] || die "$bin is not there"

# 3. Token and authority.
mkdir -p "$demo/tokens"
export SOFTHSM2_CONF=$demo/softhsm2.conf
printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$demo/tokens" >"$SOFTHSM2_CONF"
for secret in pin so-pin; do
  [ -e "$demo/$secret" ] || (umask 077 && od -An -N12 -tx1 /dev/urandom | tr -d ' \n' >"$demo/$secret")
done
"$bin" init "$demo" --module "$module" --token-label chancery-demo --create-token "$demo/so-pin" \
  --pin-file "$demo/pin" --organization "Chancery demo" --demo >/dev/null 2>"$demo/init.log" ||
  { cat "$demo/init.log" >&2; die "could not create the authority"; }
export CHANCERY_CONFIG=$demo/chancery.toml
say authority "root, TLS, code and SSH CAs in the token ($demo)"

# 4. The server.
# shellcheck source=deploy/quickstart-postgres.sh
source "$repo/deploy/quickstart-postgres.sh"
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
ready() {
  local answer
  answer=$({ exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3 && head -n 1 <&3; } 2>/dev/null) || return 1
  [[ $answer == *" 200"* ]]
}
for port in 8443 8080; do
  if listens "$port"; then die "port $port is in use; stop what listens there (an earlier quickstart?)"; fi
done
"$bin" serve >"$demo/server.log" 2>&1 &
server=$!
stop() { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; postgres_stop; }
trap stop EXIT
trap 'exit 130' INT TERM
for _ in $(seq 100); do
  ready && break
  kill -0 "$server" 2>/dev/null || { cat "$demo/server.log" >&2; die "the server ended"; }
  sleep 0.2
done
ready || { cat "$demo/server.log" >&2; die "the server is not ready"; }
say server "https://localhost:8443 (log: $demo/server.log)"

# 5. The main job. A TLS certificate through ACME, by the agent: key made here, proof by http-01.
mkdir -p "$demo/web"
cat >"$demo/agent.toml" <<PLAN
state_dir = "$demo/agent"

[[certificate]]
name = "web"
names = ["localhost"]
files = { cert = "$demo/web/cert.pem", key = "$demo/web/key.pem", fullchain = "$demo/web/fullchain.pem" }

[certificate.source]
kind = "acme"
directory = "https://localhost:8443/acme/directory"
ca_file = "$demo/roots.pem"
http01 = { listen = "127.0.0.1:5002" }
PLAN
"$bin" agent --plan "$demo/agent.toml" --once 2>"$demo/agent.log" || { cat "$demo/agent.log" >&2; die "ACME failed"; }
openssl verify -x509_strict -CAfile "$demo/roots.pem" -untrusted "$demo/web/fullchain.pem" "$demo/web/cert.pem" >/dev/null
say acme "TLS certificate for localhost, proved by http-01: $demo/web/fullchain.pem"

[ -e "$demo/id_ed25519" ] || ssh-keygen -q -t ed25519 -N '' -C demo -f "$demo/id_ed25519"
"$bin" ssh sign-user "$demo/id_ed25519.pub" --principal "$(id -un)" >/dev/null
say ssh "$(ssh-keygen -L -f "$demo/id_ed25519-cert.pub" | sed -n 's/^ *Valid: /user certificate, valid /p')"

if ! "$bin" certs list --kind certificate --profile code-signing --json | grep -q serial; then
  mkdir -p "$demo/code"
  "$bin" issue code --key demo-release --out "$demo/code" >/dev/null
fi
printf 'Signed by a key that never left its token.\n' >"$demo/artifact.txt"
"$bin" sign "$demo/artifact.txt" --key demo-release --format cms --force >/dev/null
openssl cms -verify -binary -inform DER -in "$demo/artifact.txt.p7s" -content "$demo/artifact.txt" \
  -CAfile "$demo/roots.pem" -purpose any -out /dev/null 2>/dev/null
say code "$demo/artifact.txt.p7s, verified by openssl"

rm -rf "$demo/internal" "$demo/renewed"
"$bin" issue tls localhost demo.example.internal --out "$demo/internal" >/dev/null
serial=$(openssl x509 -in "$demo/internal/cert.pem" -noout -serial | cut -d= -f2)
renewed=$("$bin" certs renew "$serial" --out "$demo/renewed")
say renewal "$serial $renewed"
head -c 24 /dev/urandom | base64 | "$bin" secret put demo/api/key --owner default --description "what the demo keeps" >/dev/null
"$bin" secret get demo/api/key --field value >/dev/null
say secret "demo/api/key, sealed under the token; that it was read is an entry of the log:"
"$bin" audit list --limit 1
if postgres_can; then
  postgres_show
else
  say rotation "a password of PostgreSQL would be exchanged here, if PostgreSQL were on this machine"
fi
say expiry "what expires within 60 days:"
"$bin" certs list --expiring 60d --state issued
"$bin" audit verify >"$demo/verify.txt" || { cat "$demo/verify.txt" >&2; die "the log does not verify"; }
say audit "$(tail -n 1 "$demo/verify.txt")"

say dashboard "https://localhost:8443/  (log in with the token in $demo/admin.token; root: $demo/roots.pem)"
if $once; then
  say done "stopped; run it again without --once to keep the server"
else
  say running "until Ctrl-C"
  wait "$server"
fi
