/* The BIO through which OpenSSL reads what a transport has received, and writes to that transport. It copies nothing
 * but what OpenSSL leaves. */
#ifndef NEAP_PROTO_TLS_BIO_H
#define NEAP_PROTO_TLS_BIO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "proto/openssl.h"

struct transport;

/* First [kept], then the bytes that are [lent] for as long as a callback runs. */
struct tls_input {
  struct transport *transport; /* to be written to */
  struct buffer kept;
  const char *lent;
  size_t lent_length;
  bool ended; /* nothing will follow */
  int status; /* and why: 0 at the end of file, or an error */
};

static inline size_t tls_input_length(const struct tls_input *input) {
  return input->lent_length + buffer_length(&input->kept);
}

static inline void tls_input_lend(struct tls_input *input, const char *bytes, size_t length) {
  input->lent = bytes;
  input->lent_length = length;
}

/* Copies what is lent: the callback ends. Returns 0, or -1 without memory. */
int tls_input_keep(struct tls_input *input);

void tls_input_free(struct tls_input *input);

/* NULL without memory. */
BIO *tls_bio_new(struct tls_input *input);

#endif
