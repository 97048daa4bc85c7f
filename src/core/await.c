/* The awaiting functions that need nothing but the core: await, sleep, and waiting for several. */
#include "core/await.h"

#include <lauxlib.h>
#include <math.h>

#include "core/coroutine.h"
#include "core/error.h"
#include "core/future.h"
#include "core/op.h"
#include "core/task.h"

/* --- sleep --- */

struct sleep_op {
  struct op op;
  struct timer timer;
};

static void wake_sleeper(struct neap *rt, struct timer *timer) {
  op_complete(rt, &container_of(timer, struct sleep_op, timer)->op, 0);
}

/* What was passed after the seconds. */
static int push_sleep(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt, (void)op;
  return lua_gettop(L) - 1;
}

static void drop_sleep(struct neap *rt, struct op *op) {
  timer_stop(rt, &((struct sleep_op *)op)->timer);
}

static const struct op_kind sleep_kind = {
    .name = "sleep",
    .size = sizeof(struct sleep_op),
    .push = push_sleep,
    .drop = drop_sleep,
    .local = true,
};

/* sleep(seconds, ...): suspends the task for at least so long, and returns the rest. At 0 or less it
 * lets everything that is ready run once. math.huge sleeps until cancelled. */
static int l_sleep(lua_State *L) {
  double seconds = runtime_check_seconds(L, 1);
  if (seconds <= 0 && lua_gettop(L) == 1) return op_switch(L, "sleep");
  struct sleep_op *op = op_begin(L, &sleep_kind);
  struct neap *rt = runtime_of(L);
  timer_init(&op->timer, wake_sleeper);
  if (timer_start(rt, &op->timer, runtime_deadline(rt, seconds)))
    return luaL_error(L, "sleep: not enough memory");
  return op_await(L, &op->op, 0);
}

/* --- await --- */

static int function_returned(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return lua_gettop(L);
}

/* await(awaitable, ...): waits for a task, a future, a coroutine, or for a function, which is called
 * in the running task with the arguments; returns all the values, or raises the error. */
static int l_await(lua_State *L) {
  if (future_test(L, 1)) {
    lua_settop(L, 1);
    return future_await(L, 1, "await");
  }
  if (lua_isthread(L, 1)) {
    coroutine_push_runner(L);
    lua_insert(L, 1);
  } else if (!lua_isfunction(L, 1) && luaL_getmetafield(L, 1, "__call") == LUA_TNIL) {
    return luaL_typeerror(L, 1, "task, future, function or coroutine");
  } else if (!lua_isfunction(L, 1)) {
    lua_pop(L, 1);
  }
  op_check(L, "await");
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, function_returned);
  return lua_gettop(L);
}

/* --- several at once --- */

enum wait_mode { ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, FIRST_FAILURE };

struct wait_node {
  struct waiter waiter;
  struct wait_many_op *op;
};

struct wait_many_op {
  struct op op;
  struct timer timer;
  struct wait_node *nodes; /* one for each future of the list, which the caller's stack holds */
  lua_Integer count;
  lua_Integer pending;
  lua_Integer trigger; /* place in the list of the one that ended the wait, or 0 */
  enum wait_mode mode;
};

static bool ends_wait(enum wait_mode mode, const struct future *future) {
  switch (mode) {
    case FIRST_COMPLETED:
      return true;
    case FIRST_EXCEPTION:
      return future->state == FUTURE_FAILED;
    case FIRST_FAILURE:
      return future->state == FUTURE_FAILED || future->state == FUTURE_CANCELLED;
    default:
      return false;
  }
}

static void one_ended(struct neap *rt, struct waiter *waiter, struct future *future) {
  struct wait_node *node = container_of(waiter, struct wait_node, waiter);
  struct wait_many_op *op = node->op;
  op->pending--;
  if (op->op.state == OP_DONE) return;
  if (ends_wait(op->mode, future)) op->trigger = node - op->nodes + 1;
  if (op->trigger || op->pending == 0) op_complete(rt, &op->op, 0);
}

static void wait_timed_out(struct neap *rt, struct timer *timer) {
  struct wait_many_op *op = container_of(timer, struct wait_many_op, timer);
  if (op->op.state != OP_DONE) op_complete(rt, &op->op, 0);
}

