/* Connecting over TCP: the name is resolved off the loop, then its addresses race, all in one op. */
#include "net/tcp.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/options.h"
#include "core/runtime.h"
#include "io/address.h"
#include "io/slab.h"
#include "io/stream.h"
#include "net/arguments.h"
#include "net/lookup.h"
#include "net/race.h"
#include "net/tls_opener.h"

/* RFC 8305, section 8: the recommended delay between attempts. */
#define HEAD_START_S 0.25
#define LONGEST_HEAD_START_S 1e9

/* Where the arguments of open_connection lie. */
enum { ARG_HOST = 1, ARG_PORT, ARG_OPTIONS };

struct connect_op {
  struct op op;
  struct neap *rt;
  struct slab *slab;
  struct lookup *lookup; /* while the name is being resolved */
  struct race *race;     /* then */
  struct race_options options;
};

static void raced(void *owner, int status) {
  struct connect_op *op = owner;
  op_complete(op->rt, &op->op, status);
}

static int begin_race(struct connect_op *op, const struct addresses *addresses) {
  op->race = race_new(op->rt, op->slab, addresses, &op->options);
  if (!op->race) return UV_ENOMEM;
  race_start(op->race, raced, op);
  return 0;
}

static void resolved(void *owner, int status, struct addresses *addresses) {
  struct connect_op *op = owner;
  op->lookup = NULL;
  if (status == 0) status = begin_race(op, addresses);
  memory_free(addresses);
  if (status < 0) op_complete(op->rt, &op->op, status);
}

static int begin(struct connect_op *op, const char *host, int port) {
  struct addresses *addresses = addresses_new(op->rt->memory, 1);
  if (!addresses) return UV_ENOMEM;
  int status = address_parse(&addresses->list[0], host, port) ? begin_race(op, addresses) : limits_name(op->rt);
  memory_free(addresses);
  if (status < 0 || op->race) return status;
  return lookup_start(&op->lookup, op->rt, host, port, false, resolved, op);
}

/* --- the end --- */

/* Pushes "host:port" as the program gave them. */
static const char *push_target(lua_State *L) {
  return net_push_target(L, lua_tostring(L, ARG_HOST), (int)lua_tointeger(L, ARG_PORT));
}

/* Adds to the error on top of the stack what each of several attempts met with. */
static void tell_attempts(lua_State *L, const struct race *race) {
  char name[ADDRESS_MAX];
  luaL_Buffer message;
  luaL_checkstack(L, 8, "not enough memory");
  int error = lua_gettop(L);
  lua_createtable(L, race->count, 0);
  for (int i = 0; i < race->count; i++) {
    const struct attempt *attempt = &race->attempts[i];
    error_return(L, attempt->status, "open_connection", address_name(&attempt->address, name));
    lua_pop(L, 1);
    lua_rawseti(L, error + 1, i + 1);
    lua_pop(L, 1);
  }
  lua_setfield(L, error, "errors");
  const char *target = push_target(L);
  luaL_buffinit(L, &message);
  luaL_addstring(&message, "open_connection ");
  luaL_addstring(&message, target);
  for (int i = 0; i < race->count; i++) {
    const struct attempt *attempt = &race->attempts[i];
    luaL_addstring(&message, i == 0 ? ": " : ", ");
    luaL_addstring(&message, uv_strerror(attempt->status));
    luaL_addstring(&message, " (");
    luaL_addstring(&message, address_name(&attempt->address, name));
    luaL_addstring(&message, ")");
  }
  luaL_pushresult(&message);
  lua_setfield(L, error, "message");
  lua_settop(L, error);
}

static int push_connect(lua_State *L, struct neap *rt, struct op *op) {
  struct connect_op *connect = (struct connect_op *)op;
  if (op->status < 0) {
    error_return(L, op->status, "open_connection", push_target(L));
    if (!connect->race || connect->race->count < 2) return 3;
    lua_insert(L, -2);
    tell_attempts(L, connect->race);
    lua_insert(L, -2);
    return 3;
  }
  struct stream *s = stream_new(L, rt, stream_option_limit(L, ARG_OPTIONS));
  stream_attach(s, race_take(connect->race));
  return 1;
}

static void drop_connect(struct neap *rt, struct op *op) {
  (void)rt;
  struct connect_op *connect = (struct connect_op *)op;
  lookup_cancel(connect->lookup);
  race_free(connect->race);
  connect->lookup = NULL;
  connect->race = NULL;
}

static enum op_abort abort_connect(struct neap *rt, struct op *op) {
  drop_connect(rt, op);
  return OP_GONE;
}

static const struct op_kind connect_kind = {
    .name = "open_connection",
    .size = sizeof(struct connect_op),
    .push = push_connect,
    .abort = abort_connect,
    .drop = drop_connect,
    .local = true,
};

/* The option local_addr = {host, port}. */
static bool check_local(lua_State *L, union address *local) {
  int port_is_integer;
  if (lua_isnoneornil(L, ARG_OPTIONS)) return false;
  if (lua_getfield(L, ARG_OPTIONS, "local_addr") == LUA_TNIL) return false;
  luaL_argcheck(L, lua_istable(L, -1), ARG_OPTIONS, "the option 'local_addr' is not a table");
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  lua_Integer port = lua_isnil(L, -1) ? 0 : lua_tointegerx(L, -1, &port_is_integer);
  bool valid = lua_type(L, -2) == LUA_TSTRING && port >= 0 && port <= 65535 &&
               (lua_isnil(L, -1) || port_is_integer) &&
               address_parse(local, lua_tostring(L, -2), (int)port);
  luaL_argcheck(L, valid, ARG_OPTIONS, "the option 'local_addr' is not {numeric host, port}");
  return true;
}

/* The option happy_eyeballs_delay; math.huge is allowed. */
static int64_t check_head_start(lua_State *L) {
  double seconds = options_seconds(L, ARG_OPTIONS, "happy_eyeballs_delay", HEAD_START_S);
  return seconds >= LONGEST_HEAD_START_S ? INT64_MAX : (int64_t)(seconds * 1e9);
}

static const char *const option_names[] = {"limit", "nodelay", "keepalive", "local_addr", "happy_eyeballs_delay",
                                           "tls", NULL};

/* open_connection(host, port, options): a stream, or nil, err, code. Options: limit (of a line, in bytes), nodelay
 * (true), keepalive (seconds), local_addr = {host, port}, happy_eyeballs_delay (seconds). */
static int l_open_connection(lua_State *L) {
  const char *host = net_check_host(L, ARG_HOST);
  int port = net_check_port(L, ARG_PORT);
  struct race_options options = {0};
  lua_settop(L, ARG_OPTIONS);
  options_check(L, ARG_OPTIONS, option_names);
  stream_option_limit(L, ARG_OPTIONS);
  options.nodelay = options_boolean(L, ARG_OPTIONS, "nodelay", true);
  options.keepalive = net_option_keepalive(L, ARG_OPTIONS);
  options.head_start_ns = check_head_start(L);
  options.has_local = check_local(L, &options.local);
  if (net_option_tls(L, ARG_OPTIONS)) return net_open_tls(L, "open_connection", ARG_OPTIONS);
  struct slab *slab = slab_of(L);
  struct connect_op *op = op_begin(L, &connect_kind);
  op->rt = runtime_of(L);
  op->slab = slab;
  op->options = options;
  return op_await(L, &op->op, begin(op, host, port));
}

static const luaL_Reg functions[] = {
    {"open_connection", l_open_connection},
    {NULL, NULL},
};

void tcp_open(lua_State *L, struct neap *rt) {
  (void)rt;
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
