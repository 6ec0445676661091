# Sourced by the scripts beside it: a temporary folder, one pinned package in it, one comparison.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Prints what a Rust program writes: rust 'CRATE = "=VERSION"...' <main.rs
rust() {
  mkdir -p "$work/src"
  printf '[package]\nname = "finding"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n%s\n' "$1" >"$work/Cargo.toml"
  cat >"$work/src/main.rs"
  (cd "$work" && cargo run --quiet)
}

# Prints what a Node.js script writes: node_with PACKAGE@VERSION <script
node_with() {
  (cd "$work" && npm install --silent --no-audit --no-fund "$1" >/dev/null && cat >main.js && node main.js)
}

# Prints what a Python script writes: python_with PACKAGE==VERSION <script
python_with() {
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$1"
  (cd "$work" && venv/bin/python -)
}

# Compares with the output that was seen; a change is an error.
expect() {
  if [ "$1" = "$2" ]; then
    printf '%s\n' "$1" "as stated"
  else
    printf 'changed:\n%s\n--- was seen:\n%s\n' "$1" "$2" >&2
    exit 1
  fi
}
