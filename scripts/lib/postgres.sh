# PostgreSQL: the server the PG* variables name, or a private cluster of our own
# that listens on a socket only. Exports PGHOST, PGPORT and PGUSER.
# shellcheck shell=bash

PG_PROFILE=${CRM_ARCHIVE_PROFILE:-dev}
PG_ROLE=odoo
PG_MIN=13

# PG* variables mean somebody else's server, unless an earlier --env set them to ours.
pg_external() {
    [[ -n ${PGHOST:-}${PGPORT:-}${PGUSER:-} && ${PGHOST:-} != "${CRM_ARCHIVE_SOCKET:-}" ]]
}

find_pg_bin() {
    local folder
    for folder in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -t/ -k5 -rn) \
        "$(dirname "$(command -v initdb 2>/dev/null || echo /nonexistent/initdb)")"; do
        [[ -x $folder/initdb && -x $folder/pg_ctl ]] || continue
        PG_BIN=$folder
        PG_MAJOR=$("$folder/postgres" --version | sed 's/.* \([0-9]*\)[.0-9a-z]*.*/\1/')
        return 0
    done
    return 1
}

# Debian would start a cluster of its own on installation; nobody asked for that.
install_postgres() {
    local conf=/etc/postgresql-common/createcluster.d/crm_archive_policy.conf status=0
    if can_be_root; then
        as_root mkdir -p "$(dirname "$conf")"
        as_root sh -c "echo 'create_main_cluster = false' >$conf"
    fi
    install_debian "the private database cluster" postgresql || status=1
    ! can_be_root || as_root rm -f "$conf"
    return "$status"
}

# PostgreSQL refuses root, so root starts it as the user Debian's package brings.
pg_user() {
    if [[ $(id -u) == 0 ]]; then echo postgres; else id -un; fi
}

as_pg_user() {
    if [[ $(id -u) == 0 ]]; then
        (cd / && HOME=/tmp logged setpriv --reuid=postgres --regid=postgres \
            --init-groups "$@")
    else
        logged "$@"
    fi
}

