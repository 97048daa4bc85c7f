/* Listening over TCP. Connections are accepted one by one, when they are asked for; the others wait
 * in the kernel. uv_listen is not used: when descriptors run out it accepts and closes whatever waits,
 * and tells nobody. */
#include "io/listener.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/runtime.h"
#include "io/address.h"
#include "io/io.h"
#include "io/lookup.h"
#include "io/socket.h"
#include "io/stream.h"
#include "io/transport_uv.h"

enum { BACKLOG = 128, PORT_TRIES = 16 };

/* What libuv knows of a listening socket. Freed by the close callback. */
struct watch {
  uv_poll_t poll; /* must be first */
  struct resource resource;
  struct listener *listener;
  int fd;
};

struct listener {
  struct neap *rt;
  struct watch *watch; /* NULL: closed */
  struct accept_op *accepting;
  union address address;
  size_t limit;
  int accepted; /* a connection's descriptor that nobody has taken yet, or UV_E* */
  bool nodelay;
  bool polling;
};

struct accept_op {
  struct op op;
  struct listener *listener;
};

/* --- the socket --- */

static void on_closed(uv_handle_t *handle) {
  memory_free(handle);
}

static void close_watch(struct watch *watch) {
  list_remove(&watch->resource.link);
  uv_close((uv_handle_t *)&watch->poll, on_closed);
  close(watch->fd);
}

static void close_listener(struct listener *l) {
  struct accept_op *op = l->accepting;
  if (!l->watch) return;
  close_watch(l->watch);
  l->watch = NULL;
  if (l->accepted >= 0) close(l->accepted);
  l->accepted = UV_EAGAIN;
  if (op && op->op.state == OP_WAITING) op_complete(l->rt, &op->op, 0);
}

static void close_resource(struct neap *rt, struct resource *resource) {
  (void)rt;
  close_listener(container_of(resource, struct watch, resource)->listener);
}

/* Takes over the socket, or closes it. */
static int watch_socket(struct listener *l, int fd) {
  struct watch *watch = memory_alloc(l->rt->memory, sizeof *watch);
  if (!watch) {
    close(fd);
    return UV_ENOMEM;
  }
  int status = uv_poll_init(l->rt->loop, &watch->poll, fd);
  if (status < 0) {
    close(fd);
    memory_free(watch);
    return status;
  }
  watch->fd = fd;
  watch->listener = l;
  watch->resource = (struct resource){.close = close_resource};
  list_append(&l->rt->resources, &watch->resource.link);
  l->watch = watch;
  return 0;
}

/* --- accepting --- */

static void stop_polling(struct listener *l) {
  uv_poll_stop(&l->watch->poll);
  l->polling = false;
}

/* Polling goes on while the accepter is busy, until something comes that it has not asked for. */
static void on_readable(uv_poll_t *poll, int status, int events) {
  struct listener *l = ((struct watch *)poll)->listener;
  struct accept_op *op = l->accepting;
  (void)events;
  if (!op || op->op.state != OP_WAITING) {
    stop_polling(l);
    return;
  }
  l->accepted = status < 0 ? status : socket_accept(l->watch->fd);
  if (l->accepted != UV_EAGAIN) op_complete(l->rt, &op->op, 0);
}

static int start_polling(struct listener *l) {
  if (l->polling) return 0;
  int status = uv_poll_start(&l->watch->poll, UV_READABLE, on_readable);
  l->polling = status == 0;
  return status;
}

static struct listener *check_listener(lua_State *L) {
  return object_check(L, runtime_of(L), 1, OBJECT_LISTENER);
}

static int push_failure(lua_State *L, const struct listener *l, int status) {
  char name[ADDRESS_MAX];
  return error_return(L, status, "accept", address_name(&l->address, name));
}

/* Pushes what was accepted: a stream; nil, err, code; or nil if the listener is closed. */
static int push_accepted(lua_State *L, struct neap *rt, struct listener *l) {
  int fd = l->accepted;
  if (!l->watch) return lua_pushnil(L), 1;
  if (fd < 0) return push_failure(L, l, fd);
  int status = limits_handle(rt);
  if (status < 0) return push_failure(L, l, status); /* the connection waits */
  struct stream *s = stream_new(L, rt, l->limit);
  struct transport *t = transport_tcp(rt, io_slab(L));
  if (!t) return push_failure(L, l, UV_ENOMEM);
  transport_set_tcp(t, l->nodelay, 0);
  l->accepted = UV_EAGAIN;
  stream_attach(s, t);
  status = transport_open(t, fd);
  return status < 0 ? push_failure(L, l, status) : 1;
}

static int push_accept(lua_State *L, struct neap *rt, struct op *op) {
  struct listener *l = ((struct accept_op *)op)->listener;
  return op->status < 0 ? push_failure(L, l, op->status) : push_accepted(L, rt, l);
}

static void drop_accept(struct neap *rt, struct op *op) {
  (void)rt;
  struct accept_op *accept = (struct accept_op *)op;
  if (accept->listener->accepting == accept) accept->listener->accepting = NULL;
}

