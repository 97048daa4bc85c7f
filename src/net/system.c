#include "net/system.h"

#include <lauxlib.h>
#include <sys/time.h>

#include "core/op.h"
#include "core/runtime.h"
#include "io/address.h"
#include "net/arguments.h"
#include "net/raw_socket.h"

/* address_family(host): "inet" or "inet6" if it is a numeric address, or nil. */
static int l_address_family(lua_State *L) {
  union address address;
  bool numeric = address_parse(&address, net_check_host(L, 1), 0);
  lua_pushstring(L, !numeric ? NULL : address.any.sa_family == AF_INET ? "inet" : "inet6");
  return 1;
}

/* host_name(): of this machine, or nil, code, text. */
static int l_host_name(lua_State *L) {
  char name[UV_MAXHOSTNAMESIZE];
  size_t length = sizeof name;
  int status = uv_os_gethostname(name, &length);
  if (status < 0) return raw_socket_failure(L, status);
  lua_pushlstring(L, name, length);
  return 1;
}

/* check_waiting(call): raises what a call that waits would raise here. */
static int l_check_waiting(lua_State *L) {
  op_check(L, luaL_checkstring(L, 1));
  return 0;
}

/* time_of_day(): seconds since 1970. Virtual time goes on from when it was begun. */
static int l_time_of_day(lua_State *L) {
  struct neap *rt = runtime_of(L);
  struct timeval now;
  gettimeofday(&now, NULL);
  double ahead = 0;
  if (rt->clock.is_virtual)
    ahead = (double)(runtime_now(rt) - ((int64_t)uv_hrtime() + rt->clock.offset)) / 1e9;
  lua_pushnumber(L, (double)now.tv_sec + (double)now.tv_usec / 1e6 + ahead);
  return 1;
}

static const luaL_Reg functions[] = {
    {"address_family", l_address_family},
    {"check_waiting", l_check_waiting},
    {"host_name", l_host_name},
    {"time_of_day", l_time_of_day},
    {NULL, NULL},
};

void system_open(lua_State *L, struct neap *rt) {
  (void)rt;
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
