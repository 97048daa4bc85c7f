/* Connections, listeners, datagrams, names, and the sockets of LuaSocket's kind. */
#ifndef NEAP_NET_NET_H
#define NEAP_NET_NET_H

#include <lua.h>

struct neap;

/* Registers the kinds of object of this room and sets its functions as fields of the table on top. */
void net_open(lua_State *L, struct neap *rt);

#endif
