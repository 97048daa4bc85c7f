#include "net/arguments.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "core/options.h"

/* What the kernel takes, and what true stands for. */
enum { KEEPALIVE_S = 60, KEEPALIVE_MOST_S = 32767 };

const char *net_check_host(lua_State *L, int index) {
  size_t length;
  const char *host = luaL_checklstring(L, index, &length);
  luaL_argcheck(L, strlen(host) == length, index, "the host contains a zero byte");
  return host;
}

int net_check_port(lua_State *L, int index) {
  lua_Integer port = luaL_checkinteger(L, index);
  luaL_argcheck(L, port >= 0 && port <= 65535, index, "the port is not in the range 0 to 65535");
  return (int)port;
}

const char *net_push_target(lua_State *L, const char *host, int port) {
  return lua_pushfstring(L, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, port);
}

int net_option_keepalive(lua_State *L, int index) {
  if (!options_get(L, index, "keepalive")) return 0;
  bool is_boolean = lua_isboolean(L, -1), value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (is_boolean) return value ? KEEPALIVE_S : 0;
  double seconds = options_seconds(L, index, "keepalive", 0);
  luaL_argcheck(L, seconds >= 1 && seconds <= KEEPALIVE_MOST_S, index,
                "the option 'keepalive' is not a number of seconds from 1 to 32767");
  return (int)seconds;
}
