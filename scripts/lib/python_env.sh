# The Python environment Odoo and the tests run in. Sets PYTHON_FOUND and VENV.
# shellcheck shell=bash

REQUIREMENTS=("$ROOT"/requirements-{odoo,optional,dev}.txt)

python_version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

find_python() {
    local candidate version seen=()
    for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13}; do
        version=$(python_version_of "$candidate") || continue
        seen+=("$version")
        case $version in
        3.11 | 3.12 | 3.13)
            PYTHON_FOUND=$(command -v "$candidate")
            return
            ;;
        esac
    done
    [[ ${#seen[@]} -gt 0 ]] ||
        die "no Python found: install python3 (3.11, 3.12 or 3.13) or set PYTHON to one."
    die "Python ${seen[*]} does not suit Odoo $ODOO_SERIES: install Python 3.11, 3.12 or 3.13, or set PYTHON to one."
}

# Same requirements, same interpreter, same Odoo: same environment.
choose_venv() {
    find_python
    local key
    key=$({
        cat "${REQUIREMENTS[@]}"
        "$PYTHON_FOUND" -c 'import sys; print(sys.version, sys.base_prefix)'
        echo "$ODOO_PYTHONPATH"
    } | digest)
    VENV=$CACHE/venv-$key
}

venv_ready() {
    choose_venv
    [[ -f $VENV/.complete && -x $VENV/bin/python ]]
}

# Debian splits venv off python3; elsewhere it is always there.
ensure_venv_module() {
    "$PYTHON_FOUND" -c 'import ensurepip, venv' 2>/dev/null && return
    install_debian "Python environments" python3-venv &&
        "$PYTHON_FOUND" -c 'import ensurepip, venv' 2>/dev/null && return
    die "this Python ($PYTHON_FOUND) cannot make virtual environments: install the package python3-venv."
}

prepare_venv() {
    venv_ready && return
    ensure_venv_module
    need_space 800 "The Python environment"
    say "Building the Python environment (half a minute to a few minutes) …"
    rm -rf "$VENV"
    logged "$PYTHON_FOUND" -m venv "$VENV" ||
        die "could not make the Python environment in $VENV; the details are in $LOG."
    logged "$VENV/bin/pip" install --disable-pip-version-check --no-input \
        -r "$ROOT/requirements-dev.txt" ||
        die "pip could not install the Python packages: check the network (or pip's configuration) and call again; the details are in $LOG."
    local packages
    packages=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    # After pip, so that it does not judge Odoo's own metadata.
    echo "$ODOO_PYTHONPATH" >"$packages/odoo-host.pth"
    logged "$VENV/bin/python" -c 'import odoo.cli, odoo.modules' ||
        die "Odoo in $ODOO_PYTHONPATH cannot be imported; the details are in $LOG."
    touch "$VENV/.complete"
}
