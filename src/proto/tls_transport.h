/* TLS as a transport over a transport. OpenSSL sees a BIO that takes what the lower one has received and writes
 * straight to it. Plaintext is encrypted in pieces while the lower one's queue is short, and waits here otherwise. */
#ifndef NEAP_PROTO_TLS_TRANSPORT_H
#define NEAP_PROTO_TLS_TRANSPORT_H

#include "io/transport.h"
#include "proto/tls_context.h"

struct tls;

/* A session in DER. */
struct tls_session {
  const unsigned char *bytes; /* or NULL: there is none */
  long length;
};

struct tls_options {
  struct tls_context *context;
  bool server;
  const char *hostname; /* that a client asks for, or NULL */
  bool checks_hostname; /* and that the certificate must be for */
  struct tls_protocols protocols; /* if any, in place of the context's */
  struct tls_session session;     /* to be resumed */
};

/* Takes the lower transport over, and [kept]: a copy of what was received and not read. Returns 0 and the transport,
 * or an error: then the lower one is as it was. */
int tls_transport_new(struct transport *lower, const struct tls_options *options, const uv_buf_t *kept,
                      struct transport **result);

/* Begins the handshake; [ended]: nothing more will come. [done] is told of its end, once, perhaps at once: 0,
 * UV_ECANCELED if it was closed meanwhile, or the error that it has now. */
void tls_transport_shake(struct transport *t, bool ended, void (*done)(void *waiter, int status), void *waiter);

/* [done] will not be told. */
void tls_transport_forget(struct transport *t);

/* NULL if it is of another kind. */
struct tls *tls_transport_of(struct transport *t);

SSL *tls_transport_ssl(const struct tls *tls);
const char *tls_transport_hostname(const struct tls *tls); /* or NULL */
bool tls_transport_is_server(const struct tls *tls);
bool tls_transport_is_shaken(const struct tls *tls);
bool tls_transport_is_verified(const struct tls *tls); /* the peer's certificate must be good */

/* For a context's callbacks. */
struct tls_context *tls_transport_context(const struct tls *tls);
void tls_transport_set_context(struct tls *tls, struct tls_context *context);
const struct tls_protocols *tls_transport_protocols(const struct tls *tls);

/* Called while a certificate is refused: [reason] says why. */
void tls_transport_refuse(struct tls *tls, const char *code, const char *reason);

#endif
