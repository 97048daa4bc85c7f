/* A program that has a Lua state already, with the libraries and functions it has chosen. It lends the state to a
 * runtime: then its functions may be called in tasks. The runtime can be freed and the state used as before;
 * and it may be lent again. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <neap.h>
#include <stdio.h>

/* The program's scripts may do what is opened here, and no more: no files, no os. */
static void open_libraries(lua_State *L) {
  luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
  luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
  luaL_requiref(L, LUA_COLIBNAME, luaopen_coroutine, 1);
  luaL_requiref(L, LUA_LOADLIBNAME, luaopen_package, 1);
  lua_settop(L, 0);
}

/* greet(name): a function that knows nothing of tasks. */
static int l_greet(lua_State *L) {
  printf("hello, %s\n", luaL_checkstring(L, 1));
  return 0;
}

static void check(lua_State *L, int status) {
  if (status != LUA_OK) fprintf(stderr, "%s\n", lua_tostring(L, -1));
}

/* The function of the script's that is called may await. */
static void call_visit(neap_t *neap, const char *whom) {
  lua_State *L = neap_state(neap);
  lua_getglobal(L, "visit");
  lua_pushstring(L, whom);
  check(L, neap_call(neap, 1, NULL));
  lua_settop(L, 0);
}

static const char script[] =
    "visits = 0\n"
    "function visit(whom)\n"
    "  require('neap').sleep(0.001)\n"
    "  greet(whom)\n"
    "  visits = visits + 1\n"
    "end\n";

int main(void) {
  lua_State *L = luaL_newstate();
  if (!L) return 1;
  open_libraries(L);
  lua_register(L, "greet", l_greet);
  check(L, luaL_dostring(L, script));

  neap_t *neap = neap_new(&(neap_config){.state = L});
  call_visit(neap, "the first runtime");
  neap_free(neap);

  check(L, luaL_dostring(L, "greet('the state alone')"));

  neap = neap_new(&(neap_config){.state = L});
  call_visit(neap, "the second runtime");
  neap_free(neap);

  check(L, luaL_dostring(L, "greet(visits .. ' visits')"));
  check(L, luaL_dostring(L, "assert(not io and not os)"));
  lua_close(L);
  return 0;
}

// run: attach
// expect: hello, the first runtime
// expect: hello, the state alone
// expect: hello, the second runtime
// expect: hello, 2 visits
