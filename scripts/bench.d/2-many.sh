# Sourced by scripts/bench. How many runs of `true` end in a second when several run at once.
echo 'bench: many at once' >&2
for at_once in 2 8; do
  # shellcheck disable=SC2016 # expanded by the inner shell
  batch=(bash -c 'seq 200 | xargs -P "$0" -I{} "$@"' "$at_once")
  for who in "${users[@]}"; do
    declare -n prefix=$who
    read -r mine other ratio < <("${prefix[@]}" "$stage/pairs" "${BATCHES:-5}" "${batch[@]}" "${sbx[@]}" "$stage/root" -- /bin/true \
      --- "${batch[@]}" bwrap --unshare-all --ro-bind "$stage/root" / --proc /proc --dev /dev /bin/true 3>/dev/null)
    read -r mine other ratio < <(awk -v m="$mine" -v o="$other" -v r="$ratio" 'BEGIN { printf "%.0f %.0f %.3f\n", 2e8 / m, 2e8 / o, 1 / r }')
    [ "$who" = as ] && groups='' || groups=', no groups'
    row "runs a second, $at_once at once$groups, beside bwrap" "$ratio" '>= 1.5' "$mine/s, $other/s"
  done
done
