/* Listening on the addresses of some hosts, all on one port. */
#include <lauxlib.h>
#include <string.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/options.h"
#include "core/runtime.h"
#include "io/address.h"
#include "net/arguments.h"
#include "net/listen.h"
#include "net/listener.h"
#include "net/lookup.h"
#include "net/socket.h"

enum { PORT_TRIES = 16 };

struct listen_op {
  struct op op;
  struct neap *rt;
  struct lookup *lookup;       /* while a name is being resolved */
  struct addresses *addresses; /* to listen on, so far */
  const char **hosts;          /* that are yet to be looked up; on the caller's stack; ends with NULL */
  int port;
  bool either; /* on the first of the addresses that this machine has, not on all */
};

/* Pushes a listener, or returns a code of libuv. */
static int listen_on(lua_State *L, struct neap *rt, union address *address, int backlog) {
  struct listener_options options = listen_check_options(L, ARG_OPTIONS);
  struct listener *l = listener_new(L, rt, &options);
  int status = limits_address(rt, &address->any, true);
  if (status == 0) status = limits_handle(rt);
  bool reuse_port = options_boolean(L, ARG_OPTIONS, "reuse_port", false);
  int fd = status < 0 ? status : socket_listen(address, backlog, reuse_port);
  status = fd < 0 ? fd : listener_take(l, fd, address);
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
    listener_close(lua_touserdata(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Pushes a list of listeners, one for each address that this machine has, all on one port; or returns
 * a code of libuv, with the address that failed in [failed]. */
static int listen_on_all(lua_State *L, struct listen_op *op, int port, int *failed) {
  struct addresses *addresses = op->addresses;
  int backlog = listen_check_backlog(L, ARG_OPTIONS), absent = 0;
  lua_createtable(L, addresses->count, 0);
  for (int i = 0; i < addresses->count; i++) {
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    address_set_port(&addresses->list[i], port);
    int status = listen_on(L, op->rt, &addresses->list[i], backlog);
    if (status == 0) {
      port = listener_port(lua_touserdata(L, -1));
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

static int push_listen(lua_State *L, struct neap *rt, struct op *op) {
  struct listen_op *listen = (struct listen_op *)op;
  const struct addresses *addresses = listen->addresses;
  (void)rt;
  char name[ADDRESS_MAX];
  int failed = 0;
  if (op->status < 0) {
    const char *host = *listen->hosts ? *listen->hosts : "*";
    return error_return(L, op->status, "start_server", net_push_target(L, host, listen->port));
  }
  lua_settop(L, ARG_OPTIONS);
  int status = push_listeners(L, listen, &failed);
  if (status == 0) return listen_make_server(L, ARG_OPTIONS, "start_server");
  return error_return(L, status, "start_server", address_name(&addresses->list[failed], name));
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

/* Adds the addresses that are not there yet. Returns 0 or UV_ENOMEM. */
static int add_addresses(struct listen_op *op, const struct addresses *more) {
  int count = op->addresses ? op->addresses->count : 0;
  struct addresses *all = addresses_new(op->rt->memory, count + more->count);
  if (!all) return UV_ENOMEM;
  for (int i = 0; i < count; i++) all->list[i] = op->addresses->list[i];
  for (int i = 0; i < more->count; i++) {
    int j = 0;
    while (j < count && memcmp(&all->list[j], &more->list[i], sizeof all->list[j]) != 0) j++;
    if (j == count) all->list[count++] = more->list[i];
  }
  all->count = count;
  memory_free(op->addresses);
  op->addresses = all;
  return 0;
}

static int add_two(struct listen_op *op, const char *first, const char *second) {
  struct addresses *addresses = addresses_new(op->rt->memory, second ? 2 : 1);
  if (!addresses) return UV_ENOMEM;
  address_parse(&addresses->list[0], first, op->port);
  if (second) address_parse(&addresses->list[1], second, op->port);
  int status = add_addresses(op, addresses);
  memory_free(addresses);
  return status;
}

static void resolved(void *owner, int status, struct addresses *addresses);

/* Looks up hosts until one of them has to be waited for. */
static int look_up(struct listen_op *op) {
  union address address;
  for (; *op->hosts; op->hosts++) {
    bool is_numeric = address_parse(&address, *op->hosts, op->port);
    int status = is_numeric ? add_two(op, *op->hosts, NULL) : limits_name(op->rt);
    if (status < 0) return status;
    if (!is_numeric) return lookup_start(&op->lookup, op->rt, *op->hosts, op->port, true, resolved, op);
  }
  op_complete(op->rt, &op->op, 0);
  return 0;
}

static void resolved(void *owner, int status, struct addresses *addresses) {
  struct listen_op *op = owner;
  op->lookup = NULL;
  if (status == 0) status = addresses->count > 0 ? add_addresses(op, addresses) : UV_EAI_NODATA;
  memory_free(addresses);
  if (status == 0) {
    op->hosts++;
    status = look_up(op);
  }
  if (status < 0) op_complete(op->rt, &op->op, status);
}

/* No host: every address of this machine, IPv6 and IPv4, or IPv4 if that is all there is. */
static int begin(struct listen_op *op, const char **hosts, int port) {
  op->hosts = hosts;
  op->port = port;
  op->either = !*hosts;
  if (!op->either) return look_up(op);
  int status = add_two(op, "::", "0.0.0.0");
  if (status == 0) op_complete(op->rt, &op->op, 0);
  return status;
}

/* Pushes the hosts as a block that ends with NULL: none for nil and "". */
static const char **check_hosts(lua_State *L) {
  bool is_list = lua_istable(L, ARG_HOST);
  size_t count = is_list ? lua_rawlen(L, ARG_HOST) : 1;
  luaL_argcheck(L, count > 0, ARG_HOST, "the list of hosts is empty");
  luaL_checkstack(L, (int)count + 4, "too many hosts");
  const char **hosts = lua_newuserdatauv(L, (count + 1) * sizeof *hosts, 0);
  hosts[count] = NULL;
  for (size_t i = 0; is_list && i < count; i++) {
    int kind = lua_rawgeti(L, ARG_HOST, (lua_Integer)i + 1);
    luaL_argcheck(L, kind == LUA_TSTRING, ARG_HOST, "a host of the list is not a string");
    hosts[i] = lua_tostring(L, -1);
    luaL_argcheck(L, *hosts[i] && lua_rawlen(L, -1) == strlen(hosts[i]), ARG_HOST,
                  "a host of the list is empty, or contains a zero byte");
  }
  if (!is_list) hosts[0] = lua_isnil(L, ARG_HOST) ? NULL : net_check_host(L, ARG_HOST);
  if (!is_list && hosts[0] && !*hosts[0]) hosts[0] = NULL;
  return hosts;
}

int listen_on_hosts(lua_State *L) {
  int port = (int)lua_tointeger(L, ARG_PORT);
  const char **hosts = check_hosts(L);
  struct listen_op *op = op_begin(L, &listen_kind);
  op->rt = runtime_of(L);
  return op_await(L, &op->op, begin(op, hosts, port));
}
