# Sourced by scripts/bench. How much slower work is inside than outside; each lasts long enough that start-up does not count.
echo 'bench: work inside' >&2
# inside NAME COMMAND... --- COMMAND...: what runs inside a sandbox, and the same outside.
inside() {
  local mine other ratio
  read -r mine other ratio < <("${as[@]}" "$stage/pairs" "${REPEATS:-15}" "${@:2}" 3>/dev/null)
  row "$1" "$ratio" '<= 1.03' "$mine µs, $other µs"
}
inside 'ten million calls, beside outside' "${sbx[@]}" "$stage/root" -- /bin/calls --- "$stage/calls"
inside 'ten million calls, beside a filter that allows all' "${sbx[@]}" "$stage/root" -- /bin/calls --- "$stage/calls" filter

# shellcheck disable=SC2016 # expanded by the inner shell
"${as[@]}" bash -c 'for d in {1..100}; do mkdir -p tree/$d; for f in {1..200}; do echo $f >tree/$d/$f; done; done
  cd tree && git init -q && git add . && git -c user.name=a -c user.email=a@example.org commit -qm a'
# Ten times, so that the start of the sandbox is a hundredth.
ten() { printf 'cd tree; for i in 0 1 2 3 4 5 6 7 8 9; do %s >/dev/null || exit; done' "$1"; }
status=$(ten 'git -c safe.directory=* --no-optional-locks status')
inside 'git status of 20000 files, beside outside' "${sbx[@]}" host -- sh -c "$status" --- sh -c "$status"
find=$(ten 'find . -size +1M')
inside 'find in 20000 files, beside outside' "${sbx[@]}" host -- sh -c "$find" --- sh -c "$find"
