#define OPENSSL_TABLE_ALONE
#include "proto/openssl.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#ifdef __APPLE__
#define LIBRARY "libssl.3.dylib"
#else
#define LIBRARY "libssl.so.3"
#endif

struct openssl_table openssl_table;

static uv_once_t once = UV_ONCE_INIT;
static uv_mutex_t lock; /* of what follows */
static bool loaded;
static uv_lib_t library;

static _Thread_local char failure[200]; /* of the last attempt */

static bool find(const char *name, void **pointer) {
  if (uv_dlsym(&library, name, pointer) == 0) return true;
  snprintf(failure, sizeof failure, "%s has no %s", LIBRARY, name);
  return false;
}

static bool find_all(void) {
#define OPENSSL_FIND(name) \
  if (!find(#name, (void **)&openssl_table.p_##name)) return false;
  OPENSSL_FUNCTIONS(OPENSSL_FIND)
#undef OPENSSL_FIND
  return true;
}

/* What libssl needs, libcrypto, is looked through with it. What fails may do better next time: there may have been no
 * descriptor left. */
static bool load(void) {
  if (uv_dlopen(LIBRARY, &library) == 0 && find_all()) return true;
  if (!library.handle) snprintf(failure, sizeof failure, "OpenSSL 3 cannot be loaded: %s", uv_dlerror(&library));
  uv_dlclose(&library);
  return false;
}

static void make_lock(void) {
  if (uv_mutex_init(&lock) < 0) abort();
}

const char *openssl_load(void) {
  uv_once(&once, make_lock);
  uv_mutex_lock(&lock);
  if (!loaded) loaded = load();
  bool there = loaded;
  uv_mutex_unlock(&lock);
  return there ? NULL : failure;
}
