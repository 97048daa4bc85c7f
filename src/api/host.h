/* What the public functions share. */
#ifndef NEAP_API_HOST_H
#define NEAP_API_HOST_H

#include "core/port.h"
#include "neap.h"

/* Says on stderr what mistake a call of the host's is. */
void host_refuse(const char *call, const char *format, ...);

/* The runtime, for a call on its own thread; NULL if the call is a mistake, which was said. */
struct neap *host_check(neap_t *neap, const char *call);

/* The same for a call that is given a state. */
struct neap *host_check_state(lua_State *L, const char *call);

/* The same, for a call that cannot be made inside a run or a callback. */
struct neap *host_check_idle(neap_t *neap, const char *call);

/* Whether a call that may come from any thread is given a runtime that is there. */
bool host_check_port(neap_t *neap, const char *call);

/* Whether its Lua state was closed, which ended it. */
bool host_has_ended(neap_t *neap);

#endif
