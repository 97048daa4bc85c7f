/* Slots of one registry table that keep Lua values alive for C. Unlike luaL_ref a slot is held
 * as long as its owner lives and is filled and emptied without allocating. */
#ifndef NEAP_CORE_ANCHOR_H
#define NEAP_CORE_ANCHOR_H

#include <lua.h>

struct neap;

struct anchors {
  int table;       /* registry reference */
  int last;        /* highest slot ever used */
  int *free;       /* stack of slots that were given back */
  int free_count;
  int free_capacity;
};

void anchors_open(lua_State *L, struct neap *rt);
void anchors_free(struct neap *rt);

/* Anchors the value on top of the stack and pops it. May raise for want of memory. */
int anchor_new(lua_State *L, struct neap *rt);

/* Replaces what the slot holds by the value on top, and pops it. Cannot raise. */
void anchor_set(lua_State *L, struct neap *rt, int slot);

void anchor_push(lua_State *L, struct neap *rt, int slot);

/* Gives the slot back. Cannot raise. */
void anchor_release(lua_State *L, struct neap *rt, int slot);

#endif
