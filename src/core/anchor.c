#include "core/anchor.h"

#include <lauxlib.h>

#include "core/runtime.h"

enum { CHUNK = 256, NO_CHUNK = -1 };

/* A slot is [chunk] * CHUNK + index, and the index, from 1, is the one in the chunk's table. */
struct anchor_chunk {
  int next; /* in the list of those with free slots */
  int free_count;
  uint16_t free[CHUNK];
};

void anchors_open(lua_State *L, struct neap *rt) {
  rt->anchors = (struct anchors){.tables = lua_newthread(L), .open = NO_CHUNK};
  luaL_ref(L, LUA_REGISTRYINDEX);
}

void anchors_free(struct neap *rt) {
  for (int i = 0; i < rt->anchors.count; i++) memory_free(rt->anchors.chunks[i]);
  memory_free(rt->anchors.chunks);
  rt->anchors.chunks = NULL;
  rt->anchors.count = 0;
}

/* --- chunks --- */

/* The number of a chunk that is not there, with room for it in the array. */
static int unused_chunk(lua_State *L, struct neap *rt) {
  struct anchors *a = &rt->anchors;
  for (int i = 0; i < a->count; i++)
    if (!a->chunks[i]) return i;
  if (a->count == a->capacity) {
    int capacity = a->capacity ? a->capacity * 2 : 16;
    struct anchor_chunk **chunks = 
        memory_realloc(rt->memory, a->chunks, (size_t)capacity * sizeof(void *));
    if (!chunks) luaL_error(L, "not enough memory");
    a->chunks = chunks;
    a->capacity = capacity;
  }
  return a->count;
}

/* Puts the value on top in the place of the chunk's table, and pops it. */
static void set_table(lua_State *L, struct anchors *a, int number) {
  lua_xmove(L, a->tables, 1);
  if (lua_gettop(a->tables) > number + 1) lua_replace(a->tables, number + 1);
}

/* Making the table may run finalizers, which may add a chunk themselves: so it comes first. */
static void add_chunk(lua_State *L, struct neap *rt) {
  struct anchors *a = &rt->anchors;
  lua_createtable(L, CHUNK, 0);
  int number = unused_chunk(L, rt);
  if (!lua_checkstack(a->tables, 4)) luaL_error(L, "not enough memory");
  set_table(L, a, number);
  struct anchor_chunk *chunk = memory_alloc(rt->memory, sizeof *chunk);
  if (!chunk) luaL_error(L, "not enough memory");
  chunk->free_count = CHUNK;
  for (int i = 0; i < CHUNK; i++) chunk->free[i] = (uint16_t)(CHUNK - i);
  chunk->next = a->open;
  a->chunks[number] = chunk;
  if (number == a->count) a->count++;
  a->open = number;
}

/* Gives back a chunk that holds nothing, unless it is the only one with room. */
static void drop_chunk(lua_State *L, struct anchors *a, int number) {
  int *link = &a->open;
  if (a->open == number && a->chunks[number]->next == NO_CHUNK) return;
  while (*link != number) link = &a->chunks[*link]->next;
  *link = a->chunks[number]->next;
  memory_free(a->chunks[number]);
  a->chunks[number] = NULL;
  lua_pushboolean(L, 0);
  set_table(L, a, number);
}

/* --- slots --- */

int anchor_new(lua_State *L, struct neap *rt) {
  struct anchors *a = &rt->anchors;
  luaL_checkstack(L, 4, "not enough memory");
  runtime_check_open(L, rt, "neap");
  if (a->open == NO_CHUNK) add_chunk(L, rt);
  int number = a->open;
  struct anchor_chunk *chunk = a->chunks[number];
  int index = chunk->free[chunk->free_count - 1];
  lua_xmove(L, a->tables, 1);
  lua_rawseti(a->tables, number + 1, index);
  if (--chunk->free_count == 0) a->open = chunk->next;
  return number * CHUNK + index;
}

void anchor_push(lua_State *L, struct neap *rt, int slot) {
  lua_State *tables = rt->anchors.tables;
  lua_rawgeti(tables, (slot - 1) / CHUNK + 1, (slot - 1) % CHUNK + 1);
  lua_xmove(tables, L, 1);
}

void anchor_set(lua_State *L, struct neap *rt, int slot) {
  lua_State *tables = rt->anchors.tables;
  lua_xmove(L, tables, 1);
  lua_rawseti(tables, (slot - 1) / CHUNK + 1, (slot - 1) % CHUNK + 1);
}

void anchor_release(lua_State *L, struct neap *rt, int slot) {
  struct anchors *a = &rt->anchors;
  int number = (slot - 1) / CHUNK, index = (slot - 1) % CHUNK + 1;
  if (!a->chunks) return;
  struct anchor_chunk *chunk = a->chunks[number];
  lua_pushboolean(a->tables, 0); /* not nil: the slot keeps its place in the table's array */
  lua_rawseti(a->tables, number + 1, index);
  chunk->free[chunk->free_count++] = (uint16_t)index;
  if (chunk->free_count == 1) {
    chunk->next = a->open;
    a->open = number;
  }
  if (chunk->free_count == CHUNK) drop_chunk(L, a, number);
}
