/* Beginning to listen: what start_server and start_unix_server are made of. */
#ifndef NEAP_IO_LISTEN_H
#define NEAP_IO_LISTEN_H

#include <lua.h>

struct neap;

/* Sets its functions as fields of the table on top. */
void listen_open(lua_State *L, struct neap *rt);

#endif
