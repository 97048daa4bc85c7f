#include "proto/tls_transport.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "core/runtime.h"
#include "io/address.h"
#include "proto/tls_bio.h"
#include "proto/tls_failure.h"

/* PIECE is what fits into one record. Above LOWER_MARK bytes in the lower one's queue plaintext waits.
 * CONNECTION_BYTES is what OpenSSL allocates for a connection, about, which counts as the runtime's memory. */
enum { PIECE = 16 * 1024, LOWER_MARK = 64 * 1024, CONNECTION_BYTES = 24 * 1024 };

struct tls {
  struct transport base; /* must be first */
  struct transport *lower;
  struct tls_context *context;
  struct tls_protocols protocols; /* in place of the context's, if any */
  SSL *ssl;
  struct tls_input input;
  struct buffer unsent; /* plaintext */
  struct tls_failure *refusal; /* of a certificate */
  struct tls_failure *failure; /* that [base]'s error stands for */
  char *hostname;
  uv_idle_t *again; /* while there is something to be taken in that no callback will come for */
  void (*done)(void *waiter, int status);
  void *waiter;
  bool server;
  bool held;     /* the owner waits for bytes */
  bool shaken;   /* the handshake has ended well */
  bool broken;   /* OpenSSL has given up */
  bool told_end; /* to the owner */
  bool shutting;
  bool notified; /* the peer, of the end of what we send */
  bool told_shut;
  bool charged;
};

static struct tls *tls_of(struct transport *t) { return (struct tls *)t; }

static const struct tls *tls_of_const(const struct transport *t) { return (const struct tls *)t; }

/* --- failing --- */

/* Keeps what there is to say in *[failure]. Without memory the code alone is lost. */
static void keep_failure(struct tls *tls, struct tls_failure **kept, const struct tls_failure *failure) {
  if (!*kept) *kept = memory_alloc(tls->context->memory, sizeof **kept);
  if (*kept) **kept = *failure;
}

static int fail(struct tls *tls, const struct tls_failure *failure) {
  tls->broken = true;
  tls->base.error = UV_EPROTO;
  keep_failure(tls, &tls->failure, failure);
  tls->base.error_code = tls->failure ? tls->failure->code : NULL;
  tls->base.error_text = tls->failure ? tls->failure->reason : NULL;
  return UV_EPROTO;
}

/* The lower one broke, or there is no memory. */
static int fail_as(struct tls *tls, int status) {
  if (tls->base.error) return tls->base.error;
  tls->base.error = status;
  tls->base.error_code = tls->lower->error == status ? tls->lower->error_code : NULL;
  tls->base.error_text = tls->lower->error_text;
  return status;
}

static int fail_by_openssl(struct tls *tls) {
  struct tls_failure failure;
  if (tls->refusal) return fail(tls, tls->refusal);
  tls_failure_read(&failure, tls->shaken);
  return fail(tls, &failure);
}

void tls_transport_refuse(struct tls *tls, const char *code, const char *reason) {
  struct tls_failure failure = {.code = code};
  if (tls->refusal) return;
  snprintf(failure.reason, sizeof failure.reason, "%s", reason);
  keep_failure(tls, &tls->refusal, &failure);
}

enum verdict { WAITS = 1, HAS_ENDED };

/* What a call of OpenSSL that returned [result] means: WAITS, HAS_ENDED, or the error. To be asked at once. */
static int judge(struct tls *tls, int result) {
  switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
      return WAITS;
    case SSL_ERROR_ZERO_RETURN:
      return HAS_ENDED;
    case SSL_ERROR_SYSCALL:
      return tls->lower->error ? fail_as(tls, tls->lower->error) : fail_by_openssl(tls);
    default:
      if (tls->input.status < 0 && tls_input_length(&tls->input) == 0 && !tls->refusal)
        return fail_as(tls, tls->input.status);
      return fail_by_openssl(tls);
  }
}

/* --- sending --- */

