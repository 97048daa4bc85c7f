/* What the files of the TLS transport share: its state, and how it fails (tls_fail.c), sends (tls_send.c), closes
 * (tls_close.c) and begins (tls_setup.c). Receiving and the handshake are in tls_transport.c. */
#ifndef NEAP_PROTO_TLS_STATE_H
#define NEAP_PROTO_TLS_STATE_H

#include "base/buffer.h"
#include "proto/tls_bio.h"
#include "proto/tls_failure.h"
#include "proto/tls_transport.h"

/* What OpenSSL allocates for a connection, about: it counts as the runtime's memory. */
enum { TLS_CONNECTION_BYTES = 24 * 1024 };

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
  uv_timer_t *linger; /* while it is closed and the peer has not seen that */
  uv_idle_t *again; /* while there is something to be taken in that no callback will come for */
  void (*done)(void *waiter, int status);
  void *waiter;
  bool server;
  bool unsaid;   /* there was no memory for the refusal */
  bool held;     /* the owner waits for bytes */
  bool heard;    /* bytes of the peer's since the handshake */
  bool shaken;   /* the handshake has ended well */
  bool broken;   /* OpenSSL has given up */
  bool told_end; /* to the owner */
  bool shutting;
  bool notified; /* the peer, of the end of what we send */
  bool told_shut;
  bool charged;
};

static inline struct tls *tls_of(struct transport *t) { return (struct tls *)t; }

static inline const struct tls *tls_of_const(const struct transport *t) { return (const struct tls *)t; }

extern const struct transport_kind tls_kind;
extern const struct transport_events tls_lower_events;

/* The connection is broken: by OpenSSL's error; by the lower transport, or want of memory. Return the error. */
int tls_fail(struct tls *tls, const struct tls_failure *failure);
int tls_fail_as(struct tls *tls, int status);

/* What a call of OpenSSL that returned [result] means: one of these, or the error. To be asked at once. */
enum tls_verdict { TLS_WAITS = 1, TLS_HAS_ENDED };
int tls_judge(struct tls *tls, int result);

/* As transport.h says. */
int tls_write(struct transport *t, const uv_buf_t *bufs, unsigned count);
size_t tls_queued(const struct transport *t);
int tls_shutdown(struct transport *t);

void tls_close(struct transport *t);
void tls_abort(struct transport *t);

/* What is still open is closed. */
void tls_end_linger(struct tls *tls);
void tls_end_again(struct tls *tls);

/* Goes on with what waited for the handshake, or for the lower one's queue. */
void tls_go_on_sending(struct tls *tls);

/* Sends all of it, however long the queue gets, and the end. */
void tls_send_rest(struct tls *tls);

#endif
