#include "io/readiness.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <math.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/op.h"

/* One descriptor of those that an op waits for. */
struct interest {
  struct list link; /* in the sentry's waiters */
  struct ready_op *op;
  struct sentry *sentry; /* select: its own, to be closed */
  int fd;
  int events;
  int flags; /* select: of the descriptor before, or -1 */
  bool ready;
};

struct ready_op {
  struct op op;
  struct neap *rt;
  struct timer timer;
  struct interest one;
  struct interest *list; /* [one], or a block of the op's own */
  size_t count;
  bool expired;
};

/* --- sentries --- */

static void on_closed(uv_handle_t *handle) { memory_free(handle); }

static void wake(struct interest *interest) {
  struct ready_op *op = interest->op;
  interest->ready = true;
  if (op->op.state == OP_WAITING) op_complete(op->rt, &op->op, 0);
}

void sentry_close(struct sentry *s) {
  struct list *node;
  while ((node = list_first(&s->waiters))) {
    struct interest *interest = container_of(node, struct interest, link);
    list_remove(node);
    interest->sentry = NULL;
    wake(interest);
  }
  *s->holder = NULL;
  list_remove(&s->resource.link);
  uv_close((uv_handle_t *)&s->poll, on_closed);
  if (s->owns) close(s->fd);
}

static void close_resource(struct neap *rt, struct resource *resource) {
  (void)rt;
  sentry_close(container_of(resource, struct sentry, resource));
}

int sentry_new(struct sentry **holder, struct neap *rt, int fd, bool owns) {
  struct sentry *s = memory_calloc(rt->memory, 1, sizeof *s);
  if (!s) return UV_ENOMEM;
  int status = uv_poll_init(rt->loop, &s->poll, fd);
  if (status < 0) {
    memory_free(s);
    return status;
  }
  s->rt = rt;
  s->fd = fd;
  s->owns = owns;
  s->holder = holder;
  list_init(&s->waiters);
  s->resource = (struct resource){.close = close_resource};
  list_append(&rt->resources, &s->resource.link);
  *holder = s;
  return 0;
}

static void on_ready(uv_poll_t *poll, int status, int events);

/* Polls for what those who still wait want. */
static int attend(struct sentry *s) {
  int events = 0;
  list_each(node, &s->waiters) {
    struct interest *interest = container_of(node, struct interest, link);
    if (!interest->ready) events |= interest->events;
  }
  if (events == s->events) return 0;
  s->events = events;
  return events ? uv_poll_start(&s->poll, events, on_ready) : uv_poll_stop(&s->poll);
}

/* After an error libuv has stopped polling; what the error is the caller's next call will say. */
static void on_ready(uv_poll_t *poll, int status, int events) {
  struct sentry *s = (struct sentry *)poll;
  if (status < 0) s->events = 0;
  list_each(node, &s->waiters) {
    struct interest *interest = container_of(node, struct interest, link);
    if (!interest->ready && (status < 0 || interest->events & events)) wake(interest);
  }
  attend(s);
}

/* --- the op --- */

static void expire(struct neap *rt, struct timer *timer) {
  struct ready_op *op = container_of(timer, struct ready_op, timer);
  if (op->op.state != OP_WAITING) return;
  op->expired = true;
  op_complete(rt, &op->op, 0);
}

static int push_one(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  if (op->status < 0) return error_return(L, op->status, op->kind->name, NULL);
  lua_pushboolean(L, !((struct ready_op *)op)->expired);
  return 1;
}

