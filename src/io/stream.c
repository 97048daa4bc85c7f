#include "io/stream.h"

#include <lauxlib.h>
#include <string.h>

#include "core/error.h"
#include "core/op.h"
#include "core/runtime.h"
#include "io/reader.h"
#include "io/transport.h"

enum { HIGH_WATER = 64 * 1024, LOW_PART = 4, MAX_BUFS = 16 };

/* User value: where it was made, if debugging was on. */
enum { STREAM_PLACE = 1, STREAM_USER_VALUES = 1 };

/* Lives in a userdata. An op that waits for it is awaited by a call that has the stream as its first
 * argument, and so keeps it alive. */
struct stream {
  struct neap *rt;
  struct transport *transport; /* NULL only before it is attached */
  struct reader reader;
  int error;                   /* what ended the reading: 0 or UV_E* */
  struct read_op *reading;     /* one task at a time may read */
  struct list writers;         /* struct write_op, in order of arrival */
  struct list shutters;        /* struct wait_op: half closing */
  struct list closers;         /* struct wait_op: until it is closed */
  size_t high;                 /* above so many queued bytes writers wait */
  size_t low;                  /* until there are so few */
  bool full;                   /* has been above [high] and not yet at [low] */
  bool shutting;               /* the sending side was ended */
  bool shut;
  bool closed;                 /* for the program; the transport may still be sending */
};

/* --- arguments --- */

static struct stream *check_stream(lua_State *L) {
  return object_check(L, runtime_of(L), 1, OBJECT_STREAM);
}

static struct stream *check_open(lua_State *L, const char *call) {
  struct stream *s = check_stream(L);
  if (s->closed) error_misuse(L, "%s: the stream is closed", call);
  return s;
}

static size_t check_count(lua_State *L, int index, lua_Integer least) {
  lua_Integer count = luaL_checkinteger(L, index);
  luaL_argcheck(L, count >= least, index, "the number of bytes is too small");
  return (size_t)count;
}

/* --- errors --- */

static const char *name_of(const struct stream *s, char name[ADDRESS_MAX]) {
  return address_name(&s->transport->peer, name);
}

static int failure(lua_State *L, const struct stream *s, int status, const char *call) {
  char name[ADDRESS_MAX];
  return error_return(L, status, call, name_of(s, name));
}

/* Pushes nil and an error of the reader's own whose message is "call target: [what]". */
static int reading_failure(lua_State *L, const struct stream *s, enum error_kind kind,
                           const char *call, const char *what) {
  char name[ADDRESS_MAX];
  lua_pushnil(L);
  lua_pushfstring(L, "%s %s: %s", call, name_of(s, name), what);
  error_new(L, kind);
  return 2;
}

/* --- reading --- */

struct read_op {
  struct op op;
  struct stream *stream;
  struct reading reading;
  struct request request; /* the only one, or else they lie in a userdata on the caller's stack */
};

static bool is_waiting(const struct read_op *op) { return op && op->op.state == OP_WAITING; }

/* Whether the call can be answered now, by a value or an error. */
static bool is_answered(const struct stream *s, struct reading *reading) {
  return s->error || reader_is_ready(&s->reader, reading);
}

/* What nobody has asked for is bounded by twice the limit. */
static void keep_bounded(struct stream *s) {
  if (!is_waiting(s->reading) && buffer_length(&s->reader.buffer) / 2 > s->reader.limit)
    transport_stop(s->transport);
}

static void go_on_reading(struct stream *s) {
  if (s->closed || s->reader.ended || s->error || s->transport->reading) return;
  if (buffer_length(&s->reader.buffer) <= s->reader.limit) transport_start(s->transport);
}

static void wake_reader(struct stream *s) {
  struct read_op *op = s->reading;
  if (is_waiting(op) && is_answered(s, &op->reading)) op_complete(s->rt, &op->op, 0);
}

static void stop_reading(struct stream *s, int status) {
  if (status == 0)
    s->reader.ended = true;
  else if (!s->error)
    s->error = status;
  transport_stop(s->transport);
  wake_reader(s);
}

