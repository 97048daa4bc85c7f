#include "io/transport.h"

#include <string.h>

static void let_go(struct transport *t) {
  if (--t->holders > 0) return;
  if (t->kind->free) t->kind->free(t);
  memory_free(t->label);
  memory_free(t);
}

/* A loop that is not the runtime's own may outlive it: there it ends at once. */
static void close_resource(struct neap *rt, struct resource *resource) {
  struct transport *t = container_of(resource, struct transport, resource);
  transport_close(t);
  if (!rt->owns_loop && !t->closed) transport_abort(t);
}

void *transport_new(struct neap *rt, struct slab *slab, const struct transport_kind *kind, size_t size) {
  struct transport *t = memory_calloc(rt->memory, 1, size);
  if (!t) return NULL;
  t->kind = kind;
  t->rt = rt;
  t->slab = slab;
  t->holders = 2;
  t->readable = t->writable = true;
  t->resource.close = close_resource;
  list_append(&rt->resources, &t->resource.link);
  return t;
}

void transport_closed(struct transport *t) {
  t->closed = true;
  list_remove(&t->resource.link);
  if (t->owner && t->events) t->events->closed(t->owner);
  let_go(t);
}

void transport_discard(struct transport *t) {
  t->holders = 1;
  transport_closed(t);
}

void transport_own(struct transport *t, const struct transport_events *events, void *owner) {
  t->events = events;
  t->owner = owner;
}

void transport_release(struct transport *t) {
  t->owner = NULL;
  transport_close(t);
  let_go(t);
}

int transport_set_label(struct transport *t, const char *label) {
  size_t size = strlen(label) + 1;
  char *copy = memory_alloc(t->rt->memory, size);
  if (!copy) return UV_ENOMEM;
  memory_free(t->label);
  t->label = memcpy(copy, label, size);
  return 0;
}

const char *transport_name(const struct transport *t, char name[ADDRESS_MAX]) {
  return t->label ? t->label : address_name(&t->peer, name);
}

int transport_start(struct transport *t) {
  if (t->reading || t->closing) return 0;
  int status = t->kind->start(t);
  t->reading = status == 0;
  return status;
}

void transport_stop(struct transport *t) {
  if (t->reading) t->kind->stop(t);
  t->reading = false;
}

bool transport_read_now(struct transport *t) {
  return t->kind->read_now && !t->reading && !t->closing && t->kind->read_now(t);
}

void transport_hold(struct transport *t, bool hold) { t->kind->hold(t, hold); }

int transport_write(struct transport *t, const uv_buf_t *bufs, unsigned count) {
  return t->kind->write(t, bufs, count);
}

size_t transport_queued(const struct transport *t) { return t->kind->queued(t); }

int transport_shutdown(struct transport *t) { return t->error ? t->error : t->kind->shutdown(t); }

void transport_close(struct transport *t) {
  if (t->closing) return;
  t->closing = true;
  transport_stop(t);
  t->kind->close(t);
}

void transport_abort(struct transport *t) {
  if (t->closed) return;
  t->closing = true;
  transport_stop(t);
  t->kind->abort(t);
}

int transport_local_address(const struct transport *t, union address *address) {
  return t->kind->local_address ? t->kind->local_address(t, address) : UV_ENOTSUP;
}

int transport_descriptor(const struct transport *t) {
  return t->kind->descriptor ? t->kind->descriptor(t) : UV_ENOTSUP;
}
