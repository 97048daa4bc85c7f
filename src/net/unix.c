#include "net/unix.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/options.h"
#include "core/runtime.h"
#include "io/slab.h"
#include "io/stream.h"
#include "io/transport_uv.h"
#include "net/tls_opener.h"

/* --- paths --- */

int unix_address(struct unix_address *address, const char *path, size_t length) {
  memset(address, 0, sizeof *address);
  address->name.sun_family = AF_UNIX;
  bool is_abstract = path[0] == '\0';
  if (length + !is_abstract > sizeof address->name.sun_path) return UV_ENAMETOOLONG;
  memcpy(address->name.sun_path, path, length);
  address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + !is_abstract);
  return 0;
}

const char *unix_label(const struct unix_address *address, char label[UNIX_LABEL_MAX]) {
  size_t length = address->length - offsetof(struct sockaddr_un, sun_path);
  memcpy(label, address->name.sun_path, length);
  label[length] = '\0';
  if (label[0] == '\0') label[0] = '@';
  return label;
}

const char *unix_check_path(lua_State *L, int index, size_t *length) {
  const char *path = luaL_checklstring(L, index, length);
  luaL_argcheck(L, *length > 0, index, "the path is empty");
  luaL_argcheck(L, memchr(path + 1, '\0', *length - 1) == NULL, index, "the path contains a zero byte");
  return path;
}

/* --- listening --- */

static int last_error(void) { return uv_translate_sys_error(errno); }

static int new_socket(void) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return fd < 0 ? last_error() : fd;
}

static int connect_to(int fd, const struct unix_address *address) {
  int status;
  do status = connect(fd, (const struct sockaddr *)&address->name, address->length);
  while (status < 0 && errno == EINTR);
  return status < 0 ? last_error() : 0;
}

/* Whether a server that is gone has left its file. */
static bool is_stale(const struct unix_address *address) {
  struct stat status;
  if (address->name.sun_path[0] == '\0' || lstat(address->name.sun_path, &status) || !S_ISSOCK(status.st_mode))
    return false;
  int fd = new_socket();
  if (fd < 0) return false;
  bool refused = connect_to(fd, address) == UV_ECONNREFUSED;
  close(fd);
  return refused;
}

static int bind_to(int fd, const struct unix_address *address) {
  const struct sockaddr *name = (const struct sockaddr *)&address->name;
  if (bind(fd, name, address->length) == 0) return 0;
  int error = last_error();
  if (error != UV_EADDRINUSE || !is_stale(address) || unlink(address->name.sun_path)) return error;
  return bind(fd, name, address->length) ? last_error() : 0;
}

static int begin_listening(int fd, const struct unix_address *address, int backlog, mode_t mode) {
  if (mode && address->name.sun_path[0] && chmod(address->name.sun_path, mode)) return last_error();
  return listen(fd, backlog) ? last_error() : 0;
}

int unix_listen(const struct unix_address *address, int backlog, mode_t mode) {
  int fd = new_socket();
  if (fd < 0) return fd;
  int status = bind_to(fd, address);
  bool is_bound = status == 0;
  if (is_bound) status = begin_listening(fd, address, backlog, mode);
  if (status == 0) return fd;
  if (is_bound && address->name.sun_path[0]) unlink(address->name.sun_path);
  close(fd);
  return status;
}

struct socket_file *socket_file_new(struct memory *memory, const struct unix_address *address, bool remove) {
  struct stat status;
  struct socket_file *file = memory_calloc(memory, 1, sizeof *file + UNIX_LABEL_MAX);
  if (!file) return NULL;
  unix_label(address, file->path);
  file->is_ours = remove && address->name.sun_path[0] && lstat(address->name.sun_path, &status) == 0;
  if (!file->is_ours) return file;
  file->device = status.st_dev;
  file->inode = status.st_ino;
  return file;
}

/* Another one's file may have come into its place. */
void socket_file_remove(struct socket_file *file) {
  struct stat status;
  if (!file->is_ours || lstat(file->path, &status)) return;
  file->is_ours = false;
  if (status.st_dev == file->device && status.st_ino == file->inode) unlink(file->path);
}

/* --- connecting --- */

enum { ARG_PATH = 1, ARG_OPTIONS, PAUSE_FIRST_MS = 1, PAUSE_MOST_MS = 100 };

