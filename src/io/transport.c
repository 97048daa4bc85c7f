#include "io/transport.h"

#include <string.h>
#include <unistd.h>

enum { CLOSE_LIMIT_MS = 5000 };

/* What the socket did not take at once. */
struct rest {
  uv_write_t req; /* must be first */
  char bytes[];
};

/* --- its life --- */

static void let_go(struct transport *t) {
  if (--t->holders == 0) memory_free(t);
}

static void free_handle(uv_handle_t *handle) {
  memory_free(handle);
}

static void on_closed(uv_handle_t *handle) {
  struct transport *t = (struct transport *)handle;
  t->closed = true;
  list_remove(&t->resource.link);
  if (t->owner && t->events) t->events->closed(t->owner);
  let_go(t);
}

static void close_resource(struct neap *rt, struct resource *resource);

struct transport *transport_new(struct neap *rt, struct slab *slab, bool nodelay) {
  struct transport *t = memory_calloc(rt->memory, 1, sizeof *t);
  if (!t) return NULL;
  if (uv_tcp_init(rt->loop, &t->uv.tcp) < 0) {
    memory_free(t);
    return NULL;
  }
  uv_unref(&t->uv.handle);
  uv_tcp_nodelay(&t->uv.tcp, nodelay);
  t->rt = rt;
  t->slab = slab;
  t->holders = 2;
  t->resource.close = close_resource;
  list_append(&rt->resources, &t->resource.link);
  return t;
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

/* --- beginning --- */

int transport_open(struct transport *t, int fd) {
  int length = sizeof t->peer;
  int status = uv_tcp_open(&t->uv.tcp, fd);
  if (status < 0) {
    close(fd);
    return status;
  }
  uv_tcp_getpeername(&t->uv.tcp, &t->peer.any, &length);
  return 0;
}

static void on_connected(uv_connect_t *req, int status) {
  struct transport *t = (struct transport *)req->handle;
  if (t->owner && !t->closing) t->connected(t->owner, status);
}

int transport_connect(struct transport *t, const union address *address, const union address *local,
                      void (*connected)(void *owner, int status), void *owner) {
  int status = local ? uv_tcp_bind(&t->uv.tcp, &local->any, 0) : 0;
  if (status < 0) return status;
  t->peer = *address;
  t->connected = connected;
  t->owner = owner;
  return uv_tcp_connect(&t->req.connect, &t->uv.tcp, &address->any, on_connected);
}

/* --- receiving --- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void)suggested;
  *buf = slab_room(((struct transport *)handle)->slab);
}

/* A connection that was reset behind its last bytes ends, for libuv, as if the peer had closed it. */
static int how_it_ended(const struct transport *t) {
  uv_os_fd_t fd;
  int error = 0;
  socklen_t size = sizeof error;
  if (uv_fileno(&t->uv.handle, &fd) < 0) return 0;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error ? uv_translate_sys_error(error) : 0;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  struct transport *t = (struct transport *)stream;
  if (n > 0) {
    slab_use(t->slab, (size_t)n);
    t->events->received(t->owner, buf->base, (size_t)n);
  } else if (n < 0 && !(n == UV_ENOBUFS && t->slab->bytes)) {
    int status = n != UV_EOF ? (int)n : t->error == UV_ECONNRESET ? t->error : how_it_ended(t);
    transport_stop(t);
    if (!t->error) t->error = status;
    t->events->ended(t->owner, status);
  }
}

int transport_start(struct transport *t) {
  if (t->reading || t->closing) return 0;
  int status = uv_read_start(&t->uv.stream, on_alloc, on_read);
  t->reading = status == 0;
  return status;
}

void transport_stop(struct transport *t) {
  if (t->reading) uv_read_stop(&t->uv.stream);
  t->reading = false;
}

void transport_hold(struct transport *t, bool hold) {
  if (hold)
    uv_ref(&t->uv.handle);
  else
    uv_unref(&t->uv.handle);
}

/* --- sending --- */

static void finish_close(struct transport *t);

static void on_written(uv_write_t *req, int status) {
  struct transport *t = (struct transport *)req->handle;
  memory_free(req);
  if (status == UV_ECANCELED) return; /* it was closed: that is told later */
  if (status < 0 && !t->error) t->error = status;
  if (t->owner) t->events->sent(t->owner);
  if (t->closing && (t->error || transport_queued(t) == 0)) finish_close(t);
}

static size_t length_of(const uv_buf_t *bufs, unsigned count) {
  size_t length = 0;
  for (unsigned i = 0; i < count; i++) length += bufs[i].len;
  return length;
}

static void copy_rest(char *to, const uv_buf_t *bufs, unsigned count, size_t skip) {
  for (unsigned i = 0; i < count; i++) {
    size_t length = bufs[i].len;
    if (skip >= length) {
      skip -= length;
      continue;
    }
    memcpy(to, bufs[i].base + skip, length - skip);
    to += length - skip;
    skip = 0;
  }
}

static int queue_rest(struct transport *t, const uv_buf_t *bufs, unsigned count, size_t sent,
                      size_t length) {
  struct rest *rest = memory_alloc(t->rt->memory, sizeof *rest + length - sent);
  if (!rest) return UV_ENOMEM;
  uv_buf_t buf = {.base = rest->bytes, .len = length - sent};
  copy_rest(rest->bytes, bufs, count, sent);
  int status = uv_write(&rest->req, &t->uv.stream, &buf, 1, on_written);
  if (status < 0) memory_free(rest);
  return status;
}

int transport_write(struct transport *t, const uv_buf_t *bufs, unsigned count) {
  size_t length = length_of(bufs, count);
  if (t->error || length == 0) return t->error;
  int sent = uv_try_write(&t->uv.stream, bufs, count);
  if (sent == UV_EAGAIN) sent = 0;
  if (sent >= 0 && (size_t)sent == length) return 0;
  int status = sent < 0 ? sent : queue_rest(t, bufs, count, (size_t)sent, length);
  if (status < 0) t->error = status;
  return status;
}

size_t transport_queued(const struct transport *t) {
  return uv_stream_get_write_queue_size(&t->uv.stream);
}

static void on_shut(uv_shutdown_t *req, int status) {
  struct transport *t = (struct transport *)req->handle;
  if (status < 0 && status != UV_ECANCELED && !t->error) t->error = status;
  if (t->owner) t->events->shut(t->owner, status);
}

int transport_shutdown(struct transport *t) {
  return t->error ? t->error : uv_shutdown(&t->req.shutdown, &t->uv.stream, on_shut);
}

/* --- closing --- */

static void end_limit(struct transport *t) {
  if (!t->limit) return;
  uv_close((uv_handle_t *)t->limit, free_handle);
  t->limit = NULL;
  t->rt->flushing--;
}

static void finish_close(struct transport *t) {
  if (uv_is_closing(&t->uv.handle)) return;
  end_limit(t);
  uv_close(&t->uv.handle, on_closed);
}

static void on_limit(uv_timer_t *timer) {
  struct transport *t = timer->data;
  t->error = UV_ETIMEDOUT;
  finish_close(t);
}

/* The peer has real time to take what is queued, whatever the loop's clock does. */
static bool start_limit(struct transport *t) {
  uv_loop_t *loop = t->uv.handle.loop;
  t->limit = memory_alloc(t->rt->memory, sizeof *t->limit);
  if (!t->limit) return false;
  uv_timer_init(loop, t->limit);
  t->limit->data = t;
  uv_update_time(loop);
  uv_timer_start(t->limit, on_limit, CLOSE_LIMIT_MS, 0);
  t->rt->flushing++;
  return true;
}

void transport_close(struct transport *t) {
  if (t->closing) return;
  t->closing = true;
  transport_stop(t);
  if (t->error || transport_queued(t) == 0 || !start_limit(t)) finish_close(t);
}

/* A loop that is not the runtime's own may outlive it: there it ends at once. */
static void close_resource(struct neap *rt, struct resource *resource) {
  struct transport *t = container_of(resource, struct transport, resource);
  transport_close(t);
  if (!rt->owns_loop) finish_close(t);
}

void transport_abort(struct transport *t) {
  if (uv_is_closing(&t->uv.handle)) return;
  t->closing = true;
  transport_stop(t);
  if (uv_tcp_close_reset(&t->uv.tcp, on_closed) < 0)
    finish_close(t);
  else
    end_limit(t);
}

int transport_local_address(const struct transport *t, union address *address) {
  int length = sizeof *address;
  return uv_tcp_getsockname(&t->uv.tcp, &address->any, &length);
}
