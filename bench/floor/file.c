/* The floor of files: one request after another through libuv's pool, 64 KiB each. */
#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#include "../lib/meter.h"

enum { BLOCK = 64 * 1024, MEGABYTES = 1024 };

static char block[BLOCK];
static uv_buf_t buf;
static uv_fs_t req;
static int from, to;
static long long total;

static int open_file(const char *path, int flags) {
  uv_fs_t opening;
  int fd = uv_fs_open(NULL, &opening, path, flags, 0600, NULL);
  uv_fs_req_cleanup(&opening);
  if (fd < 0) abort();
  return fd;
}

static void close_file(int fd) {
  uv_fs_t closing;
  uv_fs_close(NULL, &closing, fd, NULL);
  uv_fs_req_cleanup(&closing);
}

static void on_read(uv_fs_t *done);

static void read_on(void) {
  buf = uv_buf_init(block, BLOCK);
  uv_fs_read(uv_default_loop(), &req, from, &buf, 1, -1, on_read);
}

static void on_written(uv_fs_t *done) {
  if (done->result != (ssize_t)buf.len) abort();
  uv_fs_req_cleanup(done);
  read_on();
}

static void on_read(uv_fs_t *done) {
  ssize_t n = done->result;
  uv_fs_req_cleanup(done);
  if (n <= 0) return;
  total += n;
  if (to < 0) {
    read_on();
    return;
  }
  buf = uv_buf_init(block, (unsigned)n);
  uv_fs_write(uv_default_loop(), &req, to, &buf, 1, -1, on_written);
}

/* Reads the file to its end, and writes what it reads if there is a [copy]. */
static void run(const char *what, const char *path, const char *copy) {
  char name[64];
  from = open_file(path, O_RDONLY);
  to = copy ? open_file(copy, O_WRONLY | O_CREAT | O_TRUNC) : -1;
  total = 0;
  double begin = meter_wall_s(), cpu = meter_cpu_s();
  read_on();
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  double seconds = meter_wall_s() - begin, megabytes = (double)total / (1 << 20);
  cpu = meter_cpu_s() - cpu;
  snprintf(name, sizeof name, "file_%s_mb_per_s", what);
  meter_report(name, megabytes / seconds);
  snprintf(name, sizeof name, "file_%s_cpu_us", what);
  meter_report(name, cpu / megabytes * 1e6);
  close_file(from);
  if (to >= 0) close_file(to);
}

/* A file that takes no room on a disk, and is in memory all the same when it has been read once. */
int main(void) {
  char path[] = "/tmp/neap_bench_file_XXXXXX", copy[sizeof path + 5];
  int fd = mkstemp(path);
  snprintf(copy, sizeof copy, "%s.copy", path);
  if (fd < 0 || ftruncate(fd, meter_count(MEGABYTES) << 20) < 0) abort();
  close(fd);
  run("read", path, NULL);
  run("read", path, NULL);
  run("copy", path, copy);
  unlink(path);
  unlink(copy);
  return 0;
}
