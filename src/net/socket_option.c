/* The options of sockets, by LuaSocket's names. */
#include <errno.h>
#include <lauxlib.h>
#include <netinet/tcp.h>
#include <string.h>

#include "net/raw_socket.h"

enum option_type { OPTION_BOOLEAN, OPTION_INTEGER, OPTION_LINGER };

static const struct option {
  const char *name;
  int level;
  int number;
  enum option_type type;
} options[] = {
    {"keepalive", SOL_SOCKET, SO_KEEPALIVE, OPTION_BOOLEAN},
    {"reuseaddr", SOL_SOCKET, SO_REUSEADDR, OPTION_BOOLEAN},
    {"reuseport", SOL_SOCKET, SO_REUSEPORT, OPTION_BOOLEAN},
    {"broadcast", SOL_SOCKET, SO_BROADCAST, OPTION_BOOLEAN},
    {"dontroute", SOL_SOCKET, SO_DONTROUTE, OPTION_BOOLEAN},
    {"linger", SOL_SOCKET, SO_LINGER, OPTION_LINGER},
    {"error", SOL_SOCKET, SO_ERROR, OPTION_INTEGER},
    {"recv-buffer-size", SOL_SOCKET, SO_RCVBUF, OPTION_INTEGER},
    {"send-buffer-size", SOL_SOCKET, SO_SNDBUF, OPTION_INTEGER},
    {"tcp-nodelay", IPPROTO_TCP, TCP_NODELAY, OPTION_BOOLEAN},
    {"ipv6-v6only", IPPROTO_IPV6, IPV6_V6ONLY, OPTION_BOOLEAN},
    {"ip-multicast-loop", IPPROTO_IP, IP_MULTICAST_LOOP, OPTION_BOOLEAN},
    {"ip-multicast-ttl", IPPROTO_IP, IP_MULTICAST_TTL, OPTION_INTEGER},
    {"ipv6-multicast-loop", IPPROTO_IPV6, IPV6_MULTICAST_LOOP, OPTION_BOOLEAN},
    {"ipv6-multicast-hops", IPPROTO_IPV6, IPV6_MULTICAST_HOPS, OPTION_INTEGER},
    {"ipv6-unicast-hops", IPPROTO_IPV6, IPV6_UNICAST_HOPS, OPTION_INTEGER},
#ifdef __linux__
    {"tcp-keepidle", IPPROTO_TCP, TCP_KEEPIDLE, OPTION_INTEGER},
    {"tcp-keepcnt", IPPROTO_TCP, TCP_KEEPCNT, OPTION_INTEGER},
    {"tcp-keepintvl", IPPROTO_TCP, TCP_KEEPINTVL, OPTION_INTEGER},
    {"tcp-defer-accept", IPPROTO_TCP, TCP_DEFER_ACCEPT, OPTION_INTEGER},
    {"tcp-fastopen", IPPROTO_TCP, TCP_FASTOPEN, OPTION_INTEGER},
#endif
    {NULL, 0, 0, OPTION_BOOLEAN},
};

static const struct option *check_option(lua_State *L) {
  const char *name = luaL_checkstring(L, 2);
  const struct option *option = options;
  while (option->name && strcmp(option->name, name) != 0) option++;
  if (!option->name) luaL_argerror(L, 2, lua_pushfstring(L, "unsupported option `%s'", name));
  return option;
}

static int push_linger(lua_State *L, const struct linger *linger) {
  lua_createtable(L, 0, 2);
  lua_pushboolean(L, linger->l_onoff);
  lua_setfield(L, -2, "on");
  lua_pushinteger(L, linger->l_linger);
  lua_setfield(L, -2, "timeout");
  return 1;
}

int l_get_option(lua_State *L) {
  struct raw_socket *s = raw_socket_check(L);
  const struct option *option = check_option(L);
  union {
    int number;
    struct linger linger;
  } value = {0};
  socklen_t length = option->type == OPTION_LINGER ? sizeof value.linger : sizeof value.number;
  if (getsockopt(s->fd, option->level, option->number, &value, &length)) return raw_socket_errno(L);
  if (option->type == OPTION_LINGER) return push_linger(L, &value.linger);
  if (option->type == OPTION_BOOLEAN)
    lua_pushboolean(L, value.number);
  else
    lua_pushinteger(L, value.number);
  return 1;
}

/* set_option(name, value), set_option("linger", on, seconds) */
int l_set_option(lua_State *L) {
  struct raw_socket *s = raw_socket_check(L);
  const struct option *option = check_option(L);
  int number = lua_isboolean(L, 3) ? lua_toboolean(L, 3) : (int)luaL_checkinteger(L, 3);
  struct linger linger = {number, (int)luaL_optinteger(L, 4, 0)};
  bool lingers = option->type == OPTION_LINGER;
  const void *value = lingers ? (const void *)&linger : (const void *)&number;
  socklen_t length = lingers ? sizeof linger : sizeof number;
  if (setsockopt(s->fd, option->level, option->number, value, length)) return raw_socket_errno(L);
  lua_pushboolean(L, 1);
  return 1;
}
