/* OpenSSL 3, which is opened when it is first needed and not linked: a program that uses no TLS does not pay for
 * it. After this header OpenSSL's names mean what was found in the library; before openssl_load they mean
 * nothing. */
#ifndef NEAP_PROTO_OPENSSL_H
#define NEAP_PROTO_OPENSSL_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

/* Every function of OpenSSL that is used, those behind its macros included. */
#define OPENSSL_FUNCTIONS(X) \
  X(ASN1_INTEGER_to_BN) \
  X(ASN1_STRING_get0_data) \
  X(ASN1_STRING_length) \
  X(ASN1_TIME_to_tm) \
  X(BIO_clear_flags) \
  X(BIO_ctrl) \
  X(BIO_free) \
  X(BIO_get_data) \
  X(BIO_get_new_index) \
  X(BIO_meth_new) \
  X(BIO_meth_set_ctrl) \
  X(BIO_meth_set_read) \
  X(BIO_meth_set_write) \
  X(BIO_new) \
  X(BIO_new_mem_buf) \
  X(BIO_s_mem) \
  X(BIO_set_data) \
  X(BIO_set_flags) \
  X(BIO_set_init) \
  X(BN_bn2hex) \
  X(BN_free) \
  X(CRYPTO_free) \
  X(d2i_SSL_SESSION) \
  X(ERR_clear_error) \
  X(ERR_peek_last_error) \
  X(ERR_reason_error_string) \
  X(EVP_PKEY_free) \
  X(EVP_sha256) \
  X(GENERAL_NAMES_free) \
  X(i2d_SSL_SESSION) \
  X(OPENSSL_sk_num) \
  X(OPENSSL_sk_value) \
  X(PEM_read_bio_PrivateKey) \
  X(PEM_read_bio_X509) \
  X(SSL_alert_desc_string_long) \
  X(SSL_CIPHER_get_name) \
  X(SSL_client_hello_get0_ext) \
  X(SSL_ctrl) \
  X(SSL_CTX_add_client_CA) \
  X(SSL_CTX_callback_ctrl) \
  X(SSL_CTX_check_private_key) \
  X(SSL_CTX_ctrl) \
  X(SSL_CTX_free) \
  X(SSL_CTX_get_cert_store) \
  X(SSL_CTX_load_verify_dir) \
  X(SSL_CTX_new) \
  X(SSL_CTX_set_alpn_select_cb) \
  X(SSL_CTX_set_cipher_list) \
  X(SSL_CTX_set_ciphersuites) \
  X(SSL_CTX_set_client_hello_cb) \
  X(SSL_CTX_set_default_verify_paths) \
  X(SSL_CTX_set_num_tickets) \
  X(SSL_CTX_set_options) \
  X(SSL_CTX_use_certificate) \
  X(SSL_CTX_use_PrivateKey) \
  X(SSL_do_handshake) \
  X(SSL_free) \
  X(SSL_get0_alpn_selected) \
  X(SSL_get0_param) \
  X(SSL_get1_peer_certificate) \
  X(SSL_get_current_cipher) \
  X(SSL_get_error) \
  X(SSL_get_ex_data) \
  X(SSL_get_ex_data_X509_STORE_CTX_idx) \
  X(SSL_get_servername) \
  X(SSL_get_session) \
  X(SSL_get_verify_result) \
  X(SSL_get_version) \
  X(SSL_new) \
  X(SSL_pending) \
  X(SSL_read_ex) \
  X(SSL_SESSION_free) \
  X(SSL_SESSION_is_resumable) \
  X(SSL_session_reused) \
  X(SSL_set1_host) \
  X(SSL_set_accept_state) \
  X(SSL_set_alpn_protos) \
  X(SSL_set_bio) \
  X(SSL_set_connect_state) \
  X(SSL_set_ex_data) \
  X(SSL_set_hostflags) \
  X(SSL_set_session) \
  X(SSL_set_session_id_context) \
  X(SSL_set_SSL_CTX) \
  X(SSL_set_verify) \
  X(SSL_shutdown) \
  X(SSL_version) \
  X(SSL_write_ex) \
  X(TLS_method) \
  X(X509_digest) \
  X(X509_free) \
  X(X509_get0_notAfter) \
  X(X509_get0_notBefore) \
  X(X509_get0_serialNumber) \
  X(X509_get_ext_d2i) \
  X(X509_get_issuer_name) \
  X(X509_get_subject_name) \
  X(X509_NAME_print_ex) \
  X(X509_STORE_add_cert) \
  X(X509_STORE_CTX_get_current_cert) \
  X(X509_STORE_CTX_get_error) \
  X(X509_STORE_CTX_get_ex_data) \
  X(X509_verify_cert_error_string) \
  X(X509_VERIFY_PARAM_set1_ip_asc)

