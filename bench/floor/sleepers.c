/* The floor of a sleeping task: a bare suspended coroutine, anchored in one
 * table of the size it needs. Nothing will ever wake it. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "../lib/meter.h"

static int l_park(lua_State *L) {
  return lua_yield(L, 0);
}

static double lua_bytes(lua_State *L) {
  return lua_gc(L, LUA_GCCOUNT) * 1024.0 + lua_gc(L, LUA_GCCOUNTB);
}

/* Makes [n] coroutines of the function on top of the stack, each suspended. */
static void park(lua_State *L, long n) {
  lua_createtable(L, (int)n, 0);
  for (long i = 1; i <= n; i++) {
    int nresults;
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, -3);
    lua_xmove(L, co, 1);
    if (lua_resume(co, L, 0, &nresults) != LUA_YIELD) abort();
    lua_rawseti(L, -2, i);
  }
}

int main(void) {
  lua_State *L = luaL_newstate();
  long n = meter_count(1000000);
  luaL_openlibs(L);
  lua_register(L, "park", l_park);
  if (luaL_dostring(L, "return function () park(3600) end")) abort();
  double rss = meter_status_bytes("VmRSS");
  double heap = lua_bytes(L);
  double mallocs = meter_malloc_bytes();
  double begin = meter_cpu_s();
  park(L, n);
  double end = meter_cpu_s();
  meter_report("sleepers_cpu_us", (end - begin) / (double)n * 1e6);
  meter_report("sleepers_rss_bytes", (meter_status_bytes("VmHWM") - rss) / (double)n);
  meter_report("sleepers_malloc_bytes", (meter_malloc_bytes() - mallocs) / (double)n);
  meter_report("sleepers_lua_bytes", (lua_bytes(L) - heap) / (double)n);
  lua_close(L);
  return 0;
}
