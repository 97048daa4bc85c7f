#include "core/options.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

static bool is_among(const char *name, const char *const names[]) {
  while (*names && strcmp(*names, name)) names++;
  return *names != NULL;
}

void options_check_of_two(lua_State *L, int index, const char *const names[], const char *const more[]) {
  if (lua_isnoneornil(L, index)) return;
  luaL_checktype(L, index, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2);
    if (!is_among(name, names) && !is_among(name, more))
      luaL_argerror(L, index, lua_pushfstring(L, "there is no option '%s'", name));
  }
}

void options_check(lua_State *L, int index, const char *const names[]) {
  static const char *const none[] = {NULL};
  options_check_of_two(L, index, names, none);
}

bool options_get(lua_State *L, int index, const char *name) {
  if (lua_isnoneornil(L, index)) return false;
  luaL_checktype(L, index, LUA_TTABLE);
  if (lua_getfield(L, index, name) != LUA_TNIL) return true;
  lua_pop(L, 1);
  return false;
}

bool options_boolean(lua_State *L, int index, const char *name, bool otherwise) {
  if (!options_get(L, index, name)) return otherwise;
  bool value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

int options_integer(lua_State *L, int index, const char *name, int otherwise) {
  if (!options_get(L, index, name)) return otherwise;
  int is_integer;
  lua_Integer value = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || value <= 0 || value > INT_MAX)
    luaL_argerror(L, index, lua_pushfstring(L, "the option '%s' is not a positive integer", name));
  lua_pop(L, 1);
  return (int)value;
}

double options_seconds(lua_State *L, int index, const char *name, double otherwise) {
  if (!options_get(L, index, name)) return otherwise;
  int is_number;
  double seconds = lua_tonumberx(L, -1, &is_number);
  if (!is_number || !(seconds >= 0))
    luaL_argerror(L, index, lua_pushfstring(L, "the option '%s' is not a number of seconds", name));
  lua_pop(L, 1);
  return seconds;
}
