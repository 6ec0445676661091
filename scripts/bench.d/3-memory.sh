# Sourced by scripts/bench. What stays in memory while a command sleeps: all processes but the command's own.
echo 'bench: memory' >&2

# Prints a process and what descends from it, but nothing that has become `sleep`.
family() {
  [ "$(cat "/proc/$1/comm")" = sleep ] || echo "$1"
  local child
  for child in $(cat "/proc/$1/task/$1/children"); do family "$child"; done
}

# resident COMMAND...: KiB of proportional and of private memory, and how many processes.
resident() {
  local pid pids
  "${as[@]}" "$@" /bin/sleep 5 3>/dev/null &
  pid=$!
  sleep 1
  pids=$(family "$pid")
  # shellcheck disable=SC2086 # a list of numbers
  awk '/^Pss:/ { pss += $2 } /^Private_/ { private += $2 } END { print pss, private }' $(printf '/proc/%s/smaps_rollup ' $pids) \
    2>/dev/null | sed "s/\$/ $(wc -w <<<"$pids")/"
  kill "$pid"
  wait "$pid" 2>/dev/null || true
}
read -r pss private count < <(resident "${sbx[@]}" "$stage/root" --)
read -r bwrap_pss bwrap_private bwrap_count < <(resident bwrap --unshare-all --ro-bind "$stage/root" / --proc /proc --dev /dev)
if [ "${private:-0}" = 0 ]; then
  echo 'bench: memory: only root may read what a process that cannot be dumped holds; start the bench as root' >&2
else
  row 'private memory beside a sleeping command, KiB' "$private" '<= 1024' "pss $pss of $count processes; bwrap: private \
$bwrap_private, pss $bwrap_pss of $bwrap_count"
fi
