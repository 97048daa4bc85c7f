#include "proto/tls_options.h"

#include <lauxlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/object.h"
#include "core/options.h"
#include "core/runtime.h"
#include "proto/tls_pem.h"

static const char *const option_names[] = {
    "verify",   "ca",          "ca_file",     "ca_path", "cert",         "key", "cert_pem",        "key_pem",
    "password", "min_version", "max_version", "ciphers", "ciphersuites", "sni", "session_tickets", "alpn",
    NULL,
};

static const char *const file_names[] = {"ca_file", "ca_path", "cert", "key", NULL};

/* Registry key of the context of clients that say nothing. */
static const char default_key;

void tls_options_load(lua_State *L, const char *call) {
  const char *failure = openssl_load();
  if (failure) error_misuse(L, "%s: %s", call, failure);
}

/* --- single options --- */

static int bad_option(lua_State *L, int index, const char *name, const char *what) {
  return luaL_argerror(L, index, lua_pushfstring(L, "the option '%s' %s", name, what));
}

const char *tls_options_string(lua_State *L, int index, const char *name) {
  size_t length;
  if (lua_getfield(L, index, name) == LUA_TNIL) return NULL;
  if (lua_type(L, -1) != LUA_TSTRING) bad_option(L, index, name, "is not a string");
  const char *string = lua_tolstring(L, -1, &length);
  if (strlen(string) != length) bad_option(L, index, name, "contains a zero byte");
  return string;
}

void tls_options_check(lua_State *L, int index, const char *const more[]) {
  options_check_of_two(L, index, option_names, more);
}

/* The protocols can be said for each connection, too. */
bool tls_options_has_any(lua_State *L, int index) {
  bool any = false;
  for (const char *const *name = option_names; *name && !any; name++) {
    any = lua_getfield(L, index, *name) != LUA_TNIL && strcmp(*name, "alpn") != 0;
    lua_pop(L, 1);
  }
  return any;
}

static enum tls_verify check_verify(lua_State *L, int index) {
  static const char *const words[] = {"none", "optional", "required", NULL};
  static const enum tls_verify values[] = {TLS_VERIFY_NONE, TLS_VERIFY_OPTIONAL, TLS_VERIFY_REQUIRED};
  enum tls_verify verify = TLS_VERIFY_USUAL;
  int type = lua_getfield(L, index, "verify");
  if (type == LUA_TBOOLEAN) {
    verify = lua_toboolean(L, -1) ? TLS_VERIFY_REQUIRED : TLS_VERIFY_NONE;
  } else if (type != LUA_TNIL) {
    const char *word = type == LUA_TSTRING ? lua_tostring(L, -1) : "";
    int i = 0;
    while (words[i] && strcmp(words[i], word)) i++;
    if (!words[i]) bad_option(L, index, "verify", "is not true, false, 'none', 'optional' or 'required'");
    verify = values[i];
  }
  lua_pop(L, 1);
  return verify;
}

static int check_version(lua_State *L, int index, const char *name, int otherwise) {
  const char *text = tls_options_string(L, index, name);
  int version = !text                      ? otherwise
                : strcmp(text, "1.2") == 0 ? TLS1_2_VERSION
                : strcmp(text, "1.3") == 0 ? TLS1_3_VERSION
                                           : -1;
  if (version < 0) bad_option(L, index, name, "is neither '1.2' nor '1.3'");
  lua_pop(L, 1);
  return version;
}

static void set_versions(lua_State *L, int index, SSL_CTX *ssl) {
  int min = check_version(L, index, "min_version", TLS1_2_VERSION);
  int max = check_version(L, index, "max_version", 0);
  if (max > 0 && min > max) bad_option(L, index, "min_version", "is above 'max_version'");
  SSL_CTX_set_min_proto_version(ssl, min);
  SSL_CTX_set_max_proto_version(ssl, max);
}

static void set_ciphers(lua_State *L, int index, SSL_CTX *ssl) {
  const char *list = tls_options_string(L, index, "ciphers");
  if (list && !SSL_CTX_set_cipher_list(ssl, list)) bad_option(L, index, "ciphers", "names no cipher");
  lua_pop(L, 1);
  list = tls_options_string(L, index, "ciphersuites");
  if (list && !SSL_CTX_set_ciphersuites(ssl, list)) bad_option(L, index, "ciphersuites", "names an unknown cipher");
  lua_pop(L, 1);
}