#define OPENSSL_FIELD(name) __typeof__(&name) p_##name;
struct openssl_table {
  OPENSSL_FUNCTIONS(OPENSSL_FIELD)
};
#undef OPENSSL_FIELD

/* One for the process, filled in once. */
extern struct openssl_table openssl_table;

/* A name that is missing here is found by the linker. */
#ifndef OPENSSL_TABLE_ALONE
#define ASN1_INTEGER_to_BN openssl_table.p_ASN1_INTEGER_to_BN
#define ASN1_STRING_get0_data openssl_table.p_ASN1_STRING_get0_data
#define ASN1_STRING_length openssl_table.p_ASN1_STRING_length
#define ASN1_TIME_to_tm openssl_table.p_ASN1_TIME_to_tm
#define BIO_clear_flags openssl_table.p_BIO_clear_flags
#define BIO_ctrl openssl_table.p_BIO_ctrl
#define BIO_free openssl_table.p_BIO_free
#define BIO_get_data openssl_table.p_BIO_get_data
#define BIO_get_new_index openssl_table.p_BIO_get_new_index
#define BIO_meth_new openssl_table.p_BIO_meth_new
#define BIO_meth_set_ctrl openssl_table.p_BIO_meth_set_ctrl
#define BIO_meth_set_read openssl_table.p_BIO_meth_set_read
#define BIO_meth_set_write openssl_table.p_BIO_meth_set_write
#define BIO_new openssl_table.p_BIO_new
#define BIO_new_mem_buf openssl_table.p_BIO_new_mem_buf
#define BIO_s_mem openssl_table.p_BIO_s_mem
#define BIO_set_data openssl_table.p_BIO_set_data
#define BIO_set_flags openssl_table.p_BIO_set_flags
#define BIO_set_init openssl_table.p_BIO_set_init
#define BN_bn2hex openssl_table.p_BN_bn2hex
#define BN_free openssl_table.p_BN_free
#define CRYPTO_free openssl_table.p_CRYPTO_free
#define d2i_SSL_SESSION openssl_table.p_d2i_SSL_SESSION
#define ERR_clear_error openssl_table.p_ERR_clear_error
#define ERR_peek_last_error openssl_table.p_ERR_peek_last_error
#define ERR_reason_error_string openssl_table.p_ERR_reason_error_string
#define EVP_PKEY_free openssl_table.p_EVP_PKEY_free
#define EVP_sha256 openssl_table.p_EVP_sha256
#define GENERAL_NAMES_free openssl_table.p_GENERAL_NAMES_free
#define i2d_SSL_SESSION openssl_table.p_i2d_SSL_SESSION
#define OPENSSL_sk_num openssl_table.p_OPENSSL_sk_num
#define OPENSSL_sk_value openssl_table.p_OPENSSL_sk_value
#define PEM_read_bio_PrivateKey openssl_table.p_PEM_read_bio_PrivateKey
#define PEM_read_bio_X509 openssl_table.p_PEM_read_bio_X509
#define SSL_alert_desc_string_long openssl_table.p_SSL_alert_desc_string_long
#define SSL_CIPHER_get_name openssl_table.p_SSL_CIPHER_get_name
#define SSL_client_hello_get0_ext openssl_table.p_SSL_client_hello_get0_ext
#define SSL_ctrl openssl_table.p_SSL_ctrl
#define SSL_CTX_add_client_CA openssl_table.p_SSL_CTX_add_client_CA
#define SSL_CTX_callback_ctrl openssl_table.p_SSL_CTX_callback_ctrl
#define SSL_CTX_check_private_key openssl_table.p_SSL_CTX_check_private_key
#define SSL_CTX_ctrl openssl_table.p_SSL_CTX_ctrl
#define SSL_CTX_free openssl_table.p_SSL_CTX_free
#define SSL_CTX_get_cert_store openssl_table.p_SSL_CTX_get_cert_store
#define SSL_CTX_load_verify_dir openssl_table.p_SSL_CTX_load_verify_dir
#define SSL_CTX_new openssl_table.p_SSL_CTX_new
#define SSL_CTX_set_alpn_select_cb openssl_table.p_SSL_CTX_set_alpn_select_cb
#define SSL_CTX_set_cipher_list openssl_table.p_SSL_CTX_set_cipher_list
#define SSL_CTX_set_ciphersuites openssl_table.p_SSL_CTX_set_ciphersuites
#define SSL_CTX_set_client_hello_cb openssl_table.p_SSL_CTX_set_client_hello_cb
#define SSL_CTX_set_default_verify_paths openssl_table.p_SSL_CTX_set_default_verify_paths
#define SSL_CTX_set_num_tickets openssl_table.p_SSL_CTX_set_num_tickets
#define SSL_CTX_set_options openssl_table.p_SSL_CTX_set_options
#define SSL_CTX_use_certificate openssl_table.p_SSL_CTX_use_certificate
#define SSL_CTX_use_PrivateKey openssl_table.p_SSL_CTX_use_PrivateKey
#define SSL_do_handshake openssl_table.p_SSL_do_handshake
#define SSL_free openssl_table.p_SSL_free
#define SSL_get0_alpn_selected openssl_table.p_SSL_get0_alpn_selected
#define SSL_get0_param openssl_table.p_SSL_get0_param
#define SSL_get1_peer_certificate openssl_table.p_SSL_get1_peer_certificate
#define SSL_get_current_cipher openssl_table.p_SSL_get_current_cipher
#define SSL_get_error openssl_table.p_SSL_get_error
#define SSL_get_ex_data openssl_table.p_SSL_get_ex_data
#define SSL_get_ex_data_X509_STORE_CTX_idx openssl_table.p_SSL_get_ex_data_X509_STORE_CTX_idx
#define SSL_get_servername openssl_table.p_SSL_get_servername
#define SSL_get_session openssl_table.p_SSL_get_session
#define SSL_get_verify_result openssl_table.p_SSL_get_verify_result
#define SSL_get_version openssl_table.p_SSL_get_version
#define SSL_new openssl_table.p_SSL_new
#define SSL_pending openssl_table.p_SSL_pending
#define SSL_read_ex openssl_table.p_SSL_read_ex
#define SSL_SESSION_free openssl_table.p_SSL_SESSION_free
#define SSL_SESSION_is_resumable openssl_table.p_SSL_SESSION_is_resumable
#define SSL_session_reused openssl_table.p_SSL_session_reused
#define SSL_set1_host openssl_table.p_SSL_set1_host
#define SSL_set_accept_state openssl_table.p_SSL_set_accept_state
#define SSL_set_alpn_protos openssl_table.p_SSL_set_alpn_protos
#define SSL_set_bio openssl_table.p_SSL_set_bio
#define SSL_set_connect_state openssl_table.p_SSL_set_connect_state
#define SSL_set_ex_data openssl_table.p_SSL_set_ex_data
#define SSL_set_hostflags openssl_table.p_SSL_set_hostflags
#define SSL_set_session openssl_table.p_SSL_set_session
#define SSL_set_session_id_context openssl_table.p_SSL_set_session_id_context
#define SSL_set_SSL_CTX openssl_table.p_SSL_set_SSL_CTX
#define SSL_set_verify openssl_table.p_SSL_set_verify
#define SSL_shutdown openssl_table.p_SSL_shutdown
#define SSL_version openssl_table.p_SSL_version
#define SSL_write_ex openssl_table.p_SSL_write_ex
#define TLS_method openssl_table.p_TLS_method
#define X509_digest openssl_table.p_X509_digest
#define X509_free openssl_table.p_X509_free
#define X509_get0_notAfter openssl_table.p_X509_get0_notAfter
#define X509_get0_notBefore openssl_table.p_X509_get0_notBefore
#define X509_get0_serialNumber openssl_table.p_X509_get0_serialNumber
#define X509_get_ext_d2i openssl_table.p_X509_get_ext_d2i
#define X509_get_issuer_name openssl_table.p_X509_get_issuer_name
#define X509_get_subject_name openssl_table.p_X509_get_subject_name
#define X509_NAME_print_ex openssl_table.p_X509_NAME_print_ex
#define X509_STORE_add_cert openssl_table.p_X509_STORE_add_cert
#define X509_STORE_CTX_get_current_cert openssl_table.p_X509_STORE_CTX_get_current_cert
#define X509_STORE_CTX_get_error openssl_table.p_X509_STORE_CTX_get_error
#define X509_STORE_CTX_get_ex_data openssl_table.p_X509_STORE_CTX_get_ex_data
#define X509_verify_cert_error_string openssl_table.p_X509_verify_cert_error_string
#define X509_VERIFY_PARAM_set1_ip_asc openssl_table.p_X509_VERIFY_PARAM_set1_ip_asc
#endif

/* Opens the library unless it is open. Returns NULL, or what stands against it. From any thread. */
const char *openssl_load(void);

/* The index of SSL's data that is ours: the transport. */
enum { OPENSSL_DATA = 0 };

#endif
