/* Opening a datagram socket: its names are resolved off the loop, then the pairs of its own and the peer's addresses
 * are tried, all in one op. */
#include <string.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/options.h"
#include "core/runtime.h"
#include "io/slab.h"
#include "net/arguments.h"
#include "net/datagram.h"
#include "net/lookup.h"

/* Where the arguments lie; the peer's host is put behind them. */
enum { ARG_HOST = 1, ARG_PORT, ARG_OPTIONS, ARG_REMOTE };

enum { RECEIVED_MOST = 64 /* datagrams wait unasked for, unless the option says otherwise */ };

struct open_op {
  struct op op;
  struct neap *rt;
  struct slab *slab;
  struct endpoint_options options;
  const char *remote_host;   /* on the caller's stack; NULL: it is not connected */
  int remote_port;
  struct lookup *lookup;     /* while a name is being resolved */
  struct addresses *local;   /* to be tried, in order */
  struct addresses *remote;  /* the same, or NULL */
  bool listens;              /* anybody may send to it */
  struct endpoint *endpoint; /* that was opened */
  union address failed;      /* the address that is told of, if it has a family */
  bool remote_failed;        /* the peer is what failed, not its own address */
};

/* --- trying --- */

static int try_pair(struct open_op *op, const union address *local, const union address *remote) {
  int status = op->listens ? limits_address(op->rt, &local->any, true) : 0;
  op->failed = *local;
  op->remote_failed = false;
  if (status == 0 && remote) {
    status = limits_address(op->rt, &remote->any, false);
    op->remote_failed = status < 0;
  }
  if (status == 0) status = limits_handle(op->rt);
  if (status < 0) return status;
  return endpoint_open(&op->endpoint, op->rt, op->slab, &op->options, local, remote);
}

/* The first of its own addresses that goes together with that of the peer. */
static int try_local(struct open_op *op, const union address *remote) {
  int status = UV_EAI_ADDRFAMILY;
  for (int i = 0; i < op->local->count; i++) {
    const union address *local = &op->local->list[i];
    if (remote && remote->any.sa_family != local->any.sa_family) continue;
    status = try_pair(op, local, remote);
    if (status == 0) return 0;
  }
  return status;
}

static int try_all(struct open_op *op) {
  int status = UV_EAI_NODATA;
  if (!op->remote) return try_local(op, NULL);
  for (int i = 0; i < op->remote->count; i++) {
    status = try_local(op, &op->remote->list[i]);
    if (status == 0) return 0;
  }
  return status;
}

/* --- resolving --- */

static void remote_resolved(void *owner, int status, struct addresses *addresses) {
  struct open_op *op = owner;
  op->lookup = NULL;
  op->remote = addresses;
  op->remote_failed = status < 0;
  op_complete(op->rt, &op->op, status < 0 ? status : try_all(op));
}

static int resolve_remote(struct open_op *op) {
  if (op->remote_host) {
    op->remote_failed = true;
    return lookup_host(&op->lookup, op->rt, op->remote_host, op->remote_port, false, remote_resolved, op);
  }
  int status = try_all(op);
  if (status == 0) op_complete(op->rt, &op->op, 0);
  return status;
}

static void local_resolved(void *owner, int status, struct addresses *addresses) {
  struct open_op *op = owner;
  op->lookup = NULL;
  op->local = addresses;
  if (status == 0) status = resolve_remote(op);
  if (status < 0) op_complete(op->rt, &op->op, status);
}

/* No host: all of this machine's addresses, IPv6 and IPv4, or IPv4 if that is all there is. */
static int begin(struct open_op *op, const char *host, int port) {
  if (host && *host) return lookup_host(&op->lookup, op->rt, host, port, true, local_resolved, op);
  struct addresses *addresses = addresses_new(op->rt->memory, 2);
  if (!addresses) return UV_ENOMEM;
  address_parse(&addresses->list[0], "::", port);
  address_parse(&addresses->list[1], "0.0.0.0", port);
  op->local = addresses;
  return resolve_remote(op);
}

/* --- the end --- */

