#ifndef NEAP_NET_TCP_H
#define NEAP_NET_TCP_H

#include <lua.h>

struct neap;

/* Sets open_connection as a field of the table on top. */
void tcp_open(lua_State *L, struct neap *rt);

#endif
