// A filter of system calls that allows them all, in the shape of those of sbx: numbers in a binary tree.
#define _GNU_SOURCE
#include "floor.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

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

void filter(unsigned count) {
    code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xc000003e, 1, 0);
    code[2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[3] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    length = 4;
    ranges(0, count);
    struct sock_fprog program = {length, code};
    must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
}
