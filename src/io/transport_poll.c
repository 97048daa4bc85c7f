#include "io/transport_poll.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CLOSE_LIMIT_MS = 5000 };

/* A pipe that has room at all has room for so many. */
enum { PIPE_ROOM = 4096 };

struct piece {
  struct list link;
  size_t length;
  size_t sent;
  char bytes[];
};

/* libuv watches [epoll], which watches the descriptor: libuv makes non-blocking what it watches. */
struct polled {
  struct transport base; /* must be first */
  uv_poll_t poll;
  uv_timer_t limit; /* of the time that closing may take */
  struct list queue; /* struct piece */
  size_t queued;
  int fd;
  int epoll;
  uint32_t interest; /* EPOLL* */
  bool socket;
  bool held;
  bool shutting;
  bool flushing;     /* [limit] runs */
  uint8_t handles;   /* that are open */
};

static struct polled *polled_of(struct transport *t) { return (struct polled *)t; }

static int last_error(void) { return uv_translate_sys_error(errno); }

/* --- the loop --- */

static void on_ready(uv_poll_t *poll, int status, int events);

static void keep_alive(struct polled *p) {
  if (p->held || p->queued > 0)
    uv_ref((uv_handle_t *)&p->poll);
  else
    uv_unref((uv_handle_t *)&p->poll);
}

static int watch(struct polled *p) {
  uint32_t interest = (p->base.reading ? EPOLLIN : 0U) | (p->queued > 0 ? EPOLLOUT : 0U);
  struct epoll_event event = {.events = interest};
  keep_alive(p);
  if (interest == p->interest) return 0;
  int call = !p->interest ? EPOLL_CTL_ADD : !interest ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  if (epoll_ctl(p->epoll, call, p->fd, &event) < 0) return last_error();
  p->interest = interest;
  return interest ? uv_poll_start(&p->poll, UV_READABLE, on_ready) : uv_poll_stop(&p->poll);
}

/* --- receiving --- */

static ssize_t receive(const struct polled *p, uv_buf_t room) {
  struct pollfd ready = {.fd = p->fd, .events = POLLIN};
  if (p->socket) return recv(p->fd, room.base, room.len, MSG_DONTWAIT);
  if (poll(&ready, 1, 0) == 1) return read(p->fd, room.base, room.len);
  errno = EAGAIN;
  return -1;
}

static void read_once(struct polled *p) {
  struct transport *t = &p->base;
  uv_buf_t room = slab_room(t->slab);
  if (room.len == 0 && t->slab->bytes) return;
  ssize_t n = room.len > 0 ? receive(p, room) : -1;
  if (n > 0) {
    slab_use(t->slab, (size_t)n);
    t->events->received(t->owner, room.base, (size_t)n);
    return;
  }
  int status = n == 0 ? 0 : room.len > 0 ? last_error() : UV_ENOMEM;
  if (status == UV_EAGAIN || status == UV_EINTR) return;
  transport_stop(t);
  if (!t->error) t->error = status;
  t->events->ended(t->owner, status);
}

/* --- sending --- */

static ssize_t send_some(const struct polled *p, const char *bytes, size_t length) {
  struct pollfd ready = {.fd = p->fd, .events = POLLOUT};
  if (p->socket) return send(p->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (poll(&ready, 1, 0) == 1) return write(p->fd, bytes, length < PIPE_ROOM ? length : PIPE_ROOM);
  errno = EAGAIN;
  return -1;
}

static void end_piece(struct polled *p, struct piece *piece) {
  p->queued -= piece->length - piece->sent;
  list_remove(&piece->link);
  memory_free(piece);
}

static void drop_queue(struct polled *p) {
  list_each(node, &p->queue) end_piece(p, container_of(node, struct piece, link));
}

static void fail(struct polled *p, int status) {
  if (!p->base.error) p->base.error = status;
  drop_queue(p);
}

/* Sends what is taken without waiting. */
static void send_queue(struct polled *p) {
  struct list *node;
  while ((node = list_first(&p->queue))) {
    struct piece *piece = container_of(node, struct piece, link);
    ssize_t n = send_some(p, piece->bytes + piece->sent, piece->length - piece->sent);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
      fail(p, last_error());
      return;
    }
    piece->sent += (size_t)n;
    p->queued -= (size_t)n;
    if (piece->sent == piece->length) end_piece(p, piece);
  }
}

static void close_handles(struct polled *p);

/* What waited until all was sent. */
static void end_sending(struct polled *p) {
  struct transport *t = &p->base;
  if (p->queued > 0) return;
  if (p->shutting) {
    p->shutting = false;
    if (!t->error && shutdown(p->fd, SHUT_WR) < 0) t->error = last_error();
    if (t->owner) t->events->shut(t->owner, t->error);
  }
  if (t->closing) close_handles(p);
}

