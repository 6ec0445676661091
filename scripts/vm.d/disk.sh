# Sourced by scripts/vm: what is asked for, and the disk that tells the guest.
parse() {
  user=sbxtest session=yes time=300 accel=$(acceleration) out='' words='' inputs=()
  while [ $# != 0 ] && [ "$1" != -- ]; do
    case "$1" in
      --user) user=$2 ;;
      --session) session=$2 ;;
      --in) inputs+=("$2") ;;
      --out) out=$2 ;;
      --time) time=$2 ;;
      --kernel) words=$2 ;;
      --accel) accel=$2 ;;
      *) printf 'vm: what is %s? The first lines of scripts/vm tell\n' "$1" >&2; exit 2 ;;
    esac
    shift 2
  done
  [ $# = 0 ] || shift
  command=("$@")
}

# The second disk is a tar archive: the command, whose it is, and what was asked for.
pack() {
  work=$(mktemp -d)
  [ -n "$out" ] || out=$work/left
  mkdir "$work/vm"
  install -m 755 scripts/vm.d/guest "$work/vm/"
  echo "$user" >"$work/vm/user"
  [ "$session" != no ] || : >"$work/vm/bare"
  if [ "$1" = shell ]; then
    : >"$work/vm/terminal"
  else
    printf '#!/bin/bash\ncd /vm && exec %s\n' "${command[*]@Q}" >"$work/vm/command"
    chmod 755 "$work/vm/command"
  fi
  local arguments=(-C "$work/vm" .) directory
  for directory in "${inputs[@]}"; do arguments+=(-C "$(realpath "$directory")" .); done
  tar --owner=0 --group=0 -cf "$work/in" "${arguments[@]}"
  truncate -s %512 "$work/in"
  truncate -s 64M "$work/out"
}