static bool lower_is_full(const struct tls *tls) { return transport_queued(tls->lower) >= LOWER_MARK; }

static int seal(struct tls *tls, const char *bytes, size_t length) {
  size_t written;
  ERR_clear_error();
  int result = SSL_write_ex(tls->ssl, bytes, length, &written);
  int verdict = result == 1 ? 0 : judge(tls, result);
  return verdict > 0 ? fail_as(tls, UV_EPIPE) : verdict;
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
  return fail_as(tls, UV_ENOMEM);
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

static int write_some(struct transport *t, const uv_buf_t *bufs, unsigned count) {
  struct tls *tls = tls_of(t);
  if (t->error) return t->error;
  return count == 1 ? write_one(tls, bufs->base, bufs->len) : write_joined(tls, bufs, count);
}

static size_t queued(const struct transport *t) {
  const struct tls *tls = tls_of_const(t);
  return buffer_length(&tls->unsent) + transport_queued(tls->lower);
}

static void notify(struct tls *tls) {
  if (tls->notified || tls->base.error || !tls->shaken) return;
  tls->notified = true;
  ERR_clear_error();
  SSL_shutdown(tls->ssl);
}

/* Goes on with what waited for the lower one's queue. */
static void go_on_sending(struct tls *tls) {
  send_unsent(tls, false);
  if (!tls->shutting || tls->told_shut) return;
  if (!tls->base.error && buffer_length(&tls->unsent) > 0) return;
  notify(tls);
  if (!tls->base.error && (!tls->shaken || transport_queued(tls->lower) > 0)) return;
  tls->told_shut = true;
  if (tls->base.owner) tls->base.events->shut(tls->base.owner, tls->base.error);
}

/* The peer may go on sending, as TLS 1.3 allows: the lower one stays open. */
static int end_sending(struct transport *t) {
  tls_of(t)->shutting = true;
  go_on_sending(tls_of(t));
  return 0;
}

static void on_sent(void *owner) {
  struct tls *tls = owner;
  if (tls->lower->error && !tls->base.error) fail_as(tls, tls->lower->error);
  go_on_sending(tls);
  if (tls->base.owner) tls->base.events->sent(tls->base.owner);
}

static void on_shut(void *owner, int status) { (void)owner, (void)status; }

/* --- receiving --- */

static void take_in(struct tls *tls);

static void free_idle(uv_handle_t *handle) { memory_free(handle); }

static void end_again(struct tls *tls) {
  if (tls->again) uv_close((uv_handle_t *)tls->again, free_idle);
  tls->again = NULL;
}

static void on_again(uv_idle_t *idle) {
  struct tls *tls = idle->data;
  end_again(tls);
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
    if (result != 1) return judge(tls, result);
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
      if (verdict < 0) tell_end(tls, fail_as(tls, verdict));
      return;
    }
    verdict = open_some(tls, &room, &length);
    slab_use(tls->base.slab, length);
    if (length > 0) tls->base.events->received(tls->base.owner, room.base, length);
  }
  if (verdict == HAS_ENDED) tell_end(tls, 0);
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
  return fail(tls, &failure);
}

static void shake(struct tls *tls) {
  ERR_clear_error();
  int result = SSL_do_handshake(tls->ssl);
  int verdict = result == 1 ? check_verified(tls) : judge(tls, result);
  if (verdict == WAITS) return;
  if (verdict == HAS_ENDED) verdict = fail_as(tls, UV_ECONNABORTED);
  tls->shaken = verdict == 0;
  tls->broken = verdict < 0;
  if (!tls->base.reading || !tls->shaken) transport_stop(tls->lower);
  go_on_sending(tls);
  tell_done(tls, verdict);
  if (verdict < 0) tell_end(tls, verdict);
}

/* --- both --- */

static bool has_more(const struct tls *tls) {
  return tls_input_length(&tls->input) > 0 || tls->input.ended || (tls->shaken && SSL_pending(tls->ssl) > 0);
}

