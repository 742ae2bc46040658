# shellcheck shell=bash
# Sourced by quickstart.sh, where PostgreSQL is on this machine: a password of a real server is put, used and exchanged.
# The server is a scratch one on loopback, in a folder of its own; both are gone when the quickstart ends.

postgres_bin=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1 || true)
postgres_home=""
postgres_as=()

# Whether there is one that may be started here: it does not run as root.
postgres_can() {
  [ -n "$postgres_bin" ] && [ -x "$postgres_bin/initdb" ] && command -v psql >/dev/null || return 1
  [ "$(id -u)" = 0 ] || return 0
  id postgres >/dev/null 2>&1 && command -v setpriv >/dev/null || return 1
  postgres_as=(setpriv --reuid=postgres --regid=postgres --init-groups)
}

# Starts it; says its port in postgres_port. The administrator's password is drawn, and lies in postgres_home/password until it is sealed.
postgres_start() {
  postgres_home=$(mktemp -d)
  (umask 077 && od -An -N18 -tx1 /dev/urandom | tr -d ' \n' >"$postgres_home/password")
  [ ${#postgres_as[@]} = 0 ] || chown -R postgres:postgres "$postgres_home"
  for postgres_port in $(shuf -i 20000-29999 -n 20); do
    listens "$postgres_port" || break
  done
  cd "$postgres_home"
  "${postgres_as[@]}" "$postgres_bin/initdb" -D "$postgres_home/data" -U postgres -A scram-sha-256 \
    --pwfile="$postgres_home/password" >"$demo/postgres.log" 2>&1 &&
    "${postgres_as[@]}" "$postgres_bin/pg_ctl" -D "$postgres_home/data" -l "$postgres_home/log" -w \
      -o "-c listen_addresses=127.0.0.1 -c port=$postgres_port -c fsync=off -c unix_socket_directories=$postgres_home" \
      start >>"$demo/postgres.log" 2>&1 || { cat "$demo/postgres.log" >&2; die "PostgreSQL does not start"; }
  cd - >/dev/null
}

postgres_stop() {
  [ -n "$postgres_home" ] || return 0
  "${postgres_as[@]}" "$postgres_bin/pg_ctl" -D "$postgres_home/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$postgres_home"
}

# Who one is at the server by what is current: the password goes from the register to psql, and nowhere else.
postgres_login() {
  local user
  user=$("$bin" secret get demo/db --field username)
  "$bin" run --env PGPASSWORD=chy://demo/db#password -- \
    psql -h 127.0.0.1 -p "$postgres_port" -U "$user" -d postgres -AXtqc 'SELECT current_user'
}

# Put, run, rotate, and the entries of it.
postgres_show() {
  postgres_start
  PGPASSWORD=$(cat "$postgres_home/password") psql -h 127.0.0.1 -p "$postgres_port" -U postgres -d postgres -qX \
    -c 'CREATE ROLE shop_a LOGIN; CREATE ROLE shop_b LOGIN'
  # What an earlier quickstart set up was at a server that is gone.
  "$bin" secret rotation demo/db --end >/dev/null 2>&1 || true
  "$bin" secret put demo/postgres-admin --owner default --kind database-password --plain username=postgres \
    --ask password <"$postgres_home/password" >/dev/null
  rm -f "$postgres_home/password"
  "$bin" secret put demo/db --owner default --kind database-connection --draw --plain engine=postgresql \
    --plain host=127.0.0.1 --plain "port=$postgres_port" --plain database=postgres --plain username=shop_a >/dev/null
  "$bin" secret rotation demo/db --plan pair --user shop_a --user shop_b --admin demo/postgres-admin --overlap 1s \
    --unchecked >/dev/null # shop_a has no password there yet: the first rotation sets shop_b's
  postgres_rotate
  local before after
  before=$(postgres_login)
  postgres_rotate
  after=$(postgres_login)
  postgres_rests
  [ "$before" != "$after" ] || die "the password of demo/db was not exchanged"
  say rotation "a PostgreSQL password: $before logged in, and now $after does; its entries, the newest last:"
  "$bin" audit list --limit 8
}

# Has the password exchanged, and waits until another is current.
postgres_rotate() {
  local before
  before=$(postgres_current)
  for _ in $(seq 100); do
    "$bin" secret rotate demo/db >/dev/null 2>&1 && break
    sleep 0.2
  done
  for _ in $(seq 100); do
    [ "$(postgres_current)" = "$before" ] || return 0
    sleep 0.2
  done
  "$bin" secret rotation demo/db >&2
  die "the password of demo/db was not exchanged"
}

# Waits until what was before is taken away at the server, which is not there for long.
postgres_rests() {
  for _ in $(seq 100); do
    [[ $("$bin" secret rotation demo/db --json | tr -d ' \n') != *'"state":"resting"'* ]] || return 0
    sleep 0.2
  done
  "$bin" secret rotation demo/db >&2
  die "the password of before was not taken away"
}

# Which version is current, as a number.
postgres_current() {
  "$bin" secret rotation demo/db --json | tr -d ' \n' | sed 's/.*"current":{"version":\([0-9]*\).*/\1/'
}
