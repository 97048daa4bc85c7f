/* The floor of a switch: coroutines resumed in turn by C, each a Lua loop
 * around a C function that yields. No event loop, no tasks. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "../lib/meter.h"

static const char body[] = "local yield, n = ...\n"
                           "for _ = 1, n do yield(0) end";

static int resumed(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status, (void)ctx;
  return 0;
}

static int l_yield(lua_State *L) {
  return lua_yieldk(L, 0, 0, resumed);
}

/* A coroutine that is about to yield [turns] times; it stays on L's stack. */
static lua_State *start(lua_State *L, long turns) {
  lua_State *co = lua_newthread(L);
  int nresults;
  luaL_loadstring(co, body);
  lua_pushcfunction(co, l_yield);
  lua_pushinteger(co, turns);
  lua_resume(co, L, 2, &nresults);
  return co;
}

static double ns_per_switch(int coroutines, long turns) {
  lua_State *L = luaL_newstate();
  lua_State **co = malloc((size_t)coroutines * sizeof(*co));
  luaL_checkstack(L, coroutines, NULL);
  for (int i = 0; i < coroutines; i++) co[i] = start(L, turns);
  double begin = meter_cpu_s();
  for (long turn = 0; turn < turns; turn++)
    for (int i = 0; i < coroutines; i++) {
      int nresults;
      if (lua_resume(co[i], L, 0, &nresults) > LUA_YIELD) abort();
    }
  double end = meter_cpu_s();
  free(co);
  lua_close(L);
  return (end - begin) / (double)(coroutines * turns) * 1e9;
}

int main(void) {
  ns_per_switch(1000, meter_count(500));
  meter_report("switch_ns", ns_per_switch(1000, meter_count(5000)));
  meter_report("switch_alone_ns", ns_per_switch(1, meter_count(5000000)));
  return 0;
}
