#include "api/host.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINE_MAX_BYTES = 256 };

/* In one write, so that those of several threads do not mix. */
void host_refuse(const char *call, const char *format, ...) {
  char line[LINE_MAX_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  fprintf(stderr, "neap: %s: %s\n", call, line);
}

bool host_check_port(neap_t *neap, const char *call) {
  if (!neap) {
    host_refuse(call, "the runtime is NULL");
    return false;
  }
  if (port_was_freed(neap)) {
    host_refuse(call, "the runtime was freed");
    return false;
  }
  return true;
}

struct neap *host_check(neap_t *neap, const char *call) {
  if (!host_check_port(neap, call)) return NULL;
  if (port_is_foreign(neap)) {
    host_refuse(call, "another thread is running the runtime");
    return NULL;
  }
  if (!neap->rt) host_refuse(call, "the runtime's Lua state was closed");
  return neap->rt;
}

struct neap *host_check_idle(neap_t *neap, const char *call) {
  struct neap *rt = host_check(neap, call);
  if (!rt || !(rt->running || neap->freeing)) return rt;
  host_refuse(call, neap->freeing ? "the runtime is being freed"
                                  : "the runtime is running: it can be called when neap_run has returned");
  return NULL;
}
