#include "io/stream_file.h"

#include <unistd.h>

#include "core/error.h"
#include "core/op.h"
#include "core/runtime.h"
#include "io/stat.h"
#include "io/stream.h"
#include "io/stream_write.h"
#include "io/transport_file.h"
#include "io/transport_uv.h"

struct file_op {
  struct op op;
  struct stream *stream;
  struct file_request *request; /* NULL: it is done */
  int64_t result;
  uv_stat_t *stat; /* of stat: in a userdata on the caller's stack */
  bool tells; /* where the program is, which has not read all that was received */
};

static void on_done(void *owner, int64_t result, const uv_stat_t *stat) {
  struct file_op *op = owner;
  op->request = NULL;
  if (op->stat && stat) *op->stat = *stat;
  if (op->tells && result >= 0) result -= (int64_t)reader_length(&op->stream->reader);
  op->result = result;
  op_complete(op->stream->rt, &op->op, result < 0 ? (int)result : 0);
}

static int push_position(lua_State *L, struct neap *rt, struct op *op) {
  struct file_op *file = (struct file_op *)op;
  (void)rt;
  if (op->status < 0) return stream_failure(L, file->stream, op->status, op->kind->name);
  lua_pushinteger(L, file->result);
  return 1;
}

static int push_stream(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  if (op->status < 0) return stream_failure(L, ((struct file_op *)op)->stream, op->status, op->kind->name);
  lua_pushvalue(L, 1);
  return 1;
}

static int push_stat(lua_State *L, struct neap *rt, struct op *op) {
  struct file_op *file = (struct file_op *)op;
  (void)rt;
  if (op->status < 0) return stream_failure(L, file->stream, op->status, op->kind->name);
  stat_push(L, file->stat);
  return 1;
}

static void drop(struct neap *rt, struct op *op) {
  struct file_op *file = (struct file_op *)op;
  (void)rt;
  transport_file_forget(file->request);
  file->request = NULL;
  stream_end_wait(file->stream);
}

#define FILE_KIND(call, results) \
  { .name = call, .size = sizeof(struct file_op), .push = results, .drop = drop, .local = true }

static const struct op_kind seek_kind = FILE_KIND("seek", push_position), sync_kind = FILE_KIND("sync", push_stream),
                            truncate_kind = FILE_KIND("truncate", push_stream),
                            stat_kind = FILE_KIND("stat", push_stat);

static int ask(lua_State *L, struct stream *s, const struct op_kind *kind, enum file_call call, int whence,
               int64_t offset) {
  struct file_op *op = op_begin(L, kind);
  op->stream = s;
  s->waits++;
  op->tells = call == FILE_SEEK && whence == SEEK_CUR && offset == 0;
  if (call != FILE_SYNC && !op->tells) stream_give_back(s);
  return op_await(L, &op->op, transport_file_ask(s->transport, call, whence, offset, on_done, op, &op->request));
}

/* stream:seek(whence, offset): as of Lua's files. Returns the new position, or nil, err, code: "ESPIPE" where there
 * are none. */
static int l_seek(lua_State *L) {
  static const char *const names[] = {"set", "cur", "end", NULL};
  static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  struct stream *s = stream_check_open(L, "seek");
  int whence = whences[luaL_checkoption(L, 2, "cur", names)];
  lua_Integer offset = luaL_optinteger(L, 3, 0);
  if (!transport_is_file(s->transport)) return stream_failure(L, s, UV_ESPIPE, "seek");
  stream_check_alone(L, s, "seek");
  return ask(L, s, &seek_kind, FILE_SEEK, whence, offset);
}

/* stream:sync(): waits until what was written is on the disk. Returns the stream, or nil, err, code. */
static int l_sync(lua_State *L) {
  struct stream *s = stream_check_open(L, "sync");
  if (!transport_is_file(s->transport)) return stream_failure(L, s, UV_EINVAL, "sync");
  return ask(L, s, &sync_kind, FILE_SYNC, 0, 0);
}

/* stream:truncate(size): makes the file so long, by default up to the position, which stays where it is. Returns
 * the stream, or nil, err, code. */
static int l_truncate(lua_State *L) {
  struct stream *s = stream_check_open(L, "truncate");
  stream_check_writable(L, s, "truncate");
  int64_t size = lua_isnoneornil(L, 2) ? -1 : (int64_t)stream_check_count(L, 2, 0);
  if (!transport_is_file(s->transport)) return stream_failure(L, s, UV_EINVAL, "truncate");
  stream_check_alone(L, s, "truncate");
  return ask(L, s, &truncate_kind, FILE_TRUNCATE, 0, size);
}

/* stream:stat(): what fs.stat tells of a file, or nil, err, code. */
static int l_stat(lua_State *L) {
  struct stream *s = stream_check_open(L, "stat");
  if (!transport_is_file(s->transport)) return stream_failure(L, s, UV_EINVAL, "stat");
  uv_stat_t *stat = lua_newuserdatauv(L, sizeof *stat, 0);
  struct file_op *op = op_begin(L, &stat_kind);
  op->stream = s;
  s->waits++;
  op->stat = stat;
  return op_await(L, &op->op, transport_file_ask(s->transport, FILE_STAT, 0, 0, on_done, op, &op->request));
}

/* --- terminals --- */

/* stream:isatty(): whether it leads to a terminal. */
static int l_isatty(lua_State *L) {
  lua_pushboolean(L, transport_is_tty(stream_check_open(L, "isatty")->transport));
  return 1;
}

/* stream:set_mode(mode): "raw" or "normal", for a terminal. Returns the stream, or nil, err, code. */
static int l_set_mode(lua_State *L) {
  static const char *const names[] = {"normal", "raw", NULL};
  struct stream *s = stream_check_open(L, "set_mode");
  bool raw = luaL_checkoption(L, 2, NULL, names) == 1;
  int status = transport_is_tty(s->transport) ? transport_set_raw(s->transport, raw) : UV_ENOTTY;
  if (status < 0) return stream_failure(L, s, status, "set_mode");
  lua_settop(L, 1);
  return 1;
}

/* stream:winsize(): columns and rows of a terminal, or nil, err, code. */
static int l_winsize(lua_State *L) {
  int columns, rows;
  struct stream *s = stream_check_open(L, "winsize");
  int status = UV_ENOTTY;
  if (transport_is_tty(s->transport)) status = transport_winsize(s->transport, &columns, &rows);
  if (status < 0) return stream_failure(L, s, status, "winsize");
  lua_pushinteger(L, columns);
  lua_pushinteger(L, rows);
  return 2;
}

const luaL_Reg stream_file_methods[] = {
    {"isatty", l_isatty},
    {"set_mode", l_set_mode},
    {"winsize", l_winsize},
    {"seek", l_seek},
    {"sync", l_sync},
    {"truncate", l_truncate},
    {"stat", l_stat},
    {NULL, NULL},
};