static int push_wait(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  lua_pushinteger(L, ((struct wait_many_op *)op)->trigger);
  return 1;
}

static void drop_wait(struct neap *rt, struct op *op) {
  struct wait_many_op *wait = (struct wait_many_op *)op;
  timer_stop(rt, &wait->timer);
  for (lua_Integer i = 0; i < wait->count; i++) list_remove(&wait->nodes[i].waiter.link);
  memory_free(wait->nodes);
}

/* The calls that wait for several, by the names under which scripts know them. */
static const char *const wait_names[] = {"wait", "gather", "shield", "TaskGroup", "run", NULL};

#define WAIT_KIND(call) \
  {.name = call, .size = sizeof(struct wait_many_op), .push = push_wait, .drop = drop_wait, .local = true}

static const struct op_kind wait_kinds[] = {
    WAIT_KIND("wait"),      WAIT_KIND("gather"), WAIT_KIND("shield"),
    WAIT_KIND("TaskGroup"), WAIT_KIND("run"),
};

static void watch(struct wait_many_op *op, lua_Integer i, struct future *future) {
  struct wait_node *node = &op->nodes[i];
  node->op = op;
  node->waiter.fire = one_ended;
  node->waiter.op = &op->op;
  list_init(&node->waiter.link);
  if (!future_done(future)) {
    op->pending++;
    list_append(&future->waiters, &node->waiter.link);
  } else if (!op->trigger && ends_wait(op->mode, future)) {
    op->trigger = i + 1;
  }
}

static int check_futures(lua_State *L, struct neap *rt, int count) {
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, i);
    future_check(L, rt, -1);
    lua_pop(L, 1);
  }
  return count;
}

/* wait_many(list, mode, seconds, call): waits until the tasks of the list, which must not change
 * meanwhile, are done by the mode, or for so long; [call] says for whom. Returns the place of the one that
 * ended the wait, or 0. */
static int l_wait_many(lua_State *L) {
  struct neap *rt = runtime_of(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  int count = check_futures(L, rt, (int)lua_rawlen(L, 1));
  enum wait_mode mode = (enum wait_mode)luaL_checkinteger(L, 2);
  double seconds = luaL_optnumber(L, 3, INFINITY);
  const struct op_kind *kind = &wait_kinds[luaL_checkoption(L, 4, "wait", wait_names)];
  lua_settop(L, 1);
  struct wait_many_op *op = op_begin(L, kind);
  timer_init(&op->timer, wait_timed_out);
  op->mode = mode;
  op->nodes = memory_calloc(rt->memory, (size_t)count + 1, sizeof *op->nodes);
  if (!op->nodes) return luaL_error(L, "wait: not enough memory");
  for (int i = 0; i < count; i++) {
    lua_rawgeti(L, 1, i + 1);
    watch(op, i, lua_touserdata(L, -1));
    lua_pop(L, 1);
  }
  op->count = count;
  if (op->trigger || op->pending == 0) {
    op_complete(rt, &op->op, 0);
  } else if (seconds < INFINITY && timer_start(rt, &op->timer, runtime_deadline(rt, seconds))) {
    return luaL_error(L, "wait: not enough memory");
  }
  return op_await(L, &op->op, 0);
}

/* all_futures(list, count): whether the first so many are tasks or futures. */
static int l_all_futures(lua_State *L) {
  lua_Integer count = luaL_checkinteger(L, 2);
  bool all = true;
  for (lua_Integer i = 1; all && i <= count; i++) {
    lua_geti(L, 1, i);
    all = future_test(L, -1) != NULL;
    lua_pop(L, 1);
  }
  lua_pushboolean(L, all);
  return 1;
}

/* values(list, count): a list, with n, of the first value of each; all have finished. */
static int l_values(lua_State *L) {
  struct neap *rt = runtime_of(L);
  int count = (int)luaL_checkinteger(L, 2);
  lua_settop(L, 1);
  lua_createtable(L, count, 1);
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, i);
    future_check(L, rt, 3);
    int results = future_push_result(L, 3);
    if (results > 0) {
      lua_settop(L, lua_gettop(L) - results + 1); /* the first: there may be no room for a copy */
      lua_rawseti(L, 2, i);
    }
    lua_settop(L, 2);
  }
  lua_pushinteger(L, count);
  lua_setfield(L, 2, "n");
  return 1;
}

