#include "core/anchor.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "core/runtime.h"

void anchors_open(lua_State *L, struct neap *rt) {
  lua_newtable(L);
  rt->anchors = (struct anchors){.table = luaL_ref(L, LUA_REGISTRYINDEX)};
}

void anchors_free(struct neap *rt) { free(rt->anchors.free); }

/* The stack of free slots always has room for every slot there is, so releasing cannot fail. */
static void reserve_free(lua_State *L, struct anchors *a) {
  if (a->last < a->free_capacity) return;
  int capacity = a->free_capacity ? a->free_capacity * 2 : 64;
  int *slots = realloc(a->free, (size_t)capacity * sizeof *slots);
  if (!slots) luaL_error(L, "not enough memory");
  a->free = slots;
  a->free_capacity = capacity;
}

int anchor_new(lua_State *L, struct neap *rt) {
  struct anchors *a = &rt->anchors;
  bool reused = a->free_count > 0;
  if (!reused) reserve_free(L, a);
  int slot = reused ? a->free[a->free_count - 1] : a->last + 1;
  luaL_checkstack(L, 1, NULL);
  lua_rawgeti(L, LUA_REGISTRYINDEX, a->table);
  lua_insert(L, -2);
  lua_rawseti(L, -2, slot);
  lua_pop(L, 1);
  if (reused)
    a->free_count--;
  else
    a->last++;
  return slot;
}

void anchor_set(lua_State *L, struct neap *rt, int slot) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->anchors.table);
  lua_insert(L, -2);
  lua_rawseti(L, -2, slot);
  lua_pop(L, 1);
}

void anchor_push(lua_State *L, struct neap *rt, int slot) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->anchors.table);
  lua_rawgeti(L, -1, slot);
  lua_remove(L, -2);
}

void anchor_release(lua_State *L, struct neap *rt, int slot) {
  lua_pushboolean(L, 0); /* not nil: the slot keeps its place in the table's array */
  anchor_set(L, rt, slot);
  rt->anchors.free[rt->anchors.free_count++] = slot;
}
