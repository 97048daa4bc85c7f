/* Being told of changes to a file, or in a folder. They are queued until they are asked for; of those that find no
 * room it is told that there were some. */
#include <lauxlib.h>
#include <string.h>

#include "base/buffer.h"
#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "fs/call.h"
#include "fs/fs.h"

enum { QUEUE_MOST = 64 * 1024 /* bytes of names */ };

/* libuv says nothing where it cannot. */
#ifdef __APPLE__
enum { CAN_RECURSE = true };
#else
enum { CAN_RECURSE = false };
#endif

/* What libuv knows of it. Freed by the close callback. */
struct watch_handle {
  uv_fs_event_t event; /* must be first */
  struct resource resource;
  struct watch *watch;
};

/* Lives in a userdata. */
struct watch {
  struct neap *rt;
  struct watch_handle *handle; /* NULL: closed */
  struct change_op *op;
  struct buffer changes;       /* each a byte for what it is, the name, a zero byte */
  size_t last;                 /* the size of the last of them; 0: it was taken */
  int error;
  bool overflow;               /* changes were lost behind those that are queued */
};

struct change_op {
  struct op op;
  struct watch *watch;
};

/* --- libuv's side --- */

static void on_closed(uv_handle_t *handle) { memory_free(handle); }

/* What is queued is still there for those who ask. Those who wait learn that nothing follows. */
static void stop_watch(struct watch *w) {
  struct change_op *op = w->op;
  if (!w->handle) return;
  list_remove(&w->handle->resource.link);
  uv_close((uv_handle_t *)&w->handle->event, on_closed);
  w->handle = NULL;
  if (op && op->op.state == OP_WAITING) op_complete(w->rt, &op->op, 0);
}

static void close_watch(struct watch *w) {
  buffer_free(&w->changes);
  w->last = 0;
  w->overflow = false;
  stop_watch(w);
}

static void close_resource(struct neap *rt, struct resource *resource) {
  close_watch(container_of(resource, struct watch_handle, resource)->watch);
}

/* The same change twice in a row, with nobody asking in between, is one. */
static bool is_last(const struct watch *w, char kind, const char *name, size_t size) {
  if (w->last != size + 1) return false;
  const char *last = w->changes.bytes + w->changes.end - w->last;
  return *last == kind && memcmp(last + 1, name, size) == 0;
}

static bool add_change(struct watch *w, char kind, const char *name) {
  size_t size = strlen(name) + 1;
  if (is_last(w, kind, name, size)) return true;
  if (buffer_length(&w->changes) + 1 + size > QUEUE_MOST) return false;
  if (buffer_append(&w->changes, &kind, 1) < 0) return false;
  if (buffer_append(&w->changes, name, size) < 0) {
    w->changes.end--;
    return false;
  }
  w->last = size + 1;
  return true;
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status) {
  struct watch *w = ((struct watch_handle *)event)->watch;
  if (status < 0)
    w->error = status;
  else if (!w->overflow && !add_change(w, events & UV_RENAME ? 'r' : 'c', name ? name : ""))
    w->overflow = true;
  if (w->op && w->op->op.state == OP_WAITING) op_complete(w->rt, &w->op->op, 0);
}

/* The loop is kept alive by those who wait, not by what they wait for. */
static int start(struct watch *w, const char *path, bool recursive) {
  int status = recursive && !CAN_RECURSE ? UV_ENOSYS : limits_handle(w->rt);
  if (status < 0) return status;
  struct watch_handle *handle = memory_calloc(w->rt->memory, 1, sizeof *handle);
  if (!handle) return UV_ENOMEM;
  uv_fs_event_init(w->rt->loop, &handle->event);
  uv_unref((uv_handle_t *)&handle->event);
  handle->watch = w;
  handle->resource = (struct resource){.close = close_resource};
  list_append(&w->rt->resources, &handle->resource.link);
  w->handle = handle;
  status = uv_fs_event_start(&handle->event, on_event, path, recursive ? UV_FS_EVENT_RECURSIVE : 0);
  if (status < 0) close_watch(w);
  return status;
}

/* --- what scripts call --- */

static struct watch *check_watch(lua_State *L) { return object_check(L, runtime_of(L), 1, OBJECT_WATCH); }

/* fs_watch(path, recursive): a watch, or nil, err, code. Waits for nothing. */
static int l_watch(lua_State *L) {
  struct neap *rt = runtime_of(L);
  const char *path = fs_check_path(L, 1);
  struct watch *w = object_new(L, rt, OBJECT_WATCH, sizeof *w, 0);
  *w = (struct watch){.rt = rt, .changes = {.memory = rt->memory}};
  int status = start(w, path, lua_toboolean(L, 2));
  return status < 0 ? fs_failure(L, status, "fs.watch", 1) : 1;
}

static bool has_news(const struct watch *w) {
  return !w->handle || w->error < 0 || w->overflow || buffer_length(&w->changes) > 0;
}

static int push_queued(lua_State *L, struct watch *w) {
  const char *change = buffer_data(&w->changes);
  size_t size = strlen(change) + 1;
  lua_pushstring(L, change + 1);
  lua_pushstring(L, *change == 'r' ? "rename" : "change");
  buffer_consume(&w->changes, size);
  if (buffer_length(&w->changes) == 0) w->last = 0;
  return 2;
}

/* Pushes the next change; nil behind the last; or nil, err, code. */
static int push_news(lua_State *L, struct watch *w) {
  if (buffer_length(&w->changes) > 0) return push_queued(L, w);
  if (w->error < 0) return error_return(L, w->error, "fs.watch", NULL);
  if (!w->overflow) return lua_pushnil(L), 1;
  w->overflow = false;
  lua_pushliteral(L, "");
  lua_pushliteral(L, "overflow");
  return 2;
}

static int push(lua_State *L, struct neap *rt, struct op *op) {
  return push_news(L, ((struct change_op *)op)->watch);
}

static void drop(struct neap *rt, struct op *op) {
  struct watch *w = ((struct change_op *)op)->watch;
  w->op = NULL;
  if (w->handle) uv_unref((uv_handle_t *)&w->handle->event);
}

static const struct op_kind kind = {
    .name = "fs.watch",
    .size = sizeof(struct change_op),
    .push = push,
    .drop = drop,
    .local = true,
};

/* watch:next(): a name and "rename", "change" or "overflow". One task at a time may wait. */
static int l_next(lua_State *L) {
  struct watch *w = check_watch(L);
  if (w->op) return error_misuse(L, "fs.watch: another task is waiting for changes");
  bool ready = has_news(w);
  if (ready && op_ready(L, w->rt, "fs.watch")) return push_news(L, w);
  struct change_op *op = op_begin(L, &kind);
  op->watch = w;
  w->op = op;
  if (w->handle) uv_ref((uv_handle_t *)&w->handle->event);
  if (ready) op_complete(w->rt, &op->op, 0);
  return op_await(L, &op->op, 0);
}

/* watch:close(): whoever waits for a change gets nil. May be called twice. */
static int l_close(lua_State *L) {
  close_watch(check_watch(L));
  return 0;
}

/* watch:stop(): the same, behind what is queued. */
static int l_stop(lua_State *L) {
  stop_watch(check_watch(L));
  return 0;
}

static const luaL_Reg methods[] = {
    {"next", l_next}, {"stop", l_stop}, {"close", l_close}, {"__close", l_close}, {"__gc", l_close}, {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"fs_watch", l_watch},
    {NULL, NULL},
};

void fs_watch_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_WATCH, "neap.Watch", methods);
  lua_pop(L, 1);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
