// The bare system calls of a sandbox, and nothing else: floor [-p] ROOT COMMAND... runs a command in a read-only directory, in
// namespaces of its own, with a fresh /proc and a minimal /dev. What any sandbox of this shape costs at least.
// -p: with the protections of the profile `strict` too, as calls whose arguments stand here, of a filter as long as that profile's.
// Nothing is read, checked or explained: what is above it in a run of sbx is the work of its own code.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int protect;

static void must(long result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
        _exit(125);
    }
}

static void put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    must(fd, path);
    must(write(fd, text, strlen(text)), path);
    close(fd);
}

static int tree(const char *path, unsigned long attributes) {
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    must(fd, path);
    struct mount_attr a = {.attr_set = attributes};
    must(syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof a), "mount_setattr");
    return fd;
}

static void attach(int fd, const char *path) {
    must(syscall(SYS_move_mount, fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH), path);
    close(fd);
}

// options: NAME, VALUE, ..., NULL
static int fresh(const char *type, unsigned attributes, const char *const *options) {
    int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
    must(fs, type);
    for (; protect && *options; options += 2)
        must(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, options[0], options[1], 0), options[0]);
    must(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "fsconfig");
    int fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
    must(fd, "fsmount");
    close(fs);
    return fd;
}

static void identity(uid_t uid, gid_t gid) {
    char line[64];
    snprintf(line, sizeof line, "%u %u 1", uid, uid);
    put("/proc/self/uid_map", line);
    put("/proc/self/setgroups", "deny");
    snprintf(line, sizeof line, "%u %u 1", gid, gid);
    put("/proc/self/gid_map", line);
}

static void hold(int resource, rlim_t most) {
    struct rlimit limit;
    must(getrlimit(resource, &limit), "getrlimit");
    if (limit.rlim_max < most)
        most = limit.rlim_max;
    limit = (struct rlimit){most, most};
    must(setrlimit(resource, &limit), "setrlimit");
}

// Mounts that `strict` has besides, and what is behind them: called in the new root, before it is the root.
static void furnish(void) {
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

static struct sock_filter code[256];
static unsigned short length;

// A tree over the numbers from `low` on, of so many ranges, all of which are allowed.
static void ranges(unsigned low, unsigned count) {
    if (count == 1) {
        code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        return;
    }
    unsigned left = count / 2;
    code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, low + 5 * left, (unsigned char)(2 * left - 1), 0);
    ranges(low, left);
    ranges(low + 5 * left, count - left);
}

static void filter(unsigned count) {
    code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xc000003e, 1, 0);
    code[2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[3] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    length = 4;
    ranges(0, count);
    struct sock_fprog program = {length, code};
    must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
}

// What is left to take from a process in the new root.
static void restrain(void) {
    must(sethostname("floor", 5), "sethostname");
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    must(s, "socket");
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    must(ioctl(s, SIOCSIFFLAGS, &lo), "lo");
    close(s);
    must(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL), "keyctl");
    hold(RLIMIT_CORE, 1), hold(RLIMIT_NPROC, 257), hold(RLIMIT_NOFILE, 1024);
    hold(RLIMIT_FSIZE, 1 << 30), hold(RLIMIT_MEMLOCK, 1 << 16), hold(RLIMIT_DATA, 1 << 30);
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

static void command(char **argv) {
    char *const environment[] = {"PATH=/bin", NULL};
    if (protect) {
        setsid();
        for (int s = 1; s < NSIG; s++)
            signal(s, SIG_DFL);
        must((long)close_range(3, ~0U, 4), "close_range"); // CLOSE_RANGE_CLOEXEC
        filter(92);
    }
    execve(argv[1], argv + 1, environment);
    must(-1, argv[1]);
}

// The first process of the sandbox, which outlives the command where it has protections: it reaps.
static void child(char **argv, uid_t uid, gid_t gid) {
    static const char *const nodes[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"};
    static const char *const processes[] = {"hidepid", "4", "subset", "pid", NULL};
    static const char *const devices[] = {"size", "65536", "nr_inodes", "16384", "mode", "755", NULL};
    identity(uid, gid);
    if (protect) {
        put("/proc/sys/user/max_user_namespaces", "0");
        must(unshare(CLONE_NEWTIME), "time namespace");
        put("/proc/self/timens_offsets", "monotonic 1000 0\nboottime 1000 0\n");
    }
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private /");
    int trees[6];
    for (int i = 0; i < 6; i++)
        trees[i] = tree(nodes[i], MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    attach(tree(argv[0], MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV), argv[0]);
    must(chdir(argv[0]), argv[0]);
    attach(fresh("proc", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, processes), "proc");
    attach(fresh("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, devices), "dev");
    for (int i = 0; i < 6; i++) {
        must(mknod(nodes[i] + 1, S_IFREG | 0644, 0), nodes[i]);
        attach(trees[i], nodes[i] + 1);
    }
    if (protect)
        furnish();
    must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    must(umount2(".", MNT_DETACH), "umount2");
    must(chdir("/"), "chdir");
    if (!protect)
        command(argv);
    restrain();
    pid_t pid = vfork();
    must(pid, "vfork");
    if (pid == 0)
        command(argv);
    int status;
    must(waitpid(pid, &status, 0), "waitpid");
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv) {
    protect = argc > 1 && strcmp(argv[1], "-p") == 0;
    argv += 1 + protect;
    if (argc < 3 + protect)
        return 2;
    uid_t uid = geteuid();
    gid_t gid = getegid();
    struct clone_args args = {
        .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP,
        .exit_signal = SIGCHLD,
    };
    long pid = syscall(SYS_clone3, &args, sizeof args);
    must(pid, "clone3");
    if (pid == 0)
        child(argv, uid, gid);
    if (protect) {
        must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
        filter(24);
    }
    int status;
    must(waitpid((pid_t)pid, &status, 0), "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