static void write_more(struct polled *p) {
  struct transport *t = &p->base;
  size_t before = p->queued;
  send_queue(p);
  if (p->queued < before && t->owner) t->events->sent(t->owner);
  end_sending(p);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  struct polled *p = container_of(poll, struct polled, poll);
  struct epoll_event event = {0};
  (void)status, (void)events;
  if (epoll_wait(p->epoll, &event, 1, 0) < 1) return;
  if (p->queued > 0 && event.events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) write_more(p);
  if (p->base.reading && event.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) read_once(p);
  if (!uv_is_closing((uv_handle_t *)poll)) watch(p);
}

/* --- the transport --- */

static int start(struct transport *t) {
  t->reading = true;
  int status = watch(polled_of(t));
  t->reading = false;
  return status;
}

static void stop(struct transport *t) {
  t->reading = false;
  watch(polled_of(t));
}

static void hold(struct transport *t, bool on) {
  polled_of(t)->held = on;
  keep_alive(polled_of(t));
}

static int write_bytes(struct transport *t, const uv_buf_t *bufs, unsigned count) {
  struct polled *p = polled_of(t);
  size_t length = 0, at = 0;
  for (unsigned i = 0; i < count; i++) length += bufs[i].len;
  if (t->error || length == 0) return t->error;
  struct piece *piece = memory_alloc(t->rt->memory, sizeof *piece + length);
  if (!piece) return t->error = UV_ENOMEM;
  for (unsigned i = 0; i < count; at += bufs[i++].len) memcpy(piece->bytes + at, bufs[i].base, bufs[i].len);
  piece->length = length;
  piece->sent = 0;
  list_append(&p->queue, &piece->link);
  p->queued += length;
  send_queue(p);
  if (!t->error) watch(p);
  return t->error;
}

static size_t queued(const struct transport *t) { return ((const struct polled *)t)->queued; }

static int end_writing(struct transport *t) {
  polled_of(t)->shutting = true;
  end_sending(polled_of(t));
  return 0;
}

static void on_closed(uv_handle_t *handle) {
  struct polled *p = handle->data;
  if (--p->handles > 0) return;
  close(p->epoll);
  close(p->fd);
  transport_closed(&p->base);
}

static void close_handles(struct polled *p) {
  if (uv_is_closing((uv_handle_t *)&p->poll)) return;
  if (p->flushing) p->base.rt->flushing--;
  p->flushing = false;
  uv_close((uv_handle_t *)&p->poll, on_closed);
  uv_close((uv_handle_t *)&p->limit, on_closed);
}

static void on_limit(uv_timer_t *timer) {
  struct polled *p = timer->data;
  fail(p, UV_ETIMEDOUT);
  close_handles(p);
}

/* The other side has real time to take what is queued, whatever the loop's clock does. */
static void close_behind_queue(struct transport *t) {
  struct polled *p = polled_of(t);
  if (t->error || p->queued == 0) {
    close_handles(p);
    return;
  }
  uv_update_time(p->limit.loop);
  uv_timer_start(&p->limit, on_limit, CLOSE_LIMIT_MS, 0);
  t->rt->flushing++;
  p->flushing = true;
}

static void close_now(struct transport *t) {
  drop_queue(polled_of(t));
  close_handles(polled_of(t));
}

static void free_queue(struct transport *t) { drop_queue(polled_of(t)); }

static const struct transport_kind kind = {
    .start = start,
    .stop = stop,
    .hold = hold,
    .write = write_bytes,
    .queued = queued,
    .shutdown = end_writing,
    .close = close_behind_queue,
    .abort = close_now,
    .free = free_queue,
};

static int discard(struct polled *p, int status) {
  if (p->epoll >= 0) close(p->epoll);
  close(p->fd);
  transport_discard(&p->base);
  return status;
}

static void set_directions(struct polled *p) {
  struct stat stat;
  int access = fcntl(p->fd, F_GETFL) & O_ACCMODE;
  p->socket = fstat(p->fd, &stat) == 0 && S_ISSOCK(stat.st_mode);
  p->base.readable = access != O_WRONLY;
  p->base.writable = access != O_RDONLY;
}

int transport_poll(struct neap *rt, struct slab *slab, int fd, struct transport **result) {
  struct polled *p = transport_new(rt, slab, &kind, sizeof *p);
  if (!p) return close(fd), UV_ENOMEM;
  list_init(&p->queue);
  p->fd = fd;
  p->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (p->epoll < 0) return discard(p, last_error());
  int status = uv_poll_init(rt->loop, &p->poll, p->epoll);
  if (status < 0) return discard(p, status);
  uv_timer_init(rt->loop, &p->limit);
  p->poll.data = p->limit.data = p;
  p->handles = 2;
  set_directions(p);
  keep_alive(p);
  *result = &p->base;
  return 0;
}
