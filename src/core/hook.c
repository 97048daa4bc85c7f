#include "core/hook.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>

#include "core/limits.h"

/* Registry keys: debug.gethook and debug.sethook as they were when the runtime was made. */
static const char gethook_key, sethook_key;

/* Pushes on [to] the function that debug.sethook has set on [from]; false if there is none. */
static bool push_function(lua_State *from, lua_State *to) {
  if (lua_rawgetp(to, LUA_REGISTRYINDEX, &gethook_key) != LUA_TFUNCTION) return false;
  lua_pushthread(from);
  lua_xmove(from, to, 1);
  return lua_pcall(to, 1, 1, 0) == LUA_OK && lua_isfunction(to, -1);
}

/* With an empty mask debug.sethook notes the function and sets no hook. */
static void set_function(lua_State *to) {
  lua_rawgetp(to, LUA_REGISTRYINDEX, &sethook_key);
  lua_insert(to, -2);
  lua_pushliteral(to, "");
  lua_pcall(to, 2, 0, 0);
}

void hook_copy(lua_State *from, lua_State *to) {
  int top = lua_gettop(to);
  if (!lua_checkstack(from, 1) || !lua_checkstack(to, 4)) return;
  lua_sethook(to, NULL, 0, 0);
  if (lua_gethook(from) && !limits_hooked(from) && push_function(from, to)) set_function(to);
  lua_settop(to, top);
  lua_sethook(to, lua_gethook(from), lua_gethookmask(from), lua_gethookcount(from));
}

static void capture(lua_State *L, const char *name, const void *key) {
  lua_getfield(L, -1, name);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void hook_open(lua_State *L, struct neap *rt) {
  (void)rt;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_DBLIBNAME) == LUA_TTABLE) {
    capture(L, "gethook", &gethook_key);
    capture(L, "sethook", &sethook_key);
  }
  lua_pop(L, 2);
}