static enum op_abort abort_accept(struct neap *rt, struct op *op) {
  drop_accept(rt, op);
  return OP_GONE;
}

static const struct op_kind accept_kind = {
    .name = "accept",
    .size = sizeof(struct accept_op),
    .push = push_accept,
    .abort = abort_accept,
    .drop = drop_accept,
    .local = true,
};

/* listener:accept(): the next connection's stream, nil when the listener is closed, or nil, err, code.
 * One task at a time may wait. */
static int l_accept(lua_State *L) {
  struct listener *l = check_listener(L);
  if (l->accepting) return error_misuse(L, "accept: another task is accepting");
  if (l->watch && l->accepted < 0) l->accepted = socket_accept(l->watch->fd);
  bool ready = !l->watch || l->accepted != UV_EAGAIN;
  if (ready && op_ready(L, l->rt, "accept")) return push_accepted(L, l->rt, l);
  struct accept_op *op = op_begin(L, &accept_kind);
  op->listener = l;
  l->accepting = op;
  if (ready) op_complete(l->rt, &op->op, 0);
  return op_await(L, &op->op, ready ? 0 : start_polling(l));
}

/* listener:close(): whoever waits in accept gets nil. May be called twice. */
static int l_close(lua_State *L) {
  close_listener(check_listener(L));
  return 0;
}

/* listener:address(): host and port. */
static int l_address(lua_State *L) {
  char host[HOST_MAX];
  struct listener *l = check_listener(L);
  address_host(&l->address, host);
  lua_pushstring(L, host);
  lua_pushinteger(L, address_port(&l->address));
  return 2;
}

static const luaL_Reg methods[] = {
    {"accept", l_accept}, {"close", l_close}, {"address", l_address},
    {"__gc", l_close},    {NULL, NULL},
};

/* --- beginning to listen --- */

/* Where the arguments of start_server lie. */
enum { ARG_HANDLER = 1, ARG_HOST, ARG_PORT, ARG_OPTIONS };

struct listen_op {
  struct op op;
  struct neap *rt;
  struct lookup *lookup;       /* while the name is being resolved */
  struct addresses *addresses; /* to listen on */
  bool either;                 /* on the first of them that this machine has, not on all */
};

static const union address *address_at(const struct addresses *addresses, int i) {
  return &addresses->list[i];
}

/* Pushes a listener, or returns a code of libuv. */
static int listen_on(lua_State *L, struct neap *rt, const union address *address, int backlog) {
  struct listener *l = object_new(L, rt, OBJECT_LISTENER, sizeof *l, 0);
  *l = (struct listener){.rt = rt, .address = *address, .accepted = UV_EAGAIN};
  l->limit = io_option_limit(L, ARG_OPTIONS);
  l->nodelay = io_option_boolean(L, ARG_OPTIONS, "nodelay", true);
  int status = limits_address(rt, &l->address.any, true);
  if (status == 0) status = limits_handle(rt);
  bool reuse_port = io_option_boolean(L, ARG_OPTIONS, "reuse_port", false);
  int fd = status < 0 ? status : socket_listen(&l->address, backlog, reuse_port);
  status = fd < 0 ? fd : watch_socket(l, fd);
  if (status < 0) lua_pop(L, 1);
  return status;
}

/* Whether this machine just has no such addresses. */
static bool is_absent(int status) {
  return status == UV_EADDRNOTAVAIL || status == UV_EAFNOSUPPORT;
}

