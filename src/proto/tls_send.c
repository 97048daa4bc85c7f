/* Sending: plaintext is encrypted in pieces while the lower transport's queue is short. */
#include <string.h>

#include "proto/tls_state.h"

/* PIECE is what fits into one record. Above LOWER_MARK bytes in the lower one's queue plaintext waits. */
enum { PIECE = 16 * 1024, LOWER_MARK = 64 * 1024 };

static bool lower_is_full(const struct tls *tls) { return transport_queued(tls->lower) >= LOWER_MARK; }

static int seal(struct tls *tls, const char *bytes, size_t length) {
  size_t written;
  ERR_clear_error();
  int result = SSL_write_ex(tls->ssl, bytes, length, &written);
  int verdict = result == 1 ? 0 : tls_judge(tls, result);
  return verdict > 0 ? tls_fail_as(tls, UV_EPIPE) : verdict;
}

/* Encrypts what it may at once. Sets *[taken]. */
static int seal_some(struct tls *tls, const char *bytes, size_t length, bool all, size_t *taken) {
  int status = 0;
  *taken = 0;
  while (status == 0 && *taken < length && (all || !lower_is_full(tls))) {
    size_t piece = length - *taken < PIECE ? length - *taken : PIECE;
    status = seal(tls, bytes + *taken, piece);
    if (status == 0) *taken += piece;
  }
  return status;
}

static void send_unsent(struct tls *tls, bool all) {
  size_t taken;
  if (!tls->shaken || tls->base.error) return;
  seal_some(tls, buffer_data(&tls->unsent), buffer_length(&tls->unsent), all, &taken);
  if (taken > 0) buffer_consume(&tls->unsent, taken);
}

static int keep_unsent(struct tls *tls, const char *bytes, size_t length) {
  if (length == 0 || buffer_append(&tls->unsent, bytes, length) == 0) return 0;
  return tls_fail_as(tls, UV_ENOMEM);
}

static int write_one(struct tls *tls, const char *bytes, size_t length) {
  size_t taken = 0;
  int status = 0;
  if (tls->shaken && buffer_length(&tls->unsent) == 0) status = seal_some(tls, bytes, length, false, &taken);
  return status < 0 ? status : keep_unsent(tls, bytes + taken, length - taken);
}

/* Small pieces that were written together go together. */
static unsigned join(char *to, const uv_buf_t *bufs, unsigned count, size_t *length) {
  unsigned i = 0;
  for (*length = 0; i < count && *length + bufs[i].len <= PIECE; i++) {
    memcpy(to + *length, bufs[i].base, bufs[i].len);
    *length += bufs[i].len;
  }
  return i;
}

static int write_joined(struct tls *tls, const uv_buf_t *bufs, unsigned count) {
  char bytes[PIECE];
  int status = 0;
  while (count > 0 && status == 0) {
    size_t length;
    unsigned joined = join(bytes, bufs, count, &length);
    status = joined ? write_one(tls, bytes, length) : write_one(tls, bufs->base, bufs->len);
    bufs += joined ? joined : 1;
    count -= joined ? joined : 1;
  }
  return status;
}

int tls_write(struct transport *t, const uv_buf_t *bufs, unsigned count) {
  struct tls *tls = tls_of(t);
  if (t->error) return t->error;
  return count == 1 ? write_one(tls, bufs->base, bufs->len) : write_joined(tls, bufs, count);
}

size_t tls_queued(const struct transport *t) {
  const struct tls *tls = tls_of_const(t);
  return buffer_length(&tls->unsent) + transport_queued(tls->lower);
}

static void notify(struct tls *tls) {
  if (tls->notified || tls->base.error || !tls->shaken) return;
  tls->notified = true;
  ERR_clear_error();
  SSL_shutdown(tls->ssl);
}

void tls_go_on_sending(struct tls *tls) {
  send_unsent(tls, false);
  if (!tls->shutting || tls->told_shut) return;
  if (!tls->base.error && buffer_length(&tls->unsent) > 0) return;
  notify(tls);
  if (!tls->base.error && (!tls->shaken || transport_queued(tls->lower) > 0)) return;
  tls->told_shut = true;
  if (tls->base.owner) tls->base.events->shut(tls->base.owner, tls->base.error);
}

/* The peer may go on sending, as TLS 1.3 allows: the lower one stays open. */
int tls_shutdown(struct transport *t) {
  tls_of(t)->shutting = true;
  tls_go_on_sending(tls_of(t));
  return 0;
}

void tls_send_rest(struct tls *tls) {
  send_unsent(tls, true);
  notify(tls);
}
