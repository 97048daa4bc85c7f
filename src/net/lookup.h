/* A host name on its way to addresses, off the loop. It lives until libuv is done with it, whether
 * or not anyone still waits. */
#ifndef NEAP_NET_LOOKUP_H
#define NEAP_NET_LOOKUP_H

#include <stdbool.h>
#include <uv.h>

#include "io/address.h"

/* [addresses] belong to whoever is told; NULL when [status] is negative. */
typedef void lookup_done(void *owner, int status, struct addresses *addresses);

struct lookup;
struct neap;

/* What is to be found. */
struct lookup_request {
  const char *host;    /* or NULL: this machine */
  const char *service; /* its port, by name; or NULL: [port] */
  int port;
  int family;          /* AF_UNSPEC: any */
  int socktype;
  bool passive;        /* to listen there */
};

/* Begins to resolve a name. Returns 0 or a code of libuv. */
int lookup_start_with(struct lookup **lookup, struct neap *rt, const struct lookup_request *request,
                      lookup_done *done, void *owner);

/* The same for [host] and [port], for streams. */
int lookup_start(struct lookup **lookup, struct neap *rt, const char *host, int port, bool passive,
                 lookup_done *done, void *owner);

/* For a host that may be numeric, too: then [done] is called at once. A name is looked up if limits allow it. */
int lookup_host(struct lookup **lookup, struct neap *rt, const char *host, int port, bool passive,
                lookup_done *done, void *owner);

/* Nobody is told any more. NULL is allowed. */
void lookup_cancel(struct lookup *lookup);

#endif
