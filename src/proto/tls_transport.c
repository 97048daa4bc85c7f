#include <stdio.h>

#include "core/runtime.h"
#include "proto/tls_state.h"

/* --- receiving --- */

static void take_in(struct tls *tls);

static void free_idle(uv_handle_t *handle) { memory_free(handle); }

void tls_end_again(struct tls *tls) {
  if (tls->again) uv_close((uv_handle_t *)tls->again, free_idle);
  tls->again = NULL;
}

static void on_again(uv_idle_t *idle) {
  struct tls *tls = idle->data;
  tls_end_again(tls);
  take_in(tls);
}

static void tell_end(struct tls *tls, int status) {
  if (tls->told_end) return;
  tls->told_end = true;
  transport_stop(&tls->base);
  transport_stop(tls->lower);
  if (tls->base.owner) tls->base.events->ended(tls->base.owner, status);
}

/* The next turn of libuv comes back to what is there, with an empty slab. */
static int come_again(struct tls *tls) {
  if (tls->again) return 0;
  tls->again = memory_alloc(tls->base.rt->memory, sizeof *tls->again);
  if (!tls->again) return UV_ENOMEM;
  uv_idle_init(tls->base.rt->loop, tls->again);
  tls->again->data = tls;
  uv_idle_start(tls->again, on_again);
  return 0;
}

/* Decrypts as much as the room takes. Returns 0 if that is full, or else a verdict. */
static int open_some(struct tls *tls, const uv_buf_t *room, size_t *length) {
  for (*length = 0; *length < room->len;) {
    size_t n = 0;
    ERR_clear_error();
    int result = SSL_read_ex(tls->ssl, room->base + *length, room->len - *length, &n);
    if (result != 1) return tls_judge(tls, result);
    *length += n;
  }
  return 0;
}

/* Gives the owner what was received, for as long as it reads. */
static void deliver(struct tls *tls) {
  int verdict = 0;
  while (verdict == 0 && tls->base.reading && !tls->told_end) {
    size_t length;
    uv_buf_t room = slab_room(tls->base.slab);
    if (room.len == 0) {
      verdict = tls->base.slab->bytes ? come_again(tls) : UV_ENOMEM;
      if (verdict < 0) tell_end(tls, tls_fail_as(tls, verdict));
      return;
    }
    verdict = open_some(tls, &room, &length);
    slab_use(tls->base.slab, length);
    tls->heard = tls->heard || length > 0;
    if (length > 0) tls->base.events->received(tls->base.owner, room.base, length);
  }
  if (verdict == TLS_HAS_ENDED) tell_end(tls, 0);
  if (verdict < 0) tell_end(tls, verdict);
}

/* --- the handshake --- */

static void tell_done(struct tls *tls, int status) {
  void (*done)(void *waiter, int status) = tls->done;
  tls->done = NULL;
  transport_hold(tls->lower, tls->held);
  if (done) done(tls->waiter, status);
}

/* A session that is resumed brings what was found out about the certificate then. */
static int check_verified(struct tls *tls) {
  struct tls_failure failure = {.code = "TLS_CERTIFICATE"};
  long result = SSL_get_verify_result(tls->ssl);
  if (!tls_transport_is_verified(tls) || result == X509_V_OK) return 0;
  snprintf(failure.reason, sizeof failure.reason, "the session's certificate was refused: %s",
           X509_verify_cert_error_string(result));
  return tls_fail(tls, &failure);
}

static void shake(struct tls *tls) {
  ERR_clear_error();
  int result = SSL_do_handshake(tls->ssl);
  int verdict = result == 1 ? check_verified(tls) : tls_judge(tls, result);
  if (verdict == TLS_WAITS) return;
  if (verdict == TLS_HAS_ENDED) verdict = tls_fail_as(tls, UV_ECONNABORTED);
  tls->shaken = verdict == 0;
  tls->broken = verdict < 0;
  if (!tls->base.reading || !tls->shaken) transport_stop(tls->lower);
  tls_go_on_sending(tls);
  tell_done(tls, verdict);
  if (verdict < 0) tell_end(tls, verdict);
}

/* --- both --- */

