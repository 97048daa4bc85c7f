/* A listening socket of TCP or Unix. Connections are accepted one by one, when they are asked for; the others wait
 * in the kernel. uv_listen is not used: when descriptors run out it accepts and closes whatever waits,
 * and tells nobody. */
#include "net/listener.h"

#include <lauxlib.h>
#include <unistd.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/runtime.h"
#include "io/slab.h"
#include "io/stream.h"
#include "io/transport_uv.h"
#include "net/socket.h"

/* What libuv knows of a listening socket. Freed by the close callback. */
struct watch {
  uv_poll_t poll; /* must be first */
  struct resource resource;
  struct listener *listener;
  int fd;
};

struct listener {
  struct neap *rt;
  struct watch *watch; /* NULL: closed */
  struct accept_op *accepting;
  union address address;        /* of an internet socket */
  struct socket_file *file;     /* of a Unix socket */
  struct listener_options options;
  int accepted; /* a connection's descriptor that nobody has taken yet, or UV_E* */
  bool polling;
};

struct accept_op {
  struct op op;
  struct listener *listener;
};

/* --- the socket --- */

static void on_closed(uv_handle_t *handle) {
  memory_free(handle);
}

static void close_watch(struct watch *watch) {
  list_remove(&watch->resource.link);
  uv_close((uv_handle_t *)&watch->poll, on_closed);
  close(watch->fd);
}

static void close_listener(struct listener *l) {
  struct accept_op *op = l->accepting;
  if (!l->watch) return;
  close_watch(l->watch);
  l->watch = NULL;
  if (l->file) socket_file_remove(l->file);
  if (l->accepted >= 0) close(l->accepted);
  l->accepted = UV_EAGAIN;
  if (op && op->op.state == OP_WAITING) op_complete(l->rt, &op->op, 0);
}

static void close_resource(struct neap *rt, struct resource *resource) {
  (void)rt;
  close_listener(container_of(resource, struct watch, resource)->listener);
}

/* Takes over the socket, or closes it. */
static int watch_socket(struct listener *l, int fd) {
  struct watch *watch = memory_alloc(l->rt->memory, sizeof *watch);
  if (!watch) {
    close(fd);
    return UV_ENOMEM;
  }
  int status = uv_poll_init(l->rt->loop, &watch->poll, fd);
  if (status < 0) {
    close(fd);
    memory_free(watch);
    return status;
  }
  watch->fd = fd;
  watch->listener = l;
  watch->resource = (struct resource){.close = close_resource};
  list_append(&l->rt->resources, &watch->resource.link);
  l->watch = watch;
  return 0;
}

/* --- accepting --- */

static void stop_polling(struct listener *l) {
  uv_poll_stop(&l->watch->poll);
  l->polling = false;
}

/* Polling goes on while the accepter is busy, until something comes that it has not asked for. */
static void on_readable(uv_poll_t *poll, int status, int events) {
  struct listener *l = ((struct watch *)poll)->listener;
  struct accept_op *op = l->accepting;
  (void)events;
  if (!op || op->op.state != OP_WAITING) {
    stop_polling(l);
    return;
  }
  l->accepted = status < 0 ? status : socket_accept(l->watch->fd);
  if (l->accepted != UV_EAGAIN) op_complete(l->rt, &op->op, 0);
}

static int start_polling(struct listener *l) {
  if (l->polling) return 0;
  int status = uv_poll_start(&l->watch->poll, UV_READABLE, on_readable);
  l->polling = status == 0;
  return status;
}

static struct listener *check_listener(lua_State *L) {
  return object_check(L, runtime_of(L), 1, OBJECT_LISTENER);
}

static int push_failure(lua_State *L, const struct listener *l, int status) {
  char name[ADDRESS_MAX];
  return error_return(L, status, "accept", l->file ? l->file->path : address_name(&l->address, name));
}

static struct transport *new_transport(lua_State *L, const struct listener *l) {
  struct slab *slab = slab_of(L);
  struct transport *t = l->file ? transport_pipe(l->rt, slab) : transport_tcp(l->rt, slab);
  if (!t || !l->file) {
    if (t) transport_set_tcp(t, l->options.nodelay, l->options.keepalive);
    return t;
  }
  if (transport_set_label(t, l->file->path) == 0) return t;
  transport_release(t);
  return NULL;
}

