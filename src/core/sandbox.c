#include "core/sandbox.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "core/runtime.h"

/* Elements that a call may go through beyond those that are there: Lua's functions in C go on as long as
 * they are told to, and nothing can stop them. */
enum { ELEMENTS_MORE = 1000000 };

static const luaL_Reg libraries[] = {
    {LUA_GNAME, luaopen_base},          {LUA_LOADLIBNAME, luaopen_package},
    {LUA_COLIBNAME, luaopen_coroutine}, {LUA_TABLIBNAME, luaopen_table},
    {LUA_STRLIBNAME, luaopen_string},   {LUA_MATHLIBNAME, luaopen_math},
    {LUA_UTF8LIBNAME, luaopen_utf8},    {LUA_OSLIBNAME, luaopen_os},
    {NULL, NULL},
};

void sandbox_open_libraries(lua_State *L) {
  for (const luaL_Reg *library = libraries; library->name; library++) {
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
  }
}

/* --- functions around functions of Lua, which are their upvalue --- */

static int call_original(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* Finalizers run where no hook is called: one that loops could not be stopped. */
static int l_setmetatable(lua_State *L) {
  if (lua_istable(L, 2)) {
    lua_pushliteral(L, "__gc");
    bool has = lua_rawget(L, 2) != LUA_TNIL;
    luaL_argcheck(L, !has, 2, "a restricted script has no finalizers");
    lua_pop(L, 1);
  }
  return call_original(L);
}

/* load(chunk, name, mode, env): text alone. */
static int l_load(lua_State *L) {
  if (lua_gettop(L) < 3) lua_settop(L, 3);
  const char *mode = luaL_optstring(L, 3, "t");
  lua_pushstring(L, strchr(mode, 't') ? "t" : "");
  lua_replace(L, 3);
  return call_original(L);
}

/* table.insert, remove and sort: a length that lies could keep them busy for ever. */
static int l_with_true_length(lua_State *L) {
  if (luaL_getmetafield(L, 1, "__len") != LUA_TNIL)
    return luaL_argerror(L, 1, "a restricted script has no tables with __len here");
  return call_original(L);
}

/* Raises if a call is told to go from [first] to [last], which are arguments or, left out, mean nothing. */
static void check_range(lua_State *L, int first, int last) {
  lua_Integer from = luaL_optinteger(L, first, 1), to = luaL_optinteger(L, last, from);
  lua_Unsigned most = ELEMENTS_MORE + lua_rawlen(L, 1);
  if (to > from && (lua_Unsigned)to - (lua_Unsigned)from >= most)
    luaL_argerror(L, last, "too many elements");
}

/* table.move(from, first, last, to, into) */
static int l_move(lua_State *L) {
  check_range(L, 2, 3);
  return call_original(L);
}

/* table.concat(list, separator, first, last) */
static int l_concat(lua_State *L) {
  if (lua_isnoneornil(L, 4)) return l_with_true_length(L);
  check_range(L, 3, 4);
  return call_original(L);
}

/* string.rep(s, n, separator): copies nothing very often, if it is told to. */
static int l_rep(lua_State *L) {
  size_t length = 0, separator = 0;
  luaL_checklstring(L, 1, &length);
  luaL_checkinteger(L, 2);
  luaL_optlstring(L, 3, "", &separator);
  if (length + separator > 0) return call_original(L);
  lua_pushliteral(L, "");
  return 1;
}

/* collectgarbage(option): the count; the collector itself is not for the script. */
static int l_collectgarbage(lua_State *L) {
  static const char *const options[] = {"collect", "step", "count", "isrunning", NULL};
  switch (luaL_checkoption(L, 1, "collect", options)) {
    case 2:
      lua_settop(L, 1);
      return call_original(L);
    case 3:
      lua_pushboolean(L, 1);
      return 1;
    default:
      lua_pushinteger(L, 0);
      return 1;
  }
}

static const struct wrapper {
  const char *library;
  const char *name;
  lua_CFunction function;
} wrappers[] = {
    {LUA_GNAME, "setmetatable", l_setmetatable},
    {LUA_GNAME, "load", l_load},
    {LUA_GNAME, "collectgarbage", l_collectgarbage},
    {LUA_TABLIBNAME, "insert", l_with_true_length},
    {LUA_TABLIBNAME, "remove", l_with_true_length},
    {LUA_TABLIBNAME, "sort", l_with_true_length},
    {LUA_TABLIBNAME, "move", l_move},
    {LUA_TABLIBNAME, "concat", l_concat},
    {LUA_STRLIBNAME, "rep", l_rep},
    {NULL, NULL, NULL},
};

static void wrap_functions(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (const struct wrapper *w = wrappers; w->name; w++) {
    lua_getfield(L, -1, w->library);
    lua_getfield(L, -1, w->name);
    lua_pushcclosure(L, w->function, 1);
    lua_setfield(L, -2, w->name);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* --- for sandbox.lua --- */

/* metatable_of(value): also one that is hidden. */
static int l_metatable_of(lua_State *L) {
  luaL_checkany(L, 1);
  if (!lua_getmetatable(L, 1)) lua_pushnil(L);
  return 1;
}

/* set_loaded(name, value): what `require` finds, in place of a library. */
static int l_set_loaded(lua_State *L) {
  lua_settop(L, 2);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_insert(L, 1);
  lua_settable(L, 1);
  return 0;
}

static const luaL_Reg tools[] = {
    {"metatable_of", l_metatable_of},
    {"set_loaded", l_set_loaded},
    {NULL, NULL},
};

/* Their fields are C's: without __gc, objects that libuv knows would be freed under its hands. */
static void hide_metatables(lua_State *L, struct neap *rt) {
  for (int kind = 0; kind < OBJECT_KINDS; kind++) {
    if (rt->metatables[kind] == 0) continue;
    object_push_metatable(L, rt, kind);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
  }
}

void sandbox_push_tools(lua_State *L, struct neap *rt) {
  wrap_functions(L);
  hide_metatables(L, rt);
  luaL_newlib(L, tools);
}
