/* Streams, connections and listeners: what is made of libuv's handles. */
#ifndef NEAP_IO_IO_H
#define NEAP_IO_IO_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct neap;
struct slab;

/* Registers the kinds of object of this room and sets its functions as fields of the table on top.
 * Returns 0. */
int io_open(lua_State *L, struct neap *rt);

/* The block that this runtime's reads go through. */
struct slab *io_slab(lua_State *L);

/* Checks for the arguments of calls that take a host, a port and a table of options. */
const char *io_check_host(lua_State *L, int index);
int io_check_port(lua_State *L, int index);

/* Pushes "host:port", for messages. */
const char *io_push_target(lua_State *L, const char *host, int port);

/* Options of the table at [index], if there is one, or their defaults: "limit" (bytes), a boolean,
 * a positive integer. */
size_t io_option_limit(lua_State *L, int index);
bool io_option_boolean(lua_State *L, int index, const char *name, bool otherwise);
int io_option_integer(lua_State *L, int index, const char *name, int otherwise);

/* Whether the option "tls" asks for TLS: it is true, a table of options or a context. */
bool io_option_tls(lua_State *L, int index);

/* Calls the function that set_tls_opener was given with the name of the call and its [count] first arguments. To be
 * returned. */
int io_open_tls(lua_State *L, const char *call, int count);

/* A number of seconds, not negative; and of the option "keepalive", where true is one too: 0 if it is not asked for. */
double io_option_seconds(lua_State *L, int index, const char *name, double otherwise);
int io_option_keepalive(lua_State *L, int index);

#endif