static void set_tickets(lua_State *L, int index, SSL_CTX *ssl) {
  if (lua_getfield(L, index, "session_tickets") != LUA_TNIL && !lua_toboolean(L, -1)) {
    SSL_CTX_set_num_tickets(ssl, 0);
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
  }
  lua_pop(L, 1);
}

/* --- lists --- */

/* The bytes that the list on top takes. */
static size_t protocols_length(lua_State *L, int index) {
  size_t length = 0, one;
  for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &one) : NULL;
    if (!name || one < 1 || one > 255) bad_option(L, index, "alpn", "is not a list of names");
    length += one + 1;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  if (length == 0 || length > 65535) bad_option(L, index, "alpn", "is not a list of names");
  return length;
}

void tls_options_push_protocols(lua_State *L, int index, struct tls_protocols *protocols) {
  *protocols = (struct tls_protocols){NULL, 0};
  int type = lua_getfield(L, index, "alpn");
  if (type == LUA_TNIL) return;
  if (type != LUA_TTABLE) bad_option(L, index, "alpn", "is not a list of names");
  size_t length = protocols_length(L, index), used = 0, one;
  unsigned char *bytes = lua_newuserdatauv(L, length, 0);
  lua_insert(L, -2);
  for (lua_Integer i = 1; used < length && lua_rawgeti(L, -1, i) == LUA_TSTRING; i++) {
    const char *name = lua_tolstring(L, -1, &one);
    bytes[used] = (unsigned char)one;
    memcpy(bytes + used + 1, name, one);
    used += one + 1;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  *protocols = (struct tls_protocols){bytes, (unsigned)used};
}

static int set_protocols(lua_State *L, int index, struct tls_context *context) {
  struct tls_protocols protocols;
  tls_options_push_protocols(L, index, &protocols);
  int status = tls_protocols_copy(&context->protocols, context->memory, &protocols);
  lua_pop(L, 1);
  return status;
}

static int set_names(lua_State *L, int index, struct tls_context *context) {
  int status = 0, top = lua_gettop(L), type = lua_getfield(L, index, "sni");
  if (type != LUA_TNIL && type != LUA_TTABLE) bad_option(L, index, "sni", "is not a table of contexts");
  for (lua_pushnil(L); type == LUA_TTABLE && status == 0 && lua_next(L, -2); lua_pop(L, 1)) {
    struct tls_context *other = tls_options_test(L, -1);
    if (!other || lua_type(L, -2) != LUA_TSTRING) bad_option(L, index, "sni", "is not a table of contexts by name");
    status = tls_context_add_name(context, lua_tostring(L, -2), other);
  }
  lua_settop(L, top);
  return status;
}

/* --- certificates --- */

/* Pushes what the options give, [pem] or a [file], and sets *[text]; or returns an error's three values. */
static int push_pem(lua_State *L, int index, const char *pem, const char *file, struct tls_text *text,
                    const char *operation) {
  *text = (struct tls_text){NULL, 0, NULL};
  if (lua_getfield(L, index, pem) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TSTRING) bad_option(L, index, pem, "is not a string");
    text->bytes = lua_tolstring(L, -1, &text->length);
    text->name = pem;
    return 0;
  }
  lua_pop(L, 1);
  const char *path = tls_options_string(L, index, file);
  if (!path) return 0;
  int status = tls_pem_push_file(L, path, text);
  return status < 0 ? error_return(L, status, operation, path) : 0;
}

static int refuse(lua_State *L, const char *operation, const struct tls_text *text, const char *reason) {
  return error_return_as(L, "TLS_CONTEXT", reason, operation, text->name);
}

static int set_trusted(lua_State *L, int index, struct tls_context *context, const char *operation) {
  struct tls_text text;
  int top = lua_gettop(L);
  int failed = push_pem(L, index, "ca", "ca_file", &text, operation);
  if (failed) return failed;
  const char *reason = text.bytes ? tls_pem_trust(context, &text) : NULL;
  if (reason) return refuse(L, operation, &text, reason);
  const char *path = tls_options_string(L, index, "ca_path");
  int status = path ? tls_pem_trust_folder(context, path) : 0;
  context->trusts = text.bytes || path;
  if (status < 0) return error_return(L, status, operation, path);
  lua_settop(L, top);
  return 0;
}

