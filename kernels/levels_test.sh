#!/usr/bin/env bash
# Each level defines symbols in its own namespace and no others. Arguments: level and its archive, by turns.
set -euo pipefail

status=0
while (($#)); do
  level=$1 archive=$2
  shift 2
  symbols=$(nm --extern-only --defined-only "$archive" | awk 'NF == 3 { print $3 }')
  # Mangled names of what is in pg_tf::<level> begin with _ZN5pg_tf<length><level>.
  if ! grep -q "^_ZN5pg_tf${#level}${level}" <<<"$symbols"; then
    echo "$archive defines nothing in pg_tf::$level"
    status=1
  fi
  if strangers=$(grep -v "^_ZN5pg_tf${#level}${level}" <<<"$symbols"); then
    echo "$level defines outside of pg_tf::$level:"
    c++filt <<<"$strangers"
    status=1
  fi
done
exit $status
