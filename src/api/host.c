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
  const char *mistake = NULL;
  if (!neap)
    mistake = "the runtime is NULL";
  else if (port_was_freed(neap) || atomic_load(&neap->hold) == HOLD_FREED)
    mistake = "the runtime was freed";
  if (mistake) host_refuse(call, "%s", mistake);
  return !mistake;
}

bool host_has_ended(neap_t *neap) {
  return !port_is_foreign(neap) && !neap->rt && atomic_load(&neap->hold) == HOLD_HOST;
}

struct neap *host_check(neap_t *neap, const char *call) {
  const char *mistake = NULL;
  if (!host_check_port(neap, call)) return NULL;
  if (port_is_foreign(neap))
    mistake = "another thread is running the runtime";
  else if (!neap->rt && atomic_load(&neap->hold) == HOLD_FREEING)
    mistake = "the runtime is being freed";
  else if (!neap->rt)
    mistake = "the runtime's Lua state was closed";
  if (mistake) host_refuse(call, "%s", mistake);
  return mistake ? NULL : neap->rt;
}

struct neap *host_check_state(lua_State *L, const char *call) {
  neap_t *neap = L ? neap_of(L) : NULL;
  if (neap) return host_check(neap, call);
  host_refuse(call, "%s", L ? "the Lua state has no runtime" : "the Lua state is NULL");
  return NULL;
}

struct neap *host_check_idle(neap_t *neap, const char *call) {
  struct neap *rt = host_check(neap, call);
  const char *mistake = NULL;
  if (rt && atomic_load(&neap->hold) == HOLD_FREEING)
    mistake = "the runtime is being freed";
  else if (rt && rt->running)
    mistake = "the runtime is running: it can be called when neap_run has returned";
  else if (rt && neap->telling > 0)
    mistake = "the runtime is in a callback: it can be called when that has returned";
  if (mistake) host_refuse(call, "%s", mistake);
  return mistake ? NULL : rt;
}
