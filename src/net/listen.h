/* Beginning to listen: what start_server and start_unix_server are made of. */
#ifndef NEAP_NET_LISTEN_H
#define NEAP_NET_LISTEN_H

#include <lua.h>

#include "net/listener.h"

struct neap;

/* Where the arguments of start_server lie; the handler is the first in each of the two. */
enum { ARG_HANDLER = 1, ARG_HOST, ARG_PORT, ARG_OPTIONS };

/* Sets its functions as fields of the table on top. */
void listen_open(lua_State *L, struct neap *rt);

/* The rest of start_server, whose arguments were checked but for the hosts. To be returned. */
int listen_on_hosts(lua_State *L);

/* Options of the table at [index]. */
struct listener_options listen_check_options(lua_State *L, int index);
int listen_check_backlog(lua_State *L, int index);

/* The function that was given to start_server_with gets the handler, the list of listeners on top, the options at
 * [options], and the name of the call. To be returned. */
int listen_make_server(lua_State *L, int options, const char *call);

#endif
