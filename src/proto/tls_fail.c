/* How a TLS transport fails. */
#include <stdio.h>

#include "proto/tls_state.h"

/* Keeps what there is to say. */
static bool keep_failure(struct tls *tls, struct tls_failure **kept, const struct tls_failure *failure) {
  if (!*kept) *kept = memory_alloc(tls->context->memory, sizeof **kept);
  if (*kept) **kept = *failure;
  return *kept != NULL;
}

int tls_fail(struct tls *tls, const struct tls_failure *failure) {
  tls->broken = true;
  bool kept = keep_failure(tls, &tls->failure, failure);
  tls->base.error = kept ? UV_EPROTO : UV_ENOMEM;
  tls->base.error_code = kept ? tls->failure->code : NULL;
  tls->base.error_text = kept ? tls->failure->reason : NULL;
  return tls->base.error;
}

int tls_fail_as(struct tls *tls, int status) {
  if (tls->base.error) return tls->base.error;
  tls->base.error = status;
  tls->base.error_code = tls->lower->error == status ? tls->lower->error_code : NULL;
  tls->base.error_text = tls->lower->error_text;
  return status;
}

static int fail_by_openssl(struct tls *tls) {
  struct tls_failure failure;
  if (tls->refusal) return tls_fail(tls, tls->refusal);
  if (tls->unsaid) return tls_fail_as(tls, UV_ENOMEM);
  tls_failure_read(&failure, tls->shaken);
  return tls_fail(tls, &failure);
}

void tls_transport_refuse(struct tls *tls, const char *code, const char *reason) {
  struct tls_failure failure = {.code = code};
  if (tls->refusal) return;
  snprintf(failure.reason, sizeof failure.reason, "%s", reason);
  tls->unsaid = !keep_failure(tls, &tls->refusal, &failure);
}

int tls_judge(struct tls *tls, int result) {
  switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
      return TLS_WAITS;
    case SSL_ERROR_ZERO_RETURN:
      return TLS_HAS_ENDED;
    case SSL_ERROR_SYSCALL:
      return tls->lower->error ? tls_fail_as(tls, tls->lower->error) : fail_by_openssl(tls);
    default:
      if (tls->input.status < 0 && tls_input_length(&tls->input) == 0 && !tls->refusal)
        return tls_fail_as(tls, tls->input.status);
      return fail_by_openssl(tls);
  }
}
