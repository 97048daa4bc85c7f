/* How a TLS transport begins, and what others ask it. */
#include <string.h>

#include "core/runtime.h"
#include "io/address.h"
#include "proto/tls_state.h"

static int verify_mode(const struct tls *tls) {
  enum tls_verify verify = tls->context->verify;
  if (!tls->server) return verify == TLS_VERIFY_NONE ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
  return verify == TLS_VERIFY_REQUIRED   ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
         : verify == TLS_VERIFY_OPTIONAL ? SSL_VERIFY_PEER
                                         : SSL_VERIFY_NONE;
}

/* What OpenSSL does not take from a context. A server's sessions are of the context that they began with, which its
 * address tells from all others that could resume them. */
static void apply_context(struct tls *tls) {
  int mode = verify_mode(tls);
  SSL_set_verify(tls->ssl, mode, mode == SSL_VERIFY_NONE ? NULL : tls_on_certificate);
  if (tls->server)
    SSL_set_session_id_context(tls->ssl, (const unsigned char *)&tls->context, sizeof tls->context);
}

/* The name as it goes over the wire, and stands in certificates: without the dot of the root, or a zone. */
static char *copy_hostname(struct memory *memory, const char *hostname) {
  size_t length = strcspn(hostname, "%");
  if (length > 1 && hostname[length - 1] == '.') length--;
  char *copy = memory_alloc(memory, length + 1);
  if (!copy) return NULL;
  memcpy(copy, hostname, length);
  copy[length] = '\0';
  return copy;
}

/* Addresses are not asked for by name. */
static bool set_hostname(struct tls *tls, bool checks) {
  union address address;
  bool numeric = address_parse(&address, tls->hostname, 0);
  if (!numeric && !SSL_set_tlsext_host_name(tls->ssl, tls->hostname)) return false;
  if (!checks) return true;
  SSL_set_hostflags(tls->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (numeric) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), tls->hostname);
  return SSL_set1_host(tls->ssl, tls->hostname);
}

static int set_session(SSL *ssl, struct tls_session session) {
  if (!session.bytes) return 0;
  SSL_SESSION *resumed = d2i_SSL_SESSION(NULL, &session.bytes, session.length);
  if (!resumed) return UV_ENOMEM;
  int status = SSL_set_session(ssl, resumed) ? 0 : UV_EINVAL;
  SSL_SESSION_free(resumed);
  return status;
}

static int set_up_client(struct tls *tls, const struct tls_options *options) {
  const struct tls_protocols *protocols = tls_transport_protocols(tls);
  SSL_set_connect_state(tls->ssl);
  if (options->hostname) {
    tls->hostname = copy_hostname(tls->base.rt->memory, options->hostname);
    if (!tls->hostname) return UV_ENOMEM;
    if (!set_hostname(tls, options->checks_hostname)) return UV_EINVAL;
  }
  if (protocols->bytes && SSL_set_alpn_protos(tls->ssl, protocols->bytes, protocols->length)) return UV_ENOMEM;
  return set_session(tls->ssl, options->session);
}

static int set_up_ssl(struct tls *tls, const struct tls_options *options) {
  ERR_clear_error();
  tls->ssl = SSL_new(tls->context->ssl);
  BIO *bio = tls->ssl ? tls_bio_new(&tls->input) : NULL;
  if (!bio) return UV_ENOMEM;
  SSL_set_bio(tls->ssl, bio, bio);
  if (!SSL_set_ex_data(tls->ssl, OPENSSL_DATA, tls)) return UV_ENOMEM;
  apply_context(tls);
  if (!tls->server) return set_up_client(tls, options);
  SSL_set_accept_state(tls->ssl);
  return 0;
}

static int set_up(struct tls *tls, const struct tls_options *options, struct transport *lower,
                  const uv_buf_t *kept) {
  struct memory *memory = lower->rt->memory;
  tls->context = tls_context_hold(options->context);
  tls->server = options->server;
  tls->input.kept.memory = tls->unsent.memory = memory;
  tls->charged = memory_charge(memory, TLS_CONNECTION_BYTES);
  if (!tls->charged) return UV_ENOMEM;
  if (tls_protocols_copy(&tls->protocols, memory, &options->protocols) < 0) return UV_ENOMEM;
  if (lower->label && transport_set_label(&tls->base, lower->label) < 0) return UV_ENOMEM;
  if (kept->len > 0 && buffer_append(&tls->input.kept, kept->base, kept->len) < 0) return UV_ENOMEM;
  tls->base.peer = lower->peer;
  return set_up_ssl(tls, options);
}

/* Of the two the runtime closes the upper one, and counts it. */
int tls_transport_new(struct transport *lower, const struct tls_options *options, const uv_buf_t *kept,
                      struct transport **result) {
  struct tls *tls = transport_new(lower->rt, lower->slab, &tls_kind, sizeof *tls);
  if (!tls) return UV_ENOMEM;
  int status = set_up(tls, options, lower, kept);
  if (status < 0) {
    transport_discard(&tls->base);
    return status;
  }
  tls->lower = tls->input.transport = lower;
  list_remove(&lower->resource.link);
  transport_own(lower, &tls_lower_events, tls);
  *result = &tls->base;
  return 0;
}

/* --- looking inside --- */

struct tls *tls_transport_of(struct transport *t) { return t->kind == &tls_kind ? tls_of(t) : NULL; }

SSL *tls_transport_ssl(const struct tls *tls) { return tls->ssl; }

const char *tls_transport_hostname(const struct tls *tls) { return tls->hostname; }

bool tls_transport_is_server(const struct tls *tls) { return tls->server; }

bool tls_transport_is_shaken(const struct tls *tls) { return tls->shaken; }

bool tls_transport_is_verified(const struct tls *tls) { return verify_mode(tls) != SSL_VERIFY_NONE; }

struct tls_context *tls_transport_context(const struct tls *tls) { return tls->context; }

void tls_transport_set_context(struct tls *tls, struct tls_context *context) {
  SSL_set_SSL_CTX(tls->ssl, context->ssl);
  tls_context_hold(context);
  tls_context_let_go(tls->context);
  tls->context = context;
  apply_context(tls);
}

const struct tls_protocols *tls_transport_protocols(const struct tls *tls) {
  return tls->protocols.bytes ? &tls->protocols : &tls->context->protocols;
}