static void on_received(void *owner, const char *bytes, size_t length) {
  struct stream *s = owner;
  if (buffer_append(&s->reader.buffer, bytes, length)) {
    stop_reading(s, UV_ENOMEM);
    return;
  }
  wake_reader(s);
  keep_bounded(s);
}

/* --- answering a read --- */

static int push_overrun(lua_State *L, struct stream *s, const char *call,
                        const struct request *request, const struct span *span) {
  const char *what = request->kind == REQUEST_UNTIL    ? "no separator"
                     : request->kind == REQUEST_NUMBER ? "no number"
                                                       : "no end of line";
  lua_pushfstring(L, "%s within the limit of %I bytes", what, (LUAI_UACINT)s->reader.limit);
  reading_failure(L, s, ERROR_LIMIT_OVERRUN, call, lua_tostring(L, -1));
  lua_pushinteger(L, (lua_Integer)span->taken);
  lua_setfield(L, -2, "consumed");
  return 2;
}

static int push_short(lua_State *L, struct stream *s, const char *call,
                      const struct request *request, const char *bytes, size_t length) {
  bool counted = request->kind == REQUEST_EXACTLY;
  if (counted)
    lua_pushfstring(L, "the stream ended after %I of %I bytes", (LUAI_UACINT)length,
                    (LUAI_UACINT)request->count);
  else
    lua_pushliteral(L, "the stream ended before a separator");
  reading_failure(L, s, ERROR_INCOMPLETE_READ, call, lua_tostring(L, -1));
  lua_pushlstring(L, bytes, length);
  lua_setfield(L, -2, "partial");
  if (counted) {
    lua_pushinteger(L, (lua_Integer)request->count);
    lua_setfield(L, -2, "expected");
  }
  return 2;
}

static void push_value(lua_State *L, const struct request *request, const char *bytes,
                       size_t length) {
  char numeral[NUMERAL_MAX + 1];
  if (request->kind != REQUEST_NUMBER) {
    lua_pushlstring(L, bytes, length);
    return;
  }
  memcpy(numeral, bytes, length);
  numeral[length] = '\0';
  if (lua_stringtonumber(L, numeral) == 0) lua_pushnil(L);
}

static void consume(struct stream *s, size_t length) {
  buffer_consume(&s->reader.buffer, length);
  go_on_reading(s);
}

/* Pushes the values and takes their bytes from the buffer, or pushes nil and an error. Nothing is
 * taken before all is pushed. */
static int push_answers(lua_State *L, struct stream *s, const char *call,
                        const struct reading *reading) {
  size_t offset = 0;
  luaL_checkstack(L, reading->count + 8, "too many results");
  for (int i = 0; i < reading->count; i++) {
    struct span span;
    size_t scanned = 0;
    const struct request *request = &reading->requests[i];
    const char *bytes = buffer_data(&s->reader.buffer) + offset;
    switch (reader_answer(&s->reader, offset, request, &scanned, &span)) {
      case ANSWER_VALUE:
        push_value(L, request, bytes + span.start, span.length);
        offset += span.taken;
        break;
      case ANSWER_NOTHING:
        lua_pushnil(L);
        consume(s, offset + span.taken);
        return i + 1;
      case ANSWER_SHORT:
        push_short(L, s, call, request, bytes, span.length);
        consume(s, offset + span.taken);
        return 2;
      case ANSWER_OVERRUN:
        return push_overrun(L, s, call, request, &span);
      case ANSWER_WAIT:
        return failure(L, s, s->error, call);
    }
  }
  consume(s, offset);
  return reading->count;
}

/* lines() raises what the others return: as an iterator it has nobody to return an error to. */
static const struct op_kind lines_kind;

static int answer(lua_State *L, struct stream *s, const struct op_kind *kind,
                  const struct reading *reading) {
  int count = push_answers(L, s, kind->name, reading);
  if (kind == &lines_kind && count > 1 && lua_isnil(L, -count) && lua_istable(L, 1 - count)) {
    lua_pushvalue(L, 1 - count);
    return lua_error(L);
  }
  return count;
}

