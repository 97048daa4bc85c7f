#include "io/watcher.h"

#include "core/error.h"
#include "core/handle.h"
#include "core/limits.h"
#include "core/loop.h"
#include "io/interest.h"

struct watcher {
  struct interest interest;
  struct handle *handle; /* it repeats */
  uint32_t side;         /* INTEREST_* */
};

/* One that was cancelled by itself, as an exception handler may, is not called any more. */
static void on_ready(struct neap *rt, struct interest *interest, int status) {
  struct watcher *w = container_of(interest, struct watcher, interest);
  if (status == UV_ECANCELED)
    memory_free(w); /* the state goes with the runtime, and the handle with it */
  else if (w->handle->state != HANDLE_PENDING)
    interest->events = 0;
  else if (status == 0 && w->handle->calls == 0)
    handle_call_again(rt, w->handle, 1);
}

static struct watcher *find(const struct neap *rt, int fd, uint32_t side) {
  const struct list *list = interest_list(rt, fd);
  if (!list) return NULL;
  list_each(node, list) {
    struct watcher *w = container_of(node, struct watcher, interest.link);
    if (w->interest.ready == on_ready && w->side == side) return w;
  }
  return NULL;
}

static bool remove_watcher(lua_State *L, struct neap *rt, struct watcher *w) {
  if (!w) return false;
  interest_end(&w->interest);
  handle_retire(L, rt, w->handle);
  memory_free(w);
  return true;
}

/* In place of the one before. Returns 0 or UV_E*. */
static int add_watcher(lua_State *L, struct neap *rt, int fd, uint32_t side, struct handle *handle) {
  struct watcher *before = find(rt, fd, side), *w = memory_alloc(rt->memory, sizeof *w);
  if (!w) return UV_ENOMEM;
  *w = (struct watcher){.interest = {.events = side, .ready = on_ready}, .handle = handle, .side = side};
  int status = interest_begin(rt, &w->interest, fd);
  if (status < 0)
    memory_free(w);
  else
    remove_watcher(L, rt, before);
  return status;
}

static int add(lua_State *L, const char *call, uint32_t side) {
  struct neap *rt = loop_check_open(L, call);
  limits_refuse_restricted(L, rt, call);
  int fd = interest_check_fd(L, 2);
  handle_check_function(L, 3);
  struct handle *handle = handle_new(L, rt, 3);
  handle_repeat(L, rt, handle);
  int status = add_watcher(L, rt, fd, side, handle);
  if (status < 0) {
    handle_retire(L, rt, handle);
    return error_return(L, status, call, lua_tostring(L, 2));
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* Whether there was one. */
static int take_away(lua_State *L, uint32_t side) {
  struct neap *rt = runtime_of(L);
  object_check(L, rt, 1, OBJECT_LOOP);
  lua_pushboolean(L, remove_watcher(L, rt, find(rt, interest_check_fd(L, 2), side)));
  return 1;
}

/* loop:add_reader(fd, fn, ...): calls fn(...) in each turn in which the descriptor has something to read, its end, or
 * an error, instead of what was to be called then. true, or nil, err, code. */
static int l_add_reader(lua_State *L) { return add(L, "add_reader", INTEREST_READ); }

/* loop:add_writer(fd, fn, ...): the same in each turn in which it takes something. */
static int l_add_writer(lua_State *L) { return add(L, "add_writer", INTEREST_WRITE); }

static int l_remove_reader(lua_State *L) { return take_away(L, INTEREST_READ); }

static int l_remove_writer(lua_State *L) { return take_away(L, INTEREST_WRITE); }

/* A loop that is closed calls none of them any more. */
static void remove_all(lua_State *L) {
  struct neap *rt = runtime_of(L);
  for (int fd = 0; fd < interest_bound(rt); fd++) {
    remove_watcher(L, rt, find(rt, fd, INTEREST_READ));
    remove_watcher(L, rt, find(rt, fd, INTEREST_WRITE));
  }
}

static const luaL_Reg loop_methods[] = {
    {"add_reader", l_add_reader},       {"add_writer", l_add_writer},
    {"remove_reader", l_remove_reader}, {"remove_writer", l_remove_writer},
    {NULL, NULL},
};

void watcher_open(lua_State *L, struct neap *rt) {
  rt->loop_closed = remove_all;
  object_push_metatable(L, rt, OBJECT_LOOP);
  object_add_methods(L, loop_methods);
  lua_pop(L, 1);
}
