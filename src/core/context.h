/* Context variables: each task and each callback has a context, a table that is never changed but replaced,
 * so that it costs nothing to inherit. It is nil until a variable is set. */
#ifndef NEAP_CORE_CONTEXT_H
#define NEAP_CORE_CONTEXT_H

#include <lua.h>

struct neap;

void context_open(lua_State *L, struct neap *rt);

/* Pushes the context of what is running. */
void context_push(lua_State *L, struct neap *rt);

/* Makes the value on top, which it pops, the context of what is running. May raise for want of memory. */
void context_set(lua_State *L, struct neap *rt);

/* Gives the new task at [index] the context of what is running. */
void context_inherit(lua_State *L, struct neap *rt, int index);

#endif