static void take_in(struct tls *tls) {
  if (!tls->shaken && !tls->broken) shake(tls);
  if (tls->shaken && !tls->broken) deliver(tls);
  if (tls_input_keep(&tls->input) < 0) tell_end(tls, fail_as(tls, UV_ENOMEM));
}

static void on_received(void *owner, const char *bytes, size_t length) {
  struct tls *tls = owner;
  if (tls->broken) tell_end(tls, tls->base.error);
  if (tls->told_end) return;
  tls_input_lend(&tls->input, bytes, length);
  take_in(tls);
}

static void on_ended(void *owner, int status) {
  struct tls *tls = owner;
  tls->input.ended = true;
  tls->input.status = status;
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

/* --- closing --- */

static void close_behind_queue(struct transport *t) {
  struct tls *tls = tls_of(t);
  end_again(tls);
  send_unsent(tls, true);
  notify(tls);
  transport_close(tls->lower);
}

static void close_now(struct transport *t) {
  end_again(tls_of(t));
  transport_abort(tls_of(t)->lower);
}

static void on_closed(void *owner) {
  struct tls *tls = owner;
  if (tls->lower->error && !tls->base.error) fail_as(tls, tls->lower->error);
  tls->base.closing = true;
  tls->broken = true;
  tell_done(tls, tls->base.error ? tls->base.error : UV_ECANCELED);
  transport_closed(&tls->base);
}

static const struct transport_events events = {
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
  if (tls->charged) memory_discharge(memory, CONNECTION_BYTES);
  tls_context_let_go(tls->context);
}

static const struct transport_kind tls_kind = {
    .start = start,
    .stop = stop,
    .hold = hold,
    .write = write_some,
    .queued = queued,
    .shutdown = end_sending,
    .close = close_behind_queue,
    .abort = close_now,
    .local_address = local_address,
    .free = free_tls,
};

/* --- its beginning --- */

static int verify_mode(const struct tls *tls) {
  enum tls_verify verify = tls->context->verify;
  if (!tls->server) return verify == TLS_VERIFY_NONE ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
  return verify == TLS_VERIFY_REQUIRED   ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
         : verify == TLS_VERIFY_OPTIONAL ? SSL_VERIFY_PEER
                                         : SSL_VERIFY_NONE;
}

static void set_verify(struct tls *tls) {
  int mode = verify_mode(tls);
  SSL_set_verify(tls->ssl, mode, mode == SSL_VERIFY_NONE ? NULL : tls_on_certificate);
}

/* The name as it goes over the wire, and stands in certificates: without the dot of the root, or a zone. */
static char *copy_hostname(struct memory *memory, const char *hostname) {
  size_t length = strcspn(hostname, "%");
  if (length > 1 && hostname[length - 1] == '.') length--;
  char *copy = memory_alloc(memory, length + 1);
  if (!copy) return NULL;
  memcpy(copy, hostname, length);
  copy[length] = '\0';
  return copy;
}

/* Addresses are not asked for by name. */
static bool set_hostname(struct tls *tls, bool checks) {
  union address address;
  bool numeric = address_parse(&address, tls->hostname, 0);
  if (!numeric && !SSL_set_tlsext_host_name(tls->ssl, tls->hostname)) return false;
  if (!checks) return true;
  SSL_set_hostflags(tls->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (numeric) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), tls->hostname);
  return SSL_set1_host(tls->ssl, tls->hostname);
}

static int set_up_client(struct tls *tls, const struct tls_options *options) {
  const struct tls_protocols *protocols = tls_transport_protocols(tls);
  SSL_set_connect_state(tls->ssl);
  if (options->hostname) {
    tls->hostname = copy_hostname(tls->base.rt->memory, options->hostname);
    if (!tls->hostname) return UV_ENOMEM;
    if (!set_hostname(tls, options->checks_hostname)) return UV_EINVAL;
  }
  if (protocols->bytes && SSL_set_alpn_protos(tls->ssl, protocols->bytes, protocols->length)) return UV_ENOMEM;
  if (options->session && !SSL_set_session(tls->ssl, options->session)) return UV_EINVAL;
  return 0;
}

