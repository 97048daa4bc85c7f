/* Opening files, off the loop, and making streams of descriptors. */
#include "fs/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/op.h"
#include "core/options.h"
#include "core/runtime.h"
#include "core/work.h"
#include "fs/call.h"
#include "io/descriptor.h"
#include "io/slab.h"
#include "io/stream.h"

/* Where the arguments of fs.open lie. */
enum { ARG_PATH = 1, ARG_MODE, ARG_OPTIONS };

enum { DEFAULT_PERMISSIONS = 0666, NS_PER_MS = 1000000, TRY_AGAIN_MS = 10 };

/* What the pool does. It lives until that is done, whether or not anyone still waits. */
struct opening {
  struct work work; /* must be first */
  struct neap *rt;
  struct open_op *op; /* NULL: nobody waits */
  bool pending;       /* libuv has it */
  int flags;
  int permissions;
  int fd;
  int result; /* a kind of descriptor, or UV_E* */
  char path[];
};

struct open_op {
  struct op op;
  struct slab *slab;
  struct opening *opening; /* NULL: it is done */
  struct timer timer;      /* until it is tried again */
  int fd;                  /* what it opened, until a transport has it, or -1 */
  int kind;
};

/* --- fs.open --- */

/* A fifo that nobody reads: to wait for that would take one of the pool's threads. */
static bool has_no_reader(const char *path, int error) {
  struct stat status;
  return error == ENXIO && stat(path, &status) == 0 && S_ISFIFO(status.st_mode);
}

static void open_path(struct work *work) {
  struct opening *o = (struct opening *)work;
  do o->fd = open(o->path, o->flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, o->permissions);
  while (o->fd < 0 && errno == EINTR);
  int error = errno;
  if (o->fd >= 0)
    o->result = descriptor_look(o->fd);
  else
    o->result = has_no_reader(o->path, error) ? UV_EAGAIN : uv_translate_sys_error(error);
  if (o->fd >= 0 && o->flags & O_APPEND && (o->flags & O_ACCMODE) == O_WRONLY) lseek(o->fd, 0, SEEK_END);
}

static void on_opened(struct work *work, int status);

static int submit(struct opening *o) {
  o->work.run = open_path;
  o->work.done = on_opened;
  int status = work_submit(&o->work, o->rt, o->rt->loop);
  o->pending = status == 0;
  return status;
}

static void try_again(struct neap *rt, struct timer *timer) {
  (void)rt;
  submit(container_of(timer, struct open_op, timer)->opening);
}

static bool wait_for_reader(struct open_op *op) {
  struct neap *rt = op->opening->rt;
  return timer_start(rt, &op->timer, runtime_now(rt) + TRY_AGAIN_MS * NS_PER_MS) == 0;
}

static void on_opened(struct work *work, int status) {
  struct opening *o = (struct opening *)work;
  struct open_op *op = o->op;
  o->pending = false;
  if (op && o->result == UV_EAGAIN && wait_for_reader(op)) return;
  if (op) {
    op->opening = NULL;
    op->fd = o->fd;
    op->kind = o->result;
    op_complete(o->rt, &op->op, status < 0 ? status : o->result < 0 ? o->result : 0);
  } else if (status == 0 && o->fd >= 0) {
    close(o->fd);
  }
  memory_free(o);
}

static int push_opened(lua_State *L, struct neap *rt, struct op *op) {
  struct open_op *open = (struct open_op *)op;
  const char *path = lua_tostring(L, ARG_PATH);
  struct transport *t;
  if (op->status < 0) return error_return(L, op->status, "fs.open", path);
  struct stream *s = stream_new_unlimited(L, rt, (size_t)options_integer(L, ARG_OPTIONS, "limit", 0));
  int fd = open->fd;
  open->fd = -1;
  int status = descriptor_open(rt, open->slab, fd, (enum descriptor_kind)open->kind, false, path, &t);
  if (status < 0) return error_return(L, status, "fs.open", path);
  stream_attach(s, t);
  return 1;
}

static void drop_open(struct neap *rt, struct op *op) {
  struct open_op *open = (struct open_op *)op;
  timer_stop(rt, &open->timer);
  if (open->opening && open->opening->pending) {
    open->opening->op = NULL;
    work_cancel(&open->opening->work);
  } else {
    memory_free(open->opening);
  }
  if (open->fd >= 0) close(open->fd);
  open->opening = NULL;
  open->fd = -1;
}

static enum op_abort abort_open(struct neap *rt, struct op *op) {
  drop_open(rt, op);
  return OP_GONE;
}

static const struct op_kind open_kind = {
    .name = "fs.open",
    .size = sizeof(struct open_op),
    .push = push_opened,
    .abort = abort_open,
    .drop = drop_open,
    .local = true,
};

static int begin(struct neap *rt, struct open_op *op, const char *path, int flags, int permissions) {
  int status = limits_handle(rt);
  if (status < 0) return status;
  size_t size = strlen(path) + 1;
  struct opening *o = memory_alloc(rt->memory, sizeof *o + size);
  if (!o) return UV_ENOMEM;
  *o = (struct opening){.rt = rt, .op = op, .flags = flags, .permissions = permissions, .fd = -1};
  memcpy(o->path, path, size);
  op->opening = o;
  return submit(o);
}

