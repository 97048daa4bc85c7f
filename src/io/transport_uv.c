#include "io/transport_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/run.h"

enum { CLOSE_LIMIT_MS = 5000 };

/* Its handle has it as [data]. It is allocated without what its kind of handle does not need. */
struct uv_transport {
  struct transport base; /* must be first */
  void (*connected)(void *owner, int status);
  uv_timer_t *limit; /* of the time that closing may take, or NULL */
  union {
    uv_connect_t connect;
    uv_shutdown_t shutdown;
  } req;
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
    uv_tty_t tty;
  } uv; /* must be last */
};

/* What the kernel did not take at once. */
struct rest {
  uv_write_t req; /* must be first */
  char bytes[];
};

static struct uv_transport *uv_of(struct transport *t) { return (struct uv_transport *)t; }

static const struct uv_transport *uv_of_const(const struct transport *t) {
  return (const struct uv_transport *)t;
}

/* --- receiving --- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void)suggested;
  *buf = slab_room(((struct transport *)handle->data)->slab);
}

/* A connection that was reset behind its last bytes ends, for libuv, as if the peer had closed it. */
static int how_it_ended(struct transport *t) {
  uv_os_fd_t fd;
  int error = 0;
  socklen_t size = sizeof error;
  if (uv_fileno(&uv_of(t)->uv.handle, &fd) < 0) return 0;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error ? uv_translate_sys_error(error) : 0;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  struct transport *t = stream->data;
  if (n > 0) {
    struct slab *slab = t->slab;
    bool idle = runtime_is_idle(slab->rt);
    slab_use(slab, (size_t)n);
    t->events->received(t->owner, buf->base, (size_t)n);
    if (idle) runtime_run_woken(slab->rt); /* [t] may be gone then */
    slab_reuse(slab);
  } else if (n < 0 && !(n == UV_ENOBUFS && buf->len == 0 && t->slab->bytes)) {
    int status = n != UV_EOF ? (int)n : t->error == UV_ECONNRESET ? t->error : how_it_ended(t);
    transport_stop(t);
    if (!t->error) t->error = status;
    t->events->ended(t->owner, status);
  }
}

static int start(struct transport *t) { return uv_read_start(&uv_of(t)->uv.stream, on_alloc, on_read); }

static void stop(struct transport *t) { uv_read_stop(&uv_of(t)->uv.stream); }

static void hold(struct transport *t, bool on) {
  if (on)
    uv_ref(&uv_of(t)->uv.handle);
  else
    uv_unref(&uv_of(t)->uv.handle);
}

/* --- sending --- */

static void finish_close(struct transport *t);

static size_t queued(const struct transport *t) {
  return uv_stream_get_write_queue_size(&uv_of_const(t)->uv.stream);
}

static void on_written(uv_write_t *req, int status) {
  struct transport *t = req->handle->data;
  memory_free(req);
  if (status == UV_ECANCELED) return; /* it was closed: that is told later */
  if (status < 0 && !t->error) t->error = status;
  if (t->owner) t->events->sent(t->owner);
  if (t->closing && (t->error || queued(t) == 0)) finish_close(t);
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
  int status = uv_write(&rest->req, &uv_of(t)->uv.stream, &buf, 1, on_written);
  if (status < 0) memory_free(rest);
  return status;
}

static int write_some(struct transport *t, const uv_buf_t *bufs, unsigned count) {
  size_t length = length_of(bufs, count);
  if (t->error || length == 0) return t->error;
  int sent = uv_try_write(&uv_of(t)->uv.stream, bufs, count);
  if (sent == UV_EAGAIN) sent = 0;
  if (sent >= 0 && (size_t)sent == length) return 0;
  int status = sent < 0 ? sent : queue_rest(t, bufs, count, (size_t)sent, length);
  if (status < 0) t->error = status;
  return status;
}

static const struct transport_kind pipe_kind;