/* Pushes what was accepted: a stream; nil, err, code; or nil if the listener is closed. */
static int push_accepted(lua_State *L, struct neap *rt, struct listener *l) {
  int fd = l->accepted;
  if (!l->watch) return lua_pushnil(L), 1;
  if (fd < 0) return push_failure(L, l, fd);
  int status = limits_handle(rt);
  if (status < 0) return push_failure(L, l, status); /* the connection waits */
  struct stream *s = stream_new(L, rt, l->options.limit);
  struct transport *t = new_transport(L, l);
  if (!t) return push_failure(L, l, UV_ENOMEM);
  l->accepted = UV_EAGAIN;
  stream_attach(s, t);
  status = transport_open(t, fd);
  return status < 0 ? push_failure(L, l, status) : 1;
}

static int push_accept(lua_State *L, struct neap *rt, struct op *op) {
  struct listener *l = ((struct accept_op *)op)->listener;
  return op->status < 0 ? push_failure(L, l, op->status) : push_accepted(L, rt, l);
}

static void drop_accept(struct neap *rt, struct op *op) {
  (void)rt;
  struct accept_op *accept = (struct accept_op *)op;
  if (accept->listener->accepting == accept) accept->listener->accepting = NULL;
}

static enum op_abort abort_accept(struct neap *rt, struct op *op) {
  drop_accept(rt, op);
  return OP_GONE;
}

static const struct op_kind accept_kind = {
    .name = "accept",
    .size = sizeof(struct accept_op),
    .push = push_accept,
    .abort = abort_accept,
    .drop = drop_accept,
    .local = true,
};

/* listener:accept(): the next connection's stream, nil when the listener is closed, or nil, err, code.
 * One task at a time may wait. */
static int l_accept(lua_State *L) {
  struct listener *l = check_listener(L);
  if (l->accepting) return error_misuse(L, "accept: another task is accepting");
  if (l->watch && l->accepted < 0) l->accepted = socket_accept(l->watch->fd);
  bool ready = !l->watch || l->accepted != UV_EAGAIN;
  if (ready && op_ready(L, l->rt, "accept")) return push_accepted(L, l->rt, l);
  struct accept_op *op = op_begin(L, &accept_kind);
  op->listener = l;
  l->accepting = op;
  if (ready) op_complete(l->rt, &op->op, 0);
  return op_await(L, &op->op, ready ? 0 : start_polling(l));
}

/* listener:close(): whoever waits in accept gets nil. May be called twice. */
static int l_close(lua_State *L) {
  close_listener(check_listener(L));
  return 0;
}

static int l_gc(lua_State *L) {
  struct listener *l = check_listener(L);
  close_listener(l);
  memory_free(l->file);
  l->file = NULL;
  return 0;
}

/* listener:address(): host and port; the path of a Unix socket. */
static int l_address(lua_State *L) {
  char host[HOST_MAX];
  struct listener *l = check_listener(L);
  if (l->file) return lua_pushstring(L, l->file->path), 1;
  address_host(&l->address, host);
  lua_pushstring(L, host);
  lua_pushinteger(L, address_port(&l->address));
  return 2;
}

static const luaL_Reg methods[] = {
    {"accept", l_accept}, {"close", l_close}, {"address", l_address},
    {"__gc", l_gc},       {NULL, NULL},
};

void listener_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_LISTENER, "neap.Listener", methods);
  lua_pop(L, 1);
}

struct listener *listener_new(lua_State *L, struct neap *rt, const struct listener_options *options) {
  struct listener *l = object_new(L, rt, OBJECT_LISTENER, sizeof *l, 0);
  *l = (struct listener){.rt = rt, .options = *options, .accepted = UV_EAGAIN};
  return l;
}

int listener_take(struct listener *l, int fd, const union address *address) {
  l->address = *address;
  return watch_socket(l, fd);
}

int listener_take_file(struct listener *l, int fd, struct socket_file *file) {
  l->file = file;
  return watch_socket(l, fd);
}

int listener_port(const struct listener *l) { return address_port(&l->address); }

void listener_close(struct listener *l) { close_listener(l); }
