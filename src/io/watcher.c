/* Descriptors that somebody else reads from or writes to: tasks wait until they are ready, and callbacks are called
 * as long as they are. libuv looks at a descriptor for one handle alone, so that all of them share it. */
#include "io/watcher.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "core/error.h"
#include "core/handle.h"
#include "core/limits.h"
#include "core/loop.h"
#include "core/object.h"
#include "core/op.h"
#include "core/runtime.h"

enum side { READABLE, WRITABLE, SIDES };

static const int events_of[SIDES] = {UV_READABLE, UV_WRITABLE};

/* There while anybody is interested in the descriptor. Freed by the last close callback. */
struct watcher {
  uv_poll_t poll;
  uv_prepare_t before; /* called before libuv tells the system what to look for */
  uint8_t open;        /* handles of these two */
  struct neap *rt;
  struct watchers *all;
  struct resource resource;
  int fd;
  int events;                     /* that libuv looks for */
  unsigned holders;               /* callbacks, and ops that have not been dropped */
  struct handle *callback[SIDES]; /* or NULL; it is anchored until it is retired */
  struct list waiting[SIDES];     /* struct ready_op */
};

/* Lives in a userdata. */
struct watchers {
  struct neap *rt;
  struct watcher **by_fd;
  int capacity;
};

struct ready_op {
  struct op op;
  struct list link; /* in the watcher's list */
  struct watcher *watcher;
};

/* Registry key of the userdata. */
static const char watchers_key;

/* --- the table --- */

static struct watchers *watchers_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &watchers_key);
  struct watchers *all = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return all;
}

static struct watcher *find(const struct watchers *all, int fd) {
  return fd >= 0 && fd < all->capacity ? all->by_fd[fd] : NULL;
}

static bool make_room(struct watchers *all, int fd) {
  int capacity = all->capacity ? all->capacity : 16;
  while (capacity <= fd) capacity *= 2;
  if (capacity == all->capacity) return true;
  struct watcher **by_fd = memory_realloc(all->rt->memory, all->by_fd, (size_t)capacity * sizeof *by_fd);
  if (!by_fd) return false;
  memset(by_fd + all->capacity, 0, (size_t)(capacity - all->capacity) * sizeof *by_fd);
  all->by_fd = by_fd;
  all->capacity = capacity;
  return true;
}

/* --- a watcher's life --- */

static void on_closed(uv_handle_t *handle) {
  struct watcher *w = handle->data;
  if (--w->open == 0) memory_free(w);
}

static void close_watcher(struct watcher *w) {
  if (find(w->all, w->fd) == w) w->all->by_fd[w->fd] = NULL;
  list_remove(&w->resource.link);
  uv_close((uv_handle_t *)&w->poll, on_closed);
  uv_close((uv_handle_t *)&w->before, on_closed);
}

/* The state goes with the runtime, and the callbacks with it. */
static void close_resource(struct neap *rt, struct resource *resource) {
  (void)rt;
  close_watcher(container_of(resource, struct watcher, resource));
}

static struct watcher *new_watcher(struct watchers *all, int fd, int *status) {
  struct neap *rt = all->rt;
  if ((*status = limits_handle(rt)) < 0) return NULL;
  struct watcher *w = memory_calloc(rt->memory, 1, sizeof *w);
  *status = w ? uv_poll_init(rt->loop, &w->poll, fd) : UV_ENOMEM;
  if (*status < 0) {
    memory_free(w);
    return NULL;
  }
  uv_prepare_init(rt->loop, &w->before);
  uv_unref((uv_handle_t *)&w->before);
  w->poll.data = w->before.data = w;
  w->open = 2;
  w->rt = rt;
  w->all = all;
  w->fd = fd;
  for (int side = 0; side < SIDES; side++) list_init(&w->waiting[side]);
  w->resource.close = close_resource;
  list_append(&rt->resources, &w->resource.link);
  if (make_room(all, fd)) return all->by_fd[fd] = w;
  close_watcher(w);
  *status = UV_ENOMEM;
  return NULL;
}

