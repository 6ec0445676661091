# Sourced by scripts/bench. How long one run of `true` takes from start to end.
echo 'bench: start-up' >&2
directory=(bwrap --unshare-all --ro-bind "$stage/root" / --proc /proc --dev /dev)

# The mounts, links and files that the plan for `host` names, as bubblewrap's options; it makes /proc and /dev its own way.
host_options() {
  "${as[@]}" "$stage/sbx" plan --profile strict host -- /bin/true | awk '
    $2 ~ "^/(proc|dev)[:/]?" || $4 ~ "^/dev/" { next }
    $1 == "make" && $2 == "link" { print "--symlink", $5, $3 }
    $1 == "make" && $2 == "file" { sub(",", "", $3); print "--ro-bind /etc/hostname", $3 }
    $1 == "mount" && $3 == "host" { sub(",", "", $4); sub(":", "", $2); print "--ro-bind", $4, $2 }
    $1 == "mount" && $3 == "tmpfs" { sub(":", "", $2); print "--tmpfs", $2 }'
}
read -r -a options <<<"$(host_options | tr '\n' ' ')"
host=(bwrap --unshare-all "${options[@]}" --proc /proc --dev /dev --remount-ro /)

# start NAME BOUND WHO IMAGE OTHER...: sbx in IMAGE beside OTHER, as the user that the array named WHO makes.
start() {
  local -n who=$3
  local mine other ratio
  read -r mine other ratio < <("${who[@]}" "$stage/pairs" "${RUNS:-200}" "${sbx[@]}" "$4" -- /bin/true \
    --- "${@:5}" /bin/true 3>/dev/null)
  row "$1" "$ratio" "$2" "$mine µs, $other µs"
}
for user in "${users[@]}"; do
  [ "$user" = as ] && groups='' || groups=', no groups'
  start "start, directory$groups, beside bwrap" '<= 0.75' "$user" "$stage/root" "${directory[@]}"
  start "start, host$groups, beside bwrap" '<= 0.75' "$user" host "${host[@]}"
  start "start, directory$groups, beside the same calls" '<= 1.4' "$user" "$stage/root" "$stage/floor" -p "$stage/root"
  start "start, directory$groups, beside the floor" '<= 1.4' "$user" "$stage/root" "$stage/floor" "$stage/root"
done