static void push_ready(lua_State *L, const struct interest *list, size_t count) {
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

/* The descriptor is as blocking as it was before. */
static void leave(struct interest *interest) {
  struct sentry *s = interest->sentry;
  list_remove(&interest->link);
  if (interest->op->list != &interest->op->one) {
    if (s) sentry_close(s);
    if (interest->flags >= 0 && !(interest->flags & O_NONBLOCK)) fcntl(interest->fd, F_SETFL, interest->flags);
  } else if (s) {
    attend(s);
  }
}

static void drop(struct neap *rt, struct op *op) {
  struct ready_op *ready = (struct ready_op *)op;
  timer_stop(rt, &ready->timer);
  for (size_t i = 0; i < ready->count; i++) leave(&ready->list[i]);
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
    [READY_SELECT] = READY_KIND("select", push_several),
};

const char *ready_name(enum ready_call call) { return kinds[call].name; }

static int start_timer(struct neap *rt, struct ready_op *op, double seconds) {
  if (seconds < 0 || seconds == HUGE_VAL) return 0;
  return timer_start(rt, &op->timer, runtime_deadline(rt, seconds)) ? UV_ENOMEM : 0;
}

static struct ready_op *begin(lua_State *L, enum ready_call call) {
  struct ready_op *op = op_begin(L, &kinds[call]);
  op->rt = runtime_of(L);
  timer_init(&op->timer, expire);
  return op;
}

int ready_await(lua_State *L, enum ready_call call, struct sentry *sentry, int events, double seconds) {
  struct ready_op *op = begin(L, call);
  op->list = &op->one;
  op->count = 1;
  op->one = (struct interest){.op = op, .sentry = sentry, .events = events, .flags = -1};
  list_append(&sentry->waiters, &op->one.link);
  int status = attend(sentry);
  if (status == 0) status = start_timer(runtime_of(L), op, seconds);
  return op_await(L, &op->op, status);
}

/* --- several --- */

/* Pushes a userdata with what the list at 1 says. */
static struct interest *push_interests(lua_State *L, size_t *count) {
  luaL_checktype(L, 1, LUA_TTABLE);
  *count = lua_rawlen(L, 1) / 2;
  size_t size = (*count ? *count : 1) * sizeof(struct interest);
  struct interest *list = lua_newuserdatauv(L, size, 0);
  memset(list, 0, size);
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, 1, (lua_Integer)(2 * i + 1));
    lua_rawgeti(L, 1, (lua_Integer)(2 * i + 2));
    const char *direction = lua_tostring(L, -1);
    list[i].fd = (int)lua_tointeger(L, -2);
    list[i].events = direction && *direction == 'w' ? READY_WRITE : READY_READ;
    list[i].flags = -1;
    lua_pop(L, 2);
  }
  return list;
}

/* What is ready at this moment. */
static bool look(struct interest *list, size_t count) {
  bool any = false;
  for (size_t i = 0; i < count; i++) {
    struct pollfd one = {.fd = list[i].fd, .events = list[i].events == READY_WRITE ? POLLOUT : POLLIN};
    list[i].ready = poll(&one, 1, 0) > 0;
    any |= list[i].ready;
  }
  return any;
}

/* By a copy of its own: libuv looks at a descriptor for one handle alone. */
static int watch(struct neap *rt, struct interest *interest) {
  interest->flags = fcntl(interest->fd, F_GETFL);
  int fd = fcntl(interest->fd, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return uv_translate_sys_error(errno);
  int status = sentry_new(&interest->sentry, rt, fd, true);
  if (status < 0) {
    close(fd);
    return status;
  }
  list_append(&interest->sentry->waiters, &interest->link);
  return attend(interest->sentry);
}

static int watch_all(struct neap *rt, struct ready_op *op, const struct interest *list, size_t count) {
  int status = 0;
  op->list = memory_alloc(rt->memory, (count ? count : 1) * sizeof *list);
  if (!op->list) return UV_ENOMEM;
  for (size_t i = 0; i < count && status == 0; i++) {
    op->list[i] = list[i];
    op->list[i].op = op;
    list_init(&op->list[i].link);
    op->count = i + 1;
    status = watch(rt, &op->list[i]);
  }
  return status;
}

int l_select_descriptors(lua_State *L) {
  struct neap *rt = runtime_of(L);
  double seconds = luaL_checknumber(L, 2);
  size_t count;
  lua_settop(L, 2);
  if (!op_ready(L, rt, "select")) return op_yield_first(L, "select", l_select_descriptors);
  struct interest *list = push_interests(L, &count);
  bool any = look(list, count);
  if (any || seconds == 0) {
    if (any) push_ready(L, list, count);
    else lua_pushnil(L);
    return 1;
  }
  struct ready_op *op = begin(L, READY_SELECT);
  int status = watch_all(rt, op, list, count);
  if (status == 0) status = start_timer(rt, op, seconds);
  return op_await(L, &op->op, status);
}
