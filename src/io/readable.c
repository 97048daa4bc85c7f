/* Waiting for a descriptor that somebody else reads from. */
#include "io/readable.h"

#include <lauxlib.h>

#include "core/error.h"
#include "core/op.h"
#include "core/runtime.h"

struct watcher {
  uv_poll_t poll;
  struct neap *rt;
  struct readable_op *op; /* NULL once that is over */
};

struct readable_op {
  struct op op;
  struct watcher *watcher;
};

static void on_closed(uv_handle_t *handle) { memory_free(handle); }

static void on_readable(uv_poll_t *poll, int status, int events) {
  struct watcher *watcher = (struct watcher *)poll;
  (void)events;
  uv_poll_stop(poll);
  if (watcher->op) op_complete(watcher->rt, &watcher->op->op, status);
}

static int push(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  if (op->status < 0) return error_return(L, op->status, "wait_readable", NULL);
  lua_pushboolean(L, 1);
  return 1;
}

static void drop(struct neap *rt, struct op *op) {
  struct watcher *watcher = ((struct readable_op *)op)->watcher;
  (void)rt;
  if (!watcher) return;
  watcher->op = NULL;
  uv_close((uv_handle_t *)&watcher->poll, on_closed);
}

static const struct op_kind kind = {
    .name = "wait_readable",
    .size = sizeof(struct readable_op),
    .push = push,
    .drop = drop,
    .local = true,
};

static int start(struct neap *rt, struct readable_op *op, int fd) {
  struct watcher *watcher = memory_alloc(rt->memory, sizeof *watcher);
  if (!watcher) return UV_ENOMEM;
  int status = uv_poll_init(rt->loop, &watcher->poll, fd);
  if (status < 0) {
    memory_free(watcher);
    return status;
  }
  watcher->rt = rt;
  watcher->op = op;
  op->watcher = watcher;
  return uv_poll_start(&watcher->poll, UV_READABLE, on_readable);
}

/* wait_readable(fd): suspends the task until the descriptor has something to read, or its end. Returns
 * true, or nil, err, code: a regular file cannot be waited for ("EPERM"). */
int l_wait_readable(lua_State *L) {
  int fd = (int)luaL_checkinteger(L, 1);
  struct readable_op *op = op_begin(L, &kind);
  return op_await(L, &op->op, start(runtime_of(L), op, fd));
}
