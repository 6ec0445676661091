# Sourced by scripts/bench, and by the parts that need it, once. An image of 300 MB in six layers of this machine's own files, in a
# registry on this machine; and where it is unpacked, `fresh`, which `anew` makes another empty one of. Nothing is removed in between: ext4
# without a journal gives no inode again for minutes, and steps over each of thousands of them whenever it makes a file.
[ -z "${image+there}" ] || return 0
image='' registry_log=$stage/registry.log fresh=''
anew() { fresh=$(mktemp -d "$stage/fresh.XXXXXX") && chmod 755 "$fresh" && chown "$("${as[@]}" id -u)" "$fresh"; }
has() { command -v "$1" >/dev/null || { echo "bench: SKIPPED: $2: $1 is not installed" >&2; return 1; }; }

# put FILE: into the layout under its digest; `digest` and `size` are its own then. described TYPE: that as a descriptor.
put() { digest=$(sha256sum <"$1" | cut -d' ' -f1) size=$(stat -c %s "$1") && mv "$1" "$layout/blobs/sha256/$digest"; }
described() { printf '{"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%s}' "$1" "$digest" "$size"; }

# The first 300 MB of /usr by name, 50 to a layer; the first has also what is run.
make_layout() {
  local number layer layers='' ids='' tar=(tar --sort=name --owner=0 --group=0 --mtime=@1 --hard-dereference)
  mkdir -p "$layout/blobs/sha256" && echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
  LC_ALL=C find /usr/bin /usr/lib /usr/share -xdev -type f -size -8M -perm -004 -printf '%s %p\n' | LC_ALL=C sort -k2 |
    awk -v at="$stage/files-" '{ n = int(sum / 50e6); sum += $1; sub("^[0-9]+ /", ""); if (n < 6) print >(at n) }'
  for number in 0 1 2 3 4 5; do
    layer=$stage/layer.tar
    "${tar[@]}" -cf "$layer" -C / --verbatim-files-from -T "$stage/files-$number"
    [ "$number" != 0 ] || "${tar[@]}" -rf "$layer" -C "$stage/root" bin
    ids+=",\"sha256:$(sha256sum <"$layer" | cut -d' ' -f1)\""
    gzip -n6 "$layer" && put "$layer.gz" && layers+=",$(described layer.v1.tar+gzip)"
  done
  printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[%s]}}' "${ids#,}" >"$stage/document"
  put "$stage/document"
  printf '{"schemaVersion":2,"config":%s,"layers":[%s]}' "$(described config.v1+json)" "${layers#,}" >"$stage/document"
  put "$stage/document"
  jq -n "{schemaVersion: 2, manifests: [$(described manifest.v1+json) +
    {annotations: {\"org.opencontainers.image.ref.name\": \"1\"}}]}" >"$layout/index.json"
}
serve() {
  printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:0"}\n' "$stage/registry" >"$stage/registry.yml"
  docker-registry serve "$stage/registry.yml" >>"$registry_log" 2>&1 &
  registry=$!
  trap 'kill "$registry"; rm -rf "$stage"' EXIT
  until port=$(grep -om1 'listening on 127.0.0.1:[0-9]*' "$registry_log"); do kill -0 "$registry" && sleep 0.1; done
  image=127.0.0.1:${port##*:}/bench:1
}
if has docker-registry 'images' && has skopeo 'images'; then
  echo 'bench: making an image' >&2
  layout=$stage/layout && make_layout && serve
  skopeo copy -q --dest-tls-verify=false "oci:$layout:1" "docker://$image"
fi