static int push_read(lua_State *L, struct neap *rt, struct op *op) {
  struct read_op *read = (struct read_op *)op;
  (void)rt;
  if (op->status < 0) return failure(L, read->stream, op->status, op->kind->name);
  return answer(L, read->stream, op->kind, &read->reading);
}

/* The stream is free for the next reader. */
static void leave(struct read_op *op) {
  struct stream *s = op->stream;
  if (s->reading != op) return;
  s->reading = NULL;
  transport_hold(s->transport, false);
  keep_bounded(s);
}

static enum op_abort abort_read(struct neap *rt, struct op *op) {
  (void)rt;
  leave((struct read_op *)op);
  return OP_GONE;
}

static void drop_read(struct neap *rt, struct op *op) {
  (void)rt;
  struct stream *s = ((struct read_op *)op)->stream;
  leave((struct read_op *)op);
  if (s->closed && !s->reading) buffer_free(&s->reader.buffer);
}

#define READ_KIND(call)             \
  {                                 \
    .name = call,                   \
    .size = sizeof(struct read_op), \
    .push = push_read,              \
    .abort = abort_read,            \
    .drop = drop_read,              \
    .local = true,                  \
  }

static const struct op_kind read_kind = READ_KIND("read"), lines_kind = READ_KIND("lines"),
                            readline_kind = READ_KIND("readline"),
                            readexactly_kind = READ_KIND("readexactly"),
                            readuntil_kind = READ_KIND("readuntil"),
                            read_some_kind = READ_KIND("read_some");

static struct stream *check_reader(lua_State *L, const struct op_kind *kind) {
  struct stream *s = check_open(L, kind->name);
  if (s->reading) error_misuse(L, "%s: another task is reading from the stream", kind->name);
  return s;
}

/* Answers from the buffer without suspending if it can. A single request is copied; several must
 * stay where they are until the call returns. */
static int read_requests(lua_State *L, struct stream *s, const struct op_kind *kind,
                         const struct request *requests, int count) {
  struct reading reading = {.requests = requests, .count = count};
  bool answered = is_answered(s, &reading);
  if (answered && op_ready(L, kind->name)) return answer(L, s, kind, &reading);
  struct read_op *op = op_begin(L, kind);
  int status = 0;
  op->stream = s;
  op->reading = reading;
  op->request = *requests;
  if (count == 1) op->reading.requests = &op->request;
  s->reading = op;
  transport_hold(s->transport, true);
  if (answered)
    op_complete(s->rt, &op->op, 0);
  else
    status = transport_start(s->transport);
  return op_await(L, &op->op, status);
}

static int read_one(lua_State *L, struct stream *s, const struct op_kind *kind,
                    enum request_kind what, size_t count) {
  struct request request = {.kind = what, .count = count};
  return read_requests(L, s, kind, &request, 1);
}

/* --- formats --- */

static enum request_kind check_letter(lua_State *L, int index) {
  const char *format = luaL_checkstring(L, index);
  if (*format == '*') format++;
  switch (*format) {
    case 'l':
      return REQUEST_LINE;
    case 'L':
      return REQUEST_LINE_KEPT;
    case 'n':
      return REQUEST_NUMBER;
    case 'a':
      return REQUEST_ALL;
    default:
      luaL_argerror(L, index, "invalid format");
      return REQUEST_LINE;
  }
}

static struct request check_format(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TNUMBER)
    return (struct request){.kind = check_letter(L, index)};
  return (struct request){.kind = REQUEST_COUNT, .count = check_count(L, index, 0)};
}

