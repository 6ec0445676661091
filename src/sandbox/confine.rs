//! The supervisor gives up what it no longer needs.

use crate::seccomp::compile::compile;
use crate::seccomp::verdict::{Answer, Check, Comparison, Condition, Match, Verdict, Width};
use crate::seccomp::{CompileError, Program};
use crate::sys::{cred, seccomp};
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

/// What a supervisor that watches never calls, by rising number: whoever took it over could start nothing, reach nobody and change no
/// file by name.
const NEVER: [libc::c_long; 51] = [
    libc::SYS_open,
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_clone,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_execve,
    libc::SYS_truncate,
    libc::SYS_rename,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_creat,
    libc::SYS_link,
    libc::SYS_unlink,
    libc::SYS_symlink,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_ptrace,
    libc::SYS_setuid,
    libc::SYS_setresuid,
    libc::SYS_mknod,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_init_module,
    libc::SYS_kexec_load,
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_fchownat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_fchmodat,
    libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    libc::SYS_setns,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_finit_module,
    libc::SYS_renameat2,
    libc::SYS_bpf,
    libc::SYS_execveat,
    libc::SYS_io_uring_setup,
    libc::SYS_move_mount,
    libc::SYS_clone3,
    libc::SYS_openat2,
    libc::SYS_pidfd_getfd,
];

/// The same for a supervisor that watches the memory. A Landlock domain of its own would forbid it to look at what the processes hold
/// (the kernel lets a domain look only at what lies below it), so that a filter takes its place: files are opened to be read only.
///
/// `alone`: there is no cgroup either, which would have to be removed at the end.
pub(super) fn watch(alone: bool) {
    let _ = cred::undumpable();
    let _ = cred::no_new_privileges();
    if let (true, Ok(filter)) = (alone, filter()) {
        let _ = seccomp::install(&filter.instructions);
    }
}

/// Answers EPERM to [`NEVER`] and to opening a file to write or make it.
fn filter() -> Result<Program, CompileError> {
    const REFUSE: Answer = Answer::Errno(libc::EPERM.cast_unsigned() as u16);
    const TO_WRITE: i32 = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;
    let to_read = Condition {
        argument: 2,
        width: Width::Low32,
        comparison: Comparison::Masked {
            mask: TO_WRITE.cast_unsigned().into(),
            value: 0,
        },
    };
    let open = Verdict::Guarded {
        checks: vec![Check {
            rules: vec![vec![to_read]],
            on: Match::None,
            answer: REFUSE,
        }],
        otherwise: Answer::Allow,
    };
    let number = |call: libc::c_long| u32::try_from(call).unwrap_or(u32::MAX);
    let openat = number(libc::SYS_openat);
    let never = Verdict::Always(REFUSE);
    let below = NEVER.iter().map(|call| number(*call)).filter(|n| *n < openat);
    let above = NEVER.iter().map(|call| number(*call)).filter(|n| *n > openat);
    let verdicts = below
        .map(|n| (n, &never))
        .chain([(openat, &open)])
        .chain(above.map(|n| (n, &never)));
    compile(verdicts, Answer::Allow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::interpret::{self, Call};
    use crate::seccomp::table::ARCH;

    fn allowed(number: libc::c_long, flags: i32) -> bool {
        let call = Call {
            number: u32::try_from(number).expect("a number"),
            arch: ARCH,
            arguments: [0, 0, flags.cast_unsigned().into(), 0, 0, 0],
            ..Call::default()
        };
        interpret::run(&filter().expect("compiles"), &call)
            .expect("runs")
            .action
            == Answer::Allow.action()
    }

    #[test]
    fn what_watches_reads_and_changes_nothing() {
        assert!(NEVER.is_sorted());
        for call in NEVER {
            assert!(!allowed(call, 0), "{call}");
        }
        for call in [
            libc::SYS_poll,
            libc::SYS_read,
            libc::SYS_getdents64,
            libc::SYS_kill,
            libc::SYS_exit_group,
        ] {
            assert!(allowed(call, 0), "{call}");
        }
        assert!(allowed(libc::SYS_openat, libc::O_CLOEXEC | libc::O_DIRECTORY));
        for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC] {
            assert!(!allowed(libc::SYS_openat, flags), "{flags:o}");
        }
    }
}
