# Sourced by scripts/test behind suite.sh: those of the integration tests that a kernel, a login session or a user manager may change, in
# the guest of scripts/vm, when $GUEST asks for it: whole for all of them, light for those that are quick where QEMU translates.
guest_tests=(escape:: limits:: fallback:: users:: workspace:: terminal:: signals:: doctor:: result:: links::)
# These start dozens of sandboxes each, or work for seconds: half of the time of all.
guest_heavy=(failing_calls:: a_memory_bomb cve_2021_30465 kernel_settings_cannot cve_2017_5226 kernel_files_of_proc homes_and_secrets
  administration limits_cannot_be_raised own_tools_cannot empty_files times_and_memory fallback::a_ fallback::what result:: workspace::apply
  memory_of_other keys_are_refused queues_shared the_new_mount_calls no_address_beyond time_limit_cannot roots::files_that cve_2019)

# Runs tests in one boot: guest_as USER NAME OPTION... -- FILTER...
guest_as() {
  local out="$stage/guest-$2"
  suite "it in the guest as $2" scripts/vm run --user "$1" --in "$stage/guest" --out "$out" --time "${GUEST_SECONDS:-1200}" "${@:3}"
  # Under names of their own: what the guest lacks, this machine need not lack.
  [ ! -e "$out/skips" ] || sed 's/^SKIP(/SKIP(guest-/' "$out/skips" >"$stage/skips-guest-$2"
}

guest() {
  local code=0 skips=() heavy
  if [ -z "${GUEST:-}" ]; then
    printf 'guest\tnobody asked for it: GUEST=light or GUEST=whole\n' >>"$stage/ignored"
    return
  fi
  scripts/vm build 2>"$stage/log" || code=$?
  cat "$stage/log" >&2
  if [ "$code" != 0 ]; then
    printf 'guest\t%s\n' "$(tail -n 1 "$stage/log")" >>"$stage/ignored"
    [ "$code" = 77 ] || failed=$((failed + 1))
    return
  fi
  mkdir -p "$stage/guest/bin"
  cp -l "$stage"/bin/{it,sbx,sbx-image,attacker} "$stage/guest/bin"
  cp -r "$stage/profiles" scripts/vm.d/tests "$stage/guest"
  if [ "$GUEST" != whole ]; then
    printf 'guest-whole\twhat takes long was left out, and root; GUEST=whole runs all\n' >>"$stage/ignored"
    for heavy in "${guest_heavy[@]}"; do skips+=(--skip "$heavy"); done
    guest_as sbxtest sbxtest -- ./tests "${guest_tests[@]}" "${skips[@]}"
  else
    guest_as sbxtest sbxtest -- ./tests "${guest_tests[@]}"
    guest_as root root -- ./tests "${guest_tests[@]}"
  fi
  # What strict must refuse: a kernel that was started without Landlock.
  guest_as root root-without-landlock --kernel lsm=yama -- ./tests escape::losses
}
