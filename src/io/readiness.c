#include "io/readiness.h"

#include <lauxlib.h>
#include <math.h>
#include <poll.h>
#include <string.h>

#include "core/error.h"
#include "core/op.h"
#include "io/interest.h"

/* One descriptor of those that an op waits for. */
struct wanted {
  struct interest interest;
  struct ready_op *op;
  int fd;
  bool ready;
};

struct ready_op {
  struct op op;
  struct timer timer;
  struct wanted one;
  struct wanted *list; /* [one], or a block of the op's own */
  size_t count;
  bool expired;
};

static void on_ready(struct neap *rt, struct interest *interest, int status) {
  struct wanted *wanted = container_of(interest, struct wanted, interest);
  wanted->ready = true;
  interest->events = 0;
  if (wanted->op->op.state == OP_WAITING) op_complete(rt, &wanted->op->op, status);
}

static void expire(struct neap *rt, struct timer *timer) {
  struct ready_op *op = container_of(timer, struct ready_op, timer);
  if (op->op.state != OP_WAITING) return;
  op->expired = true;
  op_complete(rt, &op->op, 0);
}

static int push_one(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  if (op->status < 0) return error_return(L, op->status, op->kind->name, lua_tostring(L, 1));
  lua_pushboolean(L, !((struct ready_op *)op)->expired);
  return 1;
}

static void push_ready(lua_State *L, const struct wanted *list, size_t count) {
  lua_newtable(L);
  for (size_t i = 0; i < count; i++) {
    if (!list[i].ready) continue;
    lua_pushboolean(L, 1);
    lua_rawseti(L, -2, (lua_Integer)(2 * i + 1));
  }
}

static int push_several(lua_State *L, struct neap *rt, struct op *op) {
  struct ready_op *ready = (struct ready_op *)op;
  (void)rt;
  if (op->status < 0) return error_return(L, op->status, op->kind->name, NULL);
  if (ready->expired)
    lua_pushnil(L);
  else
    push_ready(L, ready->list, ready->count);
  return 1;
}

static void drop(struct neap *rt, struct op *op) {
  struct ready_op *ready = (struct ready_op *)op;
  timer_stop(rt, &ready->timer);
  for (size_t i = 0; i < ready->count; i++) interest_end(&ready->list[i].interest);
  if (ready->list != &ready->one) memory_free(ready->list);
  ready->list = NULL;
  ready->count = 0;
}

#define READY_KIND(call, how) \
  { .name = call, .size = sizeof(struct ready_op), .push = how, .drop = drop, .local = true }

static const struct op_kind kinds[] = {
    [READY_RECEIVE] = READY_KIND("receive", push_one),
    [READY_SEND] = READY_KIND("send", push_one),
    [READY_ACCEPT] = READY_KIND("accept", push_one),
    [READY_CONNECT] = READY_KIND("connect", push_one),
    [READY_READABLE] = READY_KIND("wait_readable", push_one),
    [READY_WRITABLE] = READY_KIND("wait_writable", push_one),
    [READY_SELECT] = READY_KIND("select", push_several),
};

static int start_timer(struct neap *rt, struct ready_op *op, double seconds) {
  if (seconds < 0 || seconds == HUGE_VAL) return 0;
  return timer_start(rt, &op->timer, runtime_deadline(rt, seconds)) ? UV_ENOMEM : 0;
}

static struct ready_op *begin(lua_State *L, enum ready_call call) {
  struct ready_op *op = op_begin(L, &kinds[call]);
  timer_init(&op->timer, expire);
  return op;
}

static int want(struct neap *rt, struct ready_op *op, struct wanted *wanted) {
  wanted->op = op;
  wanted->interest.ready = on_ready;
  return interest_begin(rt, &wanted->interest, wanted->fd);
}

