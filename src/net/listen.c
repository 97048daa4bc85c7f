/* Beginning to listen: on hosts (listen_hosts.c), at a path, on a socket that was inherited. */
#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/options.h"
#include "core/runtime.h"
#include "io/address.h"
#include "io/stream.h"
#include "net/arguments.h"
#include "net/listener.h"
#include "net/tls_opener.h"
#include "net/unix.h"

enum { BACKLOG = 128 };

/* Where the arguments of start_unix_server lie. */
enum { ARG_PATH = 2, ARG_UNIX_OPTIONS };

struct listener_options listen_check_options(lua_State *L, int index) {
  return (struct listener_options){
      .limit = stream_option_limit(L, index),
      .nodelay = options_boolean(L, index, "nodelay", true),
      .keepalive = net_option_keepalive(L, index),
  };
}

int listen_check_backlog(lua_State *L, int index) { return options_integer(L, index, "backlog", BACKLOG); }

int listen_make_server(lua_State *L, int options, const char *call) {
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
  struct listener_options options = listen_check_options(L, index);
  int fd = options_integer(L, index, "fd", 0);
  bool removes = options_boolean(L, index, "cleanup_socket", true);
  op_check(L, call);
  lua_createtable(L, 1, 0);
  int status = take_inherited(rt, listener_new(L, rt, &options), fd, removes);
  lua_rawseti(L, -2, 1);
  if (status == 0) return listen_make_server(L, index, call);
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
  if (!is_inherited(L, ARG_OPTIONS)) net_check_port(L, ARG_PORT);
  lua_settop(L, ARG_OPTIONS);
  options_check(L, ARG_OPTIONS, option_names);
  listen_check_options(L, ARG_OPTIONS);
  listen_check_backlog(L, ARG_OPTIONS);
  options_integer(L, ARG_OPTIONS, "max_connections", 1);
  net_option_tls(L, ARG_OPTIONS);
  if (is_inherited(L, ARG_OPTIONS)) {
    luaL_argcheck(L, lua_isnil(L, ARG_HOST) && lua_isnil(L, ARG_PORT), ARG_HOST, "a socket is given by 'fd' already");
    return serve_inherited(L, ARG_OPTIONS, "start_server");
  }
  return listen_on_hosts(L);
}

/* --- start_unix_server --- */

static int take_path(struct neap *rt, struct listener *l, const struct unix_address *address, int backlog, mode_t mode,
                     bool removes) {
  int status = limits_address(rt, (const struct sockaddr *)&address->name, true);
  if (status == 0) status = limits_handle(rt);
  int fd = status < 0 ? status : unix_listen(address, backlog, mode);
  if (fd < 0) return fd;
  struct socket_file *file = socket_file_new(rt->memory, address, removes);
  if (!file) close(fd);
  status = file ? listener_take_file(l, fd, file) : UV_ENOMEM;
  if (status < 0 && address->name.sun_path[0]) unlink(address->name.sun_path);
  return status;
}

static int serve_path(lua_State *L, const char *path, size_t length) {
  struct neap *rt = runtime_of(L);
  struct unix_address address;
  char label[UNIX_LABEL_MAX];
  struct listener_options options = listen_check_options(L, ARG_UNIX_OPTIONS);
  int backlog = listen_check_backlog(L, ARG_UNIX_OPTIONS);
  mode_t mode = (mode_t)options_integer(L, ARG_UNIX_OPTIONS, "mode", 0);
  bool removes = options_boolean(L, ARG_UNIX_OPTIONS, "cleanup_socket", true);
  op_check(L, "start_unix_server");
  int status = unix_address(&address, path, length);
  if (status < 0) return error_return(L, status, "start_unix_server", path);
  lua_createtable(L, 1, 0);
  status = take_path(rt, listener_new(L, rt, &options), &address, backlog, mode, removes);
  lua_rawseti(L, -2, 1);
  if (status == 0) return listen_make_server(L, ARG_UNIX_OPTIONS, "start_unix_server");
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
  options_check(L, ARG_UNIX_OPTIONS, unix_option_names);
  options_integer(L, ARG_UNIX_OPTIONS, "max_connections", 1);
  net_option_tls(L, ARG_UNIX_OPTIONS);
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
