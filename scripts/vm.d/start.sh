# Sourced by scripts/vm: one run of the guest, from its disks to its end.
# A hypervisor of another kind behind /dev/kvm (kvm_pvm) runs no kernel that was not made for it: QEMU would wait for ever.
acceleration() {
  [ -d /sys/module/kvm_intel ] || [ -d /sys/module/kvm_amd ] || { echo tcg,thread=multi; return; }
  if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then echo kvm; else echo tcg,thread=multi; fi
}

# Ends a guest that gives no sign of life on its console for five minutes: it, or what translates it, stands still.
watch() {
  until [ "$(find "$work/console" -mmin +5)" ]; do sleep 10; done
  touch "$work/still"
  kill -KILL "$(cat "$work/pid")"
}

# Starts the guest with what `parse` and `pack` have made ready, and gives what its command gave.
start() {
  local code=0 watcher
  # What QEMU translates it finds again by its address: where each process has others, everything takes three times as long.
  [ "$accel" = kvm ] || words="norandmaps $words"
  # Its own console goes to a file, the command's output (and the terminal) over the second line.
  printf 'vm: Linux %s, acceleration %s\n' "$(cat $vm/version)" "${accel%%,*}" >&2
  rm -f "$work"/{still,console}
  watch </dev/null &>/dev/null & watcher=$!
  timeout --foreground "$time" qemu-system-x86_64 -pidfile "$work/pid" -accel "$accel" -cpu max -smp 2 -m 3072 -nodefaults \
    -display none -no-reboot -kernel $vm/kernel -initrd $vm/initramfs -append "console=ttyS0 quiet panic=-1 systemd.show_status=no $words" \
    -drive file=$vm/root,format=raw,if=virtio,snapshot=on -drive "file=$work/in,format=raw,if=virtio,readonly=on" \
    -drive "file=$work/out,format=raw,if=virtio" -serial "file:$work/console" -chardev "$line" \
    -serial chardev:line || code=$?
  kill "$watcher" 2>/dev/null || true
  if [ -e "$work/still" ] && [ -z "${again:-}" ]; then
    printf 'vm: the guest stood still, and is started once more; its console ended so:\n%s\n' "$(tail -n 5 "$work/console")" >&2
    again=1 start
    return
  elif [ "$code" = 124 ]; then
    printf 'vm: the time was up: %s s\n' "$time" >&2
  else
    mkdir -p "$out" && rm -f "$out/code"
    code=125
    tar -C "$out" -xf "$work/out" 2>/dev/null && [ -f "$out/code" ] && code=$(cat "$out/code")
  fi
  case "$code" in 124 | 125)
    echo 'vm: the last lines of its console:' >&2
    tail -n 20 "$work/console" >&2
    ;;
  esac
  rm -rf "$work"
  return "$code"
}
