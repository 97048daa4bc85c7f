#include "net/tls_opener.h"

#include <lauxlib.h>

#include "core/object.h"
#include "core/options.h"

/* Registry key of the function. */
static const char opener_key;

bool net_option_tls(lua_State *L, int index) {
  if (!options_get(L, index, "tls")) return false;
  bool wanted = lua_toboolean(L, -1);
  bool valid = lua_isboolean(L, -1) || lua_istable(L, -1) || object_test(L, -1, OBJECT_TLS_CONTEXT);
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

int net_open_tls(lua_State *L, const char *call, int count) {
  lua_settop(L, count);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &opener_key);
  lua_pushstring(L, call);
  lua_rotate(L, 1, 2);
  lua_callk(L, count + 1, LUA_MULTRET, 0, pass_on);
  return lua_gettop(L);
}

void tls_opener_open(lua_State *L) {
  lua_pushcfunction(L, l_set_tls_opener);
  lua_setfield(L, -2, "set_tls_opener");
}