/* Reads by the formats from index 2 to the top. */
static int read_formats(lua_State *L, struct stream *s, const struct op_kind *kind) {
  int count = lua_gettop(L) - 1;
  if (count == 0) return read_one(L, s, kind, REQUEST_LINE, 0);
  if (count == 1) {
    struct request request = check_format(L, 2);
    return read_requests(L, s, kind, &request, 1);
  }
  struct request *requests = lua_newuserdatauv(L, (size_t)count * sizeof *requests, 0);
  for (int i = 0; i < count; i++) requests[i] = check_format(L, i + 2);
  return read_requests(L, s, kind, requests, count);
}

/* stream:read(format, ...): as of Lua's files: "l" (the default), "L", "n", "a", or a count, which
 * waits for so many bytes or the end. nil at the end of file; nil, err, code on failure. */
static int l_read(lua_State *L) {
  struct stream *s = check_reader(L, &read_kind);
  return read_formats(L, s, &read_kind);
}

/* Upvalues: runtime, stream, count of formats, formats. */
static int l_next_line(lua_State *L) {
  int count = (int)lua_tointeger(L, lua_upvalueindex(3));
  lua_settop(L, 0);
  luaL_checkstack(L, count + 1, "too many arguments");
  for (int i = 0; i <= count; i++) lua_pushvalue(L, lua_upvalueindex(i == 0 ? 2 : i + 3));
  struct stream *s = check_reader(L, &lines_kind);
  return read_formats(L, s, &lines_kind);
}

/* stream:lines(format, ...): an iterator over what read would return, until the end. Like that of
 * Lua's files it raises what fails, and leaves the stream open. */
static int l_lines(lua_State *L) {
  check_open(L, "lines");
  int count = lua_gettop(L) - 1;
  luaL_argcheck(L, count <= 250, 252, "too many arguments");
  for (int i = 0; i < count; i++) check_format(L, i + 2);
  lua_pushinteger(L, count);
  lua_insert(L, 2);
  runtime_push(L);
  lua_insert(L, 1);
  lua_pushcclosure(L, l_next_line, count + 3);
  return 1;
}

/* stream:readline(): a line with its newline, which only the last one may lack; nil at the end. */
static int l_readline(lua_State *L) {
  struct stream *s = check_reader(L, &readline_kind);
  return read_one(L, s, &readline_kind, REQUEST_LINE_KEPT, 0);
}

/* stream:readexactly(n): n bytes; if the stream ends before them, nil and an IncompleteReadError with
 * `partial` and `expected`. */
static int l_readexactly(lua_State *L) {
  struct stream *s = check_reader(L, &readexactly_kind);
  return read_one(L, s, &readexactly_kind, REQUEST_EXACTLY, check_count(L, 2, 0));
}

/* stream:read_some(max): what is there, or what comes next; nil at the end of file. */
static int l_read_some(lua_State *L) {
  struct stream *s = check_reader(L, &read_some_kind);
  size_t most = lua_isnoneornil(L, 2) ? SIZE_MAX : check_count(L, 2, 1);
  return read_one(L, s, &read_some_kind, REQUEST_SOME, most);
}

static struct separator check_separator(lua_State *L, int index) {
  struct separator separator = {NULL, 0};
  if (lua_type(L, index) == LUA_TSTRING)
    separator.bytes = lua_tolstring(L, index, &separator.length);
  luaL_argcheck(L, separator.length > 0, 2, "a separator is a string that is not empty");
  return separator;
}

/* The strings of a list lie on the stack while the call waits. */
static struct request check_separators(lua_State *L) {
  struct request request = {.kind = REQUEST_UNTIL, .count = 1};
  if (!lua_istable(L, 2)) {
    luaL_checktype(L, 2, LUA_TSTRING);
    request.one = check_separator(L, 2);
    return request;
  }
  request.count = lua_rawlen(L, 2);
  luaL_argcheck(L, request.count > 0, 2, "the list of separators is empty");
  luaL_argcheck(L, request.count <= 1000, 2, "too many separators");
  luaL_checkstack(L, (int)request.count + 4, "too many separators");
  struct separator *many = lua_newuserdatauv(L, request.count * sizeof *many, 0);
  for (size_t i = 0; i < request.count; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i + 1);
    many[i] = check_separator(L, -1);
  }
  request.many = many;
  return request;
}