int ready_await(lua_State *L, enum ready_call call, int fd, uint32_t events, double seconds) {
  struct neap *rt = runtime_of(L);
  struct ready_op *op = begin(L, call);
  op->list = &op->one;
  op->count = 1;
  op->one = (struct wanted){.fd = fd, .interest.events = events};
  int status = want(rt, op, &op->one);
  if (status == 0) status = start_timer(rt, op, seconds);
  return op_await(L, &op->op, status);
}

/* wait_readable(fd): suspends the task until the descriptor has something to read, its end, or an error. Returns
 * true, or nil, err, code: a regular file cannot be waited for ("EPERM"). */
static int l_wait_readable(lua_State *L) {
  return ready_await(L, READY_READABLE, interest_check_fd(L, 1), INTEREST_READ, -1);
}

/* wait_writable(fd): the same until it takes something, or an error. */
static int l_wait_writable(lua_State *L) {
  return ready_await(L, READY_WRITABLE, interest_check_fd(L, 1), INTEREST_WRITE, -1);
}

/* --- several --- */

/* Pushes a userdata with what the list at 1 says. */
static struct wanted *push_list(lua_State *L, size_t *count) {
  luaL_checktype(L, 1, LUA_TTABLE);
  *count = lua_rawlen(L, 1) / 2;
  size_t size = (*count ? *count : 1) * sizeof(struct wanted);
  struct wanted *list = lua_newuserdatauv(L, size, 0);
  memset(list, 0, size);
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, 1, (lua_Integer)(2 * i + 1));
    lua_rawgeti(L, 1, (lua_Integer)(2 * i + 2));
    const char *direction = lua_tostring(L, -1);
    list[i].fd = (int)lua_tointeger(L, -2);
    list[i].interest.events = direction && *direction == 'w' ? INTEREST_WRITE : INTEREST_READ;
    lua_pop(L, 2);
  }
  return list;
}

/* What is ready at this moment. */
static bool look(struct wanted *list, size_t count) {
  bool any = false;
  for (size_t i = 0; i < count; i++) {
    struct pollfd one = {.fd = list[i].fd, .events = list[i].interest.events == INTEREST_WRITE ? POLLOUT : POLLIN};
    list[i].ready = poll(&one, 1, 0) > 0;
    any |= list[i].ready;
  }
  return any;
}

static int want_all(struct neap *rt, struct ready_op *op, const struct wanted *list, size_t count) {
  int status = 0;
  op->list = memory_alloc(rt->memory, (count ? count : 1) * sizeof *list);
  if (!op->list) return UV_ENOMEM;
  memcpy(op->list, list, count * sizeof *list);
  op->count = count;
  for (size_t i = 0; i < count && status == 0; i++) status = want(rt, op, &op->list[i]);
  return status;
}

/* select_descriptors(list, seconds): the list has a descriptor and "r", "w" in turn. A table, in which
 * those that are ready are true by the place of their descriptor in the list; or nil when the time is
 * over. */
static int l_select_descriptors(lua_State *L) {
  struct neap *rt = runtime_of(L);
  double seconds = luaL_checknumber(L, 2);
  size_t count;
  lua_settop(L, 2);
  if (!op_ready(L, rt, "select")) return op_yield_first(L, "select", l_select_descriptors);
  struct wanted *list = push_list(L, &count);
  bool any = look(list, count);
  if (any || seconds == 0) {
    if (any) push_ready(L, list, count);
    else lua_pushnil(L);
    return 1;
  }
  struct ready_op *op = begin(L, READY_SELECT);
  int status = want_all(rt, op, list, count);
  if (status == 0) status = start_timer(rt, op, seconds);
  return op_await(L, &op->op, status);
}

static const luaL_Reg functions[] = {
    {"wait_readable", l_wait_readable},
    {"wait_writable", l_wait_writable},
    {"select_descriptors", l_select_descriptors},
    {NULL, NULL},
};

void readiness_open(lua_State *L, struct neap *rt) {
  (void)rt;
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
