/* The way from calls that open connections to TLS, which is made of what is above this room. */
#ifndef NEAP_NET_TLS_OPENER_H
#define NEAP_NET_TLS_OPENER_H

#include <lua.h>
#include <stdbool.h>

/* Whether the option "tls" of the table at [index] asks for TLS: it is true, a table of options or a context. */
bool net_option_tls(lua_State *L, int index);

/* Calls the function that set_tls_opener was given with the name of the call and its [count] first arguments. To be
 * returned. */
int net_open_tls(lua_State *L, const char *call, int count);

/* Sets set_tls_opener as a field of the table on top. */
void tls_opener_open(lua_State *L);

#endif
