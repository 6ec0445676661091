//! The supervisor gives up what it no longer needs.

use crate::sys::cred;
use crate::sys::seccomp::{self, Instruction};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr,
};
use std::os::fd::BorrowedFd;

/// No rights by exec, no file opened by name, no TCP: all that is left is to wait, to pass bytes and to signal. `cgroup`: where the
/// sandbox's cgroup lies, and the cgroup itself, which is asked and removed at the end.
///
/// A second wall only: where the kernel has no Landlock, the supervisor is still a process that reads nothing the sandbox wrote but
/// fixed-size records. Failure is not an error for that reason.
pub(super) fn supervisor(cgroup: Option<(BorrowedFd<'_>, bool, BorrowedFd<'_>)>) {
    let _ = cred::undumpable();
    let _ = cred::no_new_privileges();
    // Best effort is the crate's default: rights that the kernel does not know are left out.
    let made = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V5))
        .and_then(|r| r.handle_access(AccessNet::from_all(ABI::V4)))
        .and_then(Ruleset::create)
        .and_then(|r| match cgroup {
            None => Ok(r),
            Some((parent, back, own)) => {
                let used = BitFlags::from(AccessFs::ReadFile) | AccessFs::WriteFile;
                let mut removed = BitFlags::from(AccessFs::RemoveDir);
                if back {
                    removed |= used;
                }
                r.add_rule(PathBeneath::new(parent, removed))?
                    .add_rule(PathBeneath::new(own, used))
            }
        });
    if let Ok(ruleset) = made {
        let _ = ruleset.restrict_self();
    }
}

/// What a supervisor that watches never calls: whoever took it over could start nothing, reach nobody and change no file by name.
const NEVER: [libc::c_long; 51] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_creat,
    libc::SYS_open_by_handle_at,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_link,
    libc::SYS_linkat,
    libc::SYS_symlink,
    libc::SYS_symlinkat,
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_rmdir,
    libc::SYS_mknod,
    libc::SYS_mknodat,
    libc::SYS_chmod,
    libc::SYS_fchmodat,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_fchownat,
    libc::SYS_truncate,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_io_uring_setup,
    libc::SYS_setuid,
    libc::SYS_setresuid,
    libc::SYS_open,
    libc::SYS_openat2,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_kexec_load,
];

/// The same for a supervisor that watches the memory. A Landlock domain of its own would forbid it to look at what the processes hold
/// (the kernel lets a domain look only at what lies below it), so that a filter takes its place: files are opened to be read only.
///
/// `alone`: there is no cgroup either, which would have to be removed at the end.
pub(super) fn watch(alone: bool) {
    let _ = cred::undumpable();
    let _ = cred::no_new_privileges();
    if alone {
        let _ = seccomp::install(&filter());
    }
}

/// Answers EPERM to [`NEVER`], to opening a file to write or make it, and to every call of another architecture.
fn filter() -> Vec<Instruction> {
    const LOAD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const ABOVE: u16 = 0x25;
    const ANY_BIT: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const REFUSE: u32 = 0x0005_0000 | libc::EPERM.cast_unsigned();
    const X86_64: u32 = 0xc000_003e;
    const X32: u32 = 0x3fff_ffff;
    const FLAGS: u32 = 16 + 8 * 2;
    const TO_WRITE: i32 = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;
    let jump = |code, k, jt, jf| Instruction { code, jt, jf, k };
    let refuse = Instruction::plain(RETURN, REFUSE);
    let number = |call: libc::c_long| u32::try_from(call).unwrap_or(u32::MAX);
    let mut all = vec![
        Instruction::plain(LOAD, 4),
        jump(EQUAL, X86_64, 1, 0),
        refuse,
        Instruction::plain(LOAD, 0),
        jump(ABOVE, X32, 0, 1),
        refuse,
    ];
    for call in NEVER {
        all.extend([jump(EQUAL, number(call), 0, 1), refuse]);
    }
    all.extend([
        jump(EQUAL, number(libc::SYS_openat), 0, 2),
        Instruction::plain(LOAD, FLAGS),
        jump(ANY_BIT, TO_WRITE.cast_unsigned(), 1, 0),
        Instruction::plain(RETURN, ALLOW),
        refuse,
    ]);
    all
}
