# Sourced by scripts/test behind suite.sh: the integration tests that a kernel, a login session or a user manager may change, in the guest
# of scripts/vm. GUEST=light, where nothing is said: limits on each rung of their ladder, and what else is quick where QEMU translates;
# GUEST=whole: all of them, and as root; GUEST=no: none.
guest_tests=(escape:: limits:: fallback:: users:: workspace:: terminal:: signals:: doctor:: result:: links::)
# In light: the escapes, and on each rung what depends on it. Bombs stay in.
light_tests=(escape:: limits::)
# These start dozens of sandboxes each, or work for seconds: half of the time of all.
light_skips=(failing_calls:: cve_2021_30465 kernel_settings_cannot cve_2017_5226 kernel_files_of_proc homes_and_secrets administration
  limits_cannot_be_raised own_tools_cannot empty_files times_and_memory memory_of_other keys_are_refused queues_shared the_new_mount_calls
  no_address_beyond roots::files_that cve_2019)

# Runs tests in one boot: guest_as USER NAME OPTION... -- COMMAND...
guest_as() {
  local out="$stage/guest-$2"
  suite "it in the guest as $2" scripts/vm run --user "$1" --in "$stage/guest" --out "$out" --time "${GUEST_SECONDS:-1200}" "${@:3}"
  # Under names of their own: what the guest lacks, this machine need not lack.
  [ ! -e "$out/skips" ] || sed 's/^SKIP(/SKIP(guest-/' "$out/skips" >"$stage/skips-guest-$2"
}

one() { local IFS=,; printf '%s' "$*"; } # its words, with commas

guest() {
  local code=0
  case "${GUEST:=light}" in
    no) printf 'guest\tGUEST=no leaves it out\n' >>"$stage/ignored"; return ;;
    light | whole) ;;
    *) printf 'test: GUEST is light, whole or no, and not %s\n' "$GUEST" >&2; failed=$((failed + 1)); return ;;
  esac
  scripts/vm build 2>"$stage/log" || code=$?
  cat "$stage/log" >&2
  # 77 is what the machine lacks; anything else is wrong.
  if [ "$code" != 0 ]; then
    printf 'guest\t%s\n' "$(tail -n 1 "$stage/log")" >>"$stage/ignored"
    [ "$code" = 77 ] || failed=$((failed + 1))
    return
  fi
  mkdir -p "$stage/guest/bin"
  cp -l "$stage"/bin/{it,sbx,sbx-image,attacker} "$stage/guest/bin"
  cp -r "$stage/profiles" scripts/vm.d/{tests,rung,rungs} "$stage/guest"
  if [ "$GUEST" = light ]; then
    printf 'guest-whole\twhat takes long was left out, and root; GUEST=whole runs all\n' >>"$stage/ignored"
    guest_as root sbxtest --session no -- ./rungs none:limits::,-escape:: part:limits::,-escape:: delegated:limits::,-escape:: \
      "session:$(one "${light_tests[@]}" "${light_skips[@]/#/-}")"
  else
    guest_as root sbxtest --session no -- ./rungs none:limits:: part:limits:: delegated:limits:: "session:$(one "${guest_tests[@]}")"
    guest_as root root -- ./rung session ./tests "${guest_tests[@]}"
  fi
  # What strict must refuse: a kernel that was started without Landlock.
  guest_as root root-without-landlock --kernel lsm=yama -- ./tests escape::losses
}
