#include "core/runtime.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "core/ceiling.h"
#include "core/collector.h"
#include "core/deadlock.h"
#include "core/debug.h"
#include "core/driver.h"
#include "core/error.h"
#include "core/future.h"
#include "core/handle.h"
#include "core/limits.h"
#include "core/port.h"
#include "core/report.h"
#include "core/shuffle.h"
#include "core/scope.h"
#include "core/task.h"
#include "core/watchdog.h"

enum {
  STEPS_PER_POLL = 64,      /* ready work goes on for so many steps before libuv is asked */
  TURNS_PER_CLOCK = 16,     /* and for so many turns before the clock is read */
  POLL_INTERVAL_NS = 200000, /* but no longer than this */
  VIRTUAL_IDLE_MS = 10,     /* with I/O open, virtual time waits this long for it */
  SLOW_NS = 100000000,      /* debug mode reports longer steps */
};

#define NEVER INT64_MAX

static const char runtime_key;

/* That this thread runs; of several, one inside the other, the last that was begun. */
static _Thread_local struct neap *innermost;

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

/* --- time --- */

int64_t runtime_now(struct neap *rt) {
  if (rt->clock.is_virtual) return rt->clock.virtual_now;
  return (int64_t)uv_hrtime() + rt->clock.offset;
}

void runtime_set_virtual(struct neap *rt, bool is_virtual) {
  bool is_unseen = rt->last_task_id == 0; /* then virtual time begins with 0: each run is the same */
  int64_t now = is_virtual && is_unseen ? 0 : runtime_now(rt);
  rt->clock.is_virtual = is_virtual;
  rt->clock.virtual_now = now;
  rt->clock.offset = now - (int64_t)uv_hrtime();
  rt->turns = 0;
}

int64_t runtime_deadline(struct neap *rt, double seconds) {
  int64_t now = runtime_now(rt);
  double wait = ceil(seconds * 1e9);
  if (wait <= 0) return now;
  if (wait >= (double)(INT64_MAX - now)) return INT64_MAX;
  return now + (int64_t)wait;
}

int64_t runtime_time(double seconds) {
  double ns = ceil(seconds * 1e9);
  if (ns <= 0) return 0;
  return ns >= (double)INT64_MAX ? INT64_MAX : (int64_t)ns;
}

double runtime_check_seconds(lua_State *L, int index) {
  int is_number;
  double seconds = lua_tonumberx(L, index, &is_number);
  if (!is_number) luaL_typeerror(L, index, "number");
  luaL_argcheck(L, !isnan(seconds), index, "the time is not a number (NaN)");
  return seconds;
}

int timer_start(struct neap *rt, struct timer *timer, int64_t deadline) {
  timer->node.key = deadline;
  return heap_insert(&rt->timers, &timer->node);
}

void timer_stop(struct neap *rt, struct timer *timer) { heap_remove(&rt->timers, &timer->node); }

static void fire_due(struct neap *rt) {
  struct heap_node *node = heap_first(&rt->timers);
  if (!node) return;
  int64_t now = runtime_now(rt);
  while (node && node->key <= now) {
    struct timer *timer = container_of(node, struct timer, node);
    heap_remove(&rt->timers, node);
    timer->fire(rt, timer);
    node = heap_first(&rt->timers);
  }
}

/* It ends the poll; when it is due before the poll has begun, that must not begin. */
static void on_timer(uv_timer_t *timer) {
  struct neap *rt = timer->data;
  rt->poll_expired = true;
  uv_stop(timer->loop);
}

/* Arms libuv's timer for the first deadline, never early: [limit_ms] is the longest wait. */
static void arm(struct neap *rt, uint64_t limit_ms) {
  struct heap_node *node = heap_first(&rt->timers);
  uint64_t ms = limit_ms;
  if (node && !rt->clock.is_virtual) {
    int64_t wait = node->key - runtime_now(rt);
    uint64_t due = wait <= 0 ? 0 : ((uint64_t)wait + 999999) / 1000000;
    if (due < ms) ms = due;
  }
  if (ms == UINT64_MAX) return;
  uv_update_time(rt->loop);
  uv_timer_start(rt->uv_timer, on_timer, ms, 0);
}

/* Rounded up: never early. */
static int64_t to_ms(int64_t ns) { return (ns + 999999) / 1000000; }

