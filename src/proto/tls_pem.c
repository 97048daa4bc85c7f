#include "proto/tls_pem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum { FILE_MOST = 16 * 1024 * 1024 };

/* --- files --- */

static int read_all(const char *path, char *bytes, size_t size, size_t *length) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return uv_translate_sys_error(errno);
  ssize_t n = 1;
  for (*length = 0; n > 0 && *length < size; *length += (size_t)n) {
    n = read(fd, bytes + *length, size - *length);
    if (n < 0) break;
  }
  int status = n < 0 ? uv_translate_sys_error(errno) : 0;
  close(fd);
  return status;
}

int tls_pem_push_file(lua_State *L, const char *path, struct tls_text *text) {
  struct stat found;
  if (stat(path, &found) < 0) return uv_translate_sys_error(errno);
  if (S_ISDIR(found.st_mode)) return UV_EISDIR;
  if (found.st_size > FILE_MOST) return UV_EFBIG;
  size_t size = S_ISREG(found.st_mode) ? (size_t)found.st_size + 1 : 64 * 1024;
  char *bytes = lua_newuserdatauv(L, size, 0);
  int status = read_all(path, bytes, size, &text->length);
  text->bytes = bytes;
  text->name = path;
  return status;
}

/* --- PEM --- */

static BIO *open_text(const struct tls_text *text) {
  ERR_clear_error();
  return BIO_new_mem_buf(text->bytes, (int)text->length);
}

/* OpenSSL would ask at the terminal. */
static int on_password(char *buffer, int size, int writing, void *password) {
  (void)writing;
  size_t length = password ? strlen(password) : 0;
  if (length == 0 || length > (size_t)size) return -1;
  memcpy(buffer, password, length);
  return (int)length;
}

static X509 *read_certificate(BIO *bio) { return PEM_read_bio_X509(bio, NULL, on_password, NULL); }

/* Why there is not one certificate more: NULL at the end of the text, behind one at least. */
static const char *why_no_more(int count) {
  unsigned long error = ERR_peek_last_error();
  bool ended = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!ended) return "a certificate in it cannot be read";
  return count > 0 ? NULL : "there is no certificate in it";
}

static bool trust(struct tls_context *context, X509 *certificate) {
  bool trusted = X509_STORE_add_cert(SSL_CTX_get_cert_store(context->ssl), certificate) &&
                 SSL_CTX_add_client_CA(context->ssl, certificate);
  X509_free(certificate);
  return trusted;
}

const char *tls_pem_trust(struct tls_context *context, const struct tls_text *text) {
  X509 *certificate;
  int count = 0;
  BIO *bio = open_text(text);
  if (!bio) return "not enough memory";
  while ((certificate = read_certificate(bio)) && trust(context, certificate)) count++;
  BIO_free(bio);
  return certificate ? "a certificate in it cannot be used" : why_no_more(count);
}

int tls_pem_trust_folder(struct tls_context *context, const char *path) {
  struct stat found;
  if (stat(path, &found) < 0) return uv_translate_sys_error(errno);
  if (!S_ISDIR(found.st_mode)) return UV_ENOTDIR;
  return SSL_CTX_load_verify_dir(context->ssl, path) == 1 ? 0 : UV_ENOMEM;
}

/* What OpenSSL says. */
static const char *last_reason(const char *otherwise) {
  const char *reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason ? reason : otherwise;
}

/* Takes over the certificate. */
static bool use(struct tls_context *context, X509 *certificate, bool first) {
  bool used = first ? SSL_CTX_use_certificate(context->ssl, certificate) == 1
                    : SSL_CTX_add0_chain_cert(context->ssl, certificate) == 1;
  if (first || !used) X509_free(certificate);
  return used;
}

const char *tls_pem_certificate(struct tls_context *context, const struct tls_text *text) {
  X509 *certificate;
  int count = 0;
  BIO *bio = open_text(text);
  if (!bio) return "not enough memory";
  while ((certificate = read_certificate(bio)) && use(context, certificate, count == 0)) count++;
  BIO_free(bio);
  return certificate ? last_reason("the certificate cannot be used") : why_no_more(count);
}

static const char *why_no_key(const struct tls_text *text, const char *password) {
  static const char mark[] = "PRIVATE KEY-----";
  if (!memmem(text->bytes, text->length, mark, sizeof mark - 1)) return "there is no key in it";
  if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_BAD_PASSWORD_READ) return "the key needs a password";
  return password ? "the key cannot be read: is the password wrong?" : "the key in it cannot be read";
}

const char *tls_pem_key(struct tls_context *context, const struct tls_text *text, const char *password) {
  BIO *bio = open_text(text);
  if (!bio) return "not enough memory";
  EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, on_password, (void *)password);
  BIO_free(bio);
  if (!key) return why_no_key(text, password);
  bool fits = SSL_CTX_use_PrivateKey(context->ssl, key) == 1 && SSL_CTX_check_private_key(context->ssl) == 1;
  EVP_PKEY_free(key);
  return fits ? NULL : "the key does not belong to the certificate";
}
