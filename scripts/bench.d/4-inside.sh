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

# A second later, since git reads the contents of what was written in the same instant as its index, at each status.
# shellcheck disable=SC2016 # expanded by the inner shell
"${as[@]}" bash -c 'for d in {1..100}; do mkdir -p tree/$d; for f in {1..200}; do echo $f >tree/$d/$f; done; done
  cd tree && git init -q && sleep 1 && git add . && git -c user.name=a -c user.email=a@example.org commit -qm a'
# tree NAME COMMAND: thirty times, so that the start of the sandbox is less than a hundredth.
tree() {
  local script="cd tree; i=0; while [ \$((i += 1)) -le 30 ]; do $2 >/dev/null || exit; done"
  inside "$1 20000 files, beside outside" "${sbx[@]}" host -- sh -c "$script" --- sh -c "$script"
}
tree 'git status of' 'git -c safe.directory=* --no-optional-locks status'
tree 'find in' 'find . -size +1M'
tree 'reading' 'cat */*'
