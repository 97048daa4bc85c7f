/* Arguments of calls that take a host and a port. */
#ifndef NEAP_NET_ARGUMENTS_H
#define NEAP_NET_ARGUMENTS_H

#include <lua.h>

/* Checks of a host, which may be a name, and of a port. */
const char *net_check_host(lua_State *L, int index);
int net_check_port(lua_State *L, int index);

/* Pushes "host:port", for messages. */
const char *net_push_target(lua_State *L, const char *host, int port);

/* The option "keepalive" of the table at [index]: a number of seconds; 0 if it is not asked for. */
int net_option_keepalive(lua_State *L, int index);

#endif
