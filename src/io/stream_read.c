#include "io/stream_read.h"

#include <string.h>

#include "core/error.h"
#include "core/op.h"
#include "core/runtime.h"

enum { BLOCKS_AT_ONCE = 8 }; /* that a call takes before it waits for more */

struct read_op {
  struct op op;
  struct stream *stream;
  struct reading reading;
  struct request request; /* the only one, or else they lie in a userdata on the caller's stack */
};

static bool is_waiting(const struct read_op *op) {
  return op && op->op.state == OP_WAITING;
}

/* Whether the call can be answered now, by a value or an error. */
static bool is_answered(const struct stream *s, struct reading *reading) {
  return s->error || reader_is_ready(&s->reader, reading);
}

/* What nobody has asked for is bounded by twice the limit. */
static void keep_bounded(struct stream *s) {
  bool enough = s->transport->on_demand || reader_length(&s->reader) / 2 > s->ahead;
  if (!is_waiting(s->reading) && enough) transport_stop(s->transport);
}

static void go_on_reading(struct stream *s) {
  if (s->closed || s->reader.ended || s->error || s->transport->reading) return;
  if (s->transport->on_demand) return;
  if (reader_length(&s->reader) <= s->ahead) transport_start(s->transport);
}

static void wake_reader(struct stream *s) {
  struct read_op *op = s->reading;
  if (is_waiting(op) && is_answered(s, &op->reading)) op_complete(s->rt, &op->op, 0);
}

void stream_stop_reading(struct stream *s, int status) {
  if (!s->error && status == 0)
    s->reader.ended = true;
  else if (!s->error)
    s->error = status;
  transport_stop(s->transport);
  wake_reader(s);
}

void stream_receive(void *owner, const char *bytes, size_t length) {
  struct stream *s = owner;
  if (s->error) {
    transport_stop(s->transport);
    return;
  }
  if (reader_length(&s->reader) == 0) {
    reader_lend(&s->reader, bytes, length);
    slab_lend(s->transport->slab, &s->borrower);
  } else if (reader_append(&s->reader, bytes, length)) {
    stream_stop_reading(s, UV_ENOMEM);
    return;
  }
  wake_reader(s);
  keep_bounded(s);
}

/* Comes before a read: it may not stop that read. Where bytes are missing no end of file is told. */
void stream_keep_received(struct borrower *borrower) {
  struct stream *s = container_of(borrower, struct stream, borrower);
  if (reader_keep(&s->reader) == 0) return;
  s->error = UV_ENOMEM;
  s->reader.ended = false;
  wake_reader(s);
}

void stream_forget_received(struct stream *s) {
  list_remove(&s->borrower.link);
  reader_free(&s->reader);
}

/* --- answering a read --- */

/* Pushes nil and an error of the reader's own whose message is "call target: [what]". */
static int reading_failure(lua_State *L, const struct stream *s, enum error_kind kind,
                           const char *call, const char *what) {
  char name[ADDRESS_MAX];
  lua_pushnil(L);
  lua_pushfstring(L, "%s %s: %s", call, stream_name(s, name), what);
  error_new(L, kind);
  return 2;
}

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
  reader_consume(&s->reader, length);
  if (s->reader.lent_length == 0) list_remove(&s->borrower.link);
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
    const char *bytes = reader_bytes(&s->reader) + offset;
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
        return stream_failure(L, s, s->error, call);
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
  if (op->status < 0) return stream_failure(L, read->stream, op->status, op->kind->name);
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
  if (s->closed && !s->reading) stream_forget_received(s);
  stream_end_wait(s);
}

#define READ_KIND(call) \
  { \
    .name = call, .size = sizeof(struct read_op), .push = push_read, .abort = abort_read, \
    .drop = drop_read, .local = true, \
  }

static const struct op_kind read_kind = READ_KIND("read"), lines_kind = READ_KIND("lines"),
                            readline_kind = READ_KIND("readline"),
                            readexactly_kind = READ_KIND("readexactly"),
                            readuntil_kind = READ_KIND("readuntil"),
                            read_some_kind = READ_KIND("read_some");

static struct stream *check_reader(lua_State *L, const struct op_kind *kind) {
  struct stream *s = stream_check_open(L, kind->name);
  stream_check_readable(L, s, kind->name);
  if (s->reading) error_misuse(L, "%s: another task is reading from the stream", kind->name);
  return s;
}

/* The end of a file, and its errors, are looked at again; lost bytes stay lost. */
static void resume(struct stream *s) {
  s->reader.ended = false;
  if (s->error != UV_ENOMEM) s->error = 0;
}

static bool answer_now(struct stream *s, struct reading *reading) {
  bool answered = is_answered(s, reading);
  for (int i = 0; !answered && i < BLOCKS_AT_ONCE && transport_read_now(s->transport); i++)
    answered = is_answered(s, reading);
  return answered;
}

/* Answers from the buffer without suspending if it can. A single request is copied; several must
 * stay where they are until the call returns. */
static int read_requests(lua_State *L, struct stream *s, const struct op_kind *kind,
                         const struct request *requests, int count) {
  struct reading reading = {.requests = requests, .count = count};
  if (s->transport->kind->resumes) resume(s);
  bool answered = answer_now(s, &reading);
  if (answered && op_ready(L, s->rt, kind->name)) return answer(L, s, kind, &reading);
  struct read_op *op = op_begin(L, kind);
  int status = 0;
  op->stream = s;
  s->waits++;
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
  if (lua_type(L, index) != LUA_TNUMBER) return (struct request){.kind = check_letter(L, index)};
  return (struct request){.kind = REQUEST_COUNT, .count = stream_check_count(L, index, 0)};
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
  stream_check_open(L, "lines");
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
  return read_one(L, s, &readexactly_kind, REQUEST_EXACTLY, stream_check_count(L, 2, 0));
}

/* stream:read_some(max): what is there, or what comes next; nil at the end of file. */
static int l_read_some(lua_State *L) {
  struct stream *s = check_reader(L, &read_some_kind);
  size_t most = lua_isnoneornil(L, 2) ? SIZE_MAX : stream_check_count(L, 2, 1);
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
  struct stream *s = stream_check(L);
  lua_pushboolean(L, s->reader.ended && reader_length(&s->reader) == 0);
  return 1;
}

const luaL_Reg stream_read_methods[] = {
    {"read", l_read},           {"lines", l_lines},
    {"readline", l_readline},   {"readexactly", l_readexactly},
    {"readuntil", l_readuntil}, {"read_some", l_read_some},
    {"at_eof", l_at_eof},       {NULL, NULL},
};