static bool has_more(const struct tls *tls) {
  return tls_input_length(&tls->input) > 0 || tls->input.ended || (tls->shaken && SSL_pending(tls->ssl) > 0);
}

static void give_up(struct tls *tls, int status) {
  tls->broken = true;
  tell_done(tls, tls_fail_as(tls, status));
  tell_end(tls, tls->base.error);
}

static void take_in(struct tls *tls) {
  if (!tls->shaken && !tls->broken) shake(tls);
  if (tls->shaken && !tls->broken) deliver(tls);
  if (tls_input_keep(&tls->input) < 0) give_up(tls, UV_ENOMEM);
}

static void on_received(void *owner, const char *bytes, size_t length) {
  struct tls *tls = owner;
  if (tls->broken) tell_end(tls, tls->base.error);
  if (tls->told_end || tls->base.closing) return;
  tls_input_lend(&tls->input, bytes, length);
  take_in(tls);
}

static void on_ended(void *owner, int status) {
  struct tls *tls = owner;
  tls->input.ended = true;
  tls->input.status = status;
  if (tls->base.closing) return transport_close(tls->lower);
  take_in(tls);
  if (tls->broken) tell_end(tls, tls->base.error);
}

static int start(struct transport *t) {
  struct tls *tls = tls_of(t);
  if (tls->told_end || tls->broken) return 0;
  int status = has_more(tls) ? come_again(tls) : 0;
  return status < 0 || tls->input.ended ? status : transport_start(tls->lower);
}

static void stop(struct transport *t) {
  struct tls *tls = tls_of(t);
  if (tls->shaken || tls->broken) transport_stop(tls->lower);
}

static void hold(struct transport *t, bool on) {
  struct tls *tls = tls_of(t);
  tls->held = on;
  transport_hold(tls->lower, on || tls->done);
}

/* --- the lower one --- */

static void on_sent(void *owner) {
  struct tls *tls = owner;
  if (tls->lower->error && !tls->base.error) tls_fail_as(tls, tls->lower->error);
  tls_go_on_sending(tls);
  if (tls->base.owner) tls->base.events->sent(tls->base.owner);
}

static void on_shut(void *owner, int status) { (void)owner, (void)status; }

/* --- closing --- */

static void on_closed(void *owner) {
  struct tls *tls = owner;
  if (tls->lower->error && !tls->base.error) tls_fail_as(tls, tls->lower->error);
  tls->base.closing = true;
  tls->broken = true;
  tls_end_linger(tls);
  tell_done(tls, tls->base.error ? tls->base.error : UV_ECANCELED);
  transport_closed(&tls->base);
}

const struct transport_events tls_lower_events = {
    .received = on_received,
    .ended = on_ended,
    .sent = on_sent,
    .shut = on_shut,
    .closed = on_closed,
};

static int local_address(const struct transport *t, union address *address) {
  return transport_local_address(tls_of_const(t)->lower, address);
}

static void free_tls(struct transport *t) {
  struct tls *tls = tls_of(t);
  struct memory *memory = tls->context->memory;
  if (tls->lower) transport_release(tls->lower);
  SSL_free(tls->ssl);
  tls_input_free(&tls->input);
  buffer_free(&tls->unsent);
  memory_free(tls->refusal);
  memory_free(tls->failure);
  memory_free(tls->hostname);
  memory_free(tls->protocols.bytes);
  if (tls->charged) memory_discharge(memory, TLS_CONNECTION_BYTES);
  tls_context_let_go(tls->context);
}

const struct transport_kind tls_kind = {
    .start = start,
    .stop = stop,
    .hold = hold,
    .write = tls_write,
    .queued = tls_queued,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .abort = tls_abort,
    .local_address = local_address,
    .free = free_tls,
};

void tls_transport_shake(struct transport *t, bool ended, void (*done)(void *waiter, int status), void *waiter) {
  struct tls *tls = tls_of(t);
  tls->done = done;
  tls->waiter = waiter;
  tls->input.ended = ended;
  transport_hold(tls->lower, true);
  int status = ended ? 0 : transport_start(tls->lower);
  if (status < 0)
    give_up(tls, status);
  else
    shake(tls);
}

void tls_transport_forget(struct transport *t) { tls_of(t)->done = NULL; }
