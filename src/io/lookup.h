/* A host name on its way to addresses, off the loop. It lives until libuv is done with it, whether
 * or not anyone still waits. */
#ifndef NEAP_IO_LOOKUP_H
#define NEAP_IO_LOOKUP_H

#include <stdbool.h>
#include <uv.h>

#include "io/address.h"

/* [addresses] belong to whoever is told; NULL when [status] is negative. */
typedef void lookup_done(void *owner, int status, struct addresses *addresses);

struct lookup;
struct neap;

/* Begins to resolve [host]; [passive]: to listen there. Returns 0 or a code of libuv. */
int lookup_start(struct lookup **lookup, struct neap *rt, const char *host, int port, bool passive,
                 lookup_done *done, void *owner);

/* Nobody is told any more. NULL is allowed. */
void lookup_cancel(struct lookup *lookup);

#endif
