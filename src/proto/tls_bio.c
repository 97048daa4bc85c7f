#include "proto/tls_bio.h"

#include <string.h>

#include "io/transport.h"

int tls_input_keep(struct tls_input *input) {
  int status = input->lent_length > 0 ? buffer_append(&input->kept, input->lent, input->lent_length) : 0;
  input->lent_length = 0;
  return status;
}

void tls_input_free(struct tls_input *input) { buffer_free(&input->kept); }

static size_t take_kept(struct tls_input *input, char *bytes, size_t length) {
  size_t n = buffer_length(&input->kept) < length ? buffer_length(&input->kept) : length;
  if (n == 0) return 0;
  memcpy(bytes, buffer_data(&input->kept), n);
  buffer_consume(&input->kept, n);
  return n;
}

static size_t take_lent(struct tls_input *input, char *bytes, size_t length) {
  size_t n = input->lent_length < length ? input->lent_length : length;
  if (n == 0) return 0;
  memcpy(bytes, input->lent, n);
  input->lent += n;
  input->lent_length -= n;
  return n;
}

/* Without bytes it is to be tried again: only a transport that has ended is at its end. */
static int bio_read(BIO *bio, char *bytes, int length) {
  struct tls_input *input = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  size_t n = take_kept(input, bytes, (size_t)length);
  n += take_lent(input, bytes + n, (size_t)length - n);
  if (n > 0 || input->ended) return (int)n;
  BIO_set_retry_read(bio);
  return -1;
}

static int bio_write(BIO *bio, const char *bytes, int length) {
  struct transport *transport = ((struct tls_input *)BIO_get_data(bio))->transport;
  uv_buf_t buf = {.base = (char *)bytes, .len = (size_t)length};
  BIO_clear_retry_flags(bio);
  if (transport->closing || transport_write(transport, &buf, 1) < 0) return -1;
  return length;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
  (void)number, (void)pointer;
  const struct tls_input *input = BIO_get_data(bio);
  if (command == BIO_CTRL_EOF) return input->ended && tls_input_length(input) == 0;
  return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void make_method(void) {
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "neap transport");
  if (!method) return;
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_ctrl(method, bio_ctrl);
}

BIO *tls_bio_new(struct tls_input *input) {
  static uv_once_t once = UV_ONCE_INIT;
  uv_once(&once, make_method);
  BIO *bio = method ? BIO_new(method) : NULL;
  if (!bio) return NULL;
  BIO_set_data(bio, input);
  BIO_set_init(bio, 1);
  return bio;
}
