/* Semaphores. Permits go from hand to hand: a release gives its permit to the first waiter, which
 * owns it from then on; so a newcomer cannot overtake, and no wake-up can be lost. */
#include "core/semaphore.h"

#include <lauxlib.h>

#include "core/error.h"
#include "core/op.h"
#include "core/runtime.h"

struct semaphore {
  struct list waiters; /* of struct acquire_op, first come first served */
  lua_Integer value;   /* free permits; 0 while anyone waits */
  lua_Integer bound;   /* the most there may be, or -1 */
};

struct acquire_op {
  struct op op;
  struct list link;
  struct semaphore *semaphore; /* kept alive by the awaiting function's stack */
  bool taken;                  /* the caller has got the permit that was given */
};

static void give(struct neap *rt, struct semaphore *s) {
  struct list *node = list_first(&s->waiters);
  if (!node) {
    s->value++;
    return;
  }
  list_remove(node);
  op_complete(rt, &container_of(node, struct acquire_op, link)->op, 0);
}

/* What acquire returns is the semaphore itself: as a <close> variable it releases. */
static int push_acquire(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  ((struct acquire_op *)op)->taken = true;
  lua_pushvalue(L, 1);
  return 1;
}

/* A permit that was given to a task that can no longer take it goes to the next. */
static void drop_acquire(struct neap *rt, struct op *op) {
  struct acquire_op *acquire = (struct acquire_op *)op;
  bool given = op->state == OP_DONE && op->status == 0;
  list_remove(&acquire->link);
  if (given && !acquire->taken) give(rt, acquire->semaphore);
}

static const struct op_kind acquire_kind = {
    .name = "acquire",
    .size = sizeof(struct acquire_op),
    .push = push_acquire,
    .drop = drop_acquire,
    .local = true,
};

static struct semaphore *check_semaphore(lua_State *L) {
  return object_check(L, runtime_of(L), 1, OBJECT_SEMAPHORE);
}

static struct semaphore *new_semaphore(lua_State *L) {
  lua_Integer value = luaL_optinteger(L, 1, 1);
  luaL_argcheck(L, value >= 0, 1, "the start value must not be negative");
  struct semaphore *s =
      object_new(L, runtime_of(L), OBJECT_SEMAPHORE, sizeof *s, 0);
  *s = (struct semaphore){.value = value, .bound = -1};
  list_init(&s->waiters);
  return s;
}

/* Semaphore(value): [value] permits, 1 unless given. */
static int l_semaphore(lua_State *L) {
  new_semaphore(L);
  return 1;
}

/* BoundedSemaphore(value): one that raises when there would be more permits than at its start. */
static int l_bounded_semaphore(lua_State *L) {
  struct semaphore *s = new_semaphore(L);
  s->bound = s->value;
  return 1;
}

/* semaphore:acquire(): awaits a permit; returns a <close> value that releases it. A cancelled acquire
 * took none. */
static int l_acquire(lua_State *L) {
  struct semaphore *s = check_semaphore(L);
  lua_settop(L, 1);
  if (s->value > 0 && op_ready(L, "acquire")) {
    s->value--;
    return 1;
  }
  struct acquire_op *op = op_begin(L, &acquire_kind);
  op->semaphore = s;
  list_init(&op->link);
  if (s->value > 0) {
    s->value--;
    op_complete(runtime_of(L), &op->op, 0);
  } else {
    list_append(&s->waiters, &op->link);
  }
  return op_await(L, &op->op, 0);
}

static int l_release(lua_State *L) {
  struct semaphore *s = check_semaphore(L);
  if (s->value == s->bound)
    return error_misuse(L, "release: the semaphore has all its %I permits", s->bound);
  give(runtime_of(L), s);
  return 0;
}

static int l_locked(lua_State *L) {
  lua_pushboolean(L, check_semaphore(L)->value == 0);
  return 1;
}

static int l_tostring(lua_State *L) {
  struct semaphore *s = check_semaphore(L);
  lua_Integer waiting = 0;
  list_each(node, &s->waiters) waiting++;
  if (s->value > 0)
    lua_pushfstring(L, "<Semaphore unlocked, value %I>", s->value);
  else
    lua_pushfstring(L, "<Semaphore locked, waiters %I>", waiting);
  return 1;
}

static const luaL_Reg methods[] = {
    {"acquire", l_acquire},  {"release", l_release},       {"locked", l_locked},
    {"__close", l_release},  {"__tostring", l_tostring},   {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"Semaphore", l_semaphore},
    {"BoundedSemaphore", l_bounded_semaphore},
    {NULL, NULL},
};

void semaphore_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_SEMAPHORE, "neap.Semaphore", methods);
  lua_pop(L, 1);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
