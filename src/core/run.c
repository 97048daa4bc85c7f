#include "core/run.h"

#include "core/blocked.h"
#include "core/deadlock.h"
#include "core/debug.h"
#include "core/driver.h"
#include "core/future.h"
#include "core/handle.h"
#include "core/poll.h"
#include "core/port.h"
#include "core/report.h"
#include "core/runtime.h"
#include "core/shuffle.h"
#include "core/task.h"
#include "core/watchdog.h"
#include "core/work.h"

/* With I/O open virtual time waits this long for it, and looks this often whether work goes on. */
enum { VIRTUAL_IDLE_MS = 10 };

#define NEVER INT64_MAX

/* --- the ready queue --- */

/* libuv's timers run before its poll, which must not block now. */
static void wake(struct neap *rt) {
  if (rt->running)
    uv_stop(rt->loop);
  else
    driver_wake(rt);
}

void runtime_make_ready(struct neap *rt, struct runnable *runnable) {
  runnable->queued = true;
  runnable->next = NULL;
  if (rt->ready_tail)
    rt->ready_tail->next = runnable;
  else
    rt->ready_head = runnable;
  rt->ready_tail = runnable;
  if (rt->asleep) wake(rt);
}

static struct runnable *take_ready(struct neap *rt) {
  struct runnable *runnable = rt->ready_head;
  rt->ready_head = runnable->next;
  if (!rt->ready_head) rt->ready_tail = NULL;
  runnable->queued = false;
  return runnable;
}

static void run_other(struct neap *rt, struct runnable *runnable) {
  if (runnable->kind == RUN_POST)
    ((struct post *)runnable)->run(rt, (struct post *)runnable);
  else
    handle_run(rt, (struct handle *)runnable);
}

/* Runs what is ready now; what becomes ready meanwhile belongs to the next turn. At [deadline], of
 * uv_hrtime's clock, it leaves the rest of the turn for the next call. With the steps inlined a switch
 * takes a tenth less. */
__attribute__((flatten)) static void run_ready(struct neap *rt, int64_t deadline) {
  if (!rt->ready_head) return;
  if (!rt->turn_end.queued) {
    if (rt->seed) shuffle_ready(rt);
    runtime_make_ready(rt, &rt->turn_end);
  }
  for (;; runtime_count_step(rt)) {
    struct runnable *runnable = take_ready(rt);
    if (runnable == &rt->turn_end)
      return;
    else if (rt->debug && runnable->kind != RUN_POST)
      debug_run(rt, runnable);
    else if (runnable->kind == RUN_TASK)
      task_step(rt, container_of(runnable, struct task, runnable));
    else
      run_other(rt, runnable);
    if (deadline != NEVER && (int64_t)uv_hrtime() >= deadline) return runtime_count_step(rt);
  }
}

/* --- when nothing is ready --- */

/* Someone waits until all others are blocked: for those time does not jump. The second poll is for what the first
 * has begun in libuv alone. */
static void wait_until_blocked(struct neap *rt) {
  for (int i = 0; i < 2 && !rt->ready_head; i++) poll_now(rt);
  if (rt->ready_head) return;
  int64_t left = blocked_left(rt, runtime_steps(rt));
  if (left == 0) {
    blocked_wake(rt);
  } else {
    poll_wait(rt, (uint64_t)clock_ms(left));
    if (!rt->poll_expired) blocked_restart(rt);
  }
}

static void jump(struct neap *rt) {
  if (!work_goes_on(rt)) clock_jump(rt);
}

/* What comes next of what need not be waited for, if nothing is ready: for hosts, who wait themselves. */
static void go_on(struct neap *rt) {
  if (rt->ready_head) return;
  if (!blocked_is_awaited(&rt->blocked))
    jump(rt);
  else if (blocked_left(rt, runtime_steps(rt)) == 0)
    blocked_wake(rt);
}

/* Nothing is ready: waits for what comes next. Returns false if nothing ever can. */
static bool wait_for_something(struct neap *rt) {
  if (blocked_is_awaited(&rt->blocked)) return wait_until_blocked(rt), true;
  bool deadline = timer_first(rt) != NEVER;
  bool io = uv_loop_alive(rt->loop);
  if (!deadline && !io) return port_deliver(rt); /* which may have come already */
  if (!rt->clock.is_virtual || !deadline) {
    poll_wait(rt, UINT64_MAX);
  } else {
    bool idle = !io || poll_idle(rt, VIRTUAL_IDLE_MS); /* I/O that woke nobody may go on */
    if (!rt->ready_head && idle) jump(rt);
  }
  return true;
}

