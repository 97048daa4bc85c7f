/* Beginning to listen: on the addresses of some hosts, all on one port; at a path; on a socket that was inherited. */
#include "io/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/runtime.h"
#include "io/address.h"
#include "io/io.h"
#include "io/listener.h"
#include "io/lookup.h"
#include "io/socket.h"
#include "io/unix.h"

/* No file has this mode. */
enum { BACKLOG = 128, PORT_TRIES = 16, MODE_UNSET = 0x10000 };

/* Where the arguments lie: of start_server, and of start_unix_server. */
enum { ARG_HANDLER = 1, ARG_HOST, ARG_PORT, ARG_OPTIONS };
enum { ARG_PATH = 2, ARG_UNIX_OPTIONS };

static struct listener_options check_listener_options(lua_State *L, int index) {
  return (struct listener_options){
      .limit = io_option_limit(L, index),
      .nodelay = io_option_boolean(L, index, "nodelay", true),
      .keepalive = io_option_keepalive(L, index),
  };
}

static int check_backlog(lua_State *L, int index) {
  return io_option_integer(L, index, "backlog", BACKLOG);
}

/* The function that was given to start_server_with gets the handler, the list of listeners on top, the options, and
 * the name of the call. To be returned. */
static int make_server(lua_State *L, int options, const char *call) {
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, -2);
  lua_pushvalue(L, ARG_HANDLER);
  lua_insert(L, -2);
  lua_pushvalue(L, options);
  lua_pushstring(L, call);
  int below = lua_gettop(L) - 5;
  lua_call(L, 4, LUA_MULTRET);
  return lua_gettop(L) - below;
}

/* --- hosts --- */

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
  struct listener_options options = check_listener_options(L, ARG_OPTIONS);
  struct listener *l = listener_new(L, rt, &options);
  int status = limits_address(rt, &address->any, true);
  if (status == 0) status = limits_handle(rt);
  bool reuse_port = io_option_boolean(L, ARG_OPTIONS, "reuse_port", false);
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
  int backlog = check_backlog(L, ARG_OPTIONS), absent = 0;
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
    return error_return(L, op->status, "start_server", io_push_target(L, host, listen->port));
  }
  lua_settop(L, ARG_OPTIONS);
  int status = push_listeners(L, listen, &failed);
  if (status == 0) return make_server(L, ARG_OPTIONS, "start_server");
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
  if (!is_list) hosts[0] = lua_isnil(L, ARG_HOST) ? NULL : io_check_host(L, ARG_HOST);
  if (!is_list && hosts[0] && !*hosts[0]) hosts[0] = NULL;
  return hosts;
}

/* --- a socket that was inherited --- */

/* Whether [fd] listens as a stream socket; [address] is the one it has. */
static int inspect(int fd, struct sockaddr_storage *address, socklen_t *length) {
  int listens = 0, kind = 0;
  socklen_t size = sizeof listens;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size)) return uv_translate_sys_error(errno);
  size = sizeof kind;
  if (!listens || getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &size) || kind != SOCK_STREAM) return UV_EINVAL;
  *length = sizeof *address;
  if (getsockname(fd, (struct sockaddr *)address, length)) return uv_translate_sys_error(errno);
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
    return uv_translate_sys_error(errno);
  return 0;
}

static int take_inherited(struct neap *rt, struct listener *l, int fd, bool removes) {
  struct sockaddr_storage found;
  socklen_t length;
  int status = inspect(fd, &found, &length);
  if (status == 0) status = limits_address(rt, (struct sockaddr *)&found, true);
  if (status == 0) status = limits_handle(rt);
  if (status < 0) return status;
  if (found.ss_family != AF_UNIX) return listener_take(l, fd, (const union address *)&found);
  struct unix_address address = {.length = length};
  memcpy(&address.name, &found, length < sizeof address.name ? length : sizeof address.name);
  struct socket_file *file = socket_file_new(rt->memory, &address, removes);
  return file ? listener_take_file(l, fd, file) : UV_ENOMEM;
}

/* Serves on the listening socket that is the option fd. Which are open, and whose, is not for restricted scripts. */
static int serve_inherited(lua_State *L, int index, const char *call) {
  struct neap *rt = runtime_of(L);
  limits_refuse_restricted(L, rt, "the option 'fd'");
  char target[32];
  struct listener_options options = check_listener_options(L, index);
  int fd = io_option_integer(L, index, "fd", 0);
  bool removes = io_option_boolean(L, index, "cleanup_socket", true);
  op_check(L, call);
  lua_createtable(L, 1, 0);
  int status = take_inherited(rt, listener_new(L, rt, &options), fd, removes);
  lua_rawseti(L, -2, 1);
  if (status == 0) return make_server(L, index, call);
  snprintf(target, sizeof target, "descriptor %d", fd);
  return error_return(L, status, call, target);
}

static bool is_inherited(lua_State *L, int index) {
  if (!lua_istable(L, index)) return false;
  bool given = lua_getfield(L, index, "fd") != LUA_TNIL;
  lua_pop(L, 1);
  return given;
}

/* --- start_server --- */

static void check_handler(lua_State *L) {
  if (lua_isfunction(L, ARG_HANDLER)) return;
  if (luaL_getmetafield(L, ARG_HANDLER, "__call") == LUA_TNIL)
    luaL_typeerror(L, ARG_HANDLER, "function");
  lua_pop(L, 1);
}