static int set_certificate(lua_State *L, int index, struct tls_context *context, const char *operation) {
  struct tls_text certificate, key;
  int top = lua_gettop(L);
  int failed = push_pem(L, index, "cert_pem", "cert", &certificate, operation);
  if (!failed) failed = push_pem(L, index, "key_pem", "key", &key, operation);
  if (failed) return failed;
  if (!certificate.bytes && key.bytes) bad_option(L, index, "key", "needs 'cert'");
  if (!certificate.bytes) return lua_settop(L, top), 0;
  if (!key.bytes) key = certificate; /* both in one file */
  const char *password = tls_options_string(L, index, "password");
  const char *reason = tls_pem_certificate(context, &certificate);
  if (reason) return refuse(L, operation, &certificate, reason);
  reason = tls_pem_key(context, &key, password);
  if (reason) return refuse(L, operation, &key, reason);
  context->has_certificate = true;
  lua_settop(L, top);
  return 0;
}

/* --- contexts --- */

struct tls_context *tls_options_test(lua_State *L, int index) {
  struct neap *rt = runtime_get(L);
  struct tls_context **box = object_test(L, index, OBJECT_TLS_CONTEXT);
  return box && !rt->closed ? *box : NULL;
}

/* The runtime's end may come without the finalizer: Lua drops one that it has no memory to call. */
static void let_go(struct neap *rt, struct resource *resource) {
  (void)rt;
  tls_context_let_go(container_of(resource, struct tls_context, resource));
}

static struct tls_context *push_new(lua_State *L) {
  struct neap *rt = runtime_get(L);
  struct tls_context **box = object_new(L, rt, OBJECT_TLS_CONTEXT, sizeof *box, 0);
  *box = NULL;
  *box = tls_context_new(rt->memory);
  if (!*box) return NULL;
  (*box)->resource = (struct resource){.close = let_go, .no_handle = true};
  list_append(&rt->resources, &(*box)->resource.link);
  return *box;
}

static int no_memory(lua_State *L, const char *operation) { return error_return(L, UV_ENOMEM, operation, NULL); }

/* Files are not for restricted scripts. */
static void check_files(lua_State *L, int index) {
  if (!limits_restricted(runtime_get(L))) return;
  for (const char *const *name = file_names; *name; name++, lua_pop(L, 1))
    if (lua_getfield(L, index, *name) != LUA_TNIL) bad_option(L, index, *name, "is not for restricted scripts");
}

static int fill_in(lua_State *L, int index, struct tls_context *context, const char *operation) {
  context->verify = check_verify(L, index);
  set_versions(L, index, context->ssl);
  set_ciphers(L, index, context->ssl);
  set_tickets(L, index, context->ssl);
  if (set_protocols(L, index, context) < 0 || set_names(L, index, context) < 0) return no_memory(L, operation);
  int failed = set_trusted(L, index, context, operation);
  return failed ? failed : set_certificate(L, index, context, operation);
}

int tls_options_push(lua_State *L, int index, const char *operation) {
  luaL_checkstack(L, LUA_MINSTACK, "not enough memory");
  check_files(L, index);
  struct tls_context *context = push_new(L);
  if (!context) return no_memory(L, operation);
  int failed = fill_in(L, index, context, operation);
  return failed ? failed : 1;
}

int tls_options_push_default(lua_State *L, const char *operation) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &default_key) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  if (!push_new(L)) return no_memory(L, operation);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &default_key);
  return 1;
}

/* tls_context(options): a context, or nil, err, code. */
static int l_tls_context(lua_State *L) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  options_check(L, 1, option_names);
  tls_options_load(L, "tls.context");
  return tls_options_push(L, 1, "tls.context");
}

static int l_gc(lua_State *L) {
  struct tls_context **box = object_end(L, 1, OBJECT_TLS_CONTEXT);
  if (!box || !*box || runtime_of(L)->closed) return 0;
  list_remove(&(*box)->resource.link);
  tls_context_let_go(*box);
  return 0;
}

static const luaL_Reg methods[] = {{"__gc", l_gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"tls_context", l_tls_context}, {NULL, NULL}};

void tls_options_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_TLS_CONTEXT, "neap.TLSContext", methods);
  lua_pop(L, 1);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
