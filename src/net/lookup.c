#include "net/lookup.h"

#include "core/limits.h"
#include "core/runtime.h"
#include "core/work.h"

struct lookup {
  uv_getaddrinfo_t req; /* must be first */
  struct memory *memory;
  int port;
  lookup_done *done;
  void *owner; /* NULL: nobody waits */
};

static void on_found(uv_getaddrinfo_t *req, int status, struct addrinfo *found) {
  struct lookup *lookup = (struct lookup *)req;
  work_may_block(false);
  if (lookup->owner) {
    struct addresses *addresses = status < 0 ? NULL : addresses_from(lookup->memory, found, lookup->port);
    if (status >= 0 && !addresses) status = UV_ENOMEM;
    lookup->done(lookup->owner, status, addresses);
  }
  uv_freeaddrinfo(found);
  memory_free(lookup);
}

int lookup_start_with(struct lookup **result, struct neap *rt, const struct lookup_request *request,
                      lookup_done *done, void *owner) {
  struct addrinfo hints = {.ai_socktype = request->socktype, .ai_family = request->family};
  struct lookup *lookup = memory_alloc(rt->memory, sizeof *lookup);
  if (!lookup) return UV_ENOMEM;
  lookup->memory = rt->memory;
  lookup->port = request->service ? -1 : request->port;
  lookup->done = done;
  lookup->owner = owner;
  rt->pool_used = true;
  if (request->passive) hints.ai_flags = AI_PASSIVE;
  const char *service = request->host || request->service ? request->service : "0";
  int status = uv_getaddrinfo(rt->loop, &lookup->req, on_found, request->host, service, &hints);
  if (status < 0) {
    memory_free(lookup);
    return status == UV_EINVAL ? UV_EAI_NONAME : status; /* what is no name at all */
  }
  work_may_block(true);
  *result = lookup;
  return 0;
}

int lookup_start(struct lookup **result, struct neap *rt, const char *host, int port, bool passive,
                 lookup_done *done, void *owner) {
  struct lookup_request request = {
      .host = host, .port = port, .socktype = SOCK_STREAM, .passive = passive};
  return lookup_start_with(result, rt, &request, done, owner);
}

int lookup_host(struct lookup **result, struct neap *rt, const char *host, int port, bool passive,
                lookup_done *done, void *owner) {
  union address address;
  if (!address_parse(&address, host, port)) {
    int status = limits_name(rt);
    return status < 0 ? status : lookup_start(result, rt, host, port, passive, done, owner);
  }
  struct addresses *addresses = addresses_new(rt->memory, 1);
  if (!addresses) return UV_ENOMEM;
  addresses->list[0] = address;
  done(owner, 0, addresses);
  return 0;
}

void lookup_cancel(struct lookup *lookup) {
  if (!lookup) return;
  lookup->owner = NULL;
  uv_cancel((uv_req_t *)&lookup->req);
}
