/* Queue, LifoQueue and PriorityQueue.
 *
 * An item that is put while someone waits for one is given to him: it counts as taken from then on. One
 * who waits to put is served by whoever makes room: that moves the item from the waiting call's stack into
 * the store, and both calls have happened, for one switch each. Only a priority queue, where putting
 * means comparing, gives the room, and the one who waited puts when he runs. */
#include "core/queue.h"

#include <lauxlib.h>

#include "core/error.h"
#include "core/queue_store.h"
#include "core/runtime.h"
#include "core/wait_queue.h"

struct queue {
  struct neap *rt;
  struct store store;
  struct wait_queue getters; /* empty while an item is free */
  struct wait_queue putters; /* empty while there is room */
  struct wait_queue joiners;
  lua_Integer maxsize;       /* 0: no limit */
  lua_Integer given;         /* items in the store that belong to getters that have not run yet */
  lua_Integer promised;      /* room that belongs to putters that have not run yet */
  lua_Integer unfinished;    /* that were put, and for which task_done was not called */
  bool shut;
  bool dropped;              /* shut down at once: only what was given can still be taken */
};

/* What those who wait are told. PROMISED: that there is room for the item. */
enum { SERVED = 0, PROMISED = 1, SHUT_DOWN = -1 };

/* In the frames of the calls. */
enum { BOX = 1, ITEM = 2 };

struct put_op {
  struct wait_op wait;
  lua_State *L; /* the call's coroutine: the item lies there */
};

/* Registry table (weak values) of the metatables of queues, by maxsize: that is a field of theirs. */
static const char metatables_key;

static lua_Integer available(const struct queue *q) {
  return q->dropped ? 0 : q->store.count - q->given;
}

static bool is_full(const struct queue *q) {
  return q->maxsize > 0 && available(q) + q->promised >= q->maxsize;
}

static struct queue *check_queue(lua_State *L) {
  struct queue *q = object_test(L, BOX, OBJECT_QUEUE);
  if (!q) luaL_typeerror(L, BOX, "neap.Queue");
  runtime_check_thread(L, q->rt);
  return q;
}

/* Raises; as any await it looks at the scope and at the budget before. */
static int refuse_shut(lua_State *L, struct queue *q, const char *call, int (*again)(lua_State *)) {
  if (again && !op_ready(L, q->rt, call)) return op_yield_first(L, call, again);
  return error_raise(L, ERROR_QUEUE_SHUT_DOWN, "%s: the queue was shut down", call);
}

/* --- putting --- */

/* The first who waits owns one item now. */
static void give_item(struct queue *q) {
  struct wait_op *getter = available(q) > 0 ? wait_queue_first(&q->getters) : NULL;
  if (!getter) return;
  q->given++;
  wait_op_give(q->rt, getter, SERVED);
}

/* Moves the item of one who waits into the store. */
static void admit(lua_State *L, struct queue *q, struct put_op *putter) {
  int top = lua_gettop(L);
  lua_pushvalue(putter->L, ITEM);
  lua_xmove(putter->L, L, 1);
  store_add(L, &q->store, BOX, top + 1);
  q->unfinished++;
  lua_settop(L, top);
}

/* Stores the item at [ITEM]. */
static void store_item(lua_State *L, struct queue *q) {
  store_reserve(L, &q->store, BOX);
  store_add(L, &q->store, BOX, ITEM);
  q->unfinished++;
  if (q->getters.length > 0) give_item(q);
}

/* Gives the room that there is to those who wait to put. An item was taken before, or a promise was not
 * kept, so that the store need not grow. */
static void fill(lua_State *L, struct queue *q) {
  struct wait_op *wait;
  while (!is_full(q) && (wait = wait_queue_first(&q->putters))) {
    bool promised = q->store.order == STORE_PRIORITY;
    if (promised)
      q->promised++;
    else
      admit(L, q, (struct put_op *)wait);
    wait_op_give(q->rt, wait, promised ? PROMISED : SERVED);
  }
}

static int push_put(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  struct wait_op *wait = (struct wait_op *)op;
  struct queue *q = container_of(wait->queue, struct queue, putters);
  if (op->status != SERVED && q->shut) return refuse_shut(L, q, "put", NULL);
  if (op->status == PROMISED) {
    store_item(L, q);
    q->promised--;
    fill(L, q); /* if the item went on at once, there is room again */
  }
  wait->taken = true;
  return 0;
}

/* Room that was promised to one who does not use it goes to the next. */
static void drop_put(struct neap *rt, struct op *op) {
  struct queue *q = container_of(((struct wait_op *)op)->queue, struct queue, putters);
  if (!wait_op_leave(op) || op->status != PROMISED) return;
  q->promised--;
  fill(rt->L, q);
}

static const struct op_kind put_kind = {
    .name = "put",
    .size = sizeof(struct put_op),
    .push = push_put,
    .drop = drop_put,
    .local = true,
};

static int put_again(lua_State *L);

