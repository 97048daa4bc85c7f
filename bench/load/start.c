/* start RUNS COMMAND [ARG ...]
 *
 * Runs COMMAND again and again, its output thrown away, and prints the median
 * time from start to end, and the most memory it had resident. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Runs [command] to its end and returns the milliseconds that took. */
static double run(char **command, struct rusage *usage) {
  posix_spawn_file_actions_t actions;
  double begin = now_ms();
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  pid_t pid;
  int err = posix_spawnp(&pid, command[0], &actions, NULL, command, environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (err != 0 || wait4(pid, &status, 0, usage) != pid || status != 0) {
    fprintf(stderr, "start: %s failed\n", command[0]);
    exit(1);
  }
  return now_ms() - begin;
}

int main(int argc, char **argv) {
  int runs = argc > 2 ? atoi(argv[1]) : 0;
  if (runs < 1) {
    fputs("usage: start RUNS COMMAND [ARG ...]\n", stderr);
    return 2;
  }
  struct rusage usage;
  double *times_ms = malloc((size_t)runs * sizeof(*times_ms));
  run(argv + 2, &usage);
  for (int i = 0; i < runs; i++) times_ms[i] = run(argv + 2, &usage);
  qsort(times_ms, (size_t)runs, sizeof(*times_ms), ascending);
  printf("start_ms %.3f\n", times_ms[runs / 2]);
  printf("start_peak_rss_kb %ld\n", usage.ru_maxrss);
  free(times_ms);
  return 0;
}