static const char *push_target(lua_State *L, const struct open_op *op) {
  char name[ADDRESS_MAX];
  if (op->remote_failed) return net_push_target(L, op->remote_host, op->remote_port);
  if (op->failed.any.sa_family) return lua_pushstring(L, address_name(&op->failed, name));
  const char *host = lua_tostring(L, ARG_HOST);
  return net_push_target(L, host ? host : "*", (int)lua_tointeger(L, ARG_PORT));
}

static int push_socket(lua_State *L, struct neap *rt, struct op *op) {
  struct open_op *open = (struct open_op *)op;
  if (op->status < 0) return error_return(L, op->status, "open_datagram_socket", push_target(L, open));
  struct datagram_socket *s = datagram_new(L, rt);
  datagram_attach(s, open->endpoint);
  open->endpoint = NULL;
  return 1;
}

static void drop_open(struct neap *rt, struct op *op) {
  struct open_op *open = (struct open_op *)op;
  (void)rt;
  lookup_cancel(open->lookup);
  if (open->endpoint) endpoint_close(open->endpoint);
  memory_free(open->local);
  memory_free(open->remote);
}

static const struct op_kind open_kind = {
    .name = "open_datagram_socket",
    .size = sizeof(struct open_op),
    .push = push_socket,
    .drop = drop_open,
    .local = true,
};

/* The option remote_addr = {host, port}: puts the host at ARG_REMOTE, or nil. */
static int check_remote(lua_State *L) {
  lua_Integer port = 0;
  size_t length = 0;
  int is_integer = 0;
  if (lua_isnoneornil(L, ARG_OPTIONS) || lua_getfield(L, ARG_OPTIONS, "remote_addr") == LUA_TNIL) {
    lua_settop(L, ARG_REMOTE);
    return 0;
  }
  luaL_argcheck(L, lua_istable(L, -1), ARG_OPTIONS, "the option 'remote_addr' is not a table");
  bool has_host = lua_rawgeti(L, -1, 1) == LUA_TSTRING;
  lua_rawgeti(L, -2, 2);
  port = lua_tointegerx(L, -1, &is_integer);
  const char *host = has_host ? lua_tolstring(L, -2, &length) : "";
  luaL_argcheck(L, has_host && strlen(host) == length && is_integer && port > 0 && port <= 65535,
                ARG_OPTIONS, "the option 'remote_addr' is not {host, port}");
  lua_pop(L, 1);
  lua_replace(L, ARG_REMOTE);
  return (int)port;
}

static struct endpoint_options check_options(lua_State *L) {
  static const char *const names[] = {"limit", "reuse_addr", "reuse_port", "broadcast", "ipv6_only",
                                      "remote_addr", NULL};
  options_check(L, ARG_OPTIONS, names);
  return (struct endpoint_options){
      .limit = options_integer(L, ARG_OPTIONS, "limit", RECEIVED_MOST),
      .reuse_addr = options_boolean(L, ARG_OPTIONS, "reuse_addr", false),
      .reuse_port = options_boolean(L, ARG_OPTIONS, "reuse_port", false),
      .broadcast = options_boolean(L, ARG_OPTIONS, "broadcast", false),
      .ipv6_only = options_boolean(L, ARG_OPTIONS, "ipv6_only", false),
  };
}

/* open_datagram_socket(host, port, options): a socket of UDP at that address of its own, or nil, err, code. Without a
 * host it is at all addresses of this machine, without a port at a free one. Options: remote_addr = {host, port} (it
 * is connected there), limit (64 datagrams that wait unasked for), reuse_addr, reuse_port, broadcast, ipv6_only. */
int l_open_datagram_socket(lua_State *L) {
  const char *host = lua_isnoneornil(L, ARG_HOST) ? NULL : net_check_host(L, ARG_HOST);
  int port = lua_isnoneornil(L, ARG_PORT) ? 0 : net_check_port(L, ARG_PORT);
  lua_settop(L, ARG_OPTIONS);
  struct endpoint_options options = check_options(L);
  int remote_port = check_remote(L);
  struct slab *slab = slab_of(L);
  struct open_op *op = op_begin(L, &open_kind);
  op->rt = runtime_of(L);
  op->slab = slab;
  op->options = options;
  op->remote_host = lua_tostring(L, ARG_REMOTE);
  op->remote_port = remote_port;
  op->listens = !op->remote_host || host || port != 0;
  return op_await(L, &op->op, begin(op, host, port));
}
