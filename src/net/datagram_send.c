/* Sending datagrams, and connecting: to addresses, or to names that are to be resolved. */

#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/runtime.h"
#include "net/arguments.h"
#include "net/datagram.h"
#include "net/lookup.h"

/* On its way to one host: a datagram, or the connecting. */
struct target_op {
  struct op op;
  struct datagram_socket *socket;
  struct lookup *lookup;     /* while the name is being resolved */
  struct outgoing *outgoing; /* while the kernel has no room */
  int (*go)(struct target_op *op, const union address *address);
  const char *bytes;         /* on the caller's stack */
  size_t length;
  int host;                  /* where the name lies there, before the port; 0: it goes to the peer */
};

/* Pushes "host:port" as the program gave them, or those of the peer. */
static const char *push_target(lua_State *L, const struct target_op *op) {
  char name[ADDRESS_MAX];
  union address peer;
  if (op->host == 0) {
    struct endpoint *e = op->socket->endpoint;
    bool has_peer = e && endpoint_peer_address(e, &peer) == 0;
    return lua_pushstring(L, address_name(has_peer ? &peer : &op->socket->local, name));
  }
  return net_push_target(L, lua_tostring(L, op->host), (int)lua_tointeger(L, op->host + 1));
}

static int push_target_op(lua_State *L, struct neap *rt, struct op *op) {
  struct target_op *target = (struct target_op *)op;
  (void)rt;
  if (op->status < 0) return error_return(L, op->status, op->kind->name, push_target(L, target));
  lua_pushboolean(L, 1);
  return 1;
}

/* What libuv has taken over goes out all the same. */
static void drop_target(struct neap *rt, struct op *op) {
  struct target_op *target = (struct target_op *)op;
  (void)rt;
  lookup_cancel(target->lookup);
  outgoing_forget(target->outgoing);
  target->lookup = NULL;
  target->outgoing = NULL;
}

#define TARGET_KIND(call) \
  { \
    .name = call, .size = sizeof(struct target_op), .push = push_target_op, .drop = drop_target, \
    .local = true, \
  }

static const struct op_kind send_kind = TARGET_KIND("send"), send_to_kind = TARGET_KIND("send_to"),
                            connect_kind = TARGET_KIND("connect");

/* --- sending --- */

static void sent(void *owner, int status) {
  struct target_op *op = owner;
  op->outgoing = NULL;
  op_complete(op->socket->rt, &op->op, status);
}

/* Sends to [address], or to the peer if that is NULL. */
static int go_send(struct target_op *op, const union address *address) {
  struct endpoint *e = op->socket->endpoint;
  int status = address ? limits_address(e->rt, &address->any, false) : 0;
  if (status == 0) status = endpoint_try_send(e, op->bytes, op->length, address);
  if (status == UV_EAGAIN) return endpoint_send(e, &op->outgoing, op->bytes, op->length, address, sent, op);
  if (status == 0) op_complete(e->rt, &op->op, 0);
  return status;
}

/* --- to a host --- */

/* The first address that it can go to; else the last failure. */
static int go_to_any(struct target_op *op, struct addresses *addresses) {
  int status = op->socket->endpoint ? UV_EAI_NODATA : UV_ECANCELED;
  for (int i = 0; op->socket->endpoint && i < addresses->count; i++) {
    status = op->go(op, &addresses->list[i]);
    if (status == 0) break;
  }
  return status;
}

static void resolved(void *owner, int status, struct addresses *addresses) {
  struct target_op *op = owner;
  op->lookup = NULL;
  if (status == 0) status = go_to_any(op, addresses);
  memory_free(addresses);
  if (status < 0) op_complete(op->socket->rt, &op->op, status);
}

static int await_target(lua_State *L, struct target_op *op) {
  const char *host = lua_tostring(L, op->host);
  int port = (int)lua_tointeger(L, op->host + 1);
  struct neap *rt = op->socket->rt;
  return op_await(L, &op->op, lookup_host(&op->lookup, rt, host, port, false, resolved, op));
}

/* socket:send_to(data, host, port): sends a datagram; waits while the kernel has no room for it. true, or
 * nil, err, code. */
static int l_send_to(lua_State *L) {
  struct datagram_socket *s = datagram_check_open(L, send_to_kind.name);
  size_t length;
  const char *bytes = luaL_checklstring(L, 2, &length);
  net_check_host(L, 3);
  net_check_port(L, 4);
  if (s->endpoint->connected) return error_misuse(L, "send_to: the socket is connected: use send");
  lua_settop(L, 4);
  struct target_op *op = op_begin(L, &send_to_kind);
  op->socket = s;
  op->go = go_send;
  op->bytes = bytes;
  op->length = length;
  op->host = 3;
  return await_target(L, op);
}

/* socket:send(data): the same to the peer that the socket is connected to. */
static int l_send(lua_State *L) {
  struct datagram_socket *s = datagram_check_open(L, send_kind.name);
  size_t length;
  const char *bytes = luaL_checklstring(L, 2, &length);
  if (!s->endpoint->connected) return error_misuse(L, "send: the socket is not connected: use send_to");
  lua_settop(L, 2);
  struct target_op *op = op_begin(L, &send_kind);
  op->socket = s;
  op->bytes = bytes;
  op->length = length;
  return op_await(L, &op->op, go_send(op, NULL));
}

/* --- connecting --- */

static int go_connect(struct target_op *op, const union address *address) {
  struct endpoint *e = op->socket->endpoint;
  int status = limits_address(e->rt, &address->any, false);
  if (status == 0) status = endpoint_connect(e, address);
  if (status < 0) return status;
  endpoint_local_address(e, &op->socket->local);
  op_complete(e->rt, &op->op, 0);
  return 0;
}

/* socket:connect(host, port): from now on it sends there, and receives from there alone. true, or nil, err, code. */
static int l_connect(lua_State *L) {
  struct datagram_socket *s = datagram_check_open(L, connect_kind.name);
  net_check_host(L, 2);
  net_check_port(L, 3);
  lua_settop(L, 3);
  struct target_op *op = op_begin(L, &connect_kind);
  op->socket = s;
  op->go = go_connect;
  op->host = 2;
  return await_target(L, op);
}

const luaL_Reg datagram_send_methods[] = {
    {"send", l_send}, {"send_to", l_send_to}, {"connect", l_connect}, {NULL, NULL},
};
