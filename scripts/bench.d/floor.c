// The bare system calls of a sandbox, and nothing else: floor ROOT COMMAND... runs a command in a read-only directory, in
// namespaces of its own, with a fresh /proc and a minimal /dev. What any sandbox of this shape costs at least.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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

static int fresh(const char *type, unsigned attributes) {
    int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
    must(fs, type);
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

static void child(char **argv, uid_t uid, gid_t gid) {
    static const char *const nodes[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"};
    identity(uid, gid);
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private /");
    int devices[6];
    for (int i = 0; i < 6; i++)
        devices[i] = tree(nodes[i], MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    attach(tree(argv[1], MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV), argv[1]);
    must(chdir(argv[1]), argv[1]);
    attach(fresh("proc", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC), "proc");
    attach(fresh("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC), "dev");
    for (int i = 0; i < 6; i++) {
        must(mknod(nodes[i] + 1, S_IFREG | 0644, 0), nodes[i]);
        attach(devices[i], nodes[i] + 1);
    }
    must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    must(umount2(".", MNT_DETACH), "umount2");
    must(chdir("/"), "chdir");
    char *const environment[] = {"PATH=/bin", NULL};
    execve(argv[2], argv + 2, environment);
    must(-1, argv[2]);
}

int main(int argc, char **argv) {
    if (argc < 3)
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
    int status;
    must(waitpid((pid_t)pid, &status, 0), "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