struct connect_op {
  struct op op;
  struct neap *rt;
  struct unix_address address;
  struct timer pause; /* the server's queue is full: the kernel does not tell when it no longer is */
  int pause_ms;
  int fd;             /* -1: taken over, or closed */
};

static int try_connect(struct connect_op *op) {
  int status = connect_to(op->fd, &op->address);
  if (status != UV_EAGAIN) {
    op_complete(op->rt, &op->op, status);
    return 0;
  }
  if (timer_start(op->rt, &op->pause, runtime_now(op->rt) + op->pause_ms * INT64_C(1000000))) return UV_ENOMEM;
  op->pause_ms = op->pause_ms * 2 > PAUSE_MOST_MS ? PAUSE_MOST_MS : op->pause_ms * 2;
  return 0;
}

static void on_pause_over(struct neap *rt, struct timer *pause) {
  struct connect_op *op = container_of(pause, struct connect_op, pause);
  int status = try_connect(op);
  if (status < 0) op_complete(rt, &op->op, status);
}

static int begin(struct connect_op *op, const char *path, size_t length) {
  op->fd = -1;
  timer_init(&op->pause, on_pause_over);
  op->pause_ms = PAUSE_FIRST_MS;
  int status = unix_address(&op->address, path, length);
  if (status == 0) status = limits_address(op->rt, (const struct sockaddr *)&op->address.name, false);
  if (status == 0) status = limits_handle(op->rt);
  if (status < 0) return status;
  op->fd = new_socket();
  return op->fd < 0 ? op->fd : try_connect(op);
}

static int push_failure(lua_State *L, int status) {
  const char *path = lua_tostring(L, ARG_PATH);
  if (*path == '\0') path = lua_pushfstring(L, "@%s", path + 1);
  return error_return(L, status, "open_unix_connection", path);
}

/* Returns 0 or a code of libuv. The descriptor goes over to the transport. */
static int attach(lua_State *L, struct connect_op *op, struct stream *s) {
  char label[UNIX_LABEL_MAX];
  struct transport *t = transport_pipe(op->rt, slab_of(L));
  if (!t) return UV_ENOMEM;
  int fd = op->fd;
  op->fd = -1;
  stream_attach(s, t);
  int status = transport_open(t, fd);
  return status < 0 ? status : transport_set_label(t, unix_label(&op->address, label));
}

static int push_connect(lua_State *L, struct neap *rt, struct op *op) {
  if (op->status < 0) return push_failure(L, op->status);
  struct stream *s = stream_new(L, rt, stream_option_limit(L, ARG_OPTIONS));
  int status = attach(L, (struct connect_op *)op, s);
  return status < 0 ? push_failure(L, status) : 1;
}

static void drop_connect(struct neap *rt, struct op *op) {
  struct connect_op *connect = (struct connect_op *)op;
  timer_stop(rt, &connect->pause);
  if (connect->fd >= 0) close(connect->fd);
  connect->fd = -1;
}

static const struct op_kind connect_kind = {
    .name = "open_unix_connection",
    .size = sizeof(struct connect_op),
    .push = push_connect,
    .drop = drop_connect,
    .local = true,
};

static const char *const option_names[] = {"limit", "tls", NULL};

/* open_unix_connection(path, options): a stream, or nil, err, code. Waits while the server's queue is full. Options:
 * limit (of a line, in bytes). */
static int l_open_unix_connection(lua_State *L) {
  size_t length;
  const char *path = unix_check_path(L, ARG_PATH, &length);
  lua_settop(L, ARG_OPTIONS);
  options_check(L, ARG_OPTIONS, option_names);
  stream_option_limit(L, ARG_OPTIONS);
  if (net_option_tls(L, ARG_OPTIONS)) return net_open_tls(L, "open_unix_connection", ARG_OPTIONS);
  struct connect_op *op = op_begin(L, &connect_kind);
  op->rt = runtime_of(L);
  return op_await(L, &op->op, begin(op, path, length));
}

static const luaL_Reg functions[] = {
    {"open_unix_connection", l_open_unix_connection},
    {NULL, NULL},
};

void unix_open(lua_State *L, struct neap *rt) {
  (void)rt;
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
