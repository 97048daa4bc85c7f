/* What TLS connections have in common: certificates, whom they trust, what they offer. Shared by the connections made
 * with it, and by contexts that choose it by name. */
#ifndef NEAP_PROTO_TLS_CONTEXT_H
#define NEAP_PROTO_TLS_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "core/runtime.h"
#include "proto/openssl.h"

/* Whether the peer's certificate is asked for and must be good. */
enum tls_verify {
  TLS_VERIFY_USUAL, /* a client does, a server does not ask */
  TLS_VERIFY_NONE,
  TLS_VERIFY_OPTIONAL, /* a server's: there may be none */
  TLS_VERIFY_REQUIRED,
};

/* Protocols as they go over the wire: each behind its length. */
struct tls_protocols {
  unsigned char *bytes; /* or NULL: none are offered */
  unsigned length;
};

/* A name for which a server has a context of its own. */
struct tls_name {
  struct tls_name *next;
  struct tls_context *context;
  char name[];
};

struct tls_context {
  struct resource resource; /* linked while an object of Lua's holds it */
  struct memory *memory;
  unsigned holders;
  SSL_CTX *ssl;
  enum tls_verify verify;
  bool trusts;          /* it was told whom */
  bool has_certificate;
  struct tls_protocols protocols;
  struct tls_name *names;
};

/* With what is safe switched on, and nobody to trust. NULL without memory. */
struct tls_context *tls_context_new(struct memory *memory);

static inline struct tls_context *tls_context_hold(struct tls_context *context) {
  context->holders++;
  return context;
}

/* [context] may be NULL. */
void tls_context_let_go(struct tls_context *context);

/* Servers answer a client that asks for [name], or for a host under "*.example.org", by [other]. Returns 0 or
 * UV_ENOMEM. */
int tls_context_add_name(struct tls_context *context, const char *name, struct tls_context *other);

/* Trusts whom the system trusts, unless it was told whom. */
bool tls_context_trust_system(struct tls_context *context);

/* A copy. Returns 0 or UV_ENOMEM. */
int tls_protocols_copy(struct tls_protocols *to, struct memory *memory, const struct tls_protocols *from);

#endif
