#include "core/poll.h"

#include <poll.h>
#include <time.h>

#include "core/collector.h"
#include "core/port.h"
#include "core/runtime.h"
#include "core/watchdog.h"

enum {
  STEPS_PER_POLL = 64,      /* ready work goes on for so many steps before libuv is asked */
  TURNS_PER_CLOCK = 16,     /* and for so many turns before the clock is read */
  POLL_INTERVAL_NS = 200000, /* but no longer than this */
};

/* It ends the poll; when it is due before the poll has begun, that must not begin. */
static void on_timer(uv_timer_t *timer) {
  struct neap *rt = timer->data;
  rt->poll_expired = true;
  uv_stop(timer->loop);
}

/* Arms libuv's timer for the first deadline: [limit_ms] is the longest wait. On a host's loop the driver may have
 * unreferenced it, and the loop would not wait. */
static void arm(struct neap *rt, uint64_t limit_ms) {
  int64_t wait = rt->clock.is_virtual ? -1 : timer_wait(rt);
  uint64_t ms = wait >= 0 && (uint64_t)wait < limit_ms ? (uint64_t)wait : limit_ms;
  if (ms == UINT64_MAX) return;
  uv_update_time(rt->loop);
  uv_ref((uv_handle_t *)rt->uv_timer);
  uv_timer_start(rt->uv_timer, on_timer, ms, 0);
}

/* A clock that costs next to nothing and ticks every few milliseconds. */
static int64_t coarse_now(void) {
#ifdef CLOCK_MONOTONIC_COARSE
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
#else
  return (int64_t)uv_hrtime() / 1000000;
#endif
}

void poll_after(struct neap *rt) {
  rt->last_tick = coarse_now();
  rt->polled_steps = runtime_steps(rt);
  rt->last_poll = (int64_t)uv_hrtime();
  timer_fire_due(rt);
}

/* A loop with nothing that keeps it alive looks neither for posts nor at its timers. */
void poll_now(struct neap *rt) {
  collector_pace(rt);
  port_expect(rt);
  uv_run(rt->loop, UV_RUN_NOWAIT);
  port_unexpect(rt);
  poll_after(rt);
}

void poll_wait(struct neap *rt, uint64_t limit_ms) {
  collector_pace(rt);
  arm(rt, limit_ms);
  rt->asleep = true;
  rt->poll_expired = false;
  watchdog_note(rt, false);
  uv_run(rt->loop, UV_RUN_ONCE);
  watchdog_note(rt, true);
  rt->asleep = false;
  uv_timer_stop(rt->uv_timer);
  poll_after(rt);
}

/* By the loop's descriptor: a timer of libuv would also fire behind callbacks that have taken that long. */
bool poll_idle(struct neap *rt, int limit_ms) {
  poll_now(rt);
  if (rt->ready_head) return false;
  struct pollfd backend = {.fd = uv_backend_fd(rt->loop), .events = POLLIN};
  int timer_ms = uv_backend_timeout(rt->loop);
  bool expects_timer = timer_ms >= 0 && timer_ms < limit_ms;
  watchdog_note(rt, false);
  int ready = poll(&backend, 1, expects_timer ? timer_ms : limit_ms);
  watchdog_note(rt, true);
  if (ready == 0 && !expects_timer) return true;
  poll_now(rt);
  return false;
}

void poll_soon(struct neap *rt) { rt->polled_steps = runtime_steps(rt) - STEPS_PER_POLL; }

static bool many_steps_ago(struct neap *rt) {
  return runtime_steps(rt) - rt->polled_steps >= STEPS_PER_POLL;
}

void poll_if_due(struct neap *rt) {
  if (many_steps_ago(rt)) poll_now(rt);
}

bool poll_is_due(struct neap *rt) {
  if (many_steps_ago(rt) || coarse_now() != rt->last_tick) return true;
  if (rt->turns % TURNS_PER_CLOCK != 0) return false;
  return (int64_t)uv_hrtime() - rt->last_poll >= POLL_INTERVAL_NS;
}