static int set_up_ssl(struct tls *tls, const struct tls_options *options) {
  ERR_clear_error();
  tls->ssl = SSL_new(tls->context->ssl);
  BIO *bio = tls->ssl ? tls_bio_new(&tls->input) : NULL;
  if (!bio) return UV_ENOMEM;
  SSL_set_bio(tls->ssl, bio, bio);
  if (!SSL_set_ex_data(tls->ssl, OPENSSL_DATA, tls)) return UV_ENOMEM;
  set_verify(tls);
  if (!tls->server) return set_up_client(tls, options);
  SSL_set_accept_state(tls->ssl);
  return 0;
}

static int set_up(struct tls *tls, const struct tls_options *options, struct transport *lower,
                  const uv_buf_t *kept) {
  struct memory *memory = lower->rt->memory;
  tls->context = tls_context_hold(options->context);
  tls->server = options->server;
  tls->input.kept.memory = tls->unsent.memory = memory;
  tls->charged = memory_charge(memory, CONNECTION_BYTES);
  if (!tls->charged) return UV_ENOMEM;
  if (tls_protocols_copy(&tls->protocols, memory, &options->protocols) < 0) return UV_ENOMEM;
  if (lower->label && transport_set_label(&tls->base, lower->label) < 0) return UV_ENOMEM;
  if (kept->len > 0 && buffer_append(&tls->input.kept, kept->base, kept->len) < 0) return UV_ENOMEM;
  tls->base.peer = lower->peer;
  return set_up_ssl(tls, options);
}

/* Of the two the runtime closes the upper one, and counts it. */
int tls_transport_new(struct transport *lower, const struct tls_options *options, const uv_buf_t *kept,
                      struct transport **result) {
  struct tls *tls = transport_new(lower->rt, lower->slab, &tls_kind, sizeof *tls);
  if (!tls) return UV_ENOMEM;
  int status = set_up(tls, options, lower, kept);
  if (status < 0) {
    transport_discard(&tls->base);
    return status;
  }
  tls->lower = tls->input.transport = lower;
  list_remove(&lower->resource.link);
  transport_own(lower, &events, tls);
  *result = &tls->base;
  return 0;
}

void tls_transport_shake(struct transport *t, bool ended, void (*done)(void *waiter, int status), void *waiter) {
  struct tls *tls = tls_of(t);
  tls->done = done;
  tls->waiter = waiter;
  tls->input.ended = ended;
  transport_hold(tls->lower, true);
  if (!ended) transport_start(tls->lower);
  shake(tls);
}

void tls_transport_forget(struct transport *t) { tls_of(t)->done = NULL; }

/* --- looking inside --- */

struct tls *tls_transport_of(struct transport *t) { return t->kind == &tls_kind ? tls_of(t) : NULL; }

SSL *tls_transport_ssl(const struct tls *tls) { return tls->ssl; }

const char *tls_transport_hostname(const struct tls *tls) { return tls->hostname; }

bool tls_transport_is_server(const struct tls *tls) { return tls->server; }

bool tls_transport_is_shaken(const struct tls *tls) { return tls->shaken; }

bool tls_transport_is_verified(const struct tls *tls) { return verify_mode(tls) != SSL_VERIFY_NONE; }

struct tls_context *tls_transport_context(const struct tls *tls) { return tls->context; }

void tls_transport_set_context(struct tls *tls, struct tls_context *context) {
  SSL_set_SSL_CTX(tls->ssl, context->ssl);
  tls_context_hold(context);
  tls_context_let_go(tls->context);
  tls->context = context;
  set_verify(tls);
}

const struct tls_protocols *tls_transport_protocols(const struct tls *tls) {
  return tls->protocols.bytes ? &tls->protocols : &tls->context->protocols;
}
