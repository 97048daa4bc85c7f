/* Closing. A server of TLS 1.3 sends tickets behind the handshake. If they come when the socket is closed, or has not
 * read them, the kernel resets the connection, and what was written is lost. So a client that has read nothing ends
 * its sending side and lingers: it reads until the peer has closed, too, or for a while. */
#include "core/runtime.h"
#include "proto/tls_state.h"

enum { LINGER_MS = 1000 };

static void free_timer(uv_handle_t *handle) { memory_free(handle); }

void tls_end_linger(struct tls *tls) {
  if (!tls->linger) return;
  uv_close((uv_handle_t *)tls->linger, free_timer);
  tls->linger = NULL;
  tls->base.rt->flushing--;
}

static void on_linger(uv_timer_t *timer) { transport_close(((struct tls *)timer->data)->lower); }

static bool may_be_sent_tickets(const struct tls *tls) {
  return !tls->server && !tls->heard && tls->shaken && !tls->base.error && !tls->told_end && !tls->input.ended &&
         SSL_version(tls->ssl) == TLS1_3_VERSION;
}

static bool begin_linger(struct tls *tls) {
  struct neap *rt = tls->base.rt;
  if (transport_shutdown(tls->lower) < 0 || transport_start(tls->lower) < 0) return false;
  tls->linger = memory_alloc(rt->memory, sizeof *tls->linger);
  if (!tls->linger) return false;
  uv_timer_init(rt->loop, tls->linger);
  tls->linger->data = tls;
  uv_update_time(rt->loop);
  uv_timer_start(tls->linger, on_linger, LINGER_MS, 0);
  rt->flushing++;
  return true;
}

void tls_close(struct transport *t) {
  struct tls *tls = (struct tls *)t;
  tls_end_again(tls);
  tls_send_rest(tls);
  if (!may_be_sent_tickets(tls) || !begin_linger(tls)) transport_close(tls->lower);
}

void tls_abort(struct transport *t) {
  struct tls *tls = (struct tls *)t;
  tls_end_again(tls);
  tls_end_linger(tls);
  transport_abort(tls->lower);
}
