/* start_tls, and what a stream tells of its TLS. */
#ifndef NEAP_PROTO_TLS_STREAM_H
#define NEAP_PROTO_TLS_STREAM_H

#include <lua.h>

struct neap;

/* Adds the methods to streams, and functions to the table on top. */
void tls_stream_open(lua_State *L, struct neap *rt);
void tls_info_open(lua_State *L, struct neap *rt);

/* The session in the value at [index], which must be one that [hostname] has given, or nil. It lies there. [argument] is
 * where the options are. */
struct tls_session tls_info_session(lua_State *L, int argument, int index, const char *hostname);

#endif
