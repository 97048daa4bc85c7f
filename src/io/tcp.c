/* Connecting over TCP: the name is resolved off the loop, then the addresses are tried one after
 * another, all in one op. */
#include "io/tcp.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/runtime.h"
#include "io/address.h"
#include "io/io.h"
#include "io/lookup.h"
#include "io/stream.h"
#include "io/transport_uv.h"

/* Where the arguments of open_connection lie. */
enum { ARG_HOST = 1, ARG_PORT, ARG_OPTIONS };

struct connect_op {
  struct op op;
  struct neap *rt;
  struct slab *slab;
  struct lookup *lookup;       /* while the name is being resolved */
  struct addresses *addresses; /* to be tried, in order */
  int next;                    /* the one that follows the one being tried */
  struct transport *transport; /* of the attempt that is under way, or has succeeded */
  union address local;         /* to connect from, if [has_local] */
  bool has_local;
  bool nodelay;
};

static void connected(void *owner, int status);

static int begin_attempt(struct connect_op *op, const union address *address) {
  int status = limits_address(op->rt, &address->any, false);
  if (status == 0) status = limits_handle(op->rt);
  if (status < 0) return status;
  op->transport = transport_tcp(op->rt, op->slab);
  if (!op->transport) return UV_ENOMEM;
  transport_set_tcp(op->transport, op->nodelay, 0);
  return transport_connect(op->transport, address, op->has_local ? &op->local : NULL, connected,
                           op);
}

static void end_attempt(struct connect_op *op, int status) {
  op->addresses->list[op->next - 1].status = status;
  if (op->transport) transport_release(op->transport);
  op->transport = NULL;
}

/* Tries addresses until one of them has to be waited for. */
static void try_next(struct connect_op *op) {
  while (op->next < op->addresses->count) {
    int status = begin_attempt(op, &op->addresses->list[op->next++].address);
    if (status == 0) return;
    end_attempt(op, status);
  }
  bool found_any = op->addresses->count > 0;
  op_complete(op->rt, &op->op, found_any ? op->addresses->list[0].status : UV_EAI_NODATA);
}

static void connected(void *owner, int status) {
  struct connect_op *op = owner;
  if (status == 0) {
    op_complete(op->rt, &op->op, 0);
  } else {
    end_attempt(op, status);
    try_next(op);
  }
}

static void resolved(void *owner, int status, struct addresses *addresses) {
  struct connect_op *op = owner;
  op->lookup = NULL;
  op->addresses = addresses;
  if (status < 0)
    op_complete(op->rt, &op->op, status);
  else
    try_next(op);
}

static int begin(struct connect_op *op, const char *host, int port) {
  union address address;
  if (!address_parse(&address, host, port)) {
    int status = limits_name(op->rt);
    if (status < 0) return status;
    return lookup_start(&op->lookup, op->rt, host, port, false, resolved, op);
  }
  op->addresses = addresses_new(op->rt->memory, 1);
  if (!op->addresses) return UV_ENOMEM;
  op->addresses->list[0].address = address;
  try_next(op);
  return 0;
}

/* --- the end --- */

/* Pushes "host:port" as the program gave them. */
static const char *push_target(lua_State *L) {
  const char *host = lua_tostring(L, ARG_HOST);
  return lua_pushfstring(L, strchr(host, ':') ? "[%s]:%I" : "%s:%I", host,
                         (LUAI_UACINT)lua_tointeger(L, ARG_PORT));
}

/* Adds to the error on top of the stack what each of several attempts met with. */
static void tell_attempts(lua_State *L, const struct addresses *addresses) {
  char name[ADDRESS_MAX];
  luaL_Buffer message;
  luaL_checkstack(L, 8, NULL);
  int error = lua_gettop(L);
  lua_createtable(L, addresses->count, 0);
  for (int i = 0; i < addresses->count; i++) {
    const struct attempt *attempt = &addresses->list[i];
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
  for (int i = 0; i < addresses->count; i++) {
    const struct attempt *attempt = &addresses->list[i];
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
    if (!connect->addresses || connect->addresses->count < 2) return 3;
    lua_insert(L, -2);
    tell_attempts(L, connect->addresses);
    lua_insert(L, -2);
    return 3;
  }
  struct stream *s = stream_new(L, rt, io_option_limit(L, ARG_OPTIONS));
  stream_attach(s, connect->transport);
  connect->transport = NULL;
  return 1;
}

static void drop_connect(struct neap *rt, struct op *op) {
  (void)rt;
  struct connect_op *connect = (struct connect_op *)op;
  lookup_cancel(connect->lookup);
  if (connect->transport) transport_release(connect->transport);
  memory_free(connect->addresses);
  connect->lookup = NULL;
  connect->transport = NULL;
  connect->addresses = NULL;
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

static const char *const option_names[] = {"limit", "nodelay", "local_addr", NULL};

/* open_connection(host, port, options): a stream, or nil, err, code. Options: limit (of a line, in
 * bytes), nodelay (true), local_addr = {host, port}. */
static int l_open_connection(lua_State *L) {
  const char *host = io_check_host(L, ARG_HOST);
  int port = io_check_port(L, ARG_PORT);
  union address local;
  lua_settop(L, ARG_OPTIONS);
  io_check_options(L, ARG_OPTIONS, option_names);
  io_option_limit(L, ARG_OPTIONS);
  bool nodelay = io_option_boolean(L, ARG_OPTIONS, "nodelay", true);
  bool has_local = check_local(L, &local);
  struct slab *slab = io_slab(L);
  struct connect_op *op = op_begin(L, &connect_kind);
  op->rt = runtime_of(L);
  op->slab = slab;
  op->nodelay = nodelay;
  op->has_local = has_local;
  if (has_local) op->local = local;
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
