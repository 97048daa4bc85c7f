#include "proto/proto.h"

#include <lauxlib.h>

#include "core/error.h"
#include "core/object.h"
#include "core/runtime.h"

#ifdef NEAP_TLS

#include "proto/tls_options.h"
#include "proto/tls_stream.h"

void proto_open(lua_State *L, struct neap *rt) {
  tls_options_open(L, rt);
  tls_info_open(L, rt);
  tls_stream_open(L, rt);
}

#else

static int l_no_tls(lua_State *L) { return error_misuse(L, "neap was built without TLS"); }

static int l_nil(lua_State *L) { return lua_pushnil(L), 1; }

static const luaL_Reg methods[] = {{"start_tls", l_no_tls}, {"tls_info", l_nil}, {"tls_session", l_nil}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"tls_context", l_no_tls}, {"start_tls", l_no_tls}, {"tls_check_server", l_no_tls},
                                     {NULL, NULL}};

void proto_open(lua_State *L, struct neap *rt) {
  object_push_metatable(L, rt, OBJECT_STREAM);
  object_add_methods(L, methods);
  lua_pop(L, 1);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}

#endif
