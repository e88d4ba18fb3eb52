#!/usr/bin/env bash
# Each level defines symbols in its own namespace and no others. Arguments: level and its libraries, by turns.
set -euo pipefail

status=0
for argument in "$@"; do
  if [[ ! -e $argument ]]; then
    level=$argument
    continue
  fi
  [[ $argument == *.a ]] || continue
  symbols=$(nm --extern-only --defined-only "$argument" | awk 'NF == 3 { print $3 }')
  if [[ -z $symbols ]]; then
    echo "$argument defines nothing"
    status=1
  fi
  # Mangled names of what is in pg_tf::<level> begin with _ZN5pg_tf<length><level>.
  if strangers=$(grep -v "^_ZN5pg_tf${#level}${level}" <<<"$symbols"); then
    echo "$level defines outside of pg_tf::$level:"
    c++filt <<<"$strangers"
    status=1
  fi
done
exit $status
