/* What the programs of bench/ measure themselves with: processor time, memory,
 * and lines of "name value" for bench/run to read. */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* [n] times BENCH_SCALE, which bench/run sets below 1 for a quick run. */
static inline long meter_count(long n) {
  const char *scale = getenv("BENCH_SCALE");
  long scaled = scale != NULL ? (long)((double)n * atof(scale)) : n;
  return scaled > 0 ? scaled : 1;
}

/* Processor time of this process, user and system, in seconds. */
static inline double meter_cpu_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds that have passed since some moment. */
static inline double meter_wall_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A line of /proc/self/status in bytes: [key] is "VmRSS" (resident now) or
 * "VmHWM" (the most that ever was). */
static inline double meter_status_bytes(const char *key) {
  char line[256];
  size_t length = strlen(key);
  double kilobytes = 0;
  FILE *f = fopen("/proc/self/status", "r");
  if (f == NULL) return 0;
  while (fgets(line, sizeof(line), f) != NULL)
    if (strncmp(line, key, length) == 0 && line[length] == ':') kilobytes = atof(line + length + 1);
  fclose(f);
  return kilobytes * 1024;
}

/* Bytes that malloc has handed out, its own headers included. */
static inline double meter_malloc_bytes(void) {
  struct mallinfo2 info = mallinfo2();
  return (double)info.uordblks + (double)info.hblkhd;
}

static inline void meter_report(const char *name, double value) {
  printf("%s %.3f\n", name, value);
}

#endif
