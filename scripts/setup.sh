#!/usr/bin/env bash
# From an empty machine to a .venv with everything pg_tf is built and tested with. Run by make; quick when all is there.
#
# It may be killed at any moment and run again: .venv/.ready is written last, and a .venv in which pip was
# interrupted (.venv/.installing) is made anew.
#
# PYTHON=python3.12 chooses the Python, BAZEL=/path/to/bazel the Bazel.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."
unset PYTHONHOME PYTHONPATH

# Those that the pinned TensorFlow has wheels for.
readonly pythons="3.13 3.12 3.11 3.10"
readonly wanted="$PWD $(cat pyproject.toml requirements.lock setup.py scripts/pg-tf | cksum)"

say() { echo "[set-up] $*"; }
die() { echo "set-up: $*" >&2; exit 1; }

minor_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
supported() { [[ " $pythons " == *" $(minor_version "$1") "* ]]; }

# Whole, in the place it was made for, and of a Python that is wanted and still there.
venv_works() {
  [[ ! -e .venv/.installing && -x .venv/bin/python ]] &&
    [[ ! -f .venv/.ready || $(<.venv/.ready) == "$PWD "* ]] &&
    supported .venv/bin/python && .venv/bin/python -I -c 'import pip' 2>/dev/null &&
    [[ -z ${PYTHON:-} || $(minor_version "$PYTHON") == "$(minor_version .venv/bin/python)" ]]
}

ready() {
  [[ -f .venv/.ready && $(<.venv/.ready) == "$wanted" && -x .setup/bazel ]] && venv_works &&
    .venv/bin/python -I -c '
import sys
from importlib.util import find_spec
# -I leaves this folder out of the path: pg_tf is found here only if it is installed, and as editable.
package = find_spec("pg_tf")
sys.exit(not (package and package.origin == sys.argv[1] and find_spec("tensorflow") and find_spec("pytest")))
' "$PWD/pg_tf/__init__.py" &&
    built_for_this_tensorflow
}

# An op that is not there yet is no business of this script: make builds it.
built_for_this_tensorflow() {
  [[ ! -f pg_tf/libpg_tf.json ]] || .venv/bin/python -I -c '
import json, sys
from importlib import metadata
with open("pg_tf/libpg_tf.json") as file:
    sys.exit(json.load(file)["tensorflow"] != metadata.version("tensorflow"))'
}

find_python() {
  local name names=("${PYTHON:-}")
  # shellcheck disable=SC2086
  [[ -n ${PYTHON:-} ]] || names=(python3 $(printf 'python%s ' $pythons))
  for name in "${names[@]}"; do
    if supported "$name"; then
      command -v "$name"
      return
    fi
  done
  return 1
}

no_python() {
  die "needs Python ${pythons##* } to ${pythons%% *}, found $("${PYTHON:-python3}" --version 2>&1 || echo none);" \
    "install one, or name it: make PYTHON=/path/to/python"
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

can_install() {
  command -v apt-get >/dev/null && as_root true 2>/dev/null
}

# Also after an installation that was killed: dpkg has to finish what it began, and its lock may be held for a while.
apt_install() {
  local apt=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -o DPkg::Lock::Timeout=300)
  as_root env DEBIAN_FRONTEND=noninteractive dpkg --configure -a >.setup/apt.log 2>&1 || true
  as_root "${apt[@]}" update >>.setup/apt.log 2>&1 || true
  as_root "${apt[@]}" install -y --no-install-recommends "$@" >>.setup/apt.log 2>&1 || {
    tail -n 20 .setup/apt.log >&2
    die "apt-get could not install: $*"
  }
}

missing_packages() {
  local python
  command -v "${CXX:-g++}" >/dev/null || echo g++
  if [[ -z ${PYTHON:-} ]] && ! command -v python3 >/dev/null; then
    echo python3 python3-venv
  elif python=$(find_python) && ! venv_works && ! "$python" -c 'import ensurepip' 2>/dev/null; then
    # Debian's Python comes without; for a Python beside the default one the package bears its version.
    [[ $python == */python3 ]] && echo python3-venv || echo "$(basename "$python")-venv"
  fi
  [[ -x .setup/bazel ]] || scripts/find_bazel.sh || echo bazel-bootstrap bazel-rules-java
}

system_packages() {
  local missing
  missing=$(missing_packages | xargs)
  [[ -z $missing ]] && return
  [[ $missing == *python3\ python3-venv* ]] || find_python >/dev/null || no_python
  can_install || die "missing on this machine, and installing needs root: ask for" \
    "sudo apt-get install -y --no-install-recommends $missing" \
    "(names of Debian and Ubuntu), or see docs/install.md for what does without root"
  say "system packages: $missing"
  # shellcheck disable=SC2086
  apt_install $missing
  missing=$(missing_packages | xargs)
  [[ -z $missing ]] || die "still missing after apt-get install: $missing"
}

virtual_environment() {
  local python
  if ! venv_works; then
    python=$(find_python) || no_python
    say "virtual environment .venv, of $("$python" --version)"
    # Out of the way in one step: half of an old one must not be taken for a whole one.
    [[ ! -e .venv && ! -L .venv ]] || mv .venv ".setup/old-venv-$$"
    rm -rf .setup/old-venv-*
    mkdir .venv
    touch .venv/.installing
    "$python" -m venv .venv
    rm .venv/.installing
  fi
}

# A pip that fails leaves whole packages behind it, one that is killed does not: then .venv/.installing stays.
pip_install() {
  local quiet=--quiet status=0
  [[ -t 1 ]] && quiet=
  touch .venv/.installing
  PIP_USER=0 .venv/bin/python -m pip --disable-pip-version-check --no-input install $quiet \
    --constraint requirements.lock "$@" || status=$?
  ((status > 128)) || rm .venv/.installing
  return "$status"
}

python_packages() {
  say "Python packages (TensorFlow alone is a download of 600 MB)"
  .venv/bin/python - >.setup/build-requirements.txt <<'PYTHON'
try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    from pip._vendor import tomli as tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["build-system"]["requires"], sep="\n")
PYTHON
  pip_install -r .setup/build-requirements.txt
  say "compiling the op"
  .venv/bin/python setup.py --quiet build_ext --inplace
  pip_install --no-build-isolation --editable '.[dev]'
}

trap 'exit 130' HUP INT TERM
[[ $PWD != *[[:space:]]* ]] || die "Bazel does not work in a folder with a space in its path; move this one: $PWD"
ready && exit
mkdir -p .setup
exec 9>.setup/lock
flock -n 9 || { say "waiting for another set-up in this folder"; flock 9; }
ready && exit
system_packages
virtual_environment
python_packages
printf '%s' "$wanted" >.venv/.ready
say "done"