/* --- polling --- */

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

static unsigned count_of_steps(struct neap *rt) {
  return atomic_load_explicit(&rt->steps, memory_order_relaxed);
}

static void after_poll(struct neap *rt) {
  rt->last_tick = coarse_now();
  rt->polled_steps = count_of_steps(rt);
  rt->last_poll = (int64_t)uv_hrtime();
  fire_due(rt);
}

/* A loop with nothing that keeps it alive looks neither for posts nor at its timers. */
static void poll_now(struct neap *rt) {
  collector_pace(rt);
  port_expect(rt);
  uv_run(rt->loop, UV_RUN_NOWAIT);
  port_unexpect(rt);
  after_poll(rt);
}

/* Blocks until I/O, the first deadline, or [limit_ms]. */
static void poll_wait(struct neap *rt, uint64_t limit_ms) {
  collector_pace(rt);
  arm(rt, limit_ms);
  rt->asleep = true;
  rt->poll_expired = false;
  watchdog_note(rt, false);
  uv_run(rt->loop, UV_RUN_ONCE);
  watchdog_note(rt, true);
  rt->asleep = false;
  uv_timer_stop(rt->uv_timer);
  after_poll(rt);
}

void runtime_poll_soon(struct neap *rt) { rt->polled_steps = count_of_steps(rt) - STEPS_PER_POLL; }

static bool many_steps_ago(struct neap *rt) {
  return count_of_steps(rt) - rt->polled_steps >= STEPS_PER_POLL;
}

void runtime_poll_if_due(struct neap *rt) {
  if (many_steps_ago(rt)) poll_now(rt);
}

static bool poll_is_due(struct neap *rt) {
  if (many_steps_ago(rt) || coarse_now() != rt->last_tick) return true;
  if (rt->turns % TURNS_PER_CLOCK != 0) return false;
  return (int64_t)uv_hrtime() - rt->last_poll >= POLL_INTERVAL_NS;
}

/* Virtual time alone does. */
static void jump_to_deadline(struct neap *rt) {
  struct heap_node *node = heap_first(&rt->timers);
  if (!rt->clock.is_virtual || !node || node->key == NEVER) return;
  if (node->key > rt->clock.virtual_now) rt->clock.virtual_now = node->key;
  rt->turns = 0;
  fire_due(rt);
}

/* Someone waits until all others are blocked: for those time does not jump. The second poll is for what the first
 * has begun in libuv alone. */
static void wait_until_blocked(struct neap *rt) {
  for (int i = 0; i < 2 && !rt->ready_head; i++) poll_now(rt);
  if (rt->ready_head) return;
  int64_t left = blocked_left(rt, count_of_steps(rt));
  if (left == 0) {
    blocked_wake(rt);
  } else {
    poll_wait(rt, (uint64_t)to_ms(left));
    if (!rt->poll_expired) blocked_restart(rt);
  }
}

/* What comes next of what need not be waited for, if nothing is ready: for hosts, who wait themselves. */
static void go_on(struct neap *rt) {
  if (rt->ready_head) return;
  if (!blocked_is_awaited(&rt->blocked))
    jump_to_deadline(rt);
  else if (blocked_left(rt, count_of_steps(rt)) == 0)
    blocked_wake(rt);
}

/* Nothing is ready: waits for what comes next. Returns false if nothing ever can. */
static bool wait_for_something(struct neap *rt) {
  if (blocked_is_awaited(&rt->blocked)) return wait_until_blocked(rt), true;
  bool deadline = rt->timers.count > 0 && heap_first(&rt->timers)->key != NEVER;
  bool io = uv_loop_alive(rt->loop);
  if (!deadline && !io) return port_deliver(rt); /* which may have come already */
  if (!rt->clock.is_virtual || !deadline) {
    poll_wait(rt, UINT64_MAX);
  } else {
    if (io) poll_wait(rt, VIRTUAL_IDLE_MS);
    bool idle = !io || rt->poll_expired; /* I/O that woke nobody may go on */
    if (!rt->ready_head && idle) jump_to_deadline(rt);
  }
  return true;
}

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