# In the cache where the server's user can reach it (not in a closed /root).
choose_cluster() {
    local base=$CACHE
    if [[ $(id -u) == 0 ]]; then
        id postgres >/dev/null 2>&1 ||
            die "PostgreSQL does not run as root and there is no user postgres: install the package postgresql, or set PGHOST and PGUSER to a server."
        (cd / && setpriv --reuid=postgres --regid=postgres --clear-groups \
            test -x "$CACHE" 2>/dev/null) ||
            base=/var/cache/crm_archive_policy/$(echo "$CACHE" | digest)
    fi
    PG_BASE=$base
    PG_CLUSTER=$base/pg$PG_MAJOR-$PG_PROFILE
    PG_SOCKET=$PG_CLUSTER/socket
    # The path of a socket has at most 107 bytes, ".s.PGSQL.5432" among them.
    [[ ${#PG_SOCKET} -le 90 ]] ||
        PG_SOCKET=/tmp/crm_archive_policy-$(id -u)-$(echo "$PG_CLUSTER" | digest)
}

pg_profile_settings() {
    cat <<CONF
listen_addresses = ''
unix_socket_directories = '$PG_SOCKET'
unix_socket_permissions = 0700
CONF
    [[ $PG_PROFILE == dev ]] || return 0
    local buffers
    buffers=$(awk '/MemTotal/ {m = int($2 / 8192); print (m > 512 ? 512 : m)}' /proc/meminfo)
    # Disposable databases: speed matters, surviving a power cut does not.
    cat <<CONF
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 200
shared_buffers = ${buffers}MB
max_wal_size = 2GB
max_locks_per_transaction = 256
jit = off
CONF
}

make_folder_for_pg() {
    mkdir -p "$(dirname "$1")" && mkdir -p -m 0700 "$1" && chmod 0700 "$1" &&
        { [[ $(id -u) != 0 ]] || chown postgres:postgres "$1"; }
}

create_cluster() {
    need_space 1000 "A database cluster"
    say "Creating a private PostgreSQL $PG_MAJOR cluster …"
    [[ ! -d $PG_CLUSTER/data ]] ||
        as_pg_user "$PG_BIN/pg_ctl" -D "$PG_CLUSTER/data" -m immediate stop || true
    rm -rf "$PG_CLUSTER"
    make_folder_for_pg "$PG_CLUSTER" 2>>"$LOG" ||
        die "cannot create $PG_CLUSTER: give this user permission, or set PGHOST and PGUSER to a server you have."
    as_pg_user "$PG_BIN/initdb" -D "$PG_CLUSTER/data" -U postgres -A trust \
        --locale=C.UTF-8 --encoding=UTF8 --no-sync ||
        die "could not create a database cluster in $PG_CLUSTER; the details are in $LOG."
    pg_profile_settings >"$PG_CLUSTER/crm_archive_policy.conf"
    chmod 0644 "$PG_CLUSTER/crm_archive_policy.conf"
    echo "include '$PG_CLUSTER/crm_archive_policy.conf'" >>"$PG_CLUSTER/data/postgresql.conf"
    start_cluster
    as_pg_user "$PG_BIN/createuser" -h "$PG_SOCKET" -p 5432 -U postgres --createdb "$PG_ROLE" ||
        die "could not create the role $PG_ROLE; the details are in $LOG."
    touch "$PG_CLUSTER/.complete"
}

# Whoever may enter the socket's folder is let in: it is open to one user only.
start_cluster() {
    if [[ -e $PG_SOCKET && ! ($(stat -c %U "$PG_SOCKET") == "$(pg_user)" && -d $PG_SOCKET && ! -L $PG_SOCKET) ]]; then
        die "$PG_SOCKET belongs to somebody else: remove it and call again."
    fi
    make_folder_for_pg "$PG_SOCKET" 2>>"$LOG" ||
        die "cannot create $PG_SOCKET for the database socket: give this user permission."
    local attempt
    # After a crash the processes of the old server need a moment to be gone.
    for attempt in 1 2 3 4 5; do
        as_pg_user "$PG_BIN/pg_ctl" -D "$PG_CLUSTER/data" -l "$PG_CLUSTER/server.log" \
            -w -t 60 -s start && return
        ! pg_answers || return 0
        sleep "$attempt"
    done
    die "the private PostgreSQL did not start (see $PG_CLUSTER/server.log): free memory or disk space, or start afresh with 'make clean'."
}

pg_answers() {
    [[ -S $PG_SOCKET/.s.PGSQL.5432 ]] &&
        "$PG_BIN/pg_isready" -q -t 3 -h "$PG_SOCKET" -p 5432 -U postgres -d postgres
}

pg_ready() {
    if pg_external; then
        check_external_pg
        return
    fi
    find_pg_bin || return 1
    choose_cluster
    [[ -f $PG_CLUSTER/.complete ]] && pg_answers && export_pg
}

export_pg() {
    export PGHOST=$PG_SOCKET PGPORT=5432 PGUSER=$PG_ROLE CRM_ARCHIVE_SOCKET=$PG_SOCKET
}

check_external_pg() {
    local answer
    answer=$("$VENV/bin/python" "$ROOT/scripts/lib/check_pg.py" "$PG_MIN" 2>&1) ||
        die "$answer Correct PGHOST, PGPORT, PGUSER and PGPASSWORD, or unset them to get a private cluster."
}

prepare_postgres() {
    if pg_external; then
        check_external_pg
        return
    fi
    find_pg_bin || { install_postgres && find_pg_bin; } ||
        die "PostgreSQL is missing: $REASON, or set PGHOST and PGUSER to a server you have."
    [[ $PG_MAJOR -ge $PG_MIN ]] ||
        die "PostgreSQL $PG_MAJOR is too old: install PostgreSQL $PG_MIN or newer, or set PGHOST and PGUSER to such a server."
    choose_cluster
    if [[ ! -f $PG_CLUSTER/.complete ]]; then
        create_cluster
    elif ! pg_answers; then
        start_cluster
    fi
    export_pg
}

# Every cluster of this cache, whatever its version and profile.
each_cluster() {
    local action=$1 cluster
    find_pg_bin || return 0
    id postgres >/dev/null 2>&1 || [[ $(id -u) != 0 ]] || return 0
    choose_cluster
    for cluster in "$PG_BASE"/pg*-*/; do
        [[ -d $cluster/data ]] || continue
        PG_CLUSTER=${cluster%/}
        "$action"
    done
}

stop_cluster() {
    as_pg_user "$PG_BIN/pg_ctl" -D "$PG_CLUSTER/data" status || return 0
    as_pg_user "$PG_BIN/pg_ctl" -D "$PG_CLUSTER/data" -m fast -w -t 60 -s stop ||
        die "the private PostgreSQL in $PG_CLUSTER did not stop; see $PG_CLUSTER/server.log."
    say "Stopped the PostgreSQL of $PG_CLUSTER."
}

remove_cluster() {
    stop_cluster
    rm -rf "$PG_CLUSTER"
}
