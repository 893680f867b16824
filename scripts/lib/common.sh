# Shared by the scripts: where things are, and how to speak to the person.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/crm_archive_policy
LOG=$CACHE/log/host.log

say() { printf '%s\n' "$*" >&2; }

# One clear sentence and a status; details are in the log, never on the screen.
die() {
    trap - EXIT
    say "scripts/$(basename "$0"): $*"
    exit 1
}

# The EXIT trap: whatever else stopped us is said in a sentence too.
report_unexpected() {
    local status=$?
    [[ $status == 0 ]] ||
        say "scripts/$(basename "$0"): stopped unexpectedly (status $status); the details are in $LOG."
}

# Run a command with its output in the log; the caller says what a failure means.
# The lock (9) is not handed down: a daemon must not keep it.
logged() {
    printf '\n$ %s\n' "$*" >>"$LOG"
    "$@" >>"$LOG" 2>&1 </dev/null 9>&-
}

have() { command -v "$1" >/dev/null 2>&1; }

digest() { sha256sum | cut -c1-16; }

prepare_cache() {
    mkdir -p "$CACHE"/{log,tmp,conf,data} 2>/dev/null ||
        die "cannot write to $CACHE: give this user permission or set XDG_CACHE_HOME to a folder of yours."
    local probe
    probe=$(mktemp "$CACHE/tmp/probe.XXXXXX" 2>/dev/null) ||
        die "cannot write to $CACHE: give this user permission or set XDG_CACHE_HOME to a folder of yours."
    rm -f "$probe"
}

# need_space MEGABYTES WHAT
need_space() {
    local free
    free=$(df -Pm "$CACHE" 2>/dev/null | awk 'NR == 2 {print $4}')
    [[ -z $free || $free -ge $1 ]] ||
        die "$2 needs $1 MB but only $free MB are free in $CACHE: make room or set XDG_CACHE_HOME to another disk."
}

# Held until the script ends, so that two calls do not build the same thing.
take_lock() {
    have flock || die "the command flock is missing: install the package util-linux."
    exec 9>"$CACHE/host.lock"
    flock -n 9 && return
    say "Another call is preparing the host; waiting for it."
    flock 9
}

# A command prefix that makes a command run as root, or failure if that is not allowed.
as_root() {
    if [[ $(id -u) == 0 ]]; then
        logged "$@"
    elif have sudo && sudo -n true 2>/dev/null; then
        logged sudo -n "$@"
    else
        return 1
    fi
}

can_be_root() {
    [[ $(id -u) == 0 ]] || { have sudo && sudo -n true 2>/dev/null; }
}

# install_debian WHAT_FOR PACKAGE...: apt-get install, or 1 with the reason in REASON.
install_debian() {
    local purpose=$1
    shift
    REASON="install the Debian package(s) $* for $purpose (apt-get install $*)"
    have apt-get || return 1
    can_be_root || return 1
    say "Installing $* for $purpose …"
    local options=(-y --no-install-recommends -o DPkg::Lock::Timeout=300)
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install "${options[@]}" "$@" && return
    as_root apt-get update || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install "${options[@]}" "$@" && return
    REASON="apt-get could not install $* for $purpose (see $LOG): install it by hand and call again"
    return 1
}
