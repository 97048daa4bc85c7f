/* Sockets as the system has them, with its calls as methods, for modules in Lua that offer sockets of
 * another kind than neap's streams: see lua/neap/socket.lua. */
#ifndef NEAP_NET_RAW_SOCKET_H
#define NEAP_NET_RAW_SOCKET_H

#include <lua.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "core/runtime.h"

/* Lives in a userdata. No call of it blocks. */
struct raw_socket {
  struct neap *rt;
  struct resource resource; /* while it has a descriptor */
  int fd;                   /* or -1 */
  int family;               /* AF_INET, AF_INET6, AF_UNIX, or AF_UNSPEC without a descriptor */
};

/* Registers the kind of object, and sets functions as fields of the table on top. */
void raw_socket_open(lua_State *L, struct neap *rt);

/* The socket that is the first argument. */
struct raw_socket *raw_socket_check(lua_State *L);

/* Pushes nil, the name of errno's value or of a code of libuv ("ECONNREFUSED"), and what it means. */
int raw_socket_failure(lua_State *L, int status);
int raw_socket_errno(lua_State *L);

/* socket:get_option(name), socket:set_option(name, value, ...): see socket_option.c. */
int l_get_option(lua_State *L);
int l_set_option(lua_State *L);

#endif
