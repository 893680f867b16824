# Finding Odoo 19: ODOO_HOME, the cache, Debian's package, a clone of branch 19.0.
# Sets ODOO_PYTHONPATH (the folder that holds the package `odoo`) and ODOO_ADDONS
# (comma separated), or dies saying which ways were tried.
# shellcheck shell=bash

ODOO_SERIES=19.0
ODOO_CACHED=$CACHE/odoo-$ODOO_SERIES
ODOO_UPSTREAM=https://github.com/odoo/odoo.git
# Targets of the relative links of Debian's Odoo. Font Awesome is taken apart: only
# the 4.7 files have the names Odoo asks for.
ODOO_DEBIAN_PACKAGES=(
    odoo-19 fonts-glyphicons-halflings fonts-inconsolata fonts-montserrat fonts-ocr-b
    fonts-roboto-unhinted libjs-jquery libjs-jquery-form libjs-underscore
)
TRIED=()

# use_odoo FOLDER: 0 when it is a checkout, holds the package, or is a prefix of one.
use_odoo() {
    local folder
    for folder in "$1" "$1/usr/lib/python3/dist-packages" "$1/lib/python3/dist-packages"; do
        [[ -f $folder/odoo/release.py ]] || continue
        ODOO_PYTHONPATH=$folder
        ODOO_ADDONS=$folder/odoo/addons
        # A checkout keeps the applications beside the package, a package inside it.
        [[ -d $folder/odoo/addons/crm ]] || ODOO_ADDONS+=,$folder/addons
        return 0
    done
    return 1
}

odoo_series_of() {
    sed -n 's/^version_info = (\([0-9]*\), \([0-9]*\),.*/\1.\2/p' "$1/odoo/release.py"
}

use_odoo_home() {
    [[ -n ${ODOO_HOME:-} ]] || return 1
    local folder
    folder=$(cd "$ODOO_HOME" 2>/dev/null && pwd) ||
        die "ODOO_HOME=$ODOO_HOME is not a folder: point it at a checkout or installation of Odoo $ODOO_SERIES, or unset it."
    use_odoo "$folder" ||
        die "there is no Odoo in ODOO_HOME=$ODOO_HOME: point it at a checkout (with odoo-bin), a folder that holds the package odoo, or an installation prefix, or unset it."
    [[ $(odoo_series_of "$ODOO_PYTHONPATH") == "$ODOO_SERIES" ]] ||
        die "ODOO_HOME=$ODOO_HOME holds Odoo $(odoo_series_of "$ODOO_PYTHONPATH"), but the add-on is for Odoo $ODOO_SERIES: point it at that version or unset it."
}

use_cached_odoo() {
    [[ -f $ODOO_CACHED/.complete ]] && use_odoo "$ODOO_CACHED"
}

# The Debian mirror and release this machine itself uses, as "URI RELEASE".
debian_mirror() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' 2>>"$LOG" |
        awk '$3 == "main" && $1 !~ /security/ &&
             $2 ~ /^(stable|oldstable|testing|unstable|sid|bullseye|bookworm|trixie|forky|duke)$/ \
             {print $1, $2; exit}'
}

debian_keyring() {
    local file
    for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
        [[ ! -f $file ]] || { echo "$file"; return; }
    done
    return 1
}

# A private state for apt in folder $1, so that the system's own is left alone. What the
# machine says about proxies and certificates is kept. A mirror may be an older
# snapshot, so its date is not checked; its signature and every hash are.
private_apt() {
    local folder=$1 uri=$2 release=$3 keyring=$4
    mkdir -p "$folder"/{state,lists/partial,cache/archives/partial}
    {
        apt-config dump | grep '^Acquire::' || true
        cat <<CONF
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "$folder/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::State "$folder/state";
Dir::State::Lists "$folder/lists";
Dir::State::status "/dev/null";
Dir::Cache "$folder/cache";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
CONF
    } >"$folder/apt.conf"
    printf "deb [signed-by=$keyring] $uri %s main\n" sid stable >"$folder/sources.list"
    [[ $release == @(stable|sid|unstable) ]] ||
        printf "deb [signed-by=$keyring] $uri %s main\n" "$release" >>"$folder/sources.list"
}

