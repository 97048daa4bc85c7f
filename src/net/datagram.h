/* Datagram sockets as scripts see them: over UDP. */
#ifndef NEAP_NET_DATAGRAM_H
#define NEAP_NET_DATAGRAM_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/endpoint.h"

struct receive_op;

/* It lives in a userdata, which the functions that wait have as their first argument or upvalue. */
struct datagram_socket {
  struct neap *rt;
  struct endpoint *endpoint;    /* NULL: closed */
  struct receive_op *receiving; /* one task at a time may receive */
  union address local;
};

/* Registers the kind of object and sets open_datagram_socket as a field of the table on top. */
void datagram_open(lua_State *L, struct neap *rt);

/* Pushes a socket that has no endpoint yet: to be given one, or dropped. */
struct datagram_socket *datagram_new(lua_State *L, struct neap *rt);

/* The socket now owns the endpoint. */
void datagram_attach(struct datagram_socket *s, struct endpoint *e);

/* The socket that is the first argument; raises if it is none, or is closed. */
struct datagram_socket *datagram_check(lua_State *L);
struct datagram_socket *datagram_check_open(lua_State *L, const char *call);

/* Pushes host and port; returns 2. */
int datagram_push_address(lua_State *L, const union address *address);

/* Pushes nil, err, code for a call that concerns [address], or the socket's own if that is NULL. */
int datagram_failure(lua_State *L, const struct datagram_socket *s, int status, const char *call,
                     const union address *address);

/* The socket is being closed: whoever waits in receive gets what has come for him, or nil. */
void datagram_end_receiving(struct datagram_socket *s);

/* For endpoint_own: something has come. */
void datagram_arrived(void *owner);

/* What is defined elsewhere: receiving; sending and connecting; the opening of one. */
extern const luaL_Reg datagram_receive_methods[], datagram_send_methods[];
int l_open_datagram_socket(lua_State *L);

#endif