static const char *const option_names[] = {"limit", "nodelay", "keepalive", "backlog", "reuse_port", "fd",
                                           "start_serving", "max_connections", "tls", NULL};

/* start_server(handler, host, port, options): what the function that made it (upvalue 2) returns for
 * (handler, listeners, options, name of the call); or nil, err, code. Options: backlog, fd, keepalive, limit, max_connections, nodelay,
 * reuse_port, start_serving. */
static int l_start_server(lua_State *L) {
  check_handler(L);
  if (!is_inherited(L, ARG_OPTIONS)) io_check_port(L, ARG_PORT);
  lua_settop(L, ARG_OPTIONS);
  error_check_options(L, ARG_OPTIONS, option_names);
  check_listener_options(L, ARG_OPTIONS);
  check_backlog(L, ARG_OPTIONS);
  io_option_integer(L, ARG_OPTIONS, "max_connections", 1);
  io_option_tls(L, ARG_OPTIONS);
  if (is_inherited(L, ARG_OPTIONS)) {
    luaL_argcheck(L, lua_isnil(L, ARG_HOST) && lua_isnil(L, ARG_PORT), ARG_HOST, "a socket is given by 'fd' already");
    return serve_inherited(L, ARG_OPTIONS, "start_server");
  }
  int port = (int)lua_tointeger(L, ARG_PORT);
  const char **hosts = check_hosts(L);
  struct listen_op *op = op_begin(L, &listen_kind);
  op->rt = runtime_of(L);
  return op_await(L, &op->op, begin(op, hosts, port));
}

/* --- start_unix_server --- */

static int take_path(struct neap *rt, struct listener *l, const struct unix_address *address, int backlog, mode_t mode,
                     bool removes) {
  int status = limits_address(rt, (const struct sockaddr *)&address->name, true);
  if (status == 0) status = limits_handle(rt);
  int fd = status < 0 ? status : unix_listen(address, backlog, mode);
  if (fd < 0) return fd;
  struct socket_file *file = socket_file_new(rt->memory, address, removes);
  if (file) return listener_take_file(l, fd, file);
  if (address->name.sun_path[0]) unlink(address->name.sun_path);
  close(fd);
  return UV_ENOMEM;
}

static int serve_path(lua_State *L, const char *path, size_t length) {
  struct neap *rt = runtime_of(L);
  struct unix_address address;
  char label[UNIX_LABEL_MAX];
  struct listener_options options = check_listener_options(L, ARG_UNIX_OPTIONS);
  int backlog = check_backlog(L, ARG_UNIX_OPTIONS);
  mode_t mode = (mode_t)io_option_integer(L, ARG_UNIX_OPTIONS, "mode", MODE_UNSET);
  bool removes = io_option_boolean(L, ARG_UNIX_OPTIONS, "cleanup_socket", true);
  op_check(L, "start_unix_server");
  int status = unix_address(&address, path, length);
  if (status < 0) return error_return(L, status, "start_unix_server", path);
  lua_createtable(L, 1, 0);
  status = take_path(rt, listener_new(L, rt, &options), &address, backlog, mode == MODE_UNSET ? 0 : mode, removes);
  lua_rawseti(L, -2, 1);
  if (status == 0) return make_server(L, ARG_UNIX_OPTIONS, "start_unix_server");
  return error_return(L, status, "start_unix_server", unix_label(&address, label));
}

static const char *const unix_option_names[] = {"limit", "backlog", "mode", "cleanup_socket", "fd",
                                                "start_serving", "max_connections", "tls", NULL};

/* start_unix_server(handler, path, options): the same at a path. Options: backlog, cleanup_socket (true), fd, limit,
 * max_connections, mode (of the file), start_serving. */
static int l_start_unix_server(lua_State *L) {
  size_t length;
  check_handler(L);
  lua_settop(L, ARG_UNIX_OPTIONS);
  error_check_options(L, ARG_UNIX_OPTIONS, unix_option_names);
  io_option_integer(L, ARG_UNIX_OPTIONS, "max_connections", 1);
  io_option_tls(L, ARG_UNIX_OPTIONS);
  if (is_inherited(L, ARG_UNIX_OPTIONS)) {
    luaL_argcheck(L, lua_isnil(L, ARG_PATH), ARG_PATH, "a socket is given by 'fd' already");
    return serve_inherited(L, ARG_UNIX_OPTIONS, "start_unix_server");
  }
  const char *path = unix_check_path(L, ARG_PATH, &length);
  return serve_path(L, path, length);
}

/* start_server_with(make): the functions start_server and start_unix_server, whose servers are made by
 * make(handler, listeners, options, name of the call). */
static int l_start_server_with(lua_State *L) {
  static const lua_CFunction functions[] = {l_start_server, l_start_unix_server};
  luaL_checktype(L, 1, LUA_TFUNCTION);
  for (int i = 0; i < 2; i++) {
    runtime_push(L);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, functions[i], 2);
  }
  return 2;
}

static const luaL_Reg functions[] = {
    {"start_server_with", l_start_server_with},
    {NULL, NULL},
};

void listen_open(lua_State *L, struct neap *rt) {
  (void)rt;
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
