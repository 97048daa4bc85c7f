#include "core/driver.h"

#include "core/run.h"
#include "core/runtime.h"

enum { HANDLES = 3 };

struct driver {
  uv_prepare_t prepare; /* before the poll: says how long that may take */
  uv_check_t check;     /* behind it: runs a turn */
  uv_idle_t idle;       /* active while something is ready: then the poll does not block */
  int open;
};

static void on_idle(uv_idle_t *idle) { (void)idle; }

static void on_deadline(uv_timer_t *timer) { (void)timer; }

/* A deadline keeps the loop alive only while there is a task. */
static void arm(struct neap *rt, int64_t ms) {
  uv_timer_start(rt->uv_timer, on_deadline, (uint64_t)ms, 0);
  if (rt->task_count > 0)
    uv_ref((uv_handle_t *)rt->uv_timer);
  else
    uv_unref((uv_handle_t *)rt->uv_timer);
}

static void before_poll(uv_prepare_t *prepare) {
  struct neap *rt = prepare->data;
  if (rt->running) { /* by neap_run, which polls for itself, and waits */
    uv_idle_stop(&rt->driver->idle);
    return;
  }
  uv_update_time(rt->loop);
  int64_t ms = rt->exiting ? -1 : runtime_wait(rt);
  uv_timer_stop(rt->uv_timer);
  if (ms == 0)
    driver_wake(rt);
  else
    uv_idle_stop(&rt->driver->idle);
  if (ms > 0) arm(rt, ms);
}

static void after_poll(uv_check_t *check) {
  struct neap *rt = check->data;
  if (!rt->running && !rt->exiting) runtime_turn(rt);
}

void driver_wake(struct neap *rt) { uv_idle_start(&rt->driver->idle, on_idle); }

static void add(struct neap *rt, uv_handle_t *handle) {
  handle->data = rt;
  uv_unref(handle);
}

int driver_open(struct neap *rt) {
  struct driver *driver = memory_calloc(rt->memory, 1, sizeof *driver);
  if (!driver) return UV_ENOMEM;
  rt->driver = driver;
  uv_prepare_init(rt->loop, &driver->prepare); /* these five cannot fail */
  uv_check_init(rt->loop, &driver->check);
  uv_idle_init(rt->loop, &driver->idle);
  uv_prepare_start(&driver->prepare, before_poll);
  uv_check_start(&driver->check, after_poll);
  add(rt, (uv_handle_t *)&driver->prepare);
  add(rt, (uv_handle_t *)&driver->check);
  driver->idle.data = rt;
  driver->open = HANDLES;
  rt->asleep = true;
  return 0;
}

static void on_closed(uv_handle_t *handle) {
  struct driver *driver = handle->data;
  if (--driver->open == 0) memory_free(driver);
}

static void close_handle(struct driver *driver, uv_handle_t *handle) {
  handle->data = driver;
  uv_close(handle, on_closed);
}

void driver_close(struct neap *rt) {
  struct driver *driver = rt->driver;
  rt->driver = NULL;
  rt->asleep = false;
  close_handle(driver, (uv_handle_t *)&driver->prepare);
  close_handle(driver, (uv_handle_t *)&driver->check);
  close_handle(driver, (uv_handle_t *)&driver->idle);
}
