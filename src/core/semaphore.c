/* Semaphores, and locks: a lock is a semaphore of one permit. */
#include "core/semaphore.h"

#include <lauxlib.h>

#include "core/error.h"
#include "core/task.h"
#include "core/wait_queue.h"

struct semaphore {
  struct wait_queue queue;
  lua_Integer value; /* free permits; 0 while anyone waits */
  lua_Integer bound; /* the most there may be */
  bool is_lock;
  bool is_forgone;   /* by some task: see l_forgo */
};

/* User value: the tasks that have forgone their release (weak keys), or nil. */
enum { FORGONE = 1, USER_VALUES = 1 };

static void give(struct neap *rt, struct semaphore *s) {
  struct wait_op *wait = wait_queue_first(&s->queue);
  if (wait)
    wait_op_give(rt, wait, 0);
  else
    s->value++;
}

/* What acquire returns is the semaphore itself: as a <close> variable it releases. */
static int push_acquire(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  ((struct wait_op *)op)->taken = true;
  lua_pushvalue(L, 1);
  return 1;
}

static void drop_acquire(struct neap *rt, struct op *op) {
  struct wait_op *wait = (struct wait_op *)op;
  if (wait_op_leave(op)) give(rt, container_of(wait->queue, struct semaphore, queue));
}

static const struct op_kind acquire_kind = {
    .name = "acquire",
    .size = sizeof(struct wait_op),
    .push = push_acquire,
    .drop = drop_acquire,
    .local = true,
};

/* --- making --- */

static struct semaphore *new_semaphore(lua_State *L, enum object_kind kind, lua_Integer value) {
  struct semaphore *s = object_new(L, runtime_of(L), kind, sizeof *s, USER_VALUES);
  *s = (struct semaphore){.value = value, .bound = LUA_MAXINTEGER};
  wait_queue_init(&s->queue);
  return s;
}

static lua_Integer check_value(lua_State *L) {
  lua_Integer value = luaL_optinteger(L, 1, 1);
  luaL_argcheck(L, value >= 0, 1, "the start value must not be negative");
  return value;
}

/* Semaphore(value): [value] permits, 1 unless given. */
static int l_semaphore(lua_State *L) {
  new_semaphore(L, OBJECT_SEMAPHORE, check_value(L));
  return 1;
}

/* BoundedSemaphore(value): one that raises when there would be more permits than at its start. */
static int l_bounded_semaphore(lua_State *L) {
  struct semaphore *s = new_semaphore(L, OBJECT_SEMAPHORE, check_value(L));
  s->bound = s->value;
  return 1;
}

/* Lock(): what one task at a time can hold. */
static int l_lock(lua_State *L) {
  struct semaphore *s = new_semaphore(L, OBJECT_LOCK, 1);
  s->bound = 1;
  s->is_lock = true;
  return 1;
}

/* --- using --- */

static struct semaphore *check_semaphore(lua_State *L) {
  struct semaphore *s = object_test(L, 1, OBJECT_SEMAPHORE);
  if (!s) s = object_test(L, 1, OBJECT_LOCK);
  if (!s) luaL_typeerror(L, 1, "neap.Lock or neap.Semaphore");
  runtime_check_thread(L, runtime_of(L));
  return s;
}

static int acquire(lua_State *L) {
  struct semaphore *s = lua_touserdata(L, 1);
  if (s->value == 0) return wait_op_park(L, wait_op_begin(L, &s->queue, &acquire_kind));
  if (!op_ready(L, runtime_of(L), "acquire")) return op_yield_first(L, "acquire", acquire);
  s->value--;
  lua_settop(L, 1);
  return 1;
}

/* Whether the task has forgone its next release, which is taken back by that. */
static bool take_forgone(lua_State *L, struct neap *rt, struct semaphore *s) {
  struct task *task = runtime_subject(rt);
  if (!s->is_forgone || !task) return false;
  lua_getiuservalue(L, 1, FORGONE);
  task_push(L, task);
  lua_pushvalue(L, -1);
  bool forgone = lua_rawget(L, -3) != LUA_TNIL;
  lua_pop(L, 1);
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return forgone;
}

/* acquire(): awaits a permit; returns a <close> value that releases it. A cancelled acquire took none. */
static int l_acquire(lua_State *L) {
  struct semaphore *s = check_semaphore(L);
  lua_settop(L, 1);
  if (s->is_forgone) take_forgone(L, runtime_of(L), s);
  return acquire(L);
}

/* release(): gives the permit to the first who waits. */
static int l_release(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct semaphore *s = check_semaphore(L);
  lua_settop(L, 1);
  if (take_forgone(L, rt, s)) return 0;
  if (s->value == s->bound && s->is_lock) return error_misuse(L, "release: the lock is not held");
  if (s->value == s->bound)
    return error_misuse(L, "release: the semaphore has all its %I permits", s->bound);
  give(rt, s);
  return 0;
}

/* forgo_release(lock), for conditions alone: the task, which waited in a condition and ends without the lock,
 * will release what it does not hold: its next release does nothing. */
static int l_forgo(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct semaphore *s = object_check(L, rt, 1, OBJECT_LOCK);
  struct task *task = runtime_subject(rt);
  if (!task) return 0;
  if (lua_getiuservalue(L, 1, FORGONE) == LUA_TNIL) {
    weak_table_new(L, "k");
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, FORGONE);
  }
  task_push(L, task);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  s->is_forgone = true;
  return 0;
}

/* locked(): whether an acquire would wait. */
static int l_locked(lua_State *L) {
  lua_pushboolean(L, check_semaphore(L)->value == 0);
  return 1;
}

static int l_tostring(lua_State *L) {
  struct semaphore *s = check_semaphore(L);
  const char *name = s->is_lock ? "Lock" : s->bound == LUA_MAXINTEGER ? "Semaphore" : "BoundedSemaphore";
  if (s->value == 0)
    lua_pushfstring(L, "<%s locked, waiters %I>", name, s->queue.length);
  else if (s->is_lock)
    lua_pushfstring(L, "<%s unlocked>", name);
  else
    lua_pushfstring(L, "<%s unlocked, value %I>", name, s->value);
  return 1;
}

static const luaL_Reg methods[] = {
    {"acquire", l_acquire},  {"release", l_release},       {"locked", l_locked},
    {"__close", l_release},  {"__tostring", l_tostring},   {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"Semaphore", l_semaphore},
    {"BoundedSemaphore", l_bounded_semaphore},
    {"Lock", l_lock},
    {"forgo_release", l_forgo},
    {NULL, NULL},
};

void semaphore_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_SEMAPHORE, "neap.Semaphore", methods);
  object_register(L, rt, OBJECT_LOCK, "neap.Lock", methods);
  lua_pop(L, 2);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
