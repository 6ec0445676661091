//! Docker's seccomp profiles: what is read compiles to a filter that the kernel takes and that does what the table says.
#![no_main]

use sbx::model::host::Kernel;
use sbx::model::{CapabilitySet, Origin};
use sbx::seccomp::docker::parse;
use sbx::seccomp::interpret::{Call, check, run};
use sbx::seccomp::table::ARCH;
use sbx_fuzz::is_fit;

const SAMPLES: [[u64; 6]; 4] = [
    [0; 6],
    [1, 2, 3, 4, 5, 6],
    [u64::MAX; 6],
    [1 << 32, 0x7e02_0000, 0x8000_0000, 40, 16, 0xffff_ffff],
];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let kernel = Kernel { major: 6, minor: 1 };
    let imported = match parse(text, &Origin::flag("fuzz"), CapabilitySet::default(), kernel) {
        Ok(imported) => imported,
        Err(error) => return is_fit(&error.to_string()),
    };
    let program = match imported.table.compile() {
        Ok(program) => program,
        Err(error) => return is_fit(&error.to_string()),
    };
    assert_eq!(check(&program), Ok(()));
    for call in imported.table.iter() {
        for arguments in SAMPLES {
            let asked = Call {
                number: call.number,
                arch: ARCH,
                instruction_pointer: 0,
                arguments,
            };
            let answered = run(&program, &asked).expect("it ends").action;
            let expected = call.entry.verdict.answer(&arguments).action();
            assert_eq!(answered, expected, "{} of {arguments:x?}", call.name);
        }
    }
});
