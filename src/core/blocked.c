#include "core/blocked.h"

#include <lauxlib.h>
#include <math.h>

#include "core/op.h"
#include "core/runtime.h"

struct blocked_op {
  struct op op;
  struct list link; /* in rt->blocked.waiting */
  int64_t cushion;  /* ns */
};

static void drop_blocked(struct neap *rt, struct op *op) {
  (void)rt;
  list_remove(&((struct blocked_op *)op)->link);
}

static const struct op_kind blocked_kind = {
    .name = "wait_all_blocked",
    .size = sizeof(struct blocked_op),
    .drop = drop_blocked,
    .local = true,
};

static int64_t check_cushion(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return 0;
  double seconds = runtime_check_seconds(L, index);
  luaL_argcheck(L, seconds < INFINITY, index, "the cushion must be finite");
  return runtime_time(seconds);
}

/* wait_all_blocked(cushion): see blocked.h. */
static int l_wait_all_blocked(lua_State *L) {
  struct neap *rt = runtime_of(L);
  int64_t cushion = check_cushion(L, 1);
  struct blocked_op *op = op_begin(L, &blocked_kind);
  op->cushion = cushion;
  list_append(&rt->blocked.waiting, &op->link);
  return op_await(L, &op->op, 0);
}

static int64_t shortest_cushion(const struct blocked_watch *watch) {
  int64_t shortest = INT64_MAX;
  list_each(node, &watch->waiting) {
    struct blocked_op *op = container_of(node, struct blocked_op, link);
    if (op->cushion < shortest) shortest = op->cushion;
  }
  return shortest;
}

int64_t blocked_left(struct neap *rt, unsigned steps) {
  struct blocked_watch *watch = &rt->blocked;
  int64_t cushion = shortest_cushion(watch), now = (int64_t)uv_hrtime();
  if (watch->steps != steps || watch->since == 0) {
    watch->steps = steps;
    watch->since = now;
  }
  return now - watch->since < cushion ? cushion - (now - watch->since) : 0;
}

/* In order of their calls. */
void blocked_wake(struct neap *rt) {
  int64_t cushion = shortest_cushion(&rt->blocked);
  list_each(node, &rt->blocked.waiting) {
    struct blocked_op *op = container_of(node, struct blocked_op, link);
    if (op->cushion != cushion) continue;
    list_remove(&op->link);
    op_complete(rt, &op->op, 0);
  }
}

void blocked_restart(struct neap *rt) { rt->blocked.since = 0; }

void blocked_init(struct blocked_watch *watch) {
  list_init(&watch->waiting);
  watch->since = 0;
}

void blocked_open(lua_State *L, struct neap *rt) {
  (void)rt;
  runtime_push(L);
  lua_pushcclosure(L, l_wait_all_blocked, 1);
  lua_setfield(L, -2, "wait_all_blocked");
}
