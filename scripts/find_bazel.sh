#!/usr/bin/env bash
# Finds a Bazel that can build this project and leaves a link to it at .setup/bazel; says nothing if there is none.
#
# In order: $BAZEL, the pinned version through bazelisk (on PATH, or from npm), then whatever Bazel is installed.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p .setup

readonly bazelisk_package=@bazel/bazelisk@1.28.1
readonly downloads=${BAZELISK_BASE_URL:-https://releases.bazel.build}

is_bazelisk() {
  [[ $(readlink -f "$1") == *bazelisk* ]] || grep -qsa BAZELISK_SKIP_WRAPPER "$1"
}

# Without internet bazelisk hangs instead of failing, so it only gets long where its downloads answer.
have_internet() {
  if [[ -z ${internet:-} ]]; then
    internet=no
    timeout 6 "${PYTHON:-python3}" -c '
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(urllib.request.Request(sys.argv[1], method="HEAD"), timeout=5)
except urllib.error.HTTPError:
    pass  # an answer all the same
' "$downloads" 2>/dev/null && internet=yes
  fi
  [[ $internet == yes ]]
}

# Debian's Bazel is 4.2.3 and calls itself "no_version".
accept() {
  local binary=$1 version
  # A script is a launcher: it would only come back to tools/bazel.
  [[ -n $binary && -x $binary && $(head -c 2 "$binary" | tr -d '\0') != '#!' ]] || return 1
  version=$(cd / && timeout 20 "$binary" --version 2>/dev/null) || return 1
  [[ $version =~ ^bazel\ (no_version|4\.[2-9]|[5-9]\.|[1-9][0-9]\.) ]] || return 1
  ln -sfn "$(readlink -f "$binary")" .setup/bazel
  exit 0
}

# bazelisk runs tools/bazel, which answers --real with the path of the Bazel that was fetched.
accept_from_bazelisk() {
  local patience=10
  have_internet && patience=300
  accept "$(timeout "$patience" "$1" --real 2>/dev/null || true)"
}

for name in "${BAZEL:-}" bazelisk bazel; do
  found=$(command -v "$name" || true)
  if [[ -n $found ]] && is_bazelisk "$found"; then accept_from_bazelisk "$found" || true; fi
done

if [[ -n ${BAZEL:-} ]]; then accept "$(command -v "$BAZEL")" || true; fi

if command -v npm >/dev/null && have_internet; then
  if timeout 120 npm install --prefix .setup/npm --no-audit --no-fund "$bazelisk_package" >/dev/null 2>&1; then
    case $(uname -m) in x86_64) arch=amd64 ;; *) arch=arm64 ;; esac
    accept_from_bazelisk ".setup/npm/node_modules/@bazel/bazelisk/bazelisk-linux_$arch" || true
  fi
fi

for name in "bazel-$(<.bazelversion)" bazel-real bazel-{9..4} bazel; do
  found=$(command -v "$name" || true)
  if [[ -n $found ]] && ! is_bazelisk "$found"; then accept "$found" || true; fi
done
exit 1