/* Of a pipe, which is no socket: its reader sees the end, while the handle keeps a descriptor. */
static int hang_up(struct transport *t) {
  uv_os_fd_t fd;
  int status = uv_fileno(&uv_of(t)->uv.handle, &fd);
  int nothing = status == 0 ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
  if (nothing < 0 || dup3(nothing, fd, O_CLOEXEC) < 0) status = uv_translate_sys_error(errno);
  if (nothing >= 0) close(nothing);
  return status;
}

static void on_shut(uv_shutdown_t *req, int status) {
  struct transport *t = req->handle->data;
  if (status == UV_ENOTSOCK && t->kind == &pipe_kind && !t->readable) status = hang_up(t);
  if (status < 0 && status != UV_ECANCELED && !t->error) t->error = status;
  if (t->owner) t->events->shut(t->owner, status);
}

static int end_sending(struct transport *t) {
  return uv_shutdown(&uv_of(t)->req.shutdown, &uv_of(t)->uv.stream, on_shut);
}

/* --- closing --- */

static void free_handle(uv_handle_t *handle) { memory_free(handle); }

static void on_closed(uv_handle_t *handle) { transport_closed(handle->data); }

static void end_limit(struct uv_transport *uv) {
  if (!uv->limit) return;
  uv_close((uv_handle_t *)uv->limit, free_handle);
  uv->limit = NULL;
  uv->base.rt->flushing--;
}

static void finish_close(struct transport *t) {
  struct uv_transport *uv = uv_of(t);
  if (uv_is_closing(&uv->uv.handle)) return;
  end_limit(uv);
  if (transport_is_tty(t)) transport_set_raw(t, false);
  uv_close(&uv->uv.handle, on_closed);
}

static void on_limit(uv_timer_t *timer) {
  struct transport *t = timer->data;
  t->error = UV_ETIMEDOUT;
  finish_close(t);
}

/* The peer has real time to take what is queued, whatever the loop's clock does. */
static bool start_limit(struct uv_transport *uv) {
  uv_loop_t *loop = uv->uv.handle.loop;
  uv->limit = memory_alloc(uv->base.rt->memory, sizeof *uv->limit);
  if (!uv->limit) return false;
  uv_timer_init(loop, uv->limit);
  uv->limit->data = uv;
  uv_update_time(loop);
  uv_timer_start(uv->limit, on_limit, CLOSE_LIMIT_MS, 0);
  uv->base.rt->flushing++;
  return true;
}

static void close_behind_queue(struct transport *t) {
  if (t->error || queued(t) == 0 || !start_limit(uv_of(t))) finish_close(t);
}

static void close_now(struct transport *t) { finish_close(t); }

static void reset(struct transport *t) {
  struct uv_transport *uv = uv_of(t);
  if (uv_is_closing(&uv->uv.handle)) return;
  if (uv_tcp_close_reset(&uv->uv.tcp, on_closed) < 0)
    finish_close(t);
  else
    end_limit(uv);
}

/* --- its beginning --- */

static int tcp_address(const struct transport *t, union address *address) {
  int length = sizeof *address;
  return uv_tcp_getsockname(&uv_of_const(t)->uv.tcp, &address->any, &length);
}

static int descriptor(const struct transport *t) {
  uv_os_fd_t fd;
  int status = uv_fileno(&uv_of_const(t)->uv.handle, &fd);
  return status < 0 ? status : fd;
}

#define COMMON \
  .start = start, .stop = stop, .hold = hold, .write = write_some, .queued = queued, .shutdown = end_sending, \
  .close = close_behind_queue, .descriptor = descriptor

static const struct transport_kind tcp_kind = {COMMON, .abort = reset, .local_address = tcp_address},
                                   pipe_kind = {COMMON, .abort = close_now},
                                   tty_kind = {COMMON, .abort = close_now};

static struct uv_transport *make(struct neap *rt, struct slab *slab, const struct transport_kind *kind,
                                 size_t handle_size) {
  return transport_new(rt, slab, kind, offsetof(struct uv_transport, uv) + handle_size);
}

static struct transport *made(struct uv_transport *uv) {
  uv->uv.handle.data = uv;
  uv_unref(&uv->uv.handle);
  return &uv->base;
}

