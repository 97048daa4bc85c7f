#include "io/lookup.h"

#include "core/runtime.h"

struct lookup {
  uv_getaddrinfo_t req; /* must be first */
  struct memory *memory;
  int port;
  lookup_done *done;
  void *owner; /* NULL: nobody waits */
};

static void on_found(uv_getaddrinfo_t *req, int status, struct addrinfo *found) {
  struct lookup *lookup = (struct lookup *)req;
  if (lookup->owner) {
    struct addresses *addresses = status < 0 ? NULL : addresses_from(lookup->memory, found, lookup->port);
    if (status >= 0 && !addresses) status = UV_ENOMEM;
    lookup->done(lookup->owner, status, addresses);
  }
  uv_freeaddrinfo(found);
  memory_free(lookup);
}

int lookup_start(struct lookup **result, struct neap *rt, const char *host, int port, bool passive,
                 lookup_done *done, void *owner) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = passive ? AI_PASSIVE : 0};
  struct lookup *lookup = memory_alloc(rt->memory, sizeof *lookup);
  if (!lookup) return UV_ENOMEM;
  lookup->memory = rt->memory;
  lookup->port = port;
  lookup->done = done;
  lookup->owner = owner;
  rt->pool_used = true;
  int status = uv_getaddrinfo(rt->loop, &lookup->req, on_found, host, NULL, &hints);
  if (status < 0) {
    memory_free(lookup);
    return status;
  }
  *result = lookup;
  return 0;
}

void lookup_cancel(struct lookup *lookup) {
  if (!lookup) return;
  lookup->owner = NULL;
  uv_cancel((uv_req_t *)&lookup->req);
}
