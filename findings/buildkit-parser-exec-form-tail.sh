#!/usr/bin/env bash
# dockerfile 3.4.0, which is BuildKit's own parser with a Python face: text behind the closing bracket of an exec form is dropped without
# an error or a warning. `RUN ["make"] && make install` runs make alone.
. "$(dirname "$0")/common.sh"
seen=$(python_with dockerfile==3.4.0 <<'PY'
import dockerfile
for line in ['RUN ["make"] && make install', 'CMD ["a", "b"] c', 'RUN [ -f x ] && y']:
    command = dockerfile.parse_string("FROM debian\n" + line + "\n")[1]
    print(line, "->", "exec" if command.json else "shell", list(command.value))
PY
)
expect "$seen" 'RUN ["make"] && make install -> exec ['"'make'"']
CMD ["a", "b"] c -> exec ['"'a', 'b'"']
RUN [ -f x ] && y -> shell ['"'[ -f x ] && y'"']'
