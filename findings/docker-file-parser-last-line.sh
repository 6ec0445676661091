#!/usr/bin/env bash
# docker-file-parser 1.0.7: an instruction on the last line that ends in a continuation character is lost without an error (BuildKit
# runs it); and an empty line inside a continuation ends the instruction, so its rest becomes an instruction of its own.
. "$(dirname "$0")/common.sh"
seen=$(node_with docker-file-parser@1.0.7 <<'JS'
const { parse } = require("docker-file-parser");
const show = text => console.log(JSON.stringify(parse(text).map(i => [i.name, i.args])));
show("FROM debian\nRUN make \\");
show("FROM debian\nRUN make \\\n\n  install\n");
JS
)
expect "$seen" '[["FROM","debian"]]
[["FROM","debian"],["RUN","make"],["INSTALL",""]]'
