//! Installing a filter.

use super::{Result, check};

/// One instruction of classic BPF, laid out as the kernel's `sock_filter`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Jump if true.
    pub jt: u8,
    /// Jump if false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

impl Instruction {
    /// An instruction that does not branch.
    #[must_use]
    pub fn plain(code: u16, k: u32) -> Self {
        Self {
            code,
            jt: 0,
            jf: 0,
            k,
        }
    }
}

#[repr(C)]
struct Program {
    length: libc::c_ushort,
    filter: *const Instruction,
}

/// Installs a filter on this thread, for good. `no_new_privs` must be set.
///
/// # Errors
/// `EINVAL` for a program the kernel refuses, `EACCES` without `no_new_privs`.
pub fn install(filter: &[Instruction]) -> Result<()> {
    const SET_MODE_FILTER: libc::c_ulong = 1;
    let length = u16::try_from(filter.len()).map_err(|_| super::Errno::EINVAL)?;
    let program = Program {
        length,
        filter: filter.as_ptr(),
    };
    // SAFETY: `program` points to `length` live instructions; the kernel copies and checks them.
    check(unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, 0, &raw const program) }).map(|_| ())
}
