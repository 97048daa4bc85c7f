/* require "malloc_bytes" is a function: the bytes malloc has handed out in
 * this process, which Lua's collectgarbage("count") does not see. */
#include <lauxlib.h>
#include <lua.h>

#include "meter.h"

int luaopen_malloc_bytes(lua_State *L);

static int l_malloc_bytes(lua_State *L) {
  lua_pushnumber(L, meter_malloc_bytes());
  return 1;
}

int luaopen_malloc_bytes(lua_State *L) {
  lua_pushcfunction(L, l_malloc_bytes);
  return 1;
}
