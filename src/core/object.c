#include "core/object.h"

#include "core/runtime.h"

/* The tags of the kinds. */
static const char tags[OBJECT_KINDS];

void weak_table_new(lua_State *L, const char *mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

void object_add_methods(lua_State *L, const luaL_Reg *methods) {
  runtime_push(L);
  luaL_setfuncs(L, methods, 1);
}

void object_register(lua_State *L, struct neap *rt, enum object_kind kind, const char *name,
                     const luaL_Reg *methods) {
  rt->kind_names[kind] = name;
  lua_newtable(L);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  object_add_methods(L, methods);
  lua_pushvalue(L, -1);
  rt->metatables[kind] = luaL_ref(L, LUA_REGISTRYINDEX);
}

void object_push_metatable(lua_State *L, struct neap *rt, enum object_kind kind) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->metatables[kind]);
}

void *object_new(lua_State *L, struct neap *rt, enum object_kind kind, size_t size, int values) {
  size = (size + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
  char *object = lua_newuserdatauv(L, size + sizeof(void *), values);
  *(const void **)(void *)(object + size) = &tags[kind];
  object_push_metatable(L, rt, kind);
  lua_setmetatable(L, -2);
  return object;
}

/* Where the tag of the value lies, if it has one. */
static const void **tag_of(lua_State *L, int index) {
  char *object = lua_touserdata(L, index);
  size_t size = lua_rawlen(L, index);
  if (!object || size < sizeof(void *) || size % sizeof(void *) != 0) return NULL;
  return (const void **)(void *)(object + size - sizeof(void *));
}

void *object_test(lua_State *L, int index, enum object_kind kind) {
  const void **tag = tag_of(L, index);
  return tag && *tag == &tags[kind] ? lua_touserdata(L, index) : NULL;
}

void *object_end(lua_State *L, int index, enum object_kind kind) {
  void *object = object_test(L, index, kind);
  if (object) *tag_of(L, index) = NULL;
  return object;
}

void *object_check(lua_State *L, struct neap *rt, int index, enum object_kind kind) {
  void *object = object_test(L, index, kind);
  if (!object) luaL_typeerror(L, index, rt->kind_names[kind]);
  runtime_check_thread(L, rt);
  return object;
}
