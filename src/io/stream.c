#include "io/stream.h"

#include <lauxlib.h>

#include "core/error.h"
#include "core/op.h"
#include "core/options.h"
#include "core/report.h"
#include "core/runtime.h"
#include "io/stream_file.h"
#include "io/stream_read.h"
#include "io/stream_write.h"

/* User value: where it was made, if debugging was on. */
enum { STREAM_PLACE = 1, STREAM_USER_VALUES = 1 };

/* --- arguments --- */

struct stream *stream_check(lua_State *L) {
  struct stream *s = object_check(L, runtime_of(L), 1, OBJECT_STREAM);
  if (s->collected) error_misuse(L, "the stream was collected");
  return s;
}

struct stream *stream_check_open(lua_State *L, const char *call) {
  struct stream *s = stream_check(L);
  if (s->closed) error_misuse(L, "%s: the stream is closed", call);
  return s;
}

void stream_check_readable(lua_State *L, const struct stream *s, const char *call) {
  if (!s->transport->readable) error_misuse(L, "%s: the stream is only for writing", call);
}

void stream_check_writable(lua_State *L, const struct stream *s, const char *call) {
  if (!s->transport->writable) error_misuse(L, "%s: the stream is only for reading", call);
}

void stream_check_alone(lua_State *L, const struct stream *s, const char *call) {
  if (s->reading && s->transport->kind->give_back)
    error_misuse(L, "%s: another task is reading from the file", call);
}

size_t stream_check_count(lua_State *L, int index, lua_Integer least) {
  lua_Integer count = luaL_checkinteger(L, index);
  luaL_argcheck(L, count >= least, index, "the number of bytes is too small");
  return (size_t)count;
}

/* --- errors --- */

const char *stream_name(const struct stream *s, char name[ADDRESS_MAX]) {
  return transport_name(s->transport, name);
}

int stream_failure(lua_State *L, const struct stream *s, int status, const char *call) {
  char name[ADDRESS_MAX];
  const struct transport *t = s->transport;
  if (t->error_code && status == t->error)
    return error_return_as(L, t->error_code, t->error_text, call, stream_name(s, name));
  return error_return(L, status, call, stream_name(s, name));
}

int stream_take_error(struct stream *s) {
  int error = s->transport->error;
  if (s->transport->kind->resumes) s->transport->error = 0;
  return error;
}

void stream_give_back(struct stream *s) {
  struct transport *t = s->transport;
  if (!t->kind->give_back) return;
  transport_stop(t);
  t->kind->give_back(t, reader_length(&s->reader));
  stream_forget_received(s);
}

/* --- half closing, closing --- */

struct end_op {
  struct op op;
  struct list link;
  struct stream *stream;
};

static void wake_all(struct stream *s, struct list *waiters, int status) {
  struct list *node;
  while ((node = list_first(waiters))) {
    list_remove(node);
    op_complete(s->rt, &container_of(node, struct end_op, link)->op, status);
  }
}

static int push_wait(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  if (op->status < 0)
    return stream_failure(L, ((struct end_op *)op)->stream, op->status, op->kind->name);
  lua_pushboolean(L, 1);
  return 1;
}

static enum op_abort abort_wait(struct neap *rt, struct op *op) {
  (void)rt;
  list_remove(&((struct end_op *)op)->link);
  return OP_GONE;
}

static void drop_wait(struct neap *rt, struct op *op) {
  abort_wait(rt, op);
  stream_end_wait(((struct end_op *)op)->stream);
}

#define WAIT_KIND(call) \
  { \
    .name = call, .size = sizeof(struct end_op), .push = push_wait, .abort = abort_wait, \
    .drop = drop_wait, .local = true, \
  }

static const struct op_kind shutdown_kind = WAIT_KIND("shutdown"),
                            wait_closed_kind = WAIT_KIND("wait_closed");

