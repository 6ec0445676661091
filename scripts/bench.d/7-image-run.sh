# Sourced by scripts/bench. What a start costs more because its root is an image: it is found, its layers are put on each other.
. "$here/5-image.sh"
[ -n "$image" ] || return 0
echo 'bench: start-up of images' >&2
anew
within=() data=(env "XDG_DATA_HOME=$fresh")

# beside NAME BOUND COMMAND... --- COMMAND...
beside() {
  local mine other ratio
  read -r mine other ratio < <("${within[@]}" "${as[@]}" "${data[@]}" "$stage/pairs" "${RUNS:-200}" "${@:3}" 3>/dev/null) ||
    { echo "bench: SKIPPED: $1: a command failed" >&2; return 0; }
  row "$1" "$ratio" "$2" "$mine µs, $other µs"
}
for map in caller range; do
  "${as[@]}" "${data[@]}" "$stage/sbx" pull --quiet --map "$map" "$image" >/dev/null
  run=("${sbx[@]}" --map "$map")
  beside "start, image, $map, beside a directory" '<= 1.25' "${run[@]}" "$image" -- /bin/true --- "${run[@]}" "$stage/root" -- /bin/true
done
run=("${sbx[@]}" "$image" -- /bin/true ---)
# crun knows no machine with both kinds of cgroups: root shows it one with the new kind alone.
hybrid=/sys/fs/cgroup/unified
# shellcheck disable=SC2016 # expanded by the inner shell
[ "$(id -u)" != 0 ] || [ ! -d "$hybrid" ] || within=(unshare -m sh -c 'mount --bind "$0" /sys/fs/cgroup && exec "$@"' "$hybrid")
if has crun 'a bundle with crun' && has umoci 'a bundle with crun'; then
  bundle=$stage/bundle
  umoci unpack --rootless --image "$layout:1" "$bundle" 2>/dev/null
  mkdir -p "$bundle"/rootfs/{dev,proc,sys} && chmod -R a+rX "$bundle" && rm "$bundle/config.json"
  (cd "$bundle" && crun spec --rootless)
  jq '.process.args = ["/bin/true"] | .process.terminal = false | .linux.namespaces |= map(select(.type != "cgroup"))
    | .mounts |= map(select(.destination != "/sys/fs/cgroup"))' "$bundle/config.json" >"$stage/c"
  install -m 644 "$stage/c" "$bundle/config.json"
  crun=(crun --root "$stage/home/crun" --cgroup-manager=disabled run --bundle "$bundle")
  # shellcheck disable=SC2016 # expanded by the inner shell
  beside 'start, image, beside crun' '<= 1' "${run[@]}" sh -c 'exec "$@" "bench-$$"' - "${crun[@]}"
fi
! has podman 'podman unshare' || beside 'start, image, beside podman unshare' '<= 1' "${run[@]}" podman unshare true
