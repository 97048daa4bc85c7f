/* The floor of a child process: uv_spawn and its exit callback, one after the
 * other, then a hundred at once. */
#include <uv.h>

#include "../lib/meter.h"

enum { AT_ONCE = 100 };

static long left; /* to be started */

static void start(uv_process_t *process);

static void on_closed(uv_handle_t *handle) { start((uv_process_t *)handle); }

static void on_exited(uv_process_t *process, int64_t status, int number) {
  if (status != 0 || number != 0) abort();
  uv_close((uv_handle_t *)process, on_closed);
}

/* Each handle is used again as soon as it is closed. */
static void start(uv_process_t *process) {
  char *args[] = {"/bin/true", NULL};
  uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE}, {.flags = UV_IGNORE}, {.flags = UV_INHERIT_FD, .data.fd = 2}};
  uv_process_options_t options = {
      .file = args[0], .args = args, .stdio = stdio, .stdio_count = 3, .exit_cb = on_exited};
  if (left == 0) return;
  left--;
  if (uv_spawn(uv_default_loop(), process, &options) < 0) abort();
}

static void run(long count, int at_once, double *us, double *cpu_us) {
  static uv_process_t processes[AT_ONCE];
  double begin = meter_wall_s(), cpu = meter_cpu_s();
  left = count;
  for (int i = 0; i < at_once; i++) start(&processes[i]);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  *us = (meter_wall_s() - begin) / (double)count * 1e6;
  *cpu_us = (meter_cpu_s() - cpu) / (double)count * 1e6;
}

int main(void) {
  double us, cpu_us;
  run(100, 1, &us, &cpu_us);
  run(meter_count(10000), 1, &us, &cpu_us);
  meter_report("processes_us", us);
  meter_report("processes_cpu_us", cpu_us);
  run(meter_count(10000), AT_ONCE, &us, &cpu_us);
  meter_report("processes_at_once_us", us);
  meter_report("processes_at_once_cpu_us", cpu_us);
  return 0;
}
