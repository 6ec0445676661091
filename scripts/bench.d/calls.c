// Ten million of the cheapest system call that every profile allows: what a filter costs each call shows here and nowhere else.
// With an argument, behind a filter of one instruction that allows all: what any filter costs, however good.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
    (void)argv;
    struct sock_filter allow = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
    struct sock_fprog program = {.len = 1, .filter = &allow};
    if (argc > 1 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)))
        return 1;
    for (long i = 0; i < 10000000; i++)
        syscall(SYS_getppid);
    return 0;
}