/* --- one, by the clock on the wall --- */

/* libuv's own timer, unreferenced: it neither keeps a deadlock from being seen nor moves with virtual
 * time. It outlives the op until it is closed. */
struct wall_timer {
  uv_timer_t uv;
  struct neap *rt;
  struct wall_op *op; /* NULL once that is over */
};

struct wall_op {
  struct op op;
  struct waiter waiter;
  struct wall_timer *timer;
  bool expired;
};

static void on_wall_closed(uv_handle_t *handle) { memory_free(handle); }

static void on_wall_timer(uv_timer_t *uv) {
  struct wall_timer *timer = (struct wall_timer *)uv;
  struct wall_op *op = timer->op;
  if (!op || op->op.state == OP_DONE) return;
  op->expired = true;
  op_complete(timer->rt, &op->op, 0);
}

static void wall_task_ended(struct neap *rt, struct waiter *waiter, struct future *future) {
  struct wall_op *op = container_of(waiter, struct wall_op, waiter);
  if (op->op.state != OP_DONE) op_complete(rt, &op->op, 0);
}

static int push_wall(lua_State *L, struct neap *rt, struct op *op) {
  if (op->status < 0) return luaL_error(L, "wait_wall: %s", uv_strerror(op->status));
  lua_pushboolean(L, !((struct wall_op *)op)->expired);
  return 1;
}

static void drop_wall(struct neap *rt, struct op *op) {
  struct wall_op *wall = (struct wall_op *)op;
  list_remove(&wall->waiter.link);
  if (!wall->timer) return;
  wall->timer->op = NULL;
  uv_close((uv_handle_t *)&wall->timer->uv, on_wall_closed);
}

static const struct op_kind wall_kind = {
    .name = "wait_wall",
    .size = sizeof(struct wall_op),
    .push = push_wall,
    .drop = drop_wall,
    .local = true,
};

static int start_wall_timer(struct neap *rt, struct wall_op *op, double seconds) {
  struct wall_timer *timer = memory_alloc(rt->memory, sizeof *timer);
  if (!timer) return UV_ENOMEM;
  uv_timer_init(rt->loop, &timer->uv);
  uv_unref((uv_handle_t *)&timer->uv);
  timer->rt = rt;
  timer->op = op;
  op->timer = timer;
  return uv_timer_start(&timer->uv, on_wall_timer, (uint64_t)(seconds * 1000), 0);
}

/* wait_wall(task, seconds): waits for the end of a task, without cancelling it when cancelled, for so
 * much real time. Returns whether it has ended. */
static int l_wait_wall(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct future *future = future_check(L, rt, 1);
  double seconds = luaL_checknumber(L, 2);
  lua_settop(L, 1);
  struct wall_op *op = op_begin(L, &wall_kind);
  op->waiter.fire = wall_task_ended;
  op->waiter.op = &op->op;
  list_init(&op->waiter.link);
  if (future_done(future))
    op_complete(rt, &op->op, 0);
  else
    list_append(&future->waiters, &op->waiter.link);
  return op_await(L, &op->op, start_wall_timer(rt, op, seconds));
}

/* check_awaiting(call): raises what an await would raise. */
static int l_check_awaiting(lua_State *L) {
  op_check(L, luaL_checkstring(L, 1));
  return 0;
}

/* ready(call): the same, for a call that need not wait: after many such calls it lets the others run. */
static int l_ready(lua_State *L) {
  const char *call = luaL_checkstring(L, 1);
  return op_ready(L, runtime_of(L), call) ? 0 : op_switch(L, call);
}

static const luaL_Reg functions[] = {
    {"check_awaiting", l_check_awaiting},
    {"ready", l_ready},
    {"await", l_await},
    {"sleep", l_sleep},
    {"wait_many", l_wait_many},
    {"all_futures", l_all_futures},
    {"values", l_values},
    {"wait_wall", l_wait_wall},
    {NULL, NULL},
};

void await_open(lua_State *L, struct neap *rt) {
  (void)rt;
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