/* --- running --- */

static int protected_report(lua_State *L) {
  report_kept_warnings(L, lua_touserdata(L, 1));
  future_report_failures(L, lua_touserdata(L, 1), false);
  return 0;
}

static void report_unread(struct neap *rt) {
  lua_pushcfunction(rt->L, protected_report);
  lua_pushlightuserdata(rt->L, rt);
  if (lua_pcall(rt->L, 1, 0, 0) != LUA_OK) lua_pop(rt->L, 1);
}

static bool is_over(struct neap *rt, struct future *until) {
  return until ? future_done(until) : rt->task_count == 0 && rt->untold == 0;
}

/* A host's loop that is run next has to look at what is left: until then it knows of no deadline. */
static enum run_result leave(struct neap *rt, bool was_running, enum run_result result) {
  runtime_leave(rt, was_running);
  if (rt->asleep && (rt->ready_head || rt->task_count > 0)) driver_wake(rt);
  return result;
}

/* One turn, or what of it comes before the deadline. Returns false if it was asked to stop. */
static bool turn(struct neap *rt, int64_t deadline) {
  rt->turns++;
  run_ready(rt, deadline);
  if (rt->unread) report_unread(rt);
  bool stop = rt->stop;
  rt->stop = false;
  return !stop;
}

enum run_result runtime_run(struct neap *rt, struct future *until) {
  bool was_running = rt->running;
  if (!runtime_enter(rt)) return RUN_STOPPED;
  while (!is_over(rt, until)) {
    if (!turn(rt, NEVER)) return leave(rt, was_running, RUN_STOPPED);
    if (is_over(rt, until)) break;
    if (rt->ready_head) {
      if (poll_is_due(rt)) poll_now(rt);
    } else if (!wait_for_something(rt) && !deadlock_break(rt, until)) {
      return leave(rt, was_running, RUN_IDLE);
    }
  }
  return leave(rt, was_running, RUN_DONE);
}

bool runtime_is_idle(const struct neap *rt) { return rt->asleep && rt->running && !rt->ready_head; }

void runtime_run_woken(struct neap *rt) {
  if (!rt->ready_head) return;
  rt->asleep = false;
  watchdog_note(rt, true);
  run_ready(rt, NEVER);
  watchdog_note(rt, false);
  rt->asleep = true;
  if (rt->ready_head) wake(rt);
}

static bool may_be_woken(struct neap *rt) {
  return timer_first(rt) != NEVER || blocked_is_awaited(&rt->blocked) || uv_loop_alive(rt->loop);
}

static enum run_result state_of(struct neap *rt) {
  if (rt->ready_head) return RUN_READY;
  if (rt->task_count == 0) return RUN_DONE;
  return may_be_woken(rt) ? RUN_WAITING : RUN_IDLE;
}

/* The poll at the end also tells the kernel of what the tasks have begun: only then is the loop's descriptor
 * up to date. */
enum run_result runtime_step(struct neap *rt, int64_t budget) {
  int64_t deadline = (int64_t)uv_hrtime() + budget;
  if (!runtime_enter(rt)) return RUN_STOPPED;
  poll_now(rt);
  go_on(rt);
  while (rt->ready_head) {
    if (!turn(rt, deadline)) return leave(rt, false, RUN_STOPPED);
    if ((int64_t)uv_hrtime() >= deadline) break;
    poll_if_due(rt);
  }
  poll_now(rt);
  return leave(rt, false, state_of(rt));
}

void runtime_turn(struct neap *rt) {
  if (!runtime_enter(rt)) return;
  poll_after(rt);
  go_on(rt);
  (void)turn(rt, NEVER);
  runtime_leave(rt, false);
}

int64_t runtime_wait(struct neap *rt) {
  if (rt->ready_head) return 0;
  int64_t deadline = timer_wait(rt);
  if (rt->clock.is_virtual && deadline == 0 && work_goes_on(rt)) deadline = VIRTUAL_IDLE_MS;
  if (!blocked_is_awaited(&rt->blocked)) return deadline;
  int64_t left = clock_ms(blocked_left(rt, runtime_steps(rt)));
  return deadline < 0 || rt->clock.is_virtual || left < deadline ? left : deadline;
}
