# Sourced by scripts/vm: the guest, made once. Code 77: what this machine lacks.
# dbus-user-session and libpam-systemd make the session; the rest is what the tests call.
packages=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,uidmap,busybox-static,python3,strace,procps,kmod,iproute2
packages+=,libcap2-bin,bsdutils,make

# What apt says of a mirror that is not there.
unreachable='Could not (resolve|connect|wait)|Temporary failure resolving|Unable to connect|Connection (failed|timed out|refused)|Network is unreachable'

lacks() { printf 'vm: %s\n' "$1" >&2; exit 77; }

build() {
  local inputs work
  inputs=$( (echo "$packages"; cat scripts/vm.d/{rootfs,boot,init,vm-guest.service}) | sha256sum)
  [ "$(cat $vm/inputs 2>/dev/null)" != "$inputs" ] || return 0
  for tool in mmdebstrap mke2fs cpio; do command -v "$tool" >/dev/null || lacks "no $tool (scripts/setup installs it)"; done
  work=$(mktemp -d)
  # Without root, mmdebstrap is another user in its own namespace: it may write these files and make none.
  chmod 711 "$work"
  install -m 666 /dev/null "$work/log"
  for file in kernel version initramfs root; do install -m 666 /dev/null "$work/$file"; done
  echo 'vm: building the guest' >&2
  VM_OUT=$work mmdebstrap --quiet --variant=minbase --include="$packages" --customize-hook="$PWD/scripts/vm.d/rootfs" \
    --format=null bookworm /dev/null >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    ! grep -qE "$unreachable" "$work/log" || { rm -rf "$work"; lacks 'no Debian mirror can be reached'; }
    rm -rf "$work"
    echo 'vm: the guest could not be built' >&2
    exit 1
  }
  mkdir -p $vm
  for file in kernel version initramfs root; do cp --sparse=always "$work/$file" "$vm/$file"; done
  rm -rf "$work"
  printf '%s\n' "$inputs" >$vm/inputs
}
