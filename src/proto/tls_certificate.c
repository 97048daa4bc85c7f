#include "proto/tls_certificate.h"

#include <arpa/inet.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Whoever made the certificate chose the bytes: only those that can be shown are. */
static void copy_shown(char *to, size_t size, const char *from, size_t length) {
  size_t n = length < size ? length : size - 1;
  for (size_t i = 0; i < n; i++) to[i] = from[i] > ' ' - 1 && from[i] < 0x7f ? from[i] : '?';
  to[n] = '\0';
}

/* --- names of hosts --- */

/* One of them; false: it names no host. */
static bool host_name(const GENERAL_NAME *name, char *text, size_t size) {
  const ASN1_STRING *string = name->type == GEN_DNS     ? name->d.dNSName
                              : name->type == GEN_IPADD ? name->d.iPAddress
                                                        : NULL;
  if (!string) return false;
  const char *bytes = (const char *)ASN1_STRING_get0_data(string);
  int length = ASN1_STRING_length(string);
  if (name->type == GEN_DNS)
    copy_shown(text, size, bytes, (size_t)length);
  else if (length == 4 || length == 16)
    inet_ntop(length == 4 ? AF_INET : AF_INET6, bytes, text, (socklen_t)size);
  else
    return false;
  return true;
}

static GENERAL_NAMES *get_names(X509 *certificate) {
  return X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
}

/* Adds one, if there is room for it and for the count of those that have none. */
static bool add_name(char *text, size_t size, const char *name) {
  size_t used = strlen(text), length = strlen(name);
  if (used + length + sizeof ", and 1000 more" > size) return false;
  sprintf(text + used, "%s%s", used ? ", " : "", name);
  return true;
}

bool tls_certificate_names(X509 *certificate, char *text, size_t size) {
  GENERAL_NAMES *names = get_names(certificate);
  char name[256];
  int more = 0;
  text[0] = '\0';
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++)
    if (host_name(sk_GENERAL_NAME_value(names, i), name, sizeof name)) more += !add_name(text, size, name);
  GENERAL_NAMES_free(names);
  size_t used = strlen(text);
  if (more > 0) snprintf(text + used, size - used, "%s%d more", used ? " and " : "", more);
  return *text;
}

/* --- names of holders and issuers --- */

void tls_certificate_name(X509_NAME *name, char *text, size_t size) {
  char *bytes;
  BIO *bio = BIO_new(BIO_s_mem());
  text[0] = '\0';
  if (!bio) return;
  X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
  long length = BIO_get_mem_data(bio, &bytes);
  if (length > 0) {
    size_t n = (size_t)length < size ? (size_t)length : size - 1;
    memcpy(text, bytes, n);
    text[n] = '\0';
  }
  BIO_free(bio);
}

/* --- a table --- */

static void set_name(lua_State *L, const char *field, X509_NAME *name) {
  char text[1024];
  tls_certificate_name(name, text, sizeof text);
  lua_pushstring(L, text);
  lua_setfield(L, -2, field);
}

static void set_time(lua_State *L, const char *field, const ASN1_TIME *when) {
  struct tm tm;
  if (!ASN1_TIME_to_tm(when, &tm)) return;
  lua_pushinteger(L, (lua_Integer)timegm(&tm));
  lua_setfield(L, -2, field);
}

static void set_hosts(lua_State *L, const GENERAL_NAMES *names) {
  char name[256];
  lua_newtable(L);
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
    if (!host_name(sk_GENERAL_NAME_value(names, i), name, sizeof name)) continue;
    lua_pushstring(L, name);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
  lua_setfield(L, -2, "names");
}

static void set_fingerprint(lua_State *L, X509 *certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  char text[2 * EVP_MAX_MD_SIZE + 1];
  unsigned length = 0;
  if (!X509_digest(certificate, EVP_sha256(), digest, &length)) return;
  for (unsigned i = 0; i < length; i++) sprintf(text + 2 * i, "%02x", digest[i]);
  lua_pushlstring(L, text, 2 * (size_t)length);
  lua_setfield(L, -2, "fingerprint_sha256");
}

static void set_serial(lua_State *L, X509 *certificate) {
  char text[100] = "";
  BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
  char *digits = number ? BN_bn2hex(number) : NULL;
  if (digits) snprintf(text, sizeof text, "%s", digits);
  OPENSSL_free(digits);
  BN_free(number);
  lua_pushstring(L, text);
  lua_setfield(L, -2, "serial");
}

struct description {
  X509 *certificate;
  GENERAL_NAMES *names;
};

static int describe(lua_State *L) {
  const struct description *what = lua_touserdata(L, 1);
  lua_createtable(L, 0, 7);
  set_name(L, "subject", X509_get_subject_name(what->certificate));
  set_name(L, "issuer", X509_get_issuer_name(what->certificate));
  set_hosts(L, what->names);
  set_time(L, "not_before", X509_get0_notBefore(what->certificate));
  set_time(L, "not_after", X509_get0_notAfter(what->certificate));
  set_fingerprint(L, what->certificate);
  set_serial(L, what->certificate);
  return 1;
}

void tls_certificate_push(lua_State *L, X509 *certificate) {
  luaL_checkstack(L, LUA_MINSTACK, "not enough memory");
  struct description what = {certificate, get_names(certificate)};
  lua_pushcfunction(L, describe);
  lua_pushlightuserdata(L, &what);
  int status = lua_pcall(L, 1, 1, 0);
  GENERAL_NAMES_free(what.names);
  X509_free(certificate);
  if (status != LUA_OK) lua_error(L);
}