/* Returns false without Lua stack for it. */
static bool enter(struct neap *rt) {
  if (!lua_checkstack(rt->L, 40)) return false;
  if (!rt->running) {
    rt->outer = innermost;
    innermost = rt;
  }
  rt->running = true;
  rt->asleep = false;
  rt->thread = pthread_self();
  port_enter(rt);
  limits_bind(rt, true);
  watchdog_note(rt, true);
  return true;
}

static enum run_result leave(struct neap *rt, bool was_running, enum run_result result) {
  rt->running = was_running;
  rt->asleep = !was_running && rt->driver;
  if (!was_running) {
    innermost = rt->outer;
    port_leave(rt);
  }
  limits_bind(rt, was_running);
  watchdog_note(rt, was_running);
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
  if (!enter(rt)) return RUN_STOPPED;
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

static bool may_be_woken(struct neap *rt) {
  struct heap_node *first = heap_first(&rt->timers);
  return (first && first->key != NEVER) || blocked_is_awaited(&rt->blocked) || uv_loop_alive(rt->loop);
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
  if (!enter(rt)) return RUN_STOPPED;
  poll_now(rt);
  go_on(rt);
  while (rt->ready_head) {
    if (!turn(rt, deadline)) return leave(rt, false, RUN_STOPPED);
    if ((int64_t)uv_hrtime() >= deadline) break;
    runtime_poll_if_due(rt);
  }
  poll_now(rt);
  return leave(rt, false, state_of(rt));
}

void runtime_turn(struct neap *rt) {
  if (!enter(rt)) return;
  after_poll(rt);
  go_on(rt);
  (void)turn(rt, NEVER);
  (void)leave(rt, false, RUN_WAITING);
}

/* The same, were nobody waiting until all others are blocked. */
static int64_t wait_for_deadline(struct neap *rt) {
  struct heap_node *first = heap_first(&rt->timers);
  if (!first || first->key == NEVER) return -1;
  if (rt->clock.is_virtual) return 0;
  int64_t wait = first->key - runtime_now(rt);
  return wait <= 0 ? 0 : to_ms(wait);
}

int64_t runtime_wait(struct neap *rt) {
  if (rt->ready_head) return 0;
  int64_t deadline = wait_for_deadline(rt);
  if (!blocked_is_awaited(&rt->blocked)) return deadline;
  int64_t left = to_ms(blocked_left(rt, count_of_steps(rt)));
  return deadline < 0 || rt->clock.is_virtual || left < deadline ? left : deadline;
}

/* --- making and freeing --- */

void runtime_push(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &runtime_key); }

static struct neap *look_up(lua_State *L) {
  runtime_push(L);
  struct neap *rt = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return rt;
}

/* The registry costs as much as all else that the beginning of an operation does. */
struct neap *runtime_get(lua_State *L) {
  struct neap *rt = innermost;
  return rt && rt->active == L ? rt : look_up(L);
}

static void on_timer_closed(uv_handle_t *handle) { memory_free(handle); }

