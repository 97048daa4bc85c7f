#ifndef NEAP_IO_LISTENER_H
#define NEAP_IO_LISTENER_H

#include <lua.h>

struct neap;

/* Sets start_server_with as a field of the table on top. */
void listener_open(lua_State *L, struct neap *rt);

#endif
