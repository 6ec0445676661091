#!/usr/bin/env bash
# dockerfile-parse 2.0.1: the lines of a here-document are read as instructions, so a line of text that begins with FROM becomes a base
# image of the build (parent_images, baseimage), and one that begins with CMD its command.
. "$(dirname "$0")/common.sh"
seen=$(python_with dockerfile-parse==2.0.1 <<'PY'
import dockerfile_parse
parser = dockerfile_parse.DockerfileParser(".")
parser.content = "FROM debian\nCOPY <<EOF /note\nFROM the start\nCMD of the day\nEOF\n"
print(parser.parent_images, parser.baseimage, parser.cmd)
PY
)
expect "$seen" "['debian', 'the'] the of the day"
