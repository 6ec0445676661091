// What the profile `strict` adds to floor.c, as calls whose arguments stand here, of a filter as long as that profile's. Nothing is
// read, checked or explained: what a run of sbx takes above this is the work of its own code.
#define _GNU_SOURCE
#include "floor.h"
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

// No namespaces below its own, and a time of its own.
void shut_in(void) {
    put("/proc/sys/user/max_user_namespaces", "0");
    must(unshare(CLONE_NEWTIME), "time namespace");
    put("/proc/self/timens_offsets", "monotonic 1000 0\nboottime 1000 0\n");
}

// Mounts that `strict` has besides, and what is behind them: called in the new root, before it is the root.
void furnish(void) {
    static const char *const links[][2] = {{"/proc/self/fd", "dev/fd"}, {"/proc/self/fd/0", "dev/stdin"},
        {"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"}, {"pts/ptmx", "dev/ptmx"}};
    static const char *const terminals[] = {"ptmxmode", "666", "mode", "620", NULL};
    static const char *const memory[] = {"size", "67108864", "nr_inodes", "16384", "mode", "1777", NULL};
    const unsigned all = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    for (int i = 0; i < 5; i++)
        must(symlink(links[i][0], links[i][1]), links[i][1]);
    must(mkdir("dev/pts", 0755), "dev/pts");
    attach(fresh("devpts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, terminals), "dev/pts");
    must(mkdir("dev/shm", 01777), "dev/shm");
    attach(fresh("tmpfs", all, memory), "dev/shm");
    struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
    must(syscall(SYS_mount_setattr, AT_FDCWD, "dev", 0, &readonly, sizeof readonly), "mount_setattr");
    attach(fresh("tmpfs", all, memory), "tmp");
}

static void hold(int resource, rlim_t most) {
    struct rlimit limit;
    must(getrlimit(resource, &limit), "getrlimit");
    if (limit.rlim_max < most)
        most = limit.rlim_max;
    limit = (struct rlimit){most, most};
    must(setrlimit(resource, &limit), "setrlimit");
}

// Landlock as far as this kernel has it. The rights are those of each ABI, as landlock(7) counts them.
static void lock(void) {
    static const struct { const char *path; unsigned long long rights; } rules[] = {{"/", 0xd}, {"/dev", 0xc}, {"/dev/null", 0x8006},
        {"/dev/zero", 0x8006}, {"/dev/full", 0x8006}, {"/dev/random", 0x8006}, {"/dev/urandom", 0x8006}, {"/dev/tty", 0x8006},
        {"/dev/pts", 0x800e}, {"/dev/shm", 0x7ffe}, {"/tmp", 0x7ffe}};
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    must(abi, "landlock");
    unsigned long long files = abi > 4 ? 0xffff : abi > 2 ? 0x7fff : abi > 1 ? 0x3fff : 0x1fff;
    unsigned long long handled[] = {files, 3, 3};
    int set = (int)syscall(SYS_landlock_create_ruleset, handled, abi > 5 ? 24 : abi > 3 ? 16 : 8, 0);
    must(set, "landlock_create_ruleset");
    for (unsigned i = 0; i < sizeof rules / sizeof *rules; i++) {
        struct landlock_path_beneath_attr rule = {rules[i].rights & files, open(rules[i].path, O_PATH | O_CLOEXEC)};
        must(rule.parent_fd, rules[i].path);
        must(syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0), "landlock_add_rule");
        close(rule.parent_fd);
    }
    must(syscall(SYS_landlock_restrict_self, set, 0), "landlock_restrict_self");
    close(set);
}

// What is left to take from a process in the new root.
void restrain(void) {
    must(sethostname("floor", 5), "sethostname");
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    must(s, "socket");
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    must(ioctl(s, SIOCSIFFLAGS, &lo), "lo");
    close(s);
    must(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL), "keyctl");
    hold(RLIMIT_CORE, 1), hold(RLIMIT_NPROC, 257), hold(RLIMIT_NOFILE, 1024);
    hold(RLIMIT_FSIZE, 1 << 30), hold(RLIMIT_MEMLOCK, 1 << 16), hold(RLIMIT_DATA, 16L << 30);
    for (int cap = 0; prctl(PR_CAPBSET_DROP, cap) == 0; cap++)
        continue;
    must(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED), "securebits");
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}};
    must(syscall(SYS_capset, &head, none), "capset");
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    lock();
    must(prctl(PR_SET_DUMPABLE, 0), "dumpable");
    must(prctl(PR_SET_PDEATHSIG, SIGKILL), "pdeathsig");
}

// Of the caller's terminal, dispositions and descriptors nothing is left.
void give_up_handlers(void) {
    setsid();
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    must((long)close_range(3, ~0U, 4), "close_range"); // CLOSE_RANGE_CLOEXEC
}
