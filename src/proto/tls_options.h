/* What scripts say of a context, and contexts as scripts have them. */
#ifndef NEAP_PROTO_TLS_OPTIONS_H
#define NEAP_PROTO_TLS_OPTIONS_H

#include <lua.h>
#include <stdbool.h>

#include "proto/tls_context.h"

struct neap;

/* Registers the kind of object, and sets tls_context in the table on top. */
void tls_options_open(lua_State *L, struct neap *rt);

/* Raises unless OpenSSL is there. */
void tls_options_load(lua_State *L, const char *call);

/* The context that is the value at [index], or NULL. */
struct tls_context *tls_options_test(lua_State *L, int index);

/* Whether an option of the table at [index] is one of a context. */
bool tls_options_has_any(lua_State *L, int index);

/* Pushes a context made of those options of the table at [index], and returns 1; or nil, err, code. */
int tls_options_push(lua_State *L, int index, const char *operation);

/* Pushes the context of clients that say nothing, made once; or nil, err, code. */
int tls_options_push_default(lua_State *L, const char *operation);

/* Reads the option alpn; what [protocols] gets lies in a userdata that it pushes, or in nothing. */
void tls_options_push_protocols(lua_State *L, int index, struct tls_protocols *protocols);

/* An option that is a string without zero bytes, pushed, or NULL, with nil pushed. */
const char *tls_options_string(lua_State *L, int index, const char *name);

/* Raises for an option of the table at [index] that is among neither list; NULL ends each. */
void tls_options_check(lua_State *L, int index, const char *const more[]);

#endif