static struct end_op *begin_wait(lua_State *L, struct stream *s, const struct op_kind *kind,
                                  struct list *waiters) {
  struct end_op *op = op_begin(L, kind);
  op->stream = s;
  s->waits++;
  list_append(waiters, &op->link);
  return op;
}

static void on_shut(void *owner, int status) {
  struct stream *s = owner;
  s->shut = status == 0;
  wake_all(s, &s->shutters, status);
}

/* stream:shutdown(): ends the sending side behind what was written; reading goes on. Waits until that
 * is done. Returns true, or nil, err, code. */
static int l_shutdown(lua_State *L) {
  struct stream *s = stream_check_open(L, "shutdown");
  stream_check_writable(L, s, "shutdown");
  struct end_op *op = begin_wait(L, s, &shutdown_kind, &s->shutters);
  int status = 0;
  if (!s->shutting) {
    stream_queue_all(s);
    status = transport_shutdown(s->transport);
    s->shutting = status == 0;
  } else if (s->shut || s->transport->error) {
    status = s->transport->error;
    op_complete(s->rt, &op->op, status);
  }
  return op_await(L, &op->op, status);
}

static void on_ended(void *owner, int status) {
  struct stream *s = owner;
  stream_stop_reading(s, status);
  if (status < 0 && !s->transport->kind->resumes) stream_feed_writers(s);
}

static void on_closed(void *owner) {
  struct stream *s = owner;
  int error = s->transport->error;
  stream_wake_writers(s, error ? error : UV_ECANCELED);
  wake_all(s, &s->shutters, error ? error : UV_ECANCELED);
  wake_all(s, &s->closers, error);
}

static const struct transport_events events = {
    .received = stream_receive,
    .ended = on_ended,
    .sent = stream_sent,
    .shut = on_shut,
    .closed = on_closed,
};

/* A blocked reader sees the end. */
static void forbid_use(struct stream *s) {
  if (s->closed) return;
  s->closed = true;
  stream_stop_reading(s, 0);
  if (!s->reading) stream_forget_received(s);
}

void stream_close(struct stream *s) {
  if (s->closed) return;
  forbid_use(s);
  stream_queue_all(s);
  transport_close(s->transport);
}

void stream_abort(struct stream *s) {
  forbid_use(s);
  transport_abort(s->transport);
}

/* stream:close(): sends what was written, for a limited time, and closes; waits for none of it. May
 * be called twice. Returns true. */
static int l_close(lua_State *L) {
  stream_close(stream_check(L));
  lua_pushboolean(L, 1);
  return 1;
}

/* stream:abort(): closes at once; what was not sent is dropped. */
static int l_abort(lua_State *L) {
  stream_abort(stream_check(L));
  return 0;
}

/* stream:wait_closed(): waits until it is closed and all was sent: true; or nil, err, code if that
 * was not possible. */
static int l_wait_closed(lua_State *L) {
  struct stream *s = stream_check(L);
  struct end_op *op = begin_wait(L, s, &wait_closed_kind, &s->closers);
  if (s->transport->closed) {
    list_remove(&op->link);
    op_complete(s->rt, &op->op, s->transport->error);
  }
  return op_await(L, &op->op, 0);
}

static int l_is_closing(lua_State *L) {
  lua_pushboolean(L, stream_check(L)->closed);
  return 1;
}

static void warn_unclosed(lua_State *L, struct stream *s) {
  char name[ADDRESS_MAX];
  lua_getiuservalue(L, 1, STREAM_PLACE);
  const char *place = lua_tostring(L, -1);
  lua_pushfstring(L, "the stream to %s, made at %s, was collected unclosed", stream_name(s, name),
                  place ? place : "?");
  report_warning_later(L, s->rt);
}

bool stream_is_idle(const struct stream *s) {
  return !s->reading && list_empty(&s->writers) && list_empty(&s->shutters) && list_empty(&s->closers);
}

