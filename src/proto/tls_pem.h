/* Certificates and keys in PEM, into a context. The functions return NULL, or what stands against it. */
#ifndef NEAP_PROTO_TLS_PEM_H
#define NEAP_PROTO_TLS_PEM_H

#include <lua.h>
#include <stddef.h>

#include "proto/tls_context.h"

struct tls_text {
  const char *bytes; /* NULL: none was given */
  size_t length;
  const char *name; /* of the file, or of the option */
};

/* Pushes what the file holds. Returns 0 or UV_E*. */
int tls_pem_push_file(lua_State *L, const char *path, struct tls_text *text);

/* All certificates of the text are trusted, and named to clients as those of which theirs should be. */
const char *tls_pem_trust(struct tls_context *context, const struct tls_text *text);

/* Those of a folder are trusted, where they are looked for when they are needed. Returns 0 or UV_E*. */
int tls_pem_trust_folder(struct tls_context *context, const char *path);

/* The first certificate is its own, the others are those it was signed with. */
const char *tls_pem_certificate(struct tls_context *context, const struct tls_text *text);

/* The certificate must have been given before. [password] may be NULL. */
const char *tls_pem_key(struct tls_context *context, const struct tls_text *text, const char *password);

#endif
