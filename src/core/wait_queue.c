#include "core/wait_queue.h"

#include <lauxlib.h>

#include "core/runtime.h"

void wait_queue_init(struct wait_queue *queue) {
  list_init(&queue->waiting);
  queue->length = 0;
}

struct wait_op *wait_queue_first(struct wait_queue *queue) {
  struct list *node = list_first(&queue->waiting);
  return node ? container_of(node, struct wait_op, link) : NULL;
}

void *wait_op_begin(lua_State *L, struct wait_queue *queue, const struct op_kind *kind) {
  struct wait_op *wait = op_begin(L, kind);
  list_init(&wait->link);
  wait->queue = queue;
  return wait;
}

static void leave(struct wait_op *wait) {
  if (list_empty(&wait->link)) return;
  list_remove(&wait->link);
  wait->queue->length--;
}

int wait_op_park(lua_State *L, struct wait_op *wait) {
  list_append(&wait->queue->waiting, &wait->link);
  wait->queue->length++;
  return op_await(L, &wait->op, 0);
}

void wait_op_give(struct neap *rt, struct wait_op *wait, int status) {
  leave(wait);
  op_complete(rt, &wait->op, status);
}

bool wait_op_leave(struct op *op) {
  struct wait_op *wait = (struct wait_op *)op;
  leave(wait);
  return op->state == OP_DONE && op->status >= 0 && !wait->taken;
}

void wait_queue_give_all(struct neap *rt, struct wait_queue *queue, int status) {
  struct wait_op *wait;
  while ((wait = wait_queue_first(queue))) wait_op_give(rt, wait, status);
}

/* --- for what is written in Lua --- */

struct lua_queue {
  struct wait_queue queue;
  bool hands_on; /* a wake-up that was given to a task that was killed goes to the next */
};

static int push_status(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  ((struct wait_op *)op)->taken = true;
  lua_pushinteger(L, op->status);
  return 1;
}

static void drop_wait(struct neap *rt, struct op *op) {
  struct wait_op *wait = (struct wait_op *)op;
  struct lua_queue *q = container_of(wait->queue, struct lua_queue, queue);
  if (!wait_op_leave(op) || !q->hands_on) return;
  struct wait_op *next = wait_queue_first(&q->queue);
  if (next) wait_op_give(rt, next, op->status);
}

static const struct op_kind wait_kind = {
    .name = "wait",
    .size = sizeof(struct wait_op),
    .push = push_status,
    .drop = drop_wait,
    .local = true,
};

/* WaitQueue(hands_on) */
static int l_wait_queue(lua_State *L) {
  bool hands_on = lua_toboolean(L, 1);
  struct lua_queue *q = object_new(L, runtime_of(L), OBJECT_WAIT_QUEUE, sizeof *q, 0);
  wait_queue_init(&q->queue);
  q->hands_on = hands_on;
  return 1;
}

static struct lua_queue *check_queue(lua_State *L) {
  return object_check(L, runtime_of(L), 1, OBJECT_WAIT_QUEUE);
}

/* queue:wait(): waits to be woken; returns its place among those that were woken with it, or the status
 * that they were given. */
static int l_wait(lua_State *L) {
  struct lua_queue *q = check_queue(L);
  lua_settop(L, 1);
  return wait_op_park(L, wait_op_begin(L, &q->queue, &wait_kind));
}

/* queue:wake(count, status): wakes so many, in their order. Returns how many there were. */
static int l_wake(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct lua_queue *q = check_queue(L);
  lua_Integer count = luaL_optinteger(L, 2, q->queue.length);
  int status = (int)luaL_optinteger(L, 3, 0);
  int woken = 0;
  struct wait_op *wait;
  while (woken < count && (wait = wait_queue_first(&q->queue))) {
    woken++;
    wait_op_give(rt, wait, status ? status : woken);
  }
  lua_pushinteger(L, woken);
  return 1;
}

static int l_length(lua_State *L) {
  lua_pushinteger(L, check_queue(L)->queue.length);
  return 1;
}

static const luaL_Reg methods[] = {
    {"wait", l_wait},
    {"wake", l_wake},
    {"__len", l_length},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"WaitQueue", l_wait_queue},
    {NULL, NULL},
};

void wait_queue_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_WAIT_QUEUE, "neap.WaitQueue", methods);
  lua_pop(L, 1);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
