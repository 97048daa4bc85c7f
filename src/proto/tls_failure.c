#include "proto/tls_failure.h"

#include <openssl/sslerr.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/tls_certificate.h"
#include "proto/tls_transport.h"

static void set(struct tls_failure *failure, const char *code, const char *reason) {
  failure->code = code;
  snprintf(failure->reason, sizeof failure->reason, "%s", reason);
}

/* --- what OpenSSL has noted --- */

static void set_alert(struct tls_failure *failure, int alert) {
  failure->code = "TLS_ALERT";
  snprintf(failure->reason, sizeof failure->reason, "the peer refused it: %s (alert %d)",
           SSL_alert_desc_string_long(alert), alert);
}

/* What stands where a handshake should begin is no TLS at all. */
static bool is_foreign(int reason) {
  switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_ENCRYPTED_LENGTH_TOO_LONG:
    case SSL_R_RECORD_LENGTH_MISMATCH:
    case SSL_R_LENGTH_TOO_SHORT:
      return true;
    default:
      return false;
  }
}

static void set_reason(struct tls_failure *failure, unsigned long error, bool shaken) {
  const char *text = ERR_reason_error_string(error);
  failure->code = "TLS_PROTOCOL";
  snprintf(failure->reason, sizeof failure->reason, "%s%s%s",
           !shaken && is_foreign(ERR_GET_REASON(error)) ? "the peer does not speak TLS (" : "the TLS protocol was violated (",
           text ? text : "for an unknown reason", ")");
}

void tls_failure_read(struct tls_failure *failure, bool shaken) {
  unsigned long error = ERR_peek_last_error();
  int reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) {
    set_reason(failure, error, shaken);
  } else if (reason >= SSL_AD_REASON_OFFSET) {
    set_alert(failure, reason - SSL_AD_REASON_OFFSET);
  } else if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    if (shaken)
      set(failure, "TLS_TRUNCATED", "the connection ended without TLS's end: bytes may be missing");
    else
      set(failure, "TLS_CLOSED", "the peer closed the connection during the handshake");
  } else if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    set(failure, "TLS_CERTIFICATE", "the peer has given no certificate");
  } else if (reason == SSL_R_NO_APPLICATION_PROTOCOL) {
    set(failure, "TLS_PROTOCOL", "the peer offers none of the protocols of 'alpn'");
  } else if (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_VERSION_TOO_LOW) {
    set(failure, "TLS_PROTOCOL", "the peer has no version of TLS that is allowed here");
  } else if (reason == SSL_R_NO_SHARED_CIPHER || reason == SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM) {
    set(failure, "TLS_PROTOCOL", "the two sides have no cipher in common");
  } else {
    set_reason(failure, error, shaken);
  }
}

/* --- certificates --- */

static void set_time(struct tls_failure *failure, const char *what, const ASN1_TIME *when) {
  char day[32] = "?";
  struct tm tm;
  if (ASN1_TIME_to_tm(when, &tm)) strftime(day, sizeof day, "%Y-%m-%d", &tm);
  failure->code = "TLS_CERTIFICATE";
  snprintf(failure->reason, sizeof failure->reason, "the certificate %s %s)", what, day);
}

static void set_names(struct tls_failure *failure, X509 *certificate, const char *hostname) {
  char names[200];
  failure->code = "TLS_HOSTNAME";
  if (tls_certificate_names(certificate, names, sizeof names))
    snprintf(failure->reason, sizeof failure->reason, "the certificate is for %s, not for %.150s", names, hostname);
  else
    snprintf(failure->reason, sizeof failure->reason,
             "the certificate names no host (subjectAltName), so it is not for %.150s", hostname);
}

static void set_subject(struct tls_failure *failure, const char *what, X509_NAME *name) {
  char subject[200];
  tls_certificate_name(name, subject, sizeof subject);
  failure->code = "TLS_CERTIFICATE";
  snprintf(failure->reason, sizeof failure->reason, "%s: %s", what, subject);
}

void tls_failure_of_certificate(struct tls_failure *failure, int error, X509 *certificate, const char *hostname) {
  char reason[200];
  switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      set_names(failure, certificate, hostname ? hostname : "?");
      break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
      set_time(failure, "has expired (on", X509_get0_notAfter(certificate));
      break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      set_time(failure, "is not valid yet (before", X509_get0_notBefore(certificate));
      break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      set_subject(failure, "the certificate is self-signed", X509_get_subject_name(certificate));
      break;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      set_subject(failure, "the chain ends in a certificate that is not trusted", X509_get_subject_name(certificate));
      break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      set_subject(failure, "the certificate's issuer is unknown", X509_get_issuer_name(certificate));
      break;
    default:
      snprintf(reason, sizeof reason, "the certificate was refused: %s", X509_verify_cert_error_string(error));
      set(failure, "TLS_CERTIFICATE", reason);
  }
}

/* OpenSSL forgets the certificate that it refuses: what there is to say is said here. */
int tls_on_certificate(int good, X509_STORE_CTX *chain) {
  if (good) return good;
  struct tls_failure failure;
  SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
  struct tls *tls = SSL_get_ex_data(ssl, OPENSSL_DATA);
  X509 *certificate = X509_STORE_CTX_get_current_cert(chain);
  tls_failure_of_certificate(&failure, X509_STORE_CTX_get_error(chain), certificate, tls_transport_hostname(tls));
  tls_transport_refuse(tls, failure.code, failure.reason);
  return good;
}
