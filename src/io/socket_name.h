/* Names of hosts and services, both ways. */
#ifndef NEAP_IO_SOCKET_NAME_H
#define NEAP_IO_SOCKET_NAME_H

#include <lua.h>

/* resolve(host or nil, service or nil, family or nil, passive): a list of {family =, addr =, port =, name =}
 * or nil, code, text. */
int l_resolve(lua_State *L);

/* resolve_address(host, port, family or nil): name of the host, name of the service; or nil, code, text. */
int l_resolve_address(lua_State *L);

/* host_name(): of this machine. */
int l_host_name(lua_State *L);

#endif
