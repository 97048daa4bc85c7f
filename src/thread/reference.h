/* Names for what loaded modules hold: "string", or "string" and "format" with a zero byte between. */
#ifndef NEAP_THREAD_REFERENCE_H
#define NEAP_THREAD_REFERENCE_H

#include <lua.h>
#include <stdbool.h>

void reference_open(lua_State *L);

/* Looks whether modules were loaded since: once before what follows. */
void reference_refresh(lua_State *L);

/* Pushes the name of the value at [index], if it is a loaded module or a function, table or userdata that is a
 * field of one; or else pushes nothing. */
bool reference_push(lua_State *L, int index);

/* Replaces the name on top by what it names, for which the module is required. */
void reference_resolve(lua_State *L);

#endif
