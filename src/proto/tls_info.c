/* What a stream tells of its TLS, and sessions to begin the next one with. */
#include <lauxlib.h>
#include <string.h>
#include <strings.h>

#include "core/error.h"
#include "core/object.h"
#include "core/runtime.h"
#include "io/stream.h"
#include "proto/tls_certificate.h"
#include "proto/tls_stream.h"
#include "proto/tls_transport.h"

/* Lives in a userdata. It is of no use to another host: that would pass for the one it was made with. */
/* In DER: so there is nothing of OpenSSL's to be freed. */
struct session {
  struct tls_session session; /* its bytes, which lie behind [hostname] */
  char hostname[];
};

/* NULL: it has none, or the handshake has not ended. */
static struct tls *check_tls(lua_State *L) {
  struct stream *s = stream_check(L);
  struct tls *tls = s->transport ? tls_transport_of(s->transport) : NULL;
  return tls && tls_transport_is_shaken(tls) ? tls : NULL;
}

/* --- what it tells --- */

static void set_string(lua_State *L, const char *name, const char *value) {
  if (!value) return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

static void set_protocol(lua_State *L, SSL *ssl) {
  const unsigned char *bytes;
  unsigned length;
  SSL_get0_alpn_selected(ssl, &bytes, &length);
  if (length == 0) return;
  lua_pushlstring(L, (const char *)bytes, length);
  lua_setfield(L, -2, "alpn");
}

static void set_certificate(lua_State *L, SSL *ssl) {
  X509 *certificate = SSL_get1_peer_certificate(ssl);
  if (!certificate) return;
  tls_certificate_push(L, certificate);
  lua_setfield(L, -2, "peer_certificate");
}

/* stream:tls_info(): a table, or nil where there is no TLS. */
static int l_tls_info(lua_State *L) {
  struct tls *tls = check_tls(L);
  if (!tls) return lua_pushnil(L), 1;
  SSL *ssl = tls_transport_ssl(tls);
  const char *version = SSL_get_version(ssl); /* "TLSv1.3" */
  lua_createtable(L, 0, 6);
  set_string(L, "version", strncmp(version, "TLSv", 4) == 0 ? version + 4 : version);
  set_string(L, "cipher", SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)));
  set_string(L, "server_hostname", tls_transport_is_server(tls) ? SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)
                                                                : tls_transport_hostname(tls));
  set_protocol(L, ssl);
  set_certificate(L, ssl);
  lua_pushboolean(L, SSL_session_reused(ssl));
  lua_setfield(L, -2, "session_reused");
  return 1;
}

/* --- sessions --- */

static const char *hostname_of(const struct tls *tls) {
  const char *hostname = tls_transport_hostname(tls);
  return hostname ? hostname : "";
}

/* stream:tls_session(): what a later connection of a client to the same host may begin with, or nil if the server
 * has given nothing for that yet: in TLS 1.3 it does so behind the handshake, and it is seen when one reads. */
static int l_tls_session(lua_State *L) {
  struct tls *tls = check_tls(L);
  SSL_SESSION *ssl = tls && !tls_transport_is_server(tls) ? SSL_get_session(tls_transport_ssl(tls)) : NULL;
  int length = ssl && SSL_SESSION_is_resumable(ssl) ? i2d_SSL_SESSION(ssl, NULL) : 0;
  if (length <= 0) return lua_pushnil(L), 1;
  size_t size = strlen(hostname_of(tls)) + 1;
  struct session *session = object_new(L, runtime_of(L), OBJECT_TLS_SESSION, sizeof *session + size + (size_t)length, 0);
  unsigned char *bytes = (unsigned char *)session->hostname + size;
  memcpy(session->hostname, hostname_of(tls), size);
  session->session = (struct tls_session){bytes, length};
  i2d_SSL_SESSION(ssl, &bytes);
  return 1;
}

struct tls_session tls_info_session(lua_State *L, int argument, int index, const char *hostname) {
  if (lua_isnil(L, index)) return (struct tls_session){0};
  struct session *session = object_test(L, index, OBJECT_TLS_SESSION);
  luaL_argcheck(L, session, argument, "the option 'session' is not what stream:tls_session() gives");
  if (strcasecmp(session->hostname, hostname ? hostname : "") != 0)
    luaL_argerror(L, argument, lua_pushfstring(L, "the session is one with '%s'", session->hostname));
  return session->session;
}

static const luaL_Reg session_methods[] = {{NULL, NULL}};

static const luaL_Reg methods[] = {{"tls_info", l_tls_info}, {"tls_session", l_tls_session}, {NULL, NULL}};

void tls_info_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_TLS_SESSION, "neap.TLSSession", session_methods);
  lua_pop(L, 1);
  object_push_metatable(L, rt, OBJECT_STREAM);
  object_add_methods(L, methods);
  lua_pop(L, 1);
}