/* stream:readuntil(separator): the bytes up to the separator, with it; of a list, the one that ends
 * first counts. nil and a LimitOverrunError when the limit is exceeded (the bytes stay there), nil
 * and an IncompleteReadError with `partial` at the end. */
static int l_readuntil(lua_State *L) {
  struct stream *s = check_reader(L, &readuntil_kind);
  lua_settop(L, 2);
  struct request request = check_separators(L);
  return read_requests(L, s, &readuntil_kind, &request, 1);
}

/* stream:at_eof(): whether it has ended and all was read. */
static int l_at_eof(lua_State *L) {
  struct stream *s = check_stream(L);
  lua_pushboolean(L, s->reader.ended && buffer_length(&s->reader.buffer) == 0);
  return 1;
}

/* --- writing --- */

struct write_op {
  struct op op;
  struct list link;
  struct stream *stream;
  uv_buf_t unsent; /* on the caller's stack: not yet given to the transport */
};

/* Gives the waiting writers' bytes to the transport, as long as it is not full, and wakes those that
 * need not wait any more. */
static void feed_writers(struct stream *s) {
  struct list *node;
  int error = s->transport->error;
  s->full = false;
  while ((node = list_first(&s->writers))) {
    struct write_op *op = container_of(node, struct write_op, link);
    if (op->unsent.len > 0 && !error) {
      error = transport_write(s->transport, &op->unsent, 1);
      op->unsent.len = 0;
      s->full = transport_queued(s->transport) > s->high;
      if (s->full && !error) return;
    }
    list_remove(node);
    op_complete(s->rt, &op->op, error);
  }
}

static void on_sent(void *owner) {
  struct stream *s = owner;
  if (s->transport->error || transport_queued(s->transport) <= s->low) feed_writers(s);
}

/* Nothing can be written any more: what waits to be goes into the queue. */
static void queue_all(struct stream *s) {
  list_each(node, &s->writers) {
    struct write_op *op = container_of(node, struct write_op, link);
    if (op->unsent.len > 0) transport_write(s->transport, &op->unsent, 1);
    op->unsent.len = 0;
  }
}

static int push_write(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  if (op->status < 0) return failure(L, ((struct write_op *)op)->stream, op->status, op->kind->name);
  lua_pushvalue(L, 1);
  return 1;
}

static void drop_write(struct neap *rt, struct op *op) {
  (void)rt;
  list_remove(&((struct write_op *)op)->link);
}

/* What was not given to the transport is not sent; the rest goes on without the task. */
static enum op_abort abort_write(struct neap *rt, struct op *op) {
  drop_write(rt, op);
  return OP_GONE;
}

static const struct op_kind write_kind = {
    .name = "write",
    .size = sizeof(struct write_op),
    .push = push_write,
    .abort = abort_write,
    .drop = drop_write,
    .local = true,
};

static const struct op_kind drain_kind = {
    .name = "drain",
    .size = sizeof(struct write_op),
    .push = push_write,
    .abort = abort_write,
    .drop = drop_write,
    .local = true,
};

static struct write_op *begin_write(lua_State *L, struct stream *s, const struct op_kind *kind) {
  struct write_op *op = op_begin(L, kind);
  op->stream = s;
  list_append(&s->writers, &op->link);
  return op;
}