/* libuv's two cannot fail without a socket to be made. */
struct transport *transport_tcp(struct neap *rt, struct slab *slab) {
  struct uv_transport *uv = make(rt, slab, &tcp_kind, sizeof uv->uv.tcp);
  if (!uv) return NULL;
  uv_tcp_init(rt->loop, &uv->uv.tcp);
  return made(uv);
}

struct transport *transport_pipe(struct neap *rt, struct slab *slab) {
  struct uv_transport *uv = make(rt, slab, &pipe_kind, sizeof uv->uv.pipe);
  if (!uv) return NULL;
  uv_pipe_init(rt->loop, &uv->uv.pipe, 0);
  return made(uv);
}

static void reset_terminal(void) { uv_tty_reset_mode(); }

int transport_tty(struct neap *rt, struct slab *slab, int fd, struct transport **result) {
  struct uv_transport *uv = make(rt, slab, &tty_kind, sizeof uv->uv.tty);
  if (!uv) return UV_ENOMEM;
  int status = uv_tty_init(rt->loop, &uv->uv.tty, fd, 0);
  if (status < 0) return transport_discard(&uv->base), status;
  uv_os_fd_t own;
  if (uv_fileno(&uv->uv.handle, &own) == 0 && own != fd) close(fd); /* libuv has opened the terminal anew */
  *result = made(uv);
  uv->base.readable = uv_is_readable(&uv->uv.stream);
  uv->base.writable = uv_is_writable(&uv->uv.stream);
  return 0;
}

bool transport_is_tty(const struct transport *t) { return t->kind == &tty_kind; }

/* The exit handler is for ends at which nothing is closed. */
int transport_set_raw(struct transport *t, bool raw) {
  static atomic_flag registered = ATOMIC_FLAG_INIT;
  if (raw && !atomic_flag_test_and_set(&registered)) atexit(reset_terminal);
  return uv_tty_set_mode(&uv_of(t)->uv.tty, raw ? UV_TTY_MODE_RAW : UV_TTY_MODE_NORMAL);
}

int transport_winsize(struct transport *t, int *columns, int *rows) {
  return uv_tty_get_winsize(&uv_of(t)->uv.tty, columns, rows);
}

void transport_set_tcp(struct transport *t, bool nodelay, int keepalive) {
  uv_tcp_nodelay(&uv_of(t)->uv.tcp, nodelay);
  if (keepalive > 0) uv_tcp_keepalive(&uv_of(t)->uv.tcp, 1, (unsigned)keepalive);
}

static int open_tcp(struct transport *t, int fd) {
  int length = sizeof t->peer;
  int status = uv_tcp_open(&uv_of(t)->uv.tcp, fd);
  if (status == 0) uv_tcp_getpeername(&uv_of(t)->uv.tcp, &t->peer.any, &length);
  return status;
}

static int open_pipe(struct transport *t, int fd) {
  struct uv_transport *uv = uv_of(t);
  int status = uv_pipe_open(&uv->uv.pipe, fd);
  t->readable = uv_is_readable(&uv->uv.stream);
  t->writable = uv_is_writable(&uv->uv.stream);
  return status;
}

int transport_open(struct transport *t, int fd) {
  int status = t->kind == &tcp_kind ? open_tcp(t, fd) : open_pipe(t, fd);
  if (status < 0) close(fd);
  return status;
}

static void on_connected(uv_connect_t *req, int status) {
  struct transport *t = req->handle->data;
  if (t->owner && !t->closing) uv_of(t)->connected(t->owner, status);
}

int transport_connect(struct transport *t, const union address *address, const union address *local,
                      void (*connected)(void *owner, int status), void *owner) {
  struct uv_transport *uv = uv_of(t);
  int status = local ? uv_tcp_bind(&uv->uv.tcp, &local->any, 0) : 0;
  if (status < 0) return status;
  t->peer = *address;
  uv->connected = connected;
  t->owner = owner;
  return uv_tcp_connect(&uv->req.connect, &uv->uv.tcp, &address->any, on_connected);
}
