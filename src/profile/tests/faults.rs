//! What is said about pages that are wrong: one snapshot of many, to be read as a page itself.

use super::source;
use crate::profile::read::read;
use std::fmt::Write as _;

const WRONG: &[&str] = &[
    "[limits\nmemory = \"1G\"",
    "[limits]\nmemory = 1G",
    "[limts]\nmemory = \"1G\"",
    "limits = 3",
    "[limits]\nmemroy = \"1G\"",
    "[limits]\nmemory = \"1X\"",
    "[limits]\nmemory = 5",
    "[limits]\npids = -1",
    "[limits]\npids = \"many\"",
    "[limits]\ncpu = \"a\"",
    "[limits]\ncpu = 0",
    "[limits]\ntime = \"soon\"",
    "[limits]\ntime = \"0s\"",
    "[limits]\npids = 0",
    "[limits]\nmemory = \"0\"",
    "[limits]\nio = [{ path = \"/\", read-bps = \"0\" }]",
    "[filesystem]\ntmp = \"0\"",
    "[filesystem]\nupper-size = \"0\"",
    "[limits]\noutput = \"0\"",
    "[filesystem]\ntmpfs = [{ target = \"/x\", size = \"0\" }]",
    "[limits]\nulimits = { stack = \"a:b\" }",
    "[limits]\nmemory = \"1G\"\nmemory = \"2G\"",
    "[network]\nmode = \"bridge\"",
    "[network]\nmode = \"hots\"",
    "[network]\nmode = true",
    "[identity]\nuser = \"-1\"",
    "[identity]\nuser = \"4294967295\"",
    "[identity]\ncapabilities = [\"CAP_KILL\", \"CAP_SYS_ADMIN\"]",
    "[identity]\ncapabilities = [\"KIL\"]",
    "[filesystem]\nmasked = [\"proc/x\"]",
    "[filesystem]\nmasked = [\"/proc/../x\"]",
    "[filesystem]\nmounts = [{ target = \"/x\" }]",
    "[filesystem]\nmounts = [{ source = \"/x\", mode = \"rw\" }]",
    "[filesystem]\nmounts = [{ source = \"/x\", taget = \"/y\" }]",
    "[filesystem]\nmounts = [\n    { source = \"/a\", target = \"/x\" },\n    { source = \"/b\", target = \"/x\" },\n]",
    "[filesystem]\nmounts = [{ source = \"/a\", target = \"/x\" }, { source = \"/b\", target = \"/x/\" }]",
    "[filesystem]\nmounts = [{ source = \"/x\" }, { source = \"/b\", target = \"/x\" }]",
    "[filesystem]\nmounts = \"/x\"",
    "[syscalls]\nallow = \"@basic\"",
    "[syscalls]\ndeny = [\"ptrace\"]",
    "[environment]\nset = { \"A=B\" = \"1\" }",
    "[environment]\nset = { A = \"\\u0000\" }",
    "[environment]\npass = [1]",
    "[environment]\npass = [\"\"]",
    "[environment]\npass = [\"A*B\"]",
    "[limits]\nopen-files = 0",
    "[namespaces]\ninit = \"yes\"",
    "[enforcement]\nlandlock = \"always\"",
    "[enforcement]\nlandlok = \"require\"",
    "extends = 1",
    "[\"\"]\nextends = \"strict\"",
    "# ä\tö\n\tdescription = 1",
];

#[test]
fn each_fault_is_underlined_and_says_what_would_be_right() {
    let mut page = String::new();
    for text in WRONG {
        let fault = read(&source(text)).expect_err(text);
        assert!(fault.line > 0 && fault.column > 0, "{text}: no place");
        let _ = writeln!(page, "{fault}\n");
    }
    insta::assert_snapshot!(page);
}
