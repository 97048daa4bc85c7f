/* require "size_calls": what a state, and a runtime with a state of its own, have malloc hand out. */
#include <lauxlib.h>
#include <lualib.h>
#include <neap.h>

#include "../lib/meter.h"

static int push_growth(lua_State *L, double before) {
  lua_pushnumber(L, meter_malloc_bytes() - before);
  return 1;
}

static void collect(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
}

static int l_state_bytes(lua_State *L) {
  double before = meter_malloc_bytes();
  lua_State *state = luaL_newstate();
  luaL_openlibs(state);
  collect(state);
  push_growth(L, before);
  lua_close(state);
  return 1;
}

/* runtime_bytes(code): after that was run in it. */
static int l_runtime_bytes(lua_State *L) {
  const char *code = luaL_checkstring(L, 1);
  double before = meter_malloc_bytes();
  neap_t *neap = neap_new(NULL);
  lua_State *state = neap_state(neap);
  if (luaL_loadstring(state, code) != LUA_OK || neap_call(neap, 0, NULL) != LUA_OK) abort();
  collect(state);
  push_growth(L, before);
  neap_free(neap);
  return 1;
}

int luaopen_size_calls(lua_State *L);

int luaopen_size_calls(lua_State *L) {
  static const luaL_Reg calls[] = {{"state_bytes", l_state_bytes}, {"runtime_bytes", l_runtime_bytes}, {NULL, NULL}};
  luaL_newlib(L, calls);
  return 1;
}
