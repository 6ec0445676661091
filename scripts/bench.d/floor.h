// What floor*.c share: system calls that must succeed, and mounts.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

extern int protect; // whether the protections of `strict` are wanted

// In floor-strict.c and floor-filter.c, in the order in which they are called.
void shut_in(void);
void furnish(void);
void restrain(void);
void give_up_handlers(void);
void filter(unsigned ranges);

static inline void must(long result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
        _exit(125);
    }
}

static inline void put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    must(fd, path);
    must(write(fd, text, strlen(text)), path);
    close(fd);
}

static inline void attach(int fd, const char *path) {
    must(syscall(SYS_move_mount, fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH), path);
    close(fd);
}

// options: NAME, VALUE, ..., NULL
static inline int fresh(const char *type, unsigned attributes, const char *const *options) {
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
