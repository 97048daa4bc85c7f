#include "net/endpoint.h"

#include <errno.h>
#include <string.h>

enum { DATAGRAM_MAX = 64 * 1024 /* there is no longer one */ };

struct outgoing {
  uv_udp_send_t req; /* must be first */
  void (*sent)(void *owner, int status);
  void *owner; /* NULL: nobody waits */
  char bytes[];
};

/* --- its life --- */

static void on_closed(uv_handle_t *handle) { memory_free(handle); }

static void forget_received(struct endpoint *e) {
  struct datagram *datagram;
  while ((datagram = endpoint_take(e))) memory_free(datagram);
}

void endpoint_close(struct endpoint *e) {
  if (e->holder) *e->holder = NULL;
  e->holder = NULL;
  e->owner = NULL;
  forget_received(e);
  list_remove(&e->resource.link);
  uv_close((uv_handle_t *)&e->udp, on_closed);
}

static void close_resource(struct neap *rt, struct resource *resource) {
  (void)rt;
  endpoint_close(container_of(resource, struct endpoint, resource));
}

static struct endpoint *new_endpoint(struct neap *rt, struct slab *slab, int family, int *status) {
  struct endpoint *e = memory_calloc(rt->memory, 1, sizeof *e);
  *status = e ? uv_udp_init_ex(rt->loop, &e->udp, (unsigned)family) : UV_ENOMEM;
  if (*status < 0) {
    memory_free(e);
    return NULL;
  }
  uv_unref((uv_handle_t *)&e->udp);
  e->rt = rt;
  e->slab = slab;
  e->family = family;
  list_init(&e->received);
  e->resource.close = close_resource;
  list_append(&rt->resources, &e->resource.link);
  return e;
}

static int switch_option(const struct endpoint *e, int level, int name, int on) {
  uv_os_fd_t fd;
  int status = uv_fileno((const uv_handle_t *)&e->udp, &fd);
  if (status < 0) return status;
  return setsockopt(fd, level, name, &on, sizeof on) ? uv_translate_sys_error(errno) : 0;
}

/* Whether a socket of IPv6 takes IPv4, too, does not depend on how the system is set up. */
static int set_options(struct endpoint *e, const struct endpoint_options *options) {
  int status = 0;
  e->limit = options->limit;
  if (e->family == AF_INET6) status = switch_option(e, IPPROTO_IPV6, IPV6_V6ONLY, options->ipv6_only);
  if (status == 0 && options->reuse_port) status = switch_option(e, SOL_SOCKET, SO_REUSEPORT, 1);
  if (status == 0 && options->broadcast) status = uv_udp_set_broadcast(&e->udp, 1);
  return status;
}

int endpoint_open(struct endpoint **endpoint, struct neap *rt, struct slab *slab,
                  const struct endpoint_options *options, const union address *local,
                  const union address *remote) {
  int status;
  struct endpoint *e = new_endpoint(rt, slab, local->any.sa_family, &status);
  if (!e) return status;
  status = set_options(e, options);
  if (status == 0) status = uv_udp_bind(&e->udp, &local->any, options->reuse_addr ? UV_UDP_REUSEADDR : 0);
  if (status == 0 && remote) status = endpoint_connect(e, remote);
  if (status < 0) {
    endpoint_close(e);
    return status;
  }
  *endpoint = e;
  return 0;
}

void endpoint_own(struct endpoint *e, struct endpoint **holder, void (*arrived)(void *owner), void *owner) {
  *holder = e;
  e->holder = holder;
  e->arrived = arrived;
  e->owner = owner;
}

void endpoint_hold(struct endpoint *e, bool hold) {
  if (hold)
    uv_ref((uv_handle_t *)&e->udp);
  else
    uv_unref((uv_handle_t *)&e->udp);
}

/* --- addresses --- */

/* A socket of IPv6 knows an IPv4 address in IPv6's clothes alone, one of IPv4 only without them. */
static union address dressed_for(const struct endpoint *e, const union address *address) {
  union address dressed = *address;
  if (address->any.sa_family == AF_INET && e->family == AF_INET6) {
    dressed = (union address){.v6 = {.sin6_family = AF_INET6, .sin6_port = address->v4.sin_port}};
    memset(&dressed.v6.sin6_addr.s6_addr[10], 0xff, 2);
    memcpy(&dressed.v6.sin6_addr.s6_addr[12], &address->v4.sin_addr, 4);
  } else if (address->any.sa_family == AF_INET6 && e->family == AF_INET &&
             IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr)) {
    dressed = (union address){.v4 = {.sin_family = AF_INET, .sin_port = address->v6.sin6_port}};
    memcpy(&dressed.v4.sin_addr, &address->v6.sin6_addr.s6_addr[12], 4);
  }
  return dressed;
}

