#!/usr/bin/env bash
# dockerfile-parser 0.9.0: a list in single quotes is taken for the exec form, though it is not JSON: BuildKit runs it as a shell
# command. And flags of RUN (--mount, --network) stay the first words of the shell command.
. "$(dirname "$0")/common.sh"
seen=$(rust 'dockerfile-parser = "=0.9.0"' <<'RS'
use dockerfile_parser::{Dockerfile, Instruction, ShellOrExecExpr};
fn main() {
    for line in ["CMD ['echo', 'a']", "RUN --network=none make"] {
        let parsed = Dockerfile::parse(&format!("FROM debian\n{line}\n")).unwrap();
        let expr = match &parsed.instructions[1] {
            Instruction::Cmd(cmd) => cmd.expr.clone(),
            Instruction::Run(run) => run.expr.clone(),
            other => panic!("{other:?}"),
        };
        match expr {
            ShellOrExecExpr::Exec(words) => println!("{line} -> exec {:?}", words.as_str_vec()),
            ShellOrExecExpr::Shell(text) => println!("{line} -> shell {:?}", text.to_string()),
        }
    }
}
RS
)
expect "$seen" "CMD ['echo', 'a'] -> exec [\"echo\", \"a\"]
RUN --network=none make -> shell \"--network=none make\""
