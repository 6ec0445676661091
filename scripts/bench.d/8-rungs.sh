# Sourced by scripts/bench. What a cgroup adds to a run on each rung of the ladder of limits, in the guest of scripts/vm. Where QEMU
# translates, only ratios mean something: 0.2 ms are a twentieth of a run.
echo 'bench: rungs' >&2
mkdir -p "$stage/guest/bin"
cp "$stage"/{sbx,pairs,scope} "$stage/guest/bin"
cp scripts/vm.d/{rung,costs} "$stage/guest"
chmod -R a+rX "$stage/guest"

# costs RUNG: what scripts/vm.d/costs prints there.
costs() { scripts/vm run --in "$stage/guest" --time 300 -- ./rung "$1" ./costs "${RUNS:-60}" 2>"$stage/vm.log" | grep '^[0-9]'; }

if read -r with without ratio < <(costs delegated); then
  row 'rung a, a cgroup beside none' "$ratio" '<= 1.05' "$with µs, $without µs, $(tail -n 1 "$stage/vm.log")"
  { read -r with without ratio && read -r run scope whole && read -r bare other share; } < <(costs session)
  added_beside() { awk -v a="$with" -v b="$without" -v s="$1" 'BEGIN { printf "%.3f", (a - b) / s }'; }
  row 'rung b, what the scope adds beside systemd-run' "$(added_beside "$scope")" '<= 0.3' "$with - $without µs, $scope µs"
  row 'rung b, the same beside the bare call' "$(added_beside "$bare")" '<= 1.4' "$bare µs, which is $share of systemd-run's $other µs"
  row 'rung b, the whole run beside systemd-run' "$whole" '<= 1' "$run µs, $scope µs"
else
  printf 'bench: rungs: %s\n' "$(tail -n 1 "$stage/vm.log")" >&2
fi
