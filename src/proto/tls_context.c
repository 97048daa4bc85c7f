#include "proto/tls_context.h"

#include <string.h>
#include <strings.h>
#include <uv.h>

#include "proto/tls_transport.h"

/* Tickets that a server gives to a client that begins; and what OpenSSL takes as the name of a host. */
enum { TICKETS = 2, NAME_MAX_LENGTH = TLSEXT_MAXLEN_host_name };

static bool is_name(const char *pattern, const char *name) { return strcasecmp(pattern, name) == 0; }

/* "*.example.org" stands for one label more. */
static bool is_under(const char *pattern, const char *name) {
  const char *dot = strchr(name, '.');
  return pattern[0] == '*' && pattern[1] == '.' && dot && dot != name && is_name(pattern + 1, dot);
}

static struct tls_context *find(const struct tls_context *context, const char *name,
                                bool (*fits)(const char *pattern, const char *name)) {
  for (const struct tls_name *entry = context->names; entry; entry = entry->next)
    if (fits(entry->name, name)) return entry->context;
  return NULL;
}

static struct tls_context *find_name(const struct tls_context *context, const char *name) {
  struct tls_context *found = find(context, name, is_name);
  return found ? found : find(context, name, is_under);
}

/* The host in a server_name extension (RFC 6066, section 3), if there is one; OpenSSL refuses what is malformed. */
static bool read_name(const unsigned char *bytes, size_t size, char name[NAME_MAX_LENGTH + 1]) {
  enum { HEAD = 5 }; /* length of the list, type, length of the name */
  if (size <= HEAD || size > HEAD + NAME_MAX_LENGTH) return false;
  memcpy(name, bytes + HEAD, size - HEAD);
  name[size - HEAD] = '\0';
  return true;
}

/* Before OpenSSL looks for the session that the client would resume: one of another context is none. */
static int on_hello(SSL *ssl, int *alert, void *unused) {
  (void)alert, (void)unused;
  struct tls *tls = SSL_get_ex_data(ssl, OPENSSL_DATA);
  const unsigned char *bytes;
  char name[NAME_MAX_LENGTH + 1];
  size_t size;
  bool named = SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) && read_name(bytes, size, name);
  struct tls_context *found = named ? find_name(tls_transport_context(tls), name) : NULL;
  if (found) tls_transport_set_context(tls, found);
  return SSL_CLIENT_HELLO_SUCCESS;
}

/* The name is kept with the session. */
static int on_server_name(SSL *ssl, int *alert, void *unused) {
  (void)ssl, (void)alert, (void)unused;
  return SSL_TLSEXT_ERR_OK;
}

/* The first of ours that the peer has too; OpenSSL has looked at the form of theirs. A peer that has none is refused, as RFC 7301 says. */
static int on_protocols(SSL *ssl, const unsigned char **chosen, unsigned char *length, const unsigned char *theirs,
                        unsigned their_length, void *unused) {
  (void)unused;
  const struct tls_protocols *ours = tls_transport_protocols(SSL_get_ex_data(ssl, OPENSSL_DATA));
  if (!ours->bytes) return SSL_TLSEXT_ERR_NOACK;
  for (unsigned i = 0; i < ours->length; i += 1U + ours->bytes[i])
    for (unsigned j = 0; j < their_length; j += 1U + theirs[j]) {
      if (ours->bytes[i] != theirs[j] || memcmp(ours->bytes + i + 1, theirs + j + 1, theirs[j]) != 0) continue;
      *chosen = theirs + j + 1;
      *length = theirs[j];
      return SSL_TLSEXT_ERR_OK;
    }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *make(void) {
  SSL_CTX *ssl = SSL_CTX_new(TLS_method());
  if (!ssl) return NULL;
  SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
  SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ssl, TICKETS);
  SSL_CTX_set_client_hello_cb(ssl, on_hello, NULL);
  SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
  SSL_CTX_set_alpn_select_cb(ssl, on_protocols, NULL);
  return ssl;
}

struct tls_context *tls_context_new(struct memory *memory) {
  struct tls_context *context = memory_calloc(memory, 1, sizeof *context);
  if (!context) return NULL;
  context->memory = memory;
  context->holders = 1;
  ERR_clear_error();
  context->ssl = make();
  if (context->ssl) return context;
  memory_free(context);
  return NULL;
}

static void free_names(struct tls_name *name) {
  while (name) {
    struct tls_name *next = name->next;
    tls_context_let_go(name->context);
    memory_free(name);
    name = next;
  }
}

void tls_context_let_go(struct tls_context *context) {
  if (!context || --context->holders > 0) return;
  free_names(context->names);
  memory_free(context->protocols.bytes);
  SSL_CTX_free(context->ssl);
  memory_free(context);
}

int tls_context_add_name(struct tls_context *context, const char *name, struct tls_context *other) {
  size_t size = strlen(name) + 1;
  struct tls_name *entry = memory_alloc(context->memory, sizeof *entry + size);
  if (!entry) return UV_ENOMEM;
  memcpy(entry->name, name, size);
  entry->context = tls_context_hold(other);
  entry->next = context->names;
  context->names = entry;
  return 0;
}

bool tls_context_trust_system(struct tls_context *context) {
  if (context->trusts) return true;
  ERR_clear_error();
  context->trusts = SSL_CTX_set_default_verify_paths(context->ssl) == 1;
  return context->trusts;
}

int tls_protocols_copy(struct tls_protocols *to, struct memory *memory, const struct tls_protocols *from) {
  if (!from->bytes) return 0;
  to->bytes = memory_alloc(memory, from->length);
  if (!to->bytes) return UV_ENOMEM;
  memcpy(to->bytes, from->bytes, from->length);
  to->length = from->length;
  return 0;
}
