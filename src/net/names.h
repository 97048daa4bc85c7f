#ifndef NEAP_NET_NAMES_H
#define NEAP_NET_NAMES_H

#include <lua.h>

struct neap;

/* Sets getaddrinfo and getnameinfo as fields of the table on top. */
void names_open(lua_State *L, struct neap *rt);

#endif
