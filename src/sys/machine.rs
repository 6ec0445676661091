//! What the kernel says about itself and about this process.

use super::{Result, check, check_int};

/// `uname -r`, without the NUL behind it.
#[derive(Debug, Clone, Copy)]
pub struct Release {
    bytes: [u8; 65],
    length: usize,
}

impl Release {
    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The running kernel's release.
///
/// # Errors
/// None in practice.
pub fn release() -> Result<Release> {
    // SAFETY: `utsname` is a plain C struct for which all zeroes is a valid value.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: `name` is live and of the right type.
    check_int(unsafe { libc::uname(&raw mut name) })?;
    let mut bytes = [0; 65];
    for (to, from) in bytes.iter_mut().zip(name.release) {
        *to = from.cast_unsigned();
    }
    let length = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    Ok(Release { bytes, length })
}

/// Memory in bytes, and seconds since boot, as sysinfo(2) has them.
///
/// # Errors
/// None in practice.
pub fn memory_and_uptime() -> Result<(u64, u64)> {
    // SAFETY: `sysinfo` is a plain C struct for which all zeroes is a valid value.
    let mut info: libc::sysinfo = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is live and of the right type.
    check_int(unsafe { libc::sysinfo(&raw mut info) })?;
    let memory = info.totalram.saturating_mul(u64::from(info.mem_unit));
    Ok((memory, info.uptime.cast_unsigned()))
}

/// Landlock's ABI; 0 where the kernel has none, or booted without it.
#[must_use]
pub fn landlock_abi() -> u8 {
    const VERSION: libc::c_uint = 1;
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: a null ruleset of size 0 asks for the version only.
    let answer = check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0usize, VERSION) })
        .unwrap_or(0);
    u8::try_from(answer).unwrap_or(0)
}
