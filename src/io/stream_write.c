#include "io/stream_write.h"

#include "core/error.h"
#include "core/op.h"
#include "core/runtime.h"
#include "io/stream_read.h"

enum { MAX_BUFS = 16 };

struct write_op {
  struct op op;
  struct list link;
  struct stream *stream;
  uv_buf_t unsent; /* on the caller's stack: not yet given to the transport */
};

void stream_feed_writers(struct stream *s) {
  struct list *node;
  int error = list_empty(&s->writers) ? 0 : stream_take_error(s);
  s->full = false;
  while ((node = list_first(&s->writers))) {
    struct write_op *op = container_of(node, struct write_op, link);
    if (op->unsent.len > 0 && (!error || s->transport->kind->resumes)) {
      error = transport_write(s->transport, &op->unsent, 1);
      op->unsent.len = 0;
      s->full = transport_queued(s->transport) > s->high;
      if (s->full && !error) return;
    }
    list_remove(node);
    op_complete(s->rt, &op->op, error);
  }
}

void stream_sent(void *owner) {
  struct stream *s = owner;
  if (s->transport->error || transport_queued(s->transport) <= s->low) stream_feed_writers(s);
}

void stream_queue_all(struct stream *s) {
  list_each(node, &s->writers) {
    struct write_op *op = container_of(node, struct write_op, link);
    if (op->unsent.len > 0) transport_write(s->transport, &op->unsent, 1);
    op->unsent.len = 0;
  }
}

void stream_wake_writers(struct stream *s, int status) {
  list_each(node, &s->writers) {
    list_remove(node);
    op_complete(s->rt, &container_of(node, struct write_op, link)->op, status);
  }
}

static int push_write(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  if (op->status < 0)
    return stream_failure(L, ((struct write_op *)op)->stream, op->status, op->kind->name);
  lua_pushvalue(L, 1);
  return 1;
}

/* What was not given to the transport is not sent; the rest goes on without the task. */
static enum op_abort abort_write(struct neap *rt, struct op *op) {
  (void)rt;
  list_remove(&((struct write_op *)op)->link);
  return OP_GONE;
}

static void drop_write(struct neap *rt, struct op *op) {
  abort_write(rt, op);
  stream_end_wait(((struct write_op *)op)->stream);
}

#define WRITE_KIND(call) \
  { \
    .name = call, .size = sizeof(struct write_op), .push = push_write, .abort = abort_write, \
    .drop = drop_write, .local = true, \
  }

static const struct op_kind write_kind = WRITE_KIND("write"), drain_kind = WRITE_KIND("drain");

static struct write_op *begin_write(lua_State *L, struct stream *s, const struct op_kind *kind) {
  struct write_op *op = op_begin(L, kind);
  op->stream = s;
  s->waits++;
  list_append(&s->writers, &op->link);
  return op;
}

static int end_write(lua_State *L, struct stream *s, struct write_op *op) {
  if (!s->full || s->transport->error) {
    list_remove(&op->link);
    op_complete(s->rt, &op->op, stream_take_error(s));
  }
  return op_await(L, &op->op, 0);
}

/* Numbers are written as io.write writes them. */
static uv_buf_t check_piece(lua_State *L, int index) {
  uv_buf_t piece;
  if (lua_type(L, index) == LUA_TNUMBER && !lua_isinteger(L, index)) {
    char text[64];
    int length = lua_number2str(text, sizeof text, lua_tonumber(L, index));
    lua_pushlstring(L, text, (size_t)length);
    lua_replace(L, index);
  }
  piece.base = (char *)luaL_checklstring(L, index, &piece.len);
  return piece;
}

/* Joins the arguments at the second place, when they are too many for [bufs] or must be kept. */
static void join(lua_State *L, uv_buf_t *bufs, unsigned *count) {
  if (*count > 1) lua_concat(L, lua_gettop(L) - 1);
  bufs[0].base = (char *)lua_tolstring(L, 2, &bufs[0].len);
  *count = 1;
}

static int write_pieces(lua_State *L, struct stream *s, uv_buf_t *bufs, unsigned count,
                        size_t length) {
  bool fits = !s->full && transport_queued(s->transport) + length <= s->high;
  if (fits && op_ready(L, s->rt, "write")) {
    int status = transport_write(s->transport, bufs, count);
    if (status < 0) stream_take_error(s);
    if (status < 0) return stream_failure(L, s, status, "write");
    lua_pushvalue(L, 1);
    return 1;
  }
  if (s->full && length > 0) join(L, bufs, &count);
  struct write_op *op = begin_write(L, s, &write_kind);
  if (s->full) {
    if (length > 0) op->unsent = bufs[0];
  } else {
    transport_write(s->transport, bufs, count);
    s->full = transport_queued(s->transport) > s->high;
  }
  return end_write(L, s, op);
}

static struct stream *check_writer(lua_State *L, const char *call) {
  struct stream *s = stream_check_open(L, call);
  stream_check_writable(L, s, call);
  if (s->shutting) error_misuse(L, "%s: the stream was shut down", call);
  stream_check_alone(L, s, call);
  return s;
}

/* stream:write(...): strings and numbers. Returns the stream, or nil, err, code. Waits only while more
 * than the high-water mark is queued. */
static int l_write(lua_State *L) {
  struct stream *s = check_writer(L, "write");
  uv_buf_t bufs[MAX_BUFS];
  unsigned count = (unsigned)lua_gettop(L) - 1;
  size_t length = 0;
  for (unsigned i = 0; i < count; i++) {
    uv_buf_t piece = check_piece(L, (int)i + 2);
    if (i < MAX_BUFS) bufs[i] = piece;
    length += piece.len;
  }
  if (count > MAX_BUFS) join(L, bufs, &count);
  stream_give_back(s); /* what was read ahead is read again, behind what is written */
  return write_pieces(L, s, bufs, count, length);
}

/* stream:drain(): waits while writers would. Returns the stream, or nil, err, code. */
static int l_drain(lua_State *L) {
  struct stream *s = stream_check_open(L, "drain");
  if ((!s->full || s->transport->error) && op_ready(L, s->rt, "drain")) {
    int error = stream_take_error(s);
    if (error) return stream_failure(L, s, error, "drain");
    lua_settop(L, 1);
    return 1;
  }
  return end_write(L, s, begin_write(L, s, &drain_kind));
}

/* stream:set_write_limits(high, low): above `high` queued bytes writers wait until there are no more
 * than `low` of them (a quarter of `high`). */
static int l_set_write_limits(lua_State *L) {
  struct stream *s = stream_check_open(L, "set_write_limits");
  size_t high = lua_isnoneornil(L, 2) ? HIGH_WATER : stream_check_count(L, 2, 0);
  size_t low = lua_isnoneornil(L, 3) ? high / LOW_PART : stream_check_count(L, 3, 0);
  luaL_argcheck(L, low <= high, 3, "the low mark is above the high one");
  s->high = high;
  s->low = low;
  if (transport_queued(s->transport) > high)
    s->full = true;
  else if (transport_queued(s->transport) <= low)
    stream_feed_writers(s);
  return 0;
}

const luaL_Reg stream_write_methods[] = {
    {"write", l_write},
    {"drain", l_drain},
    {"set_write_limits", l_set_write_limits},
    {NULL, NULL},
};
