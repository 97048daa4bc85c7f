#include "io/io.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "core/runtime.h"
#include "io/census.h"
#include "io/datagram.h"
#include "io/fs.h"
#include "io/listen.h"
#include "io/listener.h"
#include "io/names.h"
#include "io/process.h"
#include "io/open.h"
#include "io/raw_socket.h"
#include "io/reader.h"
#include "io/readiness.h"
#include "io/signal.h"
#include "io/slab.h"
#include "io/stream.h"
#include "io/system.h"
#include "io/tcp.h"
#include "io/unix.h"
#include "io/watcher.h"

/* What the kernel takes, and what true stands for. */
enum { KEEPALIVE_S = 60, KEEPALIVE_MOST_S = 32767 };

/* Registry key of the userdata that holds the slab. */
static const char slab_key;

struct slab *io_slab(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &slab_key);
  struct slab *slab = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return slab;
}

/* A state that is closed collects this before the runtime, whose connections may receive to its end. */
static int l_free_slab(lua_State *L) {
  struct slab *slab = lua_touserdata(L, 1);
  runtime_free(slab->rt);
  slab_free(slab);
  return 0;
}

static void make_slab(lua_State *L, struct neap *rt) {
  struct slab *slab = lua_newuserdatauv(L, sizeof *slab, 1);
  slab_init(slab, rt);
  runtime_push(L);
  lua_setiuservalue(L, -2, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_free_slab);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &slab_key);
}

const char *io_check_host(lua_State *L, int index) {
  size_t length;
  const char *host = luaL_checklstring(L, index, &length);
  luaL_argcheck(L, strlen(host) == length, index, "the host contains a zero byte");
  return host;
}

int io_check_port(lua_State *L, int index) {
  lua_Integer port = luaL_checkinteger(L, index);
  luaL_argcheck(L, port >= 0 && port <= 65535, index, "the port is not in the range 0 to 65535");
  return (int)port;
}

const char *io_push_target(lua_State *L, const char *host, int port) {
  return lua_pushfstring(L, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, port);
}

/* Pushes an option. Returns false, with nothing pushed, if it is not given. */
static bool push_option(lua_State *L, int index, const char *name) {
  if (lua_isnoneornil(L, index)) return false;
  luaL_checktype(L, index, LUA_TTABLE);
  if (lua_getfield(L, index, name) != LUA_TNIL) return true;
  lua_pop(L, 1);
  return false;
}

int io_option_integer(lua_State *L, int index, const char *name, int otherwise) {
  if (!push_option(L, index, name)) return otherwise;
  int is_integer;
  lua_Integer value = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || value <= 0 || value > INT_MAX)
    luaL_argerror(L, index, lua_pushfstring(L, "the option '%s' is not a positive integer", name));
  lua_pop(L, 1);
  return (int)value;
}

double io_option_seconds(lua_State *L, int index, const char *name, double otherwise) {
  if (!push_option(L, index, name)) return otherwise;
  int is_number;
  double seconds = lua_tonumberx(L, -1, &is_number);
  if (!is_number || !(seconds >= 0))
    luaL_argerror(L, index, lua_pushfstring(L, "the option '%s' is not a number of seconds", name));
  lua_pop(L, 1);
  return seconds;
}

int io_option_keepalive(lua_State *L, int index) {
  if (!push_option(L, index, "keepalive")) return 0;
  bool is_boolean = lua_isboolean(L, -1), value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (is_boolean) return value ? KEEPALIVE_S : 0;
  double seconds = io_option_seconds(L, index, "keepalive", 0);
  luaL_argcheck(L, seconds >= 1 && seconds <= KEEPALIVE_MOST_S, index,
                "the option 'keepalive' is not a number of seconds from 1 to 32767");
  return (int)seconds;
}

size_t io_option_limit(lua_State *L, int index) {
  return (size_t)io_option_integer(L, index, "limit", READER_LIMIT);
}

bool io_option_boolean(lua_State *L, int index, const char *name, bool otherwise) {
  if (!push_option(L, index, name)) return otherwise;
  bool value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

/* Registry key of what opens connections over TLS, which is made of what is above this room. */
static const char opener_key;

bool io_option_tls(lua_State *L, int index) {
  if (!push_option(L, index, "tls")) return false;
  bool wanted = lua_toboolean(L, -1);
  bool valid = lua_isboolean(L, -1) || lua_istable(L, -1) || object_test(L, NULL, -1, OBJECT_TLS_CONTEXT);
  luaL_argcheck(L, valid, index, "the option 'tls' is neither true nor a table of options nor a context");
  lua_pop(L, 1);
  return wanted;
}

/* set_tls_opener(fn): what calls that open a connection with the option `tls` do: fn(name of the call, arguments). */
static int l_set_tls_opener(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &opener_key);
  return 0;
}

static int pass_on(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return lua_gettop(L);
}

int io_open_tls(lua_State *L, const char *call, int count) {
  lua_settop(L, count);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &opener_key);
  lua_pushstring(L, call);
  lua_rotate(L, 1, 2);
  lua_callk(L, count + 1, LUA_MULTRET, 0, pass_on);
  return lua_gettop(L);
}

int io_open(lua_State *L, struct neap *rt) {
  make_slab(L, rt);
  stream_open(L, rt);
  tcp_open(L, rt);
  unix_open(L, rt);
  listener_open(L, rt);
  listen_open(L, rt);
  names_open(L, rt);
  datagram_open(L, rt);
  fs_open(L, rt);
  signal_open(L, rt);
  process_open(L, rt);
  open_open(L, rt);
  raw_socket_open(L, rt);
  system_open(L, rt);
  census_open(L, rt);
  readiness_open(L, rt);
  watcher_open(L, rt);
  lua_pushcfunction(L, l_set_tls_opener);
  lua_setfield(L, -2, "set_tls_opener");
  return 0;
}
