// The bare system calls of a sandbox, and nothing else: floor [-p] ROOT COMMAND... runs a command in a read-only directory, in
// namespaces of its own, with a fresh /proc and a minimal /dev. What any sandbox of this shape costs at least.
// -p: with the protections of the profile `strict` too, which floor-strict.c adds.
#define _GNU_SOURCE
#include "floor.h"
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

int protect;

static int tree(const char *path, unsigned long attributes) {
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    must(fd, path);
    struct mount_attr a = {.attr_set = attributes};
    must(syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof a), "mount_setattr");
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

static void command(char **argv) {
    char *const environment[] = {"PATH=/bin", NULL};
    if (protect) {
        give_up_handlers();
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
    if (protect)
        shut_in();
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
