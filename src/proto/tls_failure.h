/* What went wrong, as scripts are told: a code of the documented list, and a sentence. */
#ifndef NEAP_PROTO_TLS_FAILURE_H
#define NEAP_PROTO_TLS_FAILURE_H

#include <stddef.h>

#include "proto/openssl.h"

enum { TLS_REASON_MAX = 400 };

struct tls_failure {
  const char *code; /* "TLS_ALERT" */
  char reason[TLS_REASON_MAX];
};

/* Of the errors that OpenSSL has noted last. [shaken]: the handshake had ended. */
void tls_failure_read(struct tls_failure *failure, bool shaken);

/* Of a certificate that is refused. [hostname] is what it should be for, or NULL. */
void tls_failure_of_certificate(struct tls_failure *failure, int error, X509 *certificate, const char *hostname);

/* The verify callback of every connection. */
int tls_on_certificate(int good, X509_STORE_CTX *chain);

#endif
