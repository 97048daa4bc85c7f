/* Slots that keep Lua values alive for C. A slot is held as long as its owner lives, and is filled and
 * emptied without allocating. They come in chunks, so that a burst leaves nothing behind. */
#ifndef NEAP_CORE_ANCHOR_H
#define NEAP_CORE_ANCHOR_H

#include <lua.h>

struct neap;

struct anchors {
  lua_State *tables;            /* a thread that never runs: its stack holds a table for each chunk */
  struct anchor_chunk **chunks; /* NULL where a chunk was given back */
  int count;
  int capacity;
  int open;                     /* a chunk with a free slot, the head of a list; or -1 */
};

void anchors_open(lua_State *L, struct neap *rt);
void anchors_free(struct neap *rt);

/* Anchors the value on top of the stack and pops it. Slots are never 0. May raise for want of memory. */
int anchor_new(lua_State *L, struct neap *rt);

void anchor_push(lua_State *L, struct neap *rt, int slot);

/* Replaces what the slot holds by the value on top, and pops it. Cannot raise. */
void anchor_set(lua_State *L, struct neap *rt, int slot);

/* Gives the slot back. Cannot raise. */
void anchor_release(lua_State *L, struct neap *rt, int slot);

#endif
