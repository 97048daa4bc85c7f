/* What a certificate says. */
#ifndef NEAP_PROTO_TLS_CERTIFICATE_H
#define NEAP_PROTO_TLS_CERTIFICATE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/openssl.h"

/* The hosts it is for, as many as there is room for: "a.org, b.org and 7 more". False: none. */
bool tls_certificate_names(X509 *certificate, char *text, size_t size);

/* "CN=example.org,O=Example". */
void tls_certificate_name(X509_NAME *name, char *text, size_t size);

/* Pushes a table of all that, and frees the certificate, also if it raises for want of memory. */
void tls_certificate_push(lua_State *L, X509 *certificate);

#endif