/* libuv connects but once, and to disconnect gives up the port. */
static int connect_again(struct endpoint *e, const union address *remote) {
  uv_os_fd_t fd;
  int status = uv_fileno((const uv_handle_t *)&e->udp, &fd);
  if (status < 0) return status;
  return connect(fd, &remote->any, address_size(remote)) ? uv_translate_sys_error(errno) : 0;
}

int endpoint_connect(struct endpoint *e, const union address *remote) {
  union address dressed = dressed_for(e, remote);
  if (dressed.any.sa_family != e->family) return UV_EAFNOSUPPORT;
  int status = e->connected ? connect_again(e, &dressed) : uv_udp_connect(&e->udp, &dressed.any);
  if (status == 0) e->connected = true;
  return status;
}

int endpoint_local_address(const struct endpoint *e, union address *address) {
  int length = sizeof *address;
  return uv_udp_getsockname(&e->udp, &address->any, &length);
}

int endpoint_peer_address(const struct endpoint *e, union address *address) {
  int length = sizeof *address;
  return uv_udp_getpeername(&e->udp, &address->any, &length);
}

/* --- receiving --- */

static void stop_receiving(struct endpoint *e) {
  uv_udp_recv_stop(&e->udp);
  e->receiving = false;
}

/* A datagram that gets too little room is cut off: there is room for any, or none before the next poll. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void)suggested;
  *buf = slab_room(((struct endpoint *)handle)->slab);
  if (buf->len < DATAGRAM_MAX) buf->len = 0;
}

static bool keep(struct endpoint *e, const char *bytes, size_t length, const struct sockaddr *from) {
  struct datagram *datagram = memory_alloc(e->rt->memory, sizeof *datagram + length);
  if (!datagram) return false;
  memset(&datagram->from, 0, sizeof datagram->from);
  memcpy(&datagram->from, from,
         from->sa_family == AF_INET6 ? sizeof datagram->from.v6 : sizeof datagram->from.v4);
  datagram->length = length;
  memcpy(datagram->bytes, bytes, length);
  list_append(&e->received, &datagram->link);
  e->waiting++;
  return true;
}

/* One that cannot be kept is told as an error. Without [from] there was none after all. */
static void on_received(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
                        unsigned flags) {
  struct endpoint *e = (struct endpoint *)udp;
  (void)flags;
  if (n == UV_ENOBUFS && e->slab->bytes) return; /* the slab is full until the next poll */
  if (n == 0 && !from) return;
  if (n < 0)
    e->error = n == UV_ENOBUFS ? UV_ENOMEM : (int)n;
  else if (!keep(e, buf->base, (size_t)n, from))
    e->error = UV_ENOMEM;
  if (e->waiting >= e->limit || e->error == UV_ENOMEM) stop_receiving(e);
  if (e->owner) e->arrived(e->owner);
}

int endpoint_receive(struct endpoint *e) {
  if (e->receiving || e->waiting > e->limit / 2) return 0;
  int status = uv_udp_recv_start(&e->udp, on_alloc, on_received);
  e->receiving = status == 0;
  return status;
}

struct datagram *endpoint_take(struct endpoint *e) {
  struct list *first = list_first(&e->received);
  if (!first) return NULL;
  list_remove(first);
  e->waiting--;
  return container_of(first, struct datagram, link);
}

/* --- sending --- */

int endpoint_try_send(struct endpoint *e, const char *bytes, size_t length, const union address *to) {
  union address dressed;
  if (length > DATAGRAM_MAX) return UV_EMSGSIZE;
  if (to) dressed = dressed_for(e, to);
  if (to && dressed.any.sa_family != e->family) return UV_EAFNOSUPPORT;
  uv_buf_t buf = uv_buf_init((char *)bytes, (unsigned)length);
  int sent = uv_udp_try_send(&e->udp, &buf, 1, to ? &dressed.any : NULL);
  return sent < 0 ? sent : 0;
}

static void on_sent(uv_udp_send_t *req, int status) {
  struct outgoing *outgoing = (struct outgoing *)req;
  if (outgoing->owner) outgoing->sent(outgoing->owner, status);
  memory_free(outgoing);
}

int endpoint_send(struct endpoint *e, struct outgoing **result, const char *bytes, size_t length,
                  const union address *to, void (*sent)(void *owner, int status), void *owner) {
  union address dressed;
  if (to) dressed = dressed_for(e, to);
  struct outgoing *outgoing = memory_alloc(e->rt->memory, sizeof *outgoing + length);
  if (!outgoing) return UV_ENOMEM;
  outgoing->sent = sent;
  outgoing->owner = owner;
  memcpy(outgoing->bytes, bytes, length);
  uv_buf_t buf = uv_buf_init(outgoing->bytes, (unsigned)length);
  int status = uv_udp_send(&outgoing->req, &e->udp, &buf, 1, to ? &dressed.any : NULL, on_sent);
  if (status < 0) {
    memory_free(outgoing);
    return status;
  }
  *result = outgoing;
  return 0;
}

void outgoing_forget(struct outgoing *outgoing) {
  if (outgoing) outgoing->owner = NULL;
}