/* Closes the listeners in the list on top of the stack and pops it. */
static void close_all(lua_State *L) {
  for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i > 0; i--) {
    lua_rawgeti(L, -1, i);
    close_listener(lua_touserdata(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Pushes a list of listeners, one for each address that this machine has, all on one port; or returns
 * a code of libuv, with the address that failed in [failed]. */
static int listen_on_all(lua_State *L, struct listen_op *op, int port, int *failed) {
  struct addresses *addresses = op->addresses;
  int backlog = io_option_integer(L, ARG_OPTIONS, "backlog", BACKLOG);
  int absent = UV_EAI_NODATA;
  lua_createtable(L, addresses->count, 0);
  for (int i = 0; i < addresses->count; i++) {
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    address_set_port(&addresses->list[i], port);
    int status = listen_on(L, op->rt, address_at(addresses, i), backlog);
    if (status == 0) {
      port = address_port(&((struct listener *)lua_touserdata(L, -1))->address);
      lua_rawseti(L, -2, count + 1);
      if (op->either) return 0;
    } else if (is_absent(status)) {
      absent = status;
      *failed = i;
    } else {
      close_all(L);
      *failed = i;
      return status;
    }
  }
  if (lua_rawlen(L, -1) > 0) return 0;
  lua_pop(L, 1);
  return absent;
}

/* A free port of the first address may be in use on another: then another one is tried. */
static int push_listeners(lua_State *L, struct listen_op *op, int *failed) {
  int port = (int)lua_tointeger(L, ARG_PORT), status = 0;
  for (int i = 0; i < PORT_TRIES; i++) {
    status = listen_on_all(L, op, port, failed);
    if (status != UV_EADDRINUSE || port != 0) break;
  }
  return status;
}

/* Pushes "host:port" as the program gave them. */
static const char *push_target(lua_State *L) {
  return lua_pushfstring(L, "%s:%I", lua_tostring(L, ARG_HOST),
                         (LUAI_UACINT)lua_tointeger(L, ARG_PORT));
}

/* Passes the listeners on to the function that was given to start_server_with. */
static int push_listen(lua_State *L, struct neap *rt, struct op *op) {
  struct listen_op *listen = (struct listen_op *)op;
  struct addresses *addresses = listen->addresses;
  (void)rt;
  char name[ADDRESS_MAX];
  int failed = 0;
  if (op->status < 0) return error_return(L, op->status, "start_server", push_target(L));
  lua_settop(L, ARG_OPTIONS);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_pushvalue(L, ARG_HANDLER);
  int status = push_listeners(L, listen, &failed);
  if (status < 0) {
    const char *target =
        addresses->count ? address_name(address_at(addresses, failed), name) : push_target(L);
    return error_return(L, status, "start_server", target);
  }
  lua_pushvalue(L, ARG_OPTIONS);
  lua_call(L, 3, 1);
  return 1;
}

static void drop_listen(struct neap *rt, struct op *op) {
  (void)rt;
  struct listen_op *listen = (struct listen_op *)op;
  lookup_cancel(listen->lookup);
  memory_free(listen->addresses);
  listen->lookup = NULL;
  listen->addresses = NULL;
}

static enum op_abort abort_listen(struct neap *rt, struct op *op) {
  drop_listen(rt, op);
  return OP_GONE;
}

static const struct op_kind listen_kind = {
    .name = "start_server",
    .size = sizeof(struct listen_op),
    .push = push_listen,
    .abort = abort_listen,
    .drop = drop_listen,
    .local = true,
};

static void resolved(void *owner, int status, struct addresses *addresses) {
  struct listen_op *op = owner;
  op->lookup = NULL;
  op->addresses = addresses;
  op_complete(op->rt, &op->op, status);
}

static int begin_numeric(struct listen_op *op, const union address *first,
                         const union address *second) {
  op->addresses = addresses_new(op->rt->memory, second ? 2 : 1);
  if (!op->addresses) return UV_ENOMEM;
  op->addresses->list[0] = *first;
  if (second) op->addresses->list[1] = *second;
  op_complete(op->rt, &op->op, 0);
  return 0;
}

/* No host: every address of this machine, IPv6 and IPv4, or IPv4 if that is all there is. */
static int begin(struct listen_op *op, const char *host, int port) {
  union address address, other;
  op->either = !host || !*host;
  if (op->either) {
    address_parse(&address, "::", port);
    address_parse(&other, "0.0.0.0", port);
    return begin_numeric(op, &address, &other);
  }
  if (address_parse(&address, host, port)) return begin_numeric(op, &address, NULL);
  int status = limits_name(op->rt);
  return status < 0 ? status : lookup_start(&op->lookup, op->rt, host, port, true, resolved, op);
}

static void check_handler(lua_State *L) {
  if (lua_isfunction(L, ARG_HANDLER)) return;
  if (luaL_getmetafield(L, ARG_HANDLER, "__call") == LUA_TNIL)
    luaL_typeerror(L, ARG_HANDLER, "function");
  lua_pop(L, 1);
}

static const char *const option_names[] = {"limit", "nodelay", "backlog", "reuse_port",
                                           "start_serving", NULL};

/* start_server(handler, host, port, options): what the function that made it (upvalue 2) returns for
 * (handler, listeners, options); or nil, err, code. Options: backlog, limit, nodelay, reuse_port,
 * start_serving. */
static int l_start_server(lua_State *L) {
  check_handler(L);
  const char *host = lua_isnoneornil(L, ARG_HOST) ? NULL : io_check_host(L, ARG_HOST);
  int port = io_check_port(L, ARG_PORT);
  lua_settop(L, ARG_OPTIONS);
  io_check_options(L, ARG_OPTIONS, option_names);
  io_option_limit(L, ARG_OPTIONS);
  io_option_integer(L, ARG_OPTIONS, "backlog", BACKLOG);
  struct listen_op *op = op_begin(L, &listen_kind);
  op->rt = runtime_of(L);
  return op_await(L, &op->op, begin(op, host, port));
}

/* start_server_with(make): the function start_server, whose servers are made by
 * make(handler, listeners, options). */
static int l_start_server_with(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  runtime_push(L);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, l_start_server, 2);
  return 1;
}

static const luaL_Reg functions[] = {
    {"start_server_with", l_start_server_with},
    {NULL, NULL},
};

void listener_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_LISTENER, "neap.Listener", methods);
  lua_pop(L, 1);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
