/* The floor of a task: a new bare coroutine, run to its end and left to the
 * collector, which is Lua's default, incremental. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "../lib/meter.h"

/* Runs [n] coroutines of the function on top of the stack, one by one. */
static double ns_per_coroutine(lua_State *L, long n) {
  double begin = meter_cpu_s();
  for (long i = 0; i < n; i++) {
    int nresults;
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, -2);
    lua_xmove(L, co, 1);
    if (lua_resume(co, L, 0, &nresults) != LUA_OK) abort();
    lua_pop(L, 1);
  }
  return (meter_cpu_s() - begin) / (double)n * 1e9;
}

int main(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  if (luaL_dostring(L, "return function () end")) abort();
  ns_per_coroutine(L, meter_count(200000));
  meter_report("spawn_ns", ns_per_coroutine(L, meter_count(1000000)));
  lua_close(L);
  return 0;
}
