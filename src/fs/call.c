#include "fs/call.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"

/* --- the work --- */

static void free_call(struct fs_call *call) {
  uv_fs_req_cleanup(&call->fs);
  if (call->fd >= 0) fs_close_file(call->fd);
  memory_free(call->bytes);
  memory_free(call);
}

static struct fs_call *make_call(struct neap *rt, const struct fs_kind *kind, const struct fs_arguments *a) {
  size_t path = strlen(a->path) + 1, other = a->other ? strlen(a->other) + 1 : 0;
  struct fs_call *call = memory_calloc(rt->memory, 1, sizeof *call + path + other);
  if (!call) return NULL;
  call->kind = kind;
  call->memory = rt->memory;
  call->fd = -1;
  call->flags = a->flags;
  call->mode = a->mode;
  call->atime = a->atime;
  call->mtime = a->mtime;
  call->length = a->length;
  memcpy(call->path, a->path, path);
  if (a->other) call->other = memcpy(call->path + path, a->other, other);
  return call;
}

/* The bytes are copied: the string they lie in may be freed while they are being written. */
static int make_block(struct fs_call *call, const struct fs_arguments *a) {
  call->capacity = a->length > a->room ? a->length : a->room;
  if (call->capacity == 0) return 0;
  call->bytes = memory_alloc(call->memory, call->capacity);
  if (!call->bytes) return UV_ENOMEM;
  if (a->length > 0) memcpy(call->bytes, a->bytes, a->length);
  return 0;
}

/* What is not there, or is a folder, is told at once. */
static bool blocks_opening(const char *path) {
  struct stat found;
  return path && stat(path, &found) == 0 && !S_ISREG(found.st_mode) && !S_ISDIR(found.st_mode);
}

static void on_work(struct work *work) {
  struct fs_call *call = (struct fs_call *)work;
  bool may_block = call->kind->opens && (blocks_opening(call->path) || blocks_opening(call->other));
  if (may_block) work_may_block(true);
  call->status = call->kind->run(call);
  if (may_block) work_may_block(false);
}

static void on_done(struct work *work, int status);

static int submit(struct fs_call *call, struct neap *rt) {
  call->work.run = on_work;
  call->work.done = on_done;
  int status = work_submit(&call->work, rt, rt->loop);
  call->pending = status == 0;
  return status;
}

static void on_done(struct work *work, int status) {
  struct fs_call *call = (struct fs_call *)work;
  struct fs_op *op = call->op;
  call->pending = false;
  if (!op) return free_call(call);
  if (call->status == FS_MORE) {
    call->status = call->kind->grow(call);
    if (call->status == 0 && submit(call, op->rt) == 0) return;
  }
  op_complete(op->rt, &op->op, 0);
}

/* --- the op --- */

int fs_push(lua_State *L, struct neap *rt, struct op *op) {
  const struct fs_kind *kind = (const struct fs_kind *)op->kind;
  struct fs_call *call = ((struct fs_op *)op)->call;
  int status = op->status < 0 ? op->status : call->status;
  if (status < 0) return fs_failure(L, status, kind->op.name, kind->paths);
  if (kind->push) return kind->push(L, call);
  lua_pushboolean(L, 1);
  return 1;
}

void fs_drop(struct neap *rt, struct op *op) {
  struct fs_call *call = ((struct fs_op *)op)->call;
  if (!call) return;
  if (!call->pending) return free_call(call);
  call->op = NULL;
  atomic_store(&call->dropped, true);
  work_cancel(&call->work);
}

static int begin(struct neap *rt, struct fs_op *op, const struct fs_kind *kind, const struct fs_arguments *a) {
  op->rt = rt;
  op->call = make_call(rt, kind, a);
  if (!op->call) return UV_ENOMEM;
  op->call->op = op;
  int status = make_block(op->call, a);
  if (status < 0) return status;
  return submit(op->call, rt);
}

int fs_await(lua_State *L, const struct fs_kind *kind, const struct fs_arguments *arguments) {
  struct fs_op *op = op_begin(L, &kind->op);
  return op_await(L, &op->op, begin(runtime_of(L), op, kind, arguments));
}

/* --- for all of them --- */

const char *fs_check_path(lua_State *L, int index) {
  size_t length;
  const char *path = luaL_checklstring(L, index, &length);
  luaL_argcheck(L, strlen(path) == length, index, "the path contains a zero byte");
  return path;
}

enum { MODE_MOST = 07777 };

int fs_check_mode(lua_State *L, int index) {
  lua_Integer mode = luaL_checkinteger(L, index);
  luaL_argcheck(L, mode >= 0 && mode <= MODE_MOST, index, "the mode is not in the range 0 to 0xFFF");
  return (int)mode;
}

int fs_option_mode(lua_State *L, int index, int otherwise) {
  if (lua_isnoneornil(L, index)) return otherwise;
  int is_integer = 1;
  lua_Integer mode = otherwise;
  if (lua_getfield(L, index, "mode") != LUA_TNIL) mode = lua_tointegerx(L, -1, &is_integer);
  luaL_argcheck(L, is_integer && mode >= 0 && mode <= MODE_MOST, index,
                "the option 'mode' is not in the range 0 to 0xFFF");
  lua_pop(L, 1);
  return (int)mode;
}

int fs_failure(lua_State *L, int status, const char *operation, int paths) {
  const char *target = lua_tostring(L, 1);
  if (paths == 2) target = lua_pushfstring(L, "%s -> %s", target, lua_tostring(L, 2));
  return error_return(L, status, operation, target);
}

int fs_errno(void) { return uv_translate_sys_error(errno); }

int fs_open_file(const char *path, int flags, int mode) {
  uv_fs_t fs;
  int fd = uv_fs_open(NULL, &fs, path, flags, mode, NULL);
  uv_fs_req_cleanup(&fs);
  return fd;
}

int fs_close_file(int fd) {
  uv_fs_t fs;
  int status = uv_fs_close(NULL, &fs, fd, NULL);
  uv_fs_req_cleanup(&fs);
  return status;
}
