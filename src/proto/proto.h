/* Protocols over streams, each with the one library that it needs. */
#ifndef NEAP_PROTO_PROTO_H
#define NEAP_PROTO_PROTO_H

#include <lua.h>

struct neap;

/* Sets the functions of this room as fields of the table on top, and adds to the methods of streams. */
void proto_open(lua_State *L, struct neap *rt);

#endif
