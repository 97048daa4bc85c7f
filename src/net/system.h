/* What modules in Lua that stand for other libraries ask of the system and of the loop, beside their sockets. */
#ifndef NEAP_NET_SYSTEM_H
#define NEAP_NET_SYSTEM_H

#include <lua.h>

struct neap;

/* Sets functions, and `null`, as fields of the table on top. */
void system_open(lua_State *L, struct neap *rt);

#endif