# Download and unpack Debian's package into folder $1. On failure REASON says why.
fetch_debian_odoo() {
    local target=$1 apt mirror uri release keyring font deb
    REASON="this machine has no apt-get"
    have apt-get && have dpkg && have apt-config || return 1
    mirror=$(debian_mirror) || true
    REASON="no Debian mirror among this machine's apt sources"
    [[ -n $mirror ]] || return 1
    read -r uri release <<<"$mirror"
    REASON="the package debian-archive-keyring is not installed"
    keyring=$(debian_keyring) || return 1

    apt=$target.apt
    private_apt "$apt" "$uri" "$release" "$keyring"
    local -x APT_CONFIG=$apt/apt.conf
    say "Downloading Odoo $ODOO_SERIES (Debian's package, about 130 MB) …"
    REASON="apt-get update failed on the mirror, see $LOG"
    logged apt-get update || return 1
    REASON="the mirror has no Font Awesome 4.7"
    font=$(apt-cache madison fonts-font-awesome | awk '$3 ~ /4\.7/ {print $3; exit}')
    [[ -n $font ]] || return 1
    mkdir "$apt/deb"
    REASON="the download failed or was cut, see $LOG"
    (cd "$apt/deb" && logged apt-get download "${ODOO_DEBIAN_PACKAGES[@]/%//sid}" \
        "fonts-font-awesome=$font") || return 1

    REASON="a downloaded package is damaged, see $LOG"
    mkdir "$target"
    for deb in "$apt"/deb/*.deb; do
        logged dpkg -x "$deb" "$target" || return 1
    done
    use_odoo "$target" || return 1
    # Left out by Debian for its licence; an empty one keeps the browser console clean.
    local asset=$ODOO_PYTHONPATH/odoo/addons/mail/static/lib/selfie_segmentation/selfie_segmentation.js
    mkdir -p "$(dirname "$asset")"
    [[ -e $asset ]] || : >"$asset"
    rm -rf "$apt" "${ODOO_PYTHONPATH:?}/addons" # a second copy of odoo/addons
}

fetch_odoo_clone() {
    local target=$1
    REASON="git is not installed"
    have git || return 1
    say "Cloning Odoo $ODOO_SERIES (shallow, about 250 MB) …"
    REASON="$ODOO_UPSTREAM cannot be reached or the clone was cut, see $LOG"
    logged env GIT_TERMINAL_PROMPT=0 git -c http.lowSpeedLimit=1000 \
        -c http.lowSpeedTime=60 clone --depth 1 --single-branch \
        --branch "$ODOO_SERIES" "$ODOO_UPSTREAM" "$target" || return 1
    use_odoo "$target"
}

# fetch_with FUNCTION NAME: build aside, then move into place in one step. An
# interrupted build leaves only a folder in tmp/, which the next one removes.
fetch_with() {
    local partial=$CACHE/tmp/odoo.$1
    rm -rf "$partial" "$partial.apt"
    if ! "$1" "$partial"; then
        rm -rf "$partial" "$partial.apt"
        TRIED+=("$2 ($REASON)")
        return 1
    fi
    touch "$partial/.complete"
    rm -rf "$ODOO_CACHED"
    mv -T "$partial" "$ODOO_CACHED"
    use_odoo "$ODOO_CACHED"
}

odoo_ready() { use_odoo_home || use_cached_odoo; }

prepare_odoo() {
    odoo_ready && return
    TRIED=("ODOO_HOME (not set)" "the cache (empty)")
    need_space 2500 "Odoo $ODOO_SERIES"
    fetch_with fetch_debian_odoo "Debian's package odoo-19" && return
    fetch_with fetch_odoo_clone "a clone of odoo/odoo" && return
    local ways
    ways=$(printf '%s; ' "${TRIED[@]}")
    die "no Odoo $ODOO_SERIES: tried ${ways%; }. Check the network, or set ODOO_HOME to an Odoo $ODOO_SERIES you have."
}
