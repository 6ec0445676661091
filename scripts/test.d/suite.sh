# Sourced by scripts/test, which sets `stage`: running test executables and adding up what they say.
passed=0 failed=0

# Runs one test executable: suite NAME COMMAND...
suite() {
  local code=0 ok bad results
  printf 'test: %s\n' "$1" >&2
  SBX_TEST_SKIPS="$stage/skips" INSTA_UPDATE=no "${@:2}" </dev/null 2>&1 | tee "$stage/log" || code=$?
  read -r ok bad results < <(awk '/^test result:/ { p += $4; f += $6; n++ } END { print p + 0, f + 0, n + 0 }' "$stage/log")
  # An end without a result is one failure: a crash, or an executable that could not be started.
  if [ "$bad" = 0 ] && { [ "$code" != 0 ] || [ "$results" = 0 ]; }; then
    printf 'test: %s ended with %s and without a result\n' "$1" "$code"
    bad=1
  fi
  passed=$((passed + ok)) failed=$((failed + bad))
  [ "$bad" = 0 ] || sed -n "/^failures:$/,/^test result:/s/^/$1: /p" "$stage/log" >>"$stage/failures"
  sed -nE 's/^test (.*) \.\.\. ignored(, )?(.*)$/\1\t\3/p' "$stage/log" >>"$stage/ignored"
}

# Runs the integration tests from what was copied, with a home of their own: integration USER [PREFIX...]
integration() {
  # Short: podman takes no more than 50 characters for a directory in the one for temporary files.
  local own="$stage/$1"
  install -d -m 755 -o "$1" "$own" "$own/t"
  install -m 666 /dev/null "$stage/skips-$1"
  suite "it as $1" "${@:2}" env -i --chdir="$own" PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME="$own" \
    TMPDIR="$own/t" USER="$1" INSTA_UPDATE=no SBX_TEST_SKIPS="$stage/skips-$1" SBX_TEST_BINARY="$stage/bin/sbx" \
    SBX_TEST_ATTACKER="$stage/bin/attacker" SBX_TEST_PROFILES="$stage/profiles" SBX_TEST_TOOLCHAIN="$stage/toolchain" \
    SBX_TEST_CACHE="$stage/cache" "$stage/bin/it"
}

# Prints what failed once more, every skip and the sums; gives whether all is well.
verdict() {
  local key reason skipped=0 noted
  cat "$stage/failures" 2>/dev/null || true
  noted=$(cat "$stage"/skips* 2>/dev/null | wc -l)
  while IFS=$'\t' read -r key reason; do
    printf 'skipped %s: %s\n' "$key" "${reason:-no reason given}"
    skipped=$((skipped + 1))
    if [ -n "${CI:-}" ] && ! grep -qxF -e "$key" scripts/allowed-skips; then
      printf 'FAILED: the skip %s is not allowed in CI (scripts/allowed-skips)\n' "$key"
      failed=$((failed + 1))
    fi
  done < <(cat "$stage"/skips* "$stage/ignored" 2>/dev/null | sed -E 's/^SKIP\(([^)]*)\): /\1\t/')
  # A test that skips itself ends well; it is not counted twice.
  printf '%s passed, %s failed, %s skipped\n' "$((passed - noted))" "$failed" "$skipped"
  [ "$failed" = 0 ]
}
