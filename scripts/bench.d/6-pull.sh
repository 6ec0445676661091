# Sourced by scripts/bench. How long that image takes until it is unpacked, with nothing of it there before.
. "$here/5-image.sh"
[ -n "$image" ] || return 0
echo 'bench: pulling images' >&2
pull() { "$@" "${as[@]}" env "XDG_DATA_HOME=$fresh" "$stage/sbx" pull --quiet "$image"; }
pull_sbx() { pull; }
pull_podman() { podman --root "$fresh/root" --runroot "$fresh/run" pull -q --tls-verify=false "$image"; }
# Nothing is written: no pull that checks what it unpacks can be faster on two processors.
pull_floor() { find "$layout/blobs" -size +1M -print0 | xargs -0 -P2 -I{} sh -c 'gzip -dc {} | sha256sum'; }
pull_umoci() {
  "${as[@]}" skopeo copy -q --src-tls-verify=false "docker://$image" "oci:$fresh/layout:1"
  "${as[@]}" umoci unpack --rootless --image "$fresh/layout:1" "$fresh/bundle"
}

# rounds N NAME...: each in turn, N times, with an empty directory and nothing left to write: a line of microseconds a round.
rounds() {
  local round which start
  for ((round = 0; round < $1; round++)); do
    for which in "${@:2}"; do
      anew && sync
      start=${EPOCHREALTIME/./}
      "pull_$which" >"$stage/said" 2>&1 || { cat "$stage/said" >&2; return 1; }
      printf '%s ' "$((${EPOCHREALTIME/./} - start))"
    done
    echo
  done
}
peers=()
! has umoci 'pulls with skopeo and umoci' || peers+=(umoci)
# podman wants to be root, or a session that has a systemd.
if [ "$(id -u)" != 0 ]; then echo 'bench: SKIPPED: pulls with podman: only root' >&2; else ! has podman 'pulls with podman' || peers+=(podman); fi
rounds "${ROUNDS:-3}" sbx floor "${peers[@]}" >"$stage/rounds"
middle() { sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
seconds() { awk "{ print \$$1 / 1e6 }" "$stage/rounds" | middle; }
fastest() { awk "{ m = \$$1; for (i = $1; i <= NF; i++) if (\$i < m) m = \$i; print \$1 / m }" "$stage/rounds" | middle; }
row 'pull, beside gzip and sha256sum' "$(awk '{ print $1 / $2 }' "$stage/rounds" | middle)" '<= 1.5' "$(seconds 1) s, $(seconds 2) s"
at=3 said=''
for peer in "${peers[@]}"; do said+=", $peer $(seconds "$at") s"; at=$((at + 1)); done
[ ${#peers[@]} = 0 ] || row 'pull, beside the faster of its peers' "$(fastest 3)" '<= 0.5' "$(seconds 1) s$said"

anew
row 'pull, memory of its largest process, KiB' "$(pull "$stage/peak" | tail -n 1)" '<= 65536' 'maxrss'
: >"$registry_log"
for _ in {1..100}; do pull >/dev/null; done
row '100 pulls of what is there, blobs asked for' "$(grep -c '"GET /v2/[^ ]*/blobs/' "$registry_log" || true)" '<= 0' \
  "$(grep -c '" 200 ' "$registry_log" || true) answers"
