#define OPENSSL_TABLE_ALONE
#include "proto/openssl.h"

#include <stdio.h>
#include <uv.h>

#ifdef __APPLE__
#define LIBRARY "libssl.3.dylib"
#else
#define LIBRARY "libssl.so.3"
#endif

struct openssl_table openssl_table;

static uv_once_t once = UV_ONCE_INIT;
static uv_lib_t library;
static const char *failure;
static char missing[200];

static bool find(const char *name, void **pointer) {
  if (uv_dlsym(&library, name, pointer) == 0) return true;
  snprintf(missing, sizeof missing, "%s has no %s", LIBRARY, name);
  failure = missing;
  return false;
}

/* What libssl needs, libcrypto, is looked through with it. */
static void load(void) {
  if (uv_dlopen(LIBRARY, &library) < 0) {
    snprintf(missing, sizeof missing, "OpenSSL 3 cannot be loaded: %s", uv_dlerror(&library));
    failure = missing;
    return;
  }
#define OPENSSL_FIND(name) \
  if (!find(#name, (void **)&openssl_table.p_##name)) return;
  OPENSSL_FUNCTIONS(OPENSSL_FIND)
#undef OPENSSL_FIND
}

const char *openssl_load(void) {
  uv_once(&once, load);
  return failure;
}
