#include "core/runtime.h"

#include <poll.h>
#include <string.h>

#include "core/ceiling.h"
#include "core/driver.h"
#include "core/error.h"
#include "core/future.h"
#include "core/limits.h"
#include "core/port.h"
#include "core/report.h"
#include "core/scope.h"
#include "core/task.h"
#include "core/watchdog.h"
#include "core/work.h"

enum {
  SLOW_NS = 100000000,    /* debug mode reports longer steps */
  BLOCKED_MOST_MS = 3000, /* calls in libuv's threads are waited for in the end, no longer than this */
};

static atomic_uint left_blocked;

static const char runtime_key;

/* That this thread runs; of several, one inside the other, the last that was begun. */
static _Thread_local struct neap *innermost;

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

bool runtime_enter(struct neap *rt) {
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

void runtime_leave(struct neap *rt, bool was_running) {
  rt->running = was_running;
  rt->asleep = !was_running && rt->driver;
  if (!was_running) {
    innermost = rt->outer;
    port_leave(rt);
  }
  limits_bind(rt, was_running);
  watchdog_note(rt, was_running);
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
  list_init(&rt->works);
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
  rt->loop = loop ? loop : memory_alloc(rt->memory, sizeof *rt->loop);
  int status = !rt->loop ? UV_ENOMEM : rt->owns_loop ? uv_loop_init(rt->loop) : 0;
  if (status == 0) status = uv_timer_init(rt->loop, rt->uv_timer);
  if (status == 0) return 0;
  if (rt->owns_loop) memory_free(rt->loop);
  memory_free(rt->uv_timer);
  return status;
}

/* Runs the loop until it can be closed. Returns whether it could, in time. */
static bool finish_loop(uv_loop_t *loop) {
  uint64_t end = uv_hrtime() / 1000000 + BLOCKED_MOST_MS, now;
  struct pollfd backend = {.fd = uv_backend_fd(loop), .events = POLLIN};
  for (;;) {
    uv_run(loop, UV_RUN_NOWAIT);
    if (uv_loop_close(loop) == 0) return true;
    now = uv_hrtime() / 1000000;
    if (now >= end) return false;
    int timer_ms = uv_backend_timeout(loop);
    poll(&backend, 1, timer_ms >= 0 && (uint64_t)timer_ms < end - now ? timer_ms : (int)(end - now));
  }
}

/* What a call of the system holds up for ever keeps the loop that it will tell. */
static void close_loop(struct neap *rt) {
  uv_close((uv_handle_t *)rt->uv_timer, on_timer_closed);
  if (!rt->owns_loop) return;
  uv_walk(rt->loop, close_handle, NULL);
  if (finish_loop(rt->loop))
    memory_free(rt->loop);
  else
    atomic_fetch_add(&left_blocked, 1);
}

unsigned runtime_left_blocked(void) { return atomic_load(&left_blocked); }

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
  rt->port->telling++;
  watchdog_free(rt);
  ceiling_raise(rt);
  limits_bind(rt, true);
  end_tasks(rt);
  limits_bind(rt, false);
  rt->closed = true;
  close_resources(rt);
  work_forget_all(rt);
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