/* The watcher of the descriptor, perhaps a new one, with one more holder; or NULL. */
static struct watcher *hold(struct watchers *all, int fd, int *status) {
  struct watcher *w = find(all, fd);
  *status = 0;
  if (!w) w = new_watcher(all, fd, status);
  if (w) w->holders++;
  return w;
}

/* A callback that was cancelled by itself, as an exception handler may, is not called any more. */
static bool is_wanted(const struct watcher *w, enum side side) {
  const struct handle *callback = w->callback[side];
  return !list_empty(&w->waiting[side]) || (callback && callback->state == HANDLE_PENDING);
}

static void wake(struct watcher *w, enum side side, int status) {
  struct list *node;
  while ((node = list_first(&w->waiting[side]))) {
    list_remove(node);
    op_complete(w->rt, &container_of(node, struct ready_op, link)->op, status);
  }
}

static void on_ready(uv_poll_t *poll, int status, int events);

static bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

/* libuv aborts the process when it is to begin with a descriptor that was closed meanwhile. */
static void on_before(uv_prepare_t *before) {
  struct watcher *w = before->data;
  uv_prepare_stop(before);
  if (is_open(w->fd)) return;
  uv_poll_stop(&w->poll);
  for (enum side side = 0; side < SIDES; side++) wake(w, side, UV_EBADF);
}

/* Looks anew, even for the same: the descriptor may be another one by the same number. */
static int look(struct watcher *w) {
  w->events = 0;
  for (enum side side = 0; side < SIDES; side++)
    if (is_wanted(w, side)) w->events |= events_of[side];
  if (!w->events || !is_open(w->fd)) {
    uv_poll_stop(&w->poll);
    return w->events ? UV_EBADF : 0;
  }
  uv_prepare_start(&w->before, on_before);
  return uv_poll_start(&w->poll, w->events, on_ready);
}

static void let_go(struct watcher *w) {
  if (--w->holders == 0)
    close_watcher(w);
  else
    look(w);
}

/* --- readiness --- */

static void tell(struct watcher *w, enum side side) {
  struct handle *callback = w->callback[side];
  if (callback && callback->calls == 0) handle_call_again(w->rt, callback, 1);
  wake(w, side, 0);
}

/* libuv gives up a descriptor with an error, such as a pipe that nobody reads: who tries will learn of it. */
static void on_ready(uv_poll_t *poll, int status, int events) {
  struct watcher *w = poll->data;
  int looked_for = w->events;
  for (enum side side = 0; side < SIDES; side++)
    if ((status < 0 ? looked_for : events) & events_of[side]) tell(w, side);
  int wanted = 0;
  for (enum side side = 0; side < SIDES; side++)
    if (is_wanted(w, side)) wanted |= events_of[side];
  if (status < 0 || wanted != looked_for) look(w);
}

/* --- tasks that wait --- */

static int push_ready(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  if (op->status < 0) return error_return(L, op->status, op->kind->name, lua_tostring(L, 1));
  lua_pushboolean(L, 1);
  return 1;
}

static void drop_ready(struct neap *rt, struct op *op) {
  struct ready_op *ready = (struct ready_op *)op;
  struct watcher *w = ready->watcher;
  (void)rt;
  if (!w) return;
  ready->watcher = NULL;
  list_remove(&ready->link);
  let_go(w);
}

#define READY_KIND(call) \
  { \
    .name = call, .size = sizeof(struct ready_op), .push = push_ready, .drop = drop_ready, .local = true, \
  }

static const struct op_kind readable_kind = READY_KIND("wait_readable"),
                            writable_kind = READY_KIND("wait_writable");

static int check_fd(lua_State *L, int index) {
  lua_Integer fd = luaL_checkinteger(L, index);
  luaL_argcheck(L, fd >= 0 && fd <= INT_MAX / 2, index, "there is no such descriptor");
  return (int)fd;
}

static int wait(lua_State *L, const struct op_kind *kind, enum side side) {
  int fd = check_fd(L, 1), status;
  struct watchers *all = watchers_of(L);
  struct ready_op *op = op_begin(L, kind);
  list_init(&op->link);
  op->watcher = hold(all, fd, &status);
  if (!op->watcher) return op_await(L, &op->op, status);
  list_append(&op->watcher->waiting[side], &op->link);
  return op_await(L, &op->op, look(op->watcher));
}