static int end_write(lua_State *L, struct stream *s, struct write_op *op) {
  if (!s->full || s->transport->error) {
    list_remove(&op->link);
    op_complete(s->rt, &op->op, s->transport->error);
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
  if (fits && op_ready(L, "write")) {
    int status = transport_write(s->transport, bufs, count);
    if (status < 0) return failure(L, s, status, "write");
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
  struct stream *s = check_open(L, call);
  if (s->shutting) error_misuse(L, "%s: the stream was shut down", call);
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
  return write_pieces(L, s, bufs, count, length);
}

/* stream:drain(): waits while writers would. Returns the stream, or nil, err, code. */
static int l_drain(lua_State *L) {
  struct stream *s = check_open(L, "drain");
  if ((!s->full || s->transport->error) && op_ready(L, "drain")) {
    if (s->transport->error) return failure(L, s, s->transport->error, "drain");
    lua_settop(L, 1);
    return 1;
  }
  return end_write(L, s, begin_write(L, s, &drain_kind));
}

/* stream:set_write_limits(high, low): above `high` queued bytes writers wait until there are no more
 * than `low` of them (a quarter of `high`). */
static int l_set_write_limits(lua_State *L) {
  struct stream *s = check_open(L, "set_write_limits");
  size_t high = lua_isnoneornil(L, 2) ? HIGH_WATER : check_count(L, 2, 0);
  size_t low = lua_isnoneornil(L, 3) ? high / LOW_PART : check_count(L, 3, 0);
  luaL_argcheck(L, low <= high, 3, "the low mark is above the high one");
  s->high = high;
  s->low = low;
  if (transport_queued(s->transport) > high)
    s->full = true;
  else if (transport_queued(s->transport) <= low)
    feed_writers(s);
  return 0;
}

/* --- half closing, closing --- */

struct wait_op {
  struct op op;
  struct list link;
  struct stream *stream;
};

static void wake_all(struct stream *s, struct list *waiters, int status) {
  struct list *node;
  while ((node = list_first(waiters))) {
    list_remove(node);
    op_complete(s->rt, &container_of(node, struct wait_op, link)->op, status);
  }
}

static int push_wait(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  if (op->status < 0) return failure(L, ((struct wait_op *)op)->stream, op->status, op->kind->name);
  lua_pushboolean(L, 1);
  return 1;
}

static void drop_wait(struct neap *rt, struct op *op) {
  (void)rt;
  list_remove(&((struct wait_op *)op)->link);
}

static enum op_abort abort_wait(struct neap *rt, struct op *op) {
  drop_wait(rt, op);
  return OP_GONE;
}

static const struct op_kind shutdown_kind = {
    .name = "shutdown",
    .size = sizeof(struct wait_op),
    .push = push_wait,
    .abort = abort_wait,
    .drop = drop_wait,
    .local = true,
};

static const struct op_kind wait_closed_kind = {
    .name = "wait_closed",
    .size = sizeof(struct wait_op),
    .push = push_wait,
    .abort = abort_wait,
    .drop = drop_wait,
    .local = true,
};

static struct wait_op *begin_wait(lua_State *L, struct stream *s, const struct op_kind *kind,
                                  struct list *waiters) {
  struct wait_op *op = op_begin(L, kind);
  op->stream = s;
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
  struct stream *s = check_open(L, "shutdown");
  struct wait_op *op = begin_wait(L, s, &shutdown_kind, &s->shutters);
  int status = 0;
  if (!s->shutting) {
    queue_all(s);
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
  stop_reading(s, status);
  if (status < 0) feed_writers(s);
}

static void on_closed(void *owner) {
  struct stream *s = owner;
  int error = s->transport->error;
  list_each(node, &s->writers) {
    list_remove(node);
    op_complete(s->rt, &container_of(node, struct write_op, link)->op, error ? error : UV_ECANCELED);
  }
  wake_all(s, &s->shutters, error ? error : UV_ECANCELED);
  wake_all(s, &s->closers, error);
}

static const struct transport_events events = {
    .received = on_received,
    .ended = on_ended,
    .sent = on_sent,
    .shut = on_shut,
    .closed = on_closed,
};

/* A blocked reader sees the end. */
static void forbid_use(struct stream *s) {
  if (s->closed) return;
  s->closed = true;
  stop_reading(s, 0);
  if (!s->reading) buffer_free(&s->reader.buffer);
}

static void begin_close(struct stream *s) {
  if (s->closed) return;
  forbid_use(s);
  queue_all(s);
  transport_close(s->transport);
}

/* stream:close(): sends what was written, for a limited time, and closes; waits for none of it. May
 * be called twice. Returns true. */
static int l_close(lua_State *L) {
  begin_close(check_stream(L));
  lua_pushboolean(L, 1);
  return 1;
}

/* stream:abort(): closes at once; what was not sent is dropped. */
static int l_abort(lua_State *L) {
  struct stream *s = check_stream(L);
  forbid_use(s);
  transport_abort(s->transport);
  return 0;
}

/* stream:wait_closed(): waits until it is closed and all was sent: true; or nil, err, code if that
 * was not possible. */
static int l_wait_closed(lua_State *L) {
  struct stream *s = check_stream(L);
  struct wait_op *op = begin_wait(L, s, &wait_closed_kind, &s->closers);
  if (s->transport->closed) {
    list_remove(&op->link);
    op_complete(s->rt, &op->op, s->transport->error);
  }
  return op_await(L, &op->op, 0);
}

static int l_is_closing(lua_State *L) {
  lua_pushboolean(L, check_stream(L)->closed);
  return 1;
}

static void warn_unclosed(lua_State *L, struct stream *s) {
  char name[ADDRESS_MAX];
  lua_getiuservalue(L, 1, STREAM_PLACE);
  const char *place = lua_tostring(L, -1);
  lua_pushfstring(L, "neap: the stream to %s, made at %s, was collected unclosed", name_of(s, name),
                  place ? place : "?");
  lua_warning(L, lua_tostring(L, -1), 0);
}

static int l_gc(lua_State *L) {
  struct stream *s = check_stream(L);
  if (!s->transport) return 0;
  if (s->rt->debug && !s->rt->closed && !s->closed) warn_unclosed(L, s);
  begin_close(s);
  buffer_free(&s->reader.buffer);
  transport_release(s->transport);
  s->transport = NULL;
  return 0;
}

/* --- addresses --- */

static int push_address(lua_State *L, const union address *address) {
  char host[HOST_MAX];
  address_host(address, host);
  lua_pushstring(L, host);
  lua_pushinteger(L, address_port(address));
  return 2;
}

/* stream:peer_address(): the peer's host and port. */
static int l_peer_address(lua_State *L) {
  return push_address(L, &check_stream(L)->transport->peer);
}

/* stream:local_address(): its own host and port. */
static int l_local_address(lua_State *L) {
  struct stream *s = check_open(L, "local_address");
  union address address;
  int status = transport_local_address(s->transport, &address);
  if (status < 0) return failure(L, s, status, "local_address");
  return push_address(L, &address);
}

static int l_tostring(lua_State *L) {
  char name[ADDRESS_MAX];
  struct stream *s = check_stream(L);
  lua_pushfstring(L, "<Stream to %s%s>", name_of(s, name), s->closed ? ", closed" : "");
  return 1;
}

static const luaL_Reg methods[] = {
    {"read", l_read},
    {"lines", l_lines},
    {"readline", l_readline},
    {"readexactly", l_readexactly},
    {"readuntil", l_readuntil},
    {"read_some", l_read_some},
    {"at_eof", l_at_eof},
    {"write", l_write},
    {"drain", l_drain},
    {"set_write_limits", l_set_write_limits},
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
  lua_pop(L, 1);
}

struct stream *stream_new(lua_State *L, struct neap *rt, size_t limit) {
  struct stream *s = object_new(L, rt, OBJECT_STREAM, sizeof *s, STREAM_USER_VALUES);
  *s = (struct stream){.rt = rt, .high = HIGH_WATER, .low = HIGH_WATER / LOW_PART};
  s->reader.limit = limit;
  list_init(&s->writers);
  list_init(&s->shutters);
  list_init(&s->closers);
  if (rt->debug) {
    error_where(L);
    lua_setiuservalue(L, -2, STREAM_PLACE);
  }
  return s;
}

void stream_attach(struct stream *s, struct transport *t) {
  s->transport = t;
  transport_own(t, &events, s);
}
