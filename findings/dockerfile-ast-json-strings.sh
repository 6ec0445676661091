#!/usr/bin/env bash
# dockerfile-ast 0.7.1, the parser behind editors' Dockerfile support: getJSONValue() of an exec form's words loses blanks inside a
# string and does not decode escapes, so COPY ["a b", "/d"] names the file `ab` and "\t" is nothing at all.
. "$(dirname "$0")/common.sh"
seen=$(node_with dockerfile-ast@0.7.1 <<'JS'
const { DockerfileParser } = require("dockerfile-ast");
const file = DockerfileParser.parse('FROM debian\nCOPY ["a b", "/d"]\nCMD ["x\\ty", "\\u0041"]\n');
for (const instruction of file.getInstructions().slice(1))
  console.log(instruction.getKeyword(), JSON.stringify(instruction.getJSONStrings().map(word => word.getJSONValue())));
JS
)
expect "$seen" 'COPY ["ab","/d"]
CMD ["xy","0041"]'
