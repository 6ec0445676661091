// Runs two commands in turn and prints how long each takes: pairs RUNS COMMAND... --- COMMAND...
// Output: median of the first and of the second in microseconds, and the median of the ratios of each pair. Whatever else the
// machine does meets both halves of a pair alike; the order within a pair alternates.
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double microseconds(char **command) {
    struct timespec a, b;
    pid_t pid;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &a);
    int error = posix_spawnp(&pid, command[0], NULL, NULL, command, environ);
    if (error || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "pairs: %s: %s\n", command[0], error ? strerror(error) : "did not end with 0");
        exit(1);
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    return (double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3;
}

static int order(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, order);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

int main(int argc, char **argv) {
    int runs = argc > 1 ? atoi(argv[1]) : 0, second = 0;
    for (int i = 2; i < argc && !second; i++)
        if (!strcmp(argv[i], "---"))
            second = i + 1;
    if (runs < 1 || second < 4 || second >= argc) {
        fprintf(stderr, "usage: pairs RUNS COMMAND... --- COMMAND...\n");
        return 2;
    }
    argv[second - 1] = NULL;
    double *a = calloc((size_t)runs, sizeof *a), *b = calloc((size_t)runs, sizeof *b), *ratio = calloc((size_t)runs, sizeof *ratio);
    if (!a || !b || !ratio)
        return 1;
    // The first pair fills the caches and does not count.
    for (int i = -1; i < runs; i++) {
        int at = i < 0 ? 0 : i;
        if (i % 2)
            a[at] = microseconds(argv + 2), b[at] = microseconds(argv + second);
        else
            b[at] = microseconds(argv + second), a[at] = microseconds(argv + 2);
        ratio[at] = a[at] / b[at];
    }
    double first = median(a, runs), other = median(b, runs);
    printf("%.0f %.0f %.3f\n", first, other, median(ratio, runs));
}
