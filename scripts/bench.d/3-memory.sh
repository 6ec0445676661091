# Sourced by scripts/bench. What stays in memory while a command sleeps: all processes but the command's own.
echo 'bench: memory' >&2

# Prints a process and what descends from it, but nothing that has become `sleep`.
family() {
  [ "$(cat "/proc/$1/comm")" = sleep ] || echo "$1"
  local child
  for child in $(cat "/proc/$1/task/$1/children"); do family "$child"; done
}

# resident COMMAND...: KiB of proportional, of anonymous and of private memory, and how many processes.
resident() {
  local pid
  "${as[@]}" "$@" /bin/sleep 5 3>/dev/null &
  pid=$!
  sleep 1
  for pid in $(family "$pid"); do cat "/proc/$pid/smaps_rollup" 2>/dev/null || true; done |
    awk '/^Pss:/ { pss += $2; n++ } /^Pss_Anon:/ { anon += $2 } /^Private_/ { private += $2 } END { print pss+0, anon+0, private+0, n+0 }'
  kill "$!"
  wait "$!" 2>/dev/null || true
}
read -r pss anon private count < <(resident "${sbx[@]}" "$stage/root" --)
read -r bwrap_pss bwrap_anon bwrap_private bwrap_count < <(resident bwrap --unshare-all --ro-bind "$stage/root" / --proc /proc --dev /dev)
if [ "$count" -lt 2 ] || [ "$bwrap_count" -lt 2 ]; then
  echo 'bench: memory: only root may read what a process that cannot be dumped holds; start the bench as root' >&2
else
  # Pages of the binary are in the page cache once for all sandboxes; the first line counts them and the second does not.
  row 'memory, with the pages of the binary, KiB' "$pss" '<= 1024' "Pss of $count processes, private $private; bwrap $bwrap_pss, \
private $bwrap_private"
  row 'memory, what each sandbox adds, KiB' "$anon" '<= 1024' "Pss_Anon; bwrap $bwrap_anon"
fi

# Nanoseconds of processor time of the same processes so far: busy PID
busy() { for pid in $(family "$1"); do cut -d' ' -f1 "/proc/$pid/schedstat"; done | awk '{ n += $1 } END { print n + 0 }'; }
"${as[@]}" "${sbx[@]}" --memory 64m "$stage/root" -- /bin/sleep 6 3>/dev/null &
sleep 1; before=$(busy "$!"); sleep 4; after=$(busy "$!")
row 'watching memory while the command sleeps, % of one core' "$(awk -v n=$((after - before)) 'BEGIN { print n / 4e7 }')" '<= 0.2' ''
wait "$!" || true