/* What is still open then belongs to the program around us, and to static or longer-lived memory. */
static void close_handle(uv_handle_t *handle, void *unused) {
  (void)unused;
  if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

static int l_runtime_gc(lua_State *L) {
  struct neap *rt = lua_touserdata(L, 1);
  runtime_free(rt);
  if (rt->memory) memory_let_go(rt->memory);
  rt->memory = NULL;
  return 0;
}

static void init(struct neap *rt, lua_State *L) {
  memset(rt, 0, sizeof *rt);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  rt->L = lua_tothread(L, -1);
  lua_pop(L, 1);
  list_init(&rt->tasks);
  list_init(&rt->all_scopes);
  list_init(&rt->scopes);
  list_init(&rt->resources);
  blocked_init(&rt->blocked);
  rt->turn_end.kind = RUN_TURN_END;
  rt->slow_ns = SLOW_NS;
  rt->closed = true; /* until its loop is open */
}

/* Returns 0 or UV_E*. */
static int open_loop(struct neap *rt, uv_loop_t *loop) {
  rt->uv_timer = memory_alloc(rt->memory, sizeof *rt->uv_timer);
  if (!rt->uv_timer) return UV_ENOMEM;
  rt->uv_timer->data = rt;
  rt->owns_loop = !loop;
  rt->loop = loop ? loop : &rt->own_loop;
  int status = rt->owns_loop ? uv_loop_init(rt->loop) : 0;
  if (status == 0) status = uv_timer_init(rt->loop, rt->uv_timer);
  if (status < 0) memory_free(rt->uv_timer);
  return status;
}

static void close_loop(struct neap *rt) {
  uv_close((uv_handle_t *)rt->uv_timer, on_timer_closed);
  if (!rt->owns_loop) return;
  uv_walk(rt->loop, close_handle, NULL);
  while (uv_loop_close(rt->loop) == UV_EBUSY) uv_run(rt->loop, UV_RUN_DEFAULT);
}

/* The same for all that hangs on the loop. */
static int open_all(struct neap *rt, uv_loop_t *loop) {
  int status = open_loop(rt, loop);
  if (status < 0) return status;
  status = port_open(rt);
  if (status == 0 && !rt->owns_loop && (status = driver_open(rt)) < 0) port_close(rt);
  if (status < 0) close_loop(rt);
  rt->closed = status < 0;
  return status;
}

/* Not before the runtime has its finalizer. */
static void open_memory(lua_State *L, struct neap *rt) {
  rt->memory = memory_new();
  if (!rt->memory) luaL_error(L, "neap: not enough memory");
  rt->timers.memory = rt->memory;
  rt->pool.memory = rt->memory;
}

struct neap *runtime_new(lua_State *L, uv_loop_t *loop) {
  struct neap *rt = lua_newuserdatauv(L, sizeof *rt, 0);
  init(rt, L);
  lua_newtable(L);
  lua_pushcfunction(L, l_runtime_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &runtime_key);
  open_memory(L, rt);
  anchors_open(L, rt);
  int status = open_all(rt, loop);
  if (status < 0) error_misuse(L, "neap: cannot make an event loop: %s", uv_strerror(status));
  return rt;
}

static int protected_free_tasks(lua_State *L) {
  struct neap *rt = lua_touserdata(L, 1);
  struct list *node = rt->tasks.next;
  while (node != &rt->tasks) {
    runtime_count_step(rt); /* what its <close> variables do is one */
    bool killed = task_kill(L, rt, container_of(node, struct task, link));
    node = killed ? rt->tasks.next : node->next;
  }
  future_report_failures(L, rt, true);
  return 0;
}

static bool try_to_free_tasks(struct neap *rt) {
  lua_State *L = rt->L;
  if (!lua_checkstack(L, 8)) return false;
  lua_pushcfunction(L, protected_free_tasks);
  lua_pushlightuserdata(L, rt);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

/* A task's <close> handlers may make new tasks; those end here too, but not for ever. Where there is no
 * memory to close them, what they hold is released all the same. */
static void end_tasks(struct neap *rt) {
  if (!try_to_free_tasks(rt)) (void)try_to_free_tasks(rt);
  while (!list_empty(&rt->tasks))
    task_abandon(rt, container_of(rt->tasks.next, struct task, link));
}

static void close_resources(struct neap *rt) {
  while (!list_empty(&rt->resources)) {
    struct resource *resource = container_of(rt->resources.next, struct resource, link);
    list_remove(&resource->link);
    resource->close(rt, resource);
  }
  while (rt->owns_loop && rt->flushing > 0) uv_run(rt->loop, UV_RUN_ONCE);
}

void runtime_free(struct neap *rt) {
  if (rt->closed) return;
  watchdog_free(rt);
  ceiling_raise(rt);
  limits_bind(rt, true);
  end_tasks(rt);
  limits_bind(rt, false);
  rt->closed = true;
  close_resources(rt);
  if (rt->driver) driver_close(rt);
  port_close(rt);
  close_loop(rt);
  task_pool_free(rt);
  heap_free(&rt->timers);
  scope_free_all(rt);
  anchors_free(rt);
  pool_free(&rt->pool);
  limits_close(rt);
}

int runtime_refuse_thread(lua_State *L) {
  lua_Debug ar;
  const char *call = lua_getstack(L, 0, &ar) && lua_getinfo(L, "n", &ar) ? ar.name : NULL;
  return error_misuse(L, "%s: the loop is running in another thread", call ? call : "neap");
}

void runtime_check_open(lua_State *L, struct neap *rt, const char *call) {
  if (rt->closed) error_misuse(L, "%s: the runtime is closed", call);
  runtime_check_thread(L, rt);
}
