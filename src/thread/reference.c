#include "thread/reference.h"

#include <lauxlib.h>
#include <stdint.h>
#include <string.h>

#include "core/library.h"

/* Registry: names by value, in a table with weak keys; what package.loaded was like when it was made. */
static const char names_key, stamp_key;

enum { NAME_LENGTH = 255 };

/* --- making the names --- */

static lua_Integer stamp_of_modules(lua_State *L) {
  uintptr_t stamp = 0;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) stamp = stamp + (uintptr_t)lua_topointer(L, -1) + 1;
  lua_pop(L, 1);
  return (lua_Integer)stamp;
}

static bool can_be_named(lua_State *L, int index) {
  int type = lua_type(L, index);
  return type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA;
}

static bool is_plain_name(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TSTRING) return false;
  size_t length = lua_rawlen(L, index);
  return length <= NAME_LENGTH && strlen(lua_tostring(L, index)) == length;
}

/* Of two names the shorter is kept, so that it is the same one each time. */
static bool is_better(lua_State *L, int name, int other) {
  if (!lua_isstring(L, other)) return true;
  size_t length = lua_rawlen(L, name), other_length = lua_rawlen(L, other);
  if (length != other_length) return length < other_length;
  return memcmp(lua_tostring(L, name), lua_tostring(L, other), length) < 0;
}

/* Names the value at [value] with the string on top, which it pops. */
static void set_name(lua_State *L, int names, int value) {
  lua_pushvalue(L, value);
  lua_rawget(L, names);
  bool better = is_better(L, -2, -1);
  lua_pop(L, 1);
  if (!better) {
    lua_pop(L, 1);
    return;
  }
  lua_pushvalue(L, value);
  lua_insert(L, -2);
  lua_rawset(L, names);
}

/* A script's own global functions and tables are no module's. */
static bool is_of_module(lua_State *L, const char *module, int value) {
  return strcmp(module, LUA_GNAME) != 0 || lua_iscfunction(L, value);
}

/* The module's name and the module lie on top. */
static void name_fields(lua_State *L, int names) {
  int module = lua_gettop(L);
  const char *name = lua_tostring(L, module - 1);
  if (!lua_istable(L, module)) return;
  for (lua_pushnil(L); lua_next(L, module); lua_pop(L, 1)) {
    if (!is_plain_name(L, -2) || !can_be_named(L, -1) || !is_of_module(L, name, -1)) continue;
    lua_pushvalue(L, module - 1);
    lua_pushlstring(L, "", 1);
    lua_pushvalue(L, -4);
    lua_concat(L, 3);
    set_name(L, names, lua_gettop(L) - 1);
  }
}

static void name_module(lua_State *L, int names) {
  if (!can_be_named(L, -1)) return;
  lua_pushvalue(L, -2);
  set_name(L, names, lua_gettop(L) - 1);
}

static void each_module(lua_State *L, int names, void (*visit)(lua_State *, int)) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    if (is_plain_name(L, -2)) visit(L, names);
  lua_pop(L, 1);
}

/* A thread that has not loaded neap has the core's part of it all the same: kinds of error are there. */
static void name_core(lua_State *L, int names) {
  lua_pushliteral(L, "neap");
  library_push(L);
  name_fields(L, names);
  lua_pop(L, 2);
}

/* A module's own name is better than those it has as a field. */
static void make_names(lua_State *L) {
  luaL_checkstack(L, 16, "not enough memory");
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  int names = lua_gettop(L);
  name_core(L, names);
  each_module(L, names, name_fields);
  each_module(L, names, name_module);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
  lua_pushinteger(L, stamp_of_modules(L));
  lua_rawsetp(L, LUA_REGISTRYINDEX, &stamp_key);
}

void reference_refresh(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &stamp_key);
  lua_Integer stamp = lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (stamp != stamp_of_modules(L)) make_names(L);
}

/* --- asking --- */

/* Pushes the module that the name at [index] begins with, or nil. Returns the field's name, or NULL. */
static const char *push_module(lua_State *L, int index) {
  const char *name = lua_tostring(L, index);
  size_t length = strlen(name);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
  return length < lua_rawlen(L, index) ? name + length + 1 : NULL;
}

/* Whether the name on top, which was that of the value at [index], still is. */
static bool is_valid(lua_State *L, int index) {
  int top = lua_gettop(L);
  const char *field = push_module(L, top);
  if (lua_isnil(L, -1) && strcmp(lua_tostring(L, top), "neap") == 0) library_push(L);
  if (field && lua_istable(L, -1)) {
    lua_pushstring(L, field);
    lua_rawget(L, -2);
  }
  bool same = lua_rawequal(L, -1, index);
  lua_settop(L, top);
  return same;
}

static bool find(lua_State *L, int index) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (lua_isstring(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

/* What is not a table or a function of Lua cannot cross otherwise: then all modules are looked at again. */
bool reference_push(lua_State *L, int index) {
  bool found = find(L, index);
  if (found && is_valid(L, index)) return true;
  if (found) lua_pop(L, 1);
  if (!found && !lua_iscfunction(L, index) && lua_type(L, index) != LUA_TUSERDATA) return false;
  make_names(L);
  return find(L, index);
}

void reference_resolve(lua_State *L) {
  int name = lua_gettop(L);
  luaL_checkstack(L, 6, "not enough memory");
  const char *field = push_module(L, name);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_getglobal(L, "require");
    lua_pushstring(L, lua_tostring(L, name));
    lua_call(L, 1, 1);
  }
  if (field && lua_getfield(L, -1, field) == LUA_TNIL)
    luaL_error(L, "a copy refers to '%s.%s', which the module has not here", lua_tostring(L, name),
               field);
  lua_replace(L, name);
  lua_settop(L, name);
}

void reference_open(lua_State *L) {
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
  lua_pushinteger(L, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &stamp_key);
}