/* wait_readable(fd): suspends the task until the descriptor has something to read, its end, or an error. Returns
 * true, or nil, err, code: a regular file cannot be waited for ("EPERM"). */
static int l_wait_readable(lua_State *L) { return wait(L, &readable_kind, READABLE); }

/* wait_writable(fd): the same until it takes something, or an error. */
static int l_wait_writable(lua_State *L) { return wait(L, &writable_kind, WRITABLE); }

/* --- callbacks --- */

/* The watcher may go with it. */
static bool remove_callback(lua_State *L, struct watcher *w, enum side side) {
  struct handle *callback = w->callback[side];
  if (!callback) return false;
  w->callback[side] = NULL;
  handle_retire(L, w->rt, callback);
  let_go(w);
  return true;
}

static int set_callback(lua_State *L, int fd, enum side side, struct handle *callback) {
  int status;
  struct watcher *w = hold(watchers_of(L), fd, &status);
  if (!w) return status;
  remove_callback(L, w, side);
  w->callback[side] = callback;
  status = look(w);
  if (status == 0) return 0;
  w->callback[side] = NULL;
  let_go(w);
  return status;
}

static int add(lua_State *L, const char *call, enum side side) {
  struct neap *rt = loop_check_open(L, call);
  limits_refuse_restricted(L, rt, call);
  int fd = check_fd(L, 2);
  handle_check_function(L, 3);
  struct handle *callback = handle_new(L, rt, 3);
  handle_repeat(L, rt, callback);
  int status = set_callback(L, fd, side, callback);
  if (status < 0) {
    handle_retire(L, rt, callback);
    return error_return(L, status, call, lua_tostring(L, 2));
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* Whether there was one. */
static int take_away(lua_State *L, enum side side) {
  object_check(L, runtime_of(L), 1, OBJECT_LOOP);
  struct watcher *w = find(watchers_of(L), check_fd(L, 2));
  lua_pushboolean(L, w && remove_callback(L, w, side));
  return 1;
}

/* loop:add_reader(fd, fn, ...): calls fn(...) in each turn in which the descriptor has something to read, its end, or
 * an error, instead of what was to be called then. true, or nil, err, code. */
static int l_add_reader(lua_State *L) { return add(L, "add_reader", READABLE); }

/* loop:add_writer(fd, fn, ...): the same in each turn in which it takes something. */
static int l_add_writer(lua_State *L) { return add(L, "add_writer", WRITABLE); }

static int l_remove_reader(lua_State *L) { return take_away(L, READABLE); }

static int l_remove_writer(lua_State *L) { return take_away(L, WRITABLE); }

/* A loop that is closed calls none of them any more. */
static void remove_all(lua_State *L) {
  const struct watchers *all = watchers_of(L);
  for (int fd = 0; fd < all->capacity; fd++) {
    for (enum side side = 0; side < SIDES; side++)
      if (all->by_fd[fd]) remove_callback(L, all->by_fd[fd], side);
  }
}

/* --- for the library --- */

static int l_free_watchers(lua_State *L) {
  struct watchers *all = lua_touserdata(L, 1);
  memory_free(all->by_fd);
  all->by_fd = NULL;
  all->capacity = 0;
  return 0;
}

static void make_table(lua_State *L, struct neap *rt) {
  struct watchers *all = lua_newuserdatauv(L, sizeof *all, 0);
  *all = (struct watchers){.rt = rt};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_free_watchers);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &watchers_key);
}

static const luaL_Reg functions[] = {
    {"wait_readable", l_wait_readable}, {"wait_writable", l_wait_writable}, {NULL, NULL},
};

static const luaL_Reg loop_methods[] = {
    {"add_reader", l_add_reader},       {"add_writer", l_add_writer},
    {"remove_reader", l_remove_reader}, {"remove_writer", l_remove_writer},
    {NULL, NULL},
};

void watcher_open(lua_State *L, struct neap *rt) {
  make_table(L, rt);
  rt->loop_closed = remove_all;
  object_push_metatable(L, rt, OBJECT_LOOP);
  object_add_methods(L, loop_methods);
  lua_pop(L, 1);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