/* The modes of io.open, and "x": the file must not be there yet. */
static int check_mode(lua_State *L) {
  const char *mode = luaL_optstring(L, ARG_MODE, "r");
  char letter = *mode;
  bool plus = letter && mode[1] == '+';
  bool exclusive = false;
  int flags = plus ? O_RDWR : letter == 'r' ? O_RDONLY : O_WRONLY;
  for (mode += plus ? 2 : letter != 0; *mode == 'b' || (*mode == 'x' && letter == 'w'); mode++)
    exclusive |= *mode == 'x';
  luaL_argcheck(L, letter && strchr("rwa", letter) && *mode == '\0', ARG_MODE, "invalid mode");
  if (letter != 'r') flags |= O_CREAT;
  if (letter == 'w') flags |= exclusive ? O_EXCL : O_TRUNC;
  if (letter == 'a') flags |= O_APPEND;
  return flags;
}

static const char *const option_names[] = {"limit", "mode", "exclusive", NULL};

/* fs.open(path, mode, options): a stream, or nil, err, code. Modes are io.open's, and "x" behind "w". Options:
 * limit (of a line, in bytes: none), mode (permission bits of a new file: 438, less the process's mask), exclusive. */
static int l_fs_open(lua_State *L) {
  const char *path = fs_check_path(L, ARG_PATH);
  int flags = check_mode(L);
  lua_settop(L, ARG_OPTIONS);
  options_check(L, ARG_OPTIONS, option_names);
  options_integer(L, ARG_OPTIONS, "limit", 0);
  int permissions = fs_option_mode(L, ARG_OPTIONS, DEFAULT_PERMISSIONS);
  if (options_boolean(L, ARG_OPTIONS, "exclusive", false)) flags |= O_CREAT | O_EXCL;
  struct slab *slab = slab_of(L);
  struct open_op *op = op_begin(L, &open_kind);
  timer_init(&op->timer, try_again);
  op->slab = slab;
  op->fd = -1;
  return op_await(L, &op->op, begin(runtime_of(L), op, path, flags, permissions));
}

/* --- descriptors that are there --- */

static int push_descriptor(lua_State *L, int fd, const char *label, const char *call) {
  struct neap *rt = runtime_of(L);
  struct transport *t;
  bool shared = false;
  int kind = limits_handle(rt);
  if (kind == 0) kind = descriptor_look(fd);
  if (kind < 0) return error_return(L, kind, call, label);
  bool like_io = fd <= STDERR_FILENO || kind == DESCRIPTOR_FILE;
  struct stream *s = stream_new_unlimited(L, rt, like_io ? 0 : READER_LIMIT);
  if (fd <= STDERR_FILENO && (fd = descriptor_copy(fd, (enum descriptor_kind)kind, &shared)) < 0)
    return error_return(L, fd, call, label);
  int status = descriptor_open(rt, slab_of(L), fd, (enum descriptor_kind)kind, shared, label, &t);
  if (status < 0) return error_return(L, status, call, label);
  stream_attach(s, t);
  return 1;
}

/* open_fd(fd): a stream that takes over the descriptor, of whatever kind it is; or nil, err, code. 0, 1 and 2 stay
 * open. */
static int l_open_fd(lua_State *L) {
  static const char *const names[] = {"stdin", "stdout", "stderr"};
  lua_Integer fd = luaL_checkinteger(L, 1);
  luaL_argcheck(L, fd >= 0 && fd <= INT_MAX, 1, "not a descriptor");
  runtime_check_open(L, runtime_of(L), "open_fd");
  const char *label = fd <= STDERR_FILENO ? names[fd] : lua_pushfstring(L, "descriptor %I", (LUAI_UACINT)fd);
  return push_descriptor(L, (int)fd, label, "open_fd");
}

/* One end of a pipe; its descriptor is closed if that fails. */
static int open_end(lua_State *L, struct neap *rt, int fd, struct transport **t) {
  int status = limits_handle(rt);
  if (status < 0) return close(fd), status;
  return descriptor_open(rt, slab_of(L), fd, DESCRIPTOR_PIPE, false, "pipe", t);
}

static int open_ends(lua_State *L, struct neap *rt, struct transport *ends[2]) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) return uv_translate_sys_error(errno);
  int status = open_end(L, rt, fds[0], &ends[0]);
  if (status < 0) return close(fds[1]), status;
  status = open_end(L, rt, fds[1], &ends[1]);
  if (status < 0) transport_release(ends[0]);
  return status;
}

/* pipe(options): two streams; what is written to the second is read from the first. Or nil, err, code. Options: limit
 * (of a line, in bytes). */
static int l_pipe(lua_State *L) {
  static const char *const names[] = {"limit", NULL};
  struct neap *rt = runtime_of(L);
  struct transport *ends[2];
  options_check(L, 1, names);
  size_t limit = stream_option_limit(L, 1);
  runtime_check_open(L, rt, "pipe");
  struct stream *reader = stream_new(L, rt, limit), *writer = stream_new(L, rt, READER_LIMIT);
  int status = open_ends(L, rt, ends);
  if (status < 0) return error_return(L, status, "pipe", NULL);
  stream_attach(reader, ends[0]);
  stream_attach(writer, ends[1]);
  return 2;
}

static const luaL_Reg functions[] = {
    {"fs_open", l_fs_open},
    {"open_fd", l_open_fd},
    {"pipe", l_pipe},
    {NULL, NULL},
};

void fs_descriptors_open(lua_State *L, struct neap *rt) {
  (void)rt;
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