void stream_let_go(struct stream *s) {
  if (!s->collected || !s->transport || s->waits > 0 || !stream_is_idle(s)) return;
  stream_forget_received(s);
  transport_release(s->transport);
  s->transport = NULL;
}

static int l_gc(lua_State *L) {
  struct stream *s = object_check(L, runtime_of(L), 1, OBJECT_STREAM);
  if (!s->transport || s->collected) return 0;
  if (s->rt->debug && !s->rt->closed && !s->closed) warn_unclosed(L, s);
  stream_close(s);
  s->collected = true;
  stream_let_go(s);
  return 0;
}

/* --- addresses --- */

/* Of an internet socket host and port, of anything else its label. */
static int push_address(lua_State *L, const struct transport *t, const union address *address) {
  if (t->label) return lua_pushstring(L, t->label), 1;
  char host[HOST_MAX];
  address_host(address, host);
  lua_pushstring(L, host);
  lua_pushinteger(L, address_port(address));
  return 2;
}

/* stream:peer_address(): the peer's host and port; the path of a Unix socket. */
static int l_peer_address(lua_State *L) {
  const struct transport *t = stream_check(L)->transport;
  return push_address(L, t, &t->peer);
}

/* stream:local_address(): its own host and port; the path of a Unix socket. */
static int l_local_address(lua_State *L) {
  struct stream *s = stream_check_open(L, "local_address");
  union address address;
  int status = s->transport->label ? 0 : transport_local_address(s->transport, &address);
  if (status < 0) return stream_failure(L, s, status, "local_address");
  return push_address(L, s->transport, &address);
}

static int l_tostring(lua_State *L) {
  char name[ADDRESS_MAX];
  struct stream *s = stream_check(L);
  lua_pushfstring(L, "<Stream to %s%s>", stream_name(s, name), s->closed ? ", closed" : "");
  return 1;
}

static const luaL_Reg methods[] = {
    {"shutdown", l_shutdown},
    {"close", l_close},
    {"abort", l_abort},
    {"is_closing", l_is_closing},
    {"wait_closed", l_wait_closed},
    {"peer_address", l_peer_address},
    {"local_address", l_local_address},
    {"__close", l_close},
    {"__gc", l_gc},
    {"__tostring", l_tostring},
    {NULL, NULL},
};

void stream_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_STREAM, "neap.Stream", methods);
  runtime_push(L);
  luaL_setfuncs(L, stream_read_methods, 1);
  runtime_push(L);
  luaL_setfuncs(L, stream_write_methods, 1);
  runtime_push(L);
  luaL_setfuncs(L, stream_file_methods, 1);
  lua_pop(L, 1);
}

struct stream *stream_new(lua_State *L, struct neap *rt, size_t limit) {
  struct stream *s = object_new(L, rt, OBJECT_STREAM, sizeof *s, STREAM_USER_VALUES);
  *s = (struct stream){.rt = rt, .high = HIGH_WATER, .low = HIGH_WATER / LOW_PART};
  s->reader.limit = s->ahead = limit;
  s->reader.kept.memory = rt->memory;
  s->borrower.keep = stream_keep_received;
  list_init(&s->borrower.link);
  list_init(&s->writers);
  list_init(&s->shutters);
  list_init(&s->closers);
  if (rt->debug) {
    error_push_place(L);
    lua_setiuservalue(L, -2, STREAM_PLACE);
  }
  return s;
}

size_t stream_option_limit(lua_State *L, int index) {
  return (size_t)options_integer(L, index, "limit", READER_LIMIT);
}

struct stream *stream_new_unlimited(lua_State *L, struct neap *rt, size_t limit) {
  struct stream *s = stream_new(L, rt, limit);
  if (limit > 0) return s;
  s->reader.limit = SIZE_MAX;
  s->ahead = READER_LIMIT;
  return s;
}

void stream_attach(struct stream *s, struct transport *t) {
  s->transport = t;
  if (t->kind->resumes) s->high = s->low = 0;
  transport_own(t, &events, s);
}
