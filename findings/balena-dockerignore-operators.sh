#!/usr/bin/env bash
# @balena/dockerignore 1.0.2: of the characters that mean something in a regular expression, `+`, `(`, `)` and `|` of a pattern are not
# escaped. `lib+` does not exclude the file lib+, and `a|b` excludes a. moby's patternmatcher takes them as themselves. A pattern
# that begins with two stars and letters (`**log`) excludes nothing, where moby excludes syslog and d/syslog.
. "$(dirname "$0")/common.sh"
seen=$(node_with @balena/dockerignore@1.0.2 <<'JS'
const ignore = require("@balena/dockerignore");
for (const [pattern, path] of [["lib+", "lib+"], ["(x)", "(x)"], ["a|b", "a"], ["**log", "syslog"], ["**/log", "d/log"]])
  console.log(pattern, path, ignore().add([pattern]).ignores(path));
JS
)
expect "$seen" 'lib+ lib+ false
(x) (x) false
a|b a true
**log syslog false
**/log d/log true'