static int put(lua_State *L, struct queue *q) {
  if (q->shut) return refuse_shut(L, q, "put", put_again);
  if (is_full(q)) {
    struct put_op *op = wait_op_begin(L, &q->putters, &put_kind);
    op->L = L;
    return wait_op_park(L, &op->wait);
  }
  if (!op_ready(L, q->rt, "put")) return op_yield_first(L, "put", put_again);
  store_item(L, q);
  return 0;
}

static int put_again(lua_State *L) { return put(L, lua_touserdata(L, BOX)); }

/* queue:put(item): adds an item; waits while the queue is full. Raises QueueShutDown. A cancelled put has
 * added nothing. */
static int l_put(lua_State *L) {
  struct queue *q = check_queue(L);
  luaL_checkany(L, ITEM);
  lua_settop(L, ITEM);
  return put(L, q);
}

/* queue:put_nowait(item): adds an item, or raises QueueFull. */
static int l_put_nowait(lua_State *L) {
  struct queue *q = check_queue(L);
  luaL_checkany(L, ITEM);
  lua_settop(L, ITEM);
  if (q->shut) return refuse_shut(L, q, "put_nowait", NULL);
  if (is_full(q))
    return error_raise(L, ERROR_QUEUE_FULL, "put_nowait: the queue is full, with %I", q->maxsize);
  store_item(L, q);
  return 0;
}

/* --- getting --- */

/* Pushes the next item. */
static int take_item(lua_State *L, struct queue *q) {
  store_take(L, &q->store, BOX, q->given);
  if (q->putters.length > 0) fill(L, q);
  store_shrink(L, &q->store, BOX);
  return 1;
}

static int push_get(lua_State *L, struct neap *rt, struct op *op) {
  struct wait_op *wait = (struct wait_op *)op;
  struct queue *q = container_of(wait->queue, struct queue, getters);
  if (op->status == SHUT_DOWN) return refuse_shut(L, q, "get", NULL);
  store_take(L, &q->store, BOX, 0);
  wait->taken = true;
  q->given--;
  store_shrink(L, &q->store, BOX);
  return 1;
}

/* So many items will not be dealt with any more, or have been. */
static void finish_items(struct queue *q, lua_Integer count) {
  q->unfinished = q->unfinished > count ? q->unfinished - count : 0;
  if (q->unfinished == 0) wait_queue_give_all(q->rt, &q->joiners, SERVED);
}

/* What was given to one who cannot take it is free again. */
static void drop_get(struct neap *rt, struct op *op) {
  (void)rt;
  struct queue *q = container_of(((struct wait_op *)op)->queue, struct queue, getters);
  if (!wait_op_leave(op)) return;
  q->given--;
  if (q->dropped)
    finish_items(q, 1);
  else
    give_item(q);
}

static const struct op_kind get_kind = {
    .name = "get",
    .size = sizeof(struct wait_op),
    .push = push_get,
    .drop = drop_get,
    .local = true,
};

static int get_again(lua_State *L);

static int get(lua_State *L, struct queue *q) {
  if (available(q) == 0) {
    if (q->shut) return refuse_shut(L, q, "get", get_again);
    return wait_op_park(L, wait_op_begin(L, &q->getters, &get_kind));
  }
  if (!op_ready(L, q->rt, "get")) return op_yield_first(L, "get", get_again);
  return take_item(L, q);
}

static int get_again(lua_State *L) { return get(L, lua_touserdata(L, BOX)); }

/* queue:get(): takes the next item; waits while there is none. Raises QueueShutDown once the queue was shut
 * down and is empty. A cancelled get has taken nothing. */
static int l_get(lua_State *L) {
  struct queue *q = check_queue(L);
  lua_settop(L, BOX);
  return get(L, q);
}

/* queue:get_nowait(): takes the next item, or raises QueueEmpty. */
static int l_get_nowait(lua_State *L) {
  struct queue *q = check_queue(L);
  lua_settop(L, BOX);
  if (available(q) > 0) return take_item(L, q);
  if (q->shut) return refuse_shut(L, q, "get_nowait", NULL);
  return error_raise(L, ERROR_QUEUE_EMPTY, "get_nowait: the queue is empty");
}

/* --- the end of work --- */

static void drop_join(struct neap *rt, struct op *op) {
  (void)rt;
  wait_op_leave(op);
}

static const struct op_kind join_kind = {
    .name = "join",
    .size = sizeof(struct wait_op),
    .drop = drop_join,
    .local = true,
};

static int join(lua_State *L) {
  struct queue *q = lua_touserdata(L, BOX);
  if (q->unfinished > 0) return wait_op_park(L, wait_op_begin(L, &q->joiners, &join_kind));
  return op_ready(L, q->rt, "join") ? 0 : op_yield_first(L, "join", join);
}

/* queue:join(): waits until task_done was called for every item that was put. */
static int l_join(lua_State *L) {
  check_queue(L);
  lua_settop(L, BOX);
  return join(L);
}

/* queue:task_done(): an item that was taken has been dealt with. */
static int l_task_done(lua_State *L) {
  struct queue *q = check_queue(L);
  if (q->unfinished == 0)
    return error_misuse(L, "task_done: it was called for each item already");
  finish_items(q, 1);
  return 0;
}

