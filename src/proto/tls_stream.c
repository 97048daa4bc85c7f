#include "proto/tls_stream.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "core/error.h"
#include "core/object.h"
#include "core/op.h"
#include "core/options.h"
#include "core/runtime.h"
#include "io/stream.h"
#include "io/stream_read.h"
#include "proto/tls_options.h"
#include "proto/tls_transport.h"

/* OPERATION and TARGET are what messages say in place of "start_tls" and the peer's address. */
enum { ARG_STREAM = 1, ARG_OPTIONS, ARG_OPERATION, ARG_TARGET, ARGS = ARG_TARGET };

enum { HOSTNAME_MOST = 253 };

static const double HANDSHAKE_LIMIT = 60;

struct start_op {
  struct op op;
  struct stream *stream;
  struct transport *tls; /* NULL: it will tell no more */
  struct timer timer;
};

static const char *operation_of(lua_State *L) {
  return lua_isnil(L, ARG_OPERATION) ? "start_tls" : lua_tostring(L, ARG_OPERATION);
}

static const char *target_of(lua_State *L, const struct stream *s, char name[ADDRESS_MAX]) {
  return lua_isnil(L, ARG_TARGET) ? stream_name(s, name) : lua_tostring(L, ARG_TARGET);
}

static int push_failure(lua_State *L, struct stream *s, int status) {
  char name[ADDRESS_MAX];
  const struct transport *t = s->transport;
  const char *operation = operation_of(L), *target = target_of(L, s, name);
  if (status == UV_ECANCELED)
    return error_return_as(L, "TLS_CLOSED", "the stream was closed during the handshake", operation, target);
  if (status == UV_ETIMEDOUT && !t->error)
    return error_return_as(L, "ETIMEDOUT", "the handshake took too long", operation, target);
  if (t->error_code && status == t->error)
    return error_return_as(L, t->error_code, t->error_text, operation, target);
  return error_return(L, status, operation, target);
}

static int push_start(lua_State *L, struct neap *rt, struct op *op) {
  (void)rt;
  if (op->status < 0) return push_failure(L, ((struct start_op *)op)->stream, op->status);
  lua_pushvalue(L, ARG_STREAM);
  return 1;
}

static void drop_start(struct neap *rt, struct op *op) {
  struct start_op *start = (struct start_op *)op;
  timer_stop(rt, &start->timer);
  if (start->tls) tls_transport_forget(start->tls);
  start->tls = NULL;
  stream_end_wait(start->stream);
}

/* What is left of it is of no use to anybody. */
static enum op_abort abort_start(struct neap *rt, struct op *op) {
  struct start_op *start = (struct start_op *)op;
  (void)rt;
  if (start->tls) tls_transport_forget(start->tls);
  start->tls = NULL;
  stream_abort(start->stream);
  return OP_GONE;
}

static const struct op_kind start_kind = {
    .name = "start_tls",
    .size = sizeof(struct start_op),
    .push = push_start,
    .abort = abort_start,
    .drop = drop_start,
    .local = true,
};

static void on_done(void *waiter, int status) {
  struct start_op *op = waiter;
  struct stream *s = op->stream;
  op->tls = NULL;
  timer_stop(s->rt, &op->timer);
  if (status < 0) stream_close(s);
  op_complete(s->rt, &op->op, status);
}

static void on_late(struct neap *rt, struct timer *timer) {
  struct start_op *op = container_of(timer, struct start_op, timer);
  abort_start(rt, &op->op);
  op_complete(rt, &op->op, UV_ETIMEDOUT);
}

/* The stream gives up what it carried and what was not read, and gets the new transport for it. */
static int begin(struct start_op *op, const struct tls_options *options, double limit) {
  struct stream *s = op->stream;
  uv_buf_t kept = {.base = (char *)reader_bytes(&s->reader), .len = reader_length(&s->reader)};
  bool ended = s->reader.ended;
  struct transport *tls;
  int status = s->error ? s->error : tls_transport_new(s->transport, options, &kept, &tls);
  if (status < 0) return status;
  stream_forget_received(s);
  s->reader.ended = false;
  stream_attach(s, tls);
  op->tls = tls;
  if (limit < INFINITY && timer_start(s->rt, &op->timer, runtime_deadline(s->rt, limit))) return UV_ENOMEM;
  tls_transport_shake(tls, ended, on_done, op);
  return 0;
}

/* --- arguments --- */

static const char *const option_names[] = {
    "server", "server_hostname", "check_hostname", "context", "session", "handshake_timeout", NULL,
};

static struct stream *check_stream(lua_State *L) {
  struct stream *s = stream_check_open(L, "start_tls");
  stream_check_readable(L, s, "start_tls");
  stream_check_writable(L, s, "start_tls");
  if (s->transport->kind->give_back) error_misuse(L, "start_tls: the stream is a file");
  if (s->shutting) error_misuse(L, "start_tls: the stream was shut down");
  if (!stream_is_idle(s)) error_misuse(L, "start_tls: a task waits for the stream");
  struct tls *tls = tls_transport_of(s->transport);
  if (tls && !tls_transport_is_shaken(tls)) error_misuse(L, "start_tls: the stream is being upgraded");
  return s;
}

