/* The functions of this room as scripts see them: module "neap.core". */
#ifndef NEAP_CORE_LIBRARY_H
#define NEAP_CORE_LIBRARY_H

#include <lua.h>

struct neap;

/* Makes the library's table and keeps it. */
void library_open(lua_State *L, struct neap *rt);

/* Pushes the table. */
void library_push(lua_State *L);

#endif