static void drop_items(lua_State *L, struct queue *q) {
  lua_Integer count = available(q);
  q->dropped = true;
  store_truncate(L, &q->store, BOX, q->given);
  finish_items(q, count);
}

/* queue:shutdown(immediate): from now on put raises QueueShutDown, and so does get once no item is left;
 * all who wait in one of them get it at once. [immediate] drops the items. */
static int l_shutdown(lua_State *L) {
  struct queue *q = check_queue(L);
  q->shut = true;
  if (lua_toboolean(L, 2)) drop_items(L, q);
  wait_queue_give_all(q->rt, &q->putters, SHUT_DOWN);
  wait_queue_give_all(q->rt, &q->getters, SHUT_DOWN);
  return 0;
}

/* --- looking --- */

static int l_qsize(lua_State *L) {
  lua_pushinteger(L, available(check_queue(L)));
  return 1;
}

static int l_empty(lua_State *L) {
  lua_pushboolean(L, available(check_queue(L)) == 0);
  return 1;
}

static int l_full(lua_State *L) {
  lua_pushboolean(L, is_full(check_queue(L)));
  return 1;
}

static int l_tostring(lua_State *L) {
  static const char *const names[] = {"Queue", "LifoQueue", "PriorityQueue"};
  struct queue *q = check_queue(L);
  lua_pushfstring(L, "<%s maxsize %I, items %I, unfinished %I, getters %I, putters %I%s>",
                  names[q->store.order], q->maxsize, available(q), q->unfinished,
                  q->getters.length, q->putters.length, q->shut ? ", shut down" : "");
  return 1;
}

/* --- making --- */

/* Pushes a table of the methods at [index] and of [maxsize]: a method is then found at the first look. */
static void push_fields(lua_State *L, int index, lua_Integer maxsize) {
  lua_createtable(L, 0, 16);
  for (lua_pushnil(L); lua_next(L, index);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_pushinteger(L, maxsize);
  lua_setfield(L, -2, "maxsize");
}

/* Pushes the metatable of queues with that limit. */
static void push_metatable(lua_State *L, struct neap *rt, lua_Integer maxsize) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &metatables_key);
  if (lua_rawgeti(L, -1, maxsize) == LUA_TNIL) {
    lua_pop(L, 1);
    object_push_metatable(L, rt, OBJECT_QUEUE);
    lua_createtable(L, 0, 3);
    push_fields(L, lua_absindex(L, -2), maxsize);
    lua_setfield(L, -2, "__index");
    lua_getfield(L, -2, "__name");
    lua_setfield(L, -2, "__name");
    lua_getfield(L, -2, "__tostring");
    lua_setfield(L, -2, "__tostring");
    lua_remove(L, -2);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, maxsize);
  }
  lua_remove(L, -2);
}

static int new_queue(lua_State *L, enum store_order order) {
  struct neap *rt = runtime_of(L);
  lua_Integer maxsize = luaL_optinteger(L, 1, 0);
  lua_settop(L, 2);
  struct queue *q = object_new(L, rt, OBJECT_QUEUE, sizeof *q, STORE_USER_VALUES);
  *q = (struct queue){.rt = rt, .store.order = order, .maxsize = maxsize > 0 ? maxsize : 0};
  wait_queue_init(&q->getters);
  wait_queue_init(&q->putters);
  wait_queue_init(&q->joiners);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, STORE_BEFORE);
  push_metatable(L, rt, q->maxsize);
  lua_setmetatable(L, -2);
  return 1;
}

/* Queue(maxsize): first in, first out; without a limit unless it is given and above 0. */
static int l_queue(lua_State *L) {
  lua_settop(L, 1);
  return new_queue(L, STORE_FIFO);
}

/* LifoQueue(maxsize): last in, first out. */
static int l_lifo_queue(lua_State *L) {
  lua_settop(L, 1);
  return new_queue(L, STORE_LIFO);
}

/* PriorityQueue(maxsize, before): the lowest item first, equal ones in the order of arrival. [before](a, b)
 * says whether a comes before b: a < b unless given, and for tables like {priority, item} that cannot be
 * compared a[1] < b[1]. It must not await. */
static int l_priority_queue(lua_State *L) {
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  return new_queue(L, STORE_PRIORITY);
}

static const luaL_Reg methods[] = {
    {"put", l_put},
    {"put_nowait", l_put_nowait},
    {"get", l_get},
    {"get_nowait", l_get_nowait},
    {"join", l_join},
    {"task_done", l_task_done},
    {"shutdown", l_shutdown},
    {"qsize", l_qsize},
    {"empty", l_empty},
    {"full", l_full},
    {"__tostring", l_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"Queue", l_queue},
    {"LifoQueue", l_lifo_queue},
    {"PriorityQueue", l_priority_queue},
    {NULL, NULL},
};

void queue_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_QUEUE, "neap.Queue", methods);
  weak_table_new(L, "v");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &metatables_key);
  lua_pop(L, 1);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