/* A context alone, or nothing, becomes a table of options. */
static void normalize(lua_State *L) {
  bool is_context = tls_options_test(L, ARG_OPTIONS);
  if (!lua_isnil(L, ARG_OPTIONS) && !is_context) return;
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, ARG_OPTIONS);
  lua_setfield(L, -2, "context");
  lua_replace(L, ARG_OPTIONS);
}

static double check_limit(lua_State *L) {
  double seconds = HANDSHAKE_LIMIT;
  if (lua_getfield(L, ARG_OPTIONS, "handshake_timeout") != LUA_TNIL) {
    seconds = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
    luaL_argcheck(L, seconds > 0, ARG_OPTIONS, "the option 'handshake_timeout' is not a positive number");
  }
  lua_pop(L, 1);
  return seconds;
}

/* Pushes the context; or nil, err, code: then it returns 3. */
static int push_context(lua_State *L, bool server) {
  int type = lua_getfield(L, ARG_OPTIONS, "context");
  bool own = tls_options_has_any(L, ARG_OPTIONS);
  if (type != LUA_TNIL) {
    luaL_argcheck(L, tls_options_test(L, -1), ARG_OPTIONS, "the option 'context' is not a context of neap.tls");
    luaL_argcheck(L, !own, ARG_OPTIONS, "there are options that belong into the context");
    return 1;
  }
  lua_pop(L, 1);
  const char *operation = operation_of(L);
  return own || server ? tls_options_push(L, ARG_OPTIONS, operation) : tls_options_push_default(L, operation);
}

static void check_server(lua_State *L, int index, const struct tls_context *context) {
  luaL_argcheck(L, context->has_certificate, index,
                "a server needs the options 'cert' and 'key', or a context with them");
  bool asks = context->verify == TLS_VERIFY_OPTIONAL || context->verify == TLS_VERIFY_REQUIRED;
  luaL_argcheck(L, !asks || context->trusts, index,
                "to verify clients a server needs the option 'ca_file', 'ca' or 'ca_path'");
  for (const struct tls_name *name = context->names; name; name = name->next) check_server(L, index, name->context);
}

/* tls_check_server(context): raises unless a server can do with it. */
static int l_check_server(lua_State *L) {
  const struct tls_context *context = tls_options_test(L, 1);
  luaL_argcheck(L, context, 1, "the option 'context' is not a context of neap.tls");
  check_server(L, 1, context);
  return 0;
}

/* Pushes the name and returns it, or NULL. */
static const char *push_hostname(lua_State *L, const struct tls_context *context, struct tls_options *options) {
  const char *name = tls_options_string(L, ARG_OPTIONS, "server_hostname");
  bool verifies = context->verify != TLS_VERIFY_NONE;
  options->checks_hostname = verifies && options_boolean(L, ARG_OPTIONS, "check_hostname", true);
  luaL_argcheck(L, !name || (*name && strlen(name) <= HOSTNAME_MOST), ARG_OPTIONS,
                "the option 'server_hostname' is not the name of a host");
  luaL_argcheck(L, name || !options->checks_hostname, ARG_OPTIONS,
                "a client needs the option 'server_hostname', to verify it (or check_hostname = false)");
  return name;
}

/* What it points to lies on the stack. Returns 0, or 3 with nil, err, code pushed. */
static int push_options(lua_State *L, struct tls_options *options) {
  *options = (struct tls_options){.server = options_boolean(L, ARG_OPTIONS, "server", false)};
  if (push_context(L, options->server) == 3) return 3;
  options->context = tls_options_test(L, -1);
  tls_options_push_protocols(L, ARG_OPTIONS, &options->protocols);
  if (options->server) {
    check_server(L, ARG_OPTIONS, options->context);
    return 0;
  }
  options->hostname = push_hostname(L, options->context, options);
  lua_getfield(L, ARG_OPTIONS, "session");
  options->session = tls_info_session(L, ARG_OPTIONS, -1, options->hostname);
  if (options->context->verify == TLS_VERIFY_NONE || tls_context_trust_system(options->context)) return 0;
  return error_return_as(L, "TLS_CONTEXT", "the system's certificates cannot be loaded", operation_of(L), NULL);
}

/* stream:start_tls(options): makes it a stream over TLS, and waits for the handshake. Returns the stream; or
 * nil, err, code, and the stream is closed. */
static int l_start_tls(lua_State *L) {
  struct tls_options options;
  struct stream *s = check_stream(L);
  lua_settop(L, ARGS);
  normalize(L);
  tls_options_check(L, ARG_OPTIONS, option_names);
  double limit = check_limit(L);
  tls_options_load(L, "start_tls");
  op_check(L, "start_tls");
  if (push_options(L, &options) == 3) return stream_close(s), 3;
  struct start_op *op = op_begin(L, &start_kind);
  op->stream = s;
  s->waits++;
  timer_init(&op->timer, on_late);
  int status = begin(op, &options, limit);
  if (status < 0) stream_close(s);
  return op_await(L, &op->op, status);
}

static const luaL_Reg methods[] = {{"start_tls", l_start_tls}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"start_tls", l_start_tls},
    {"tls_check_server", l_check_server},
    {NULL, NULL},
};

void tls_stream_open(lua_State *L, struct neap *rt) {
  object_push_metatable(L, rt, OBJECT_STREAM);
  object_add_methods(L, methods);
  lua_pop(L, 1);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
