/* Whole files: reading, writing, copying. */
#include <fcntl.h>
#include <lauxlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/options.h"
#include "fs/call.h"
#include "fs/fs.h"

enum {
  FIRST_ROOM = 16 * 1024,   /* a file that is smaller is read without asking for its size */
  SLICE = 8 * 1024 * 1024,  /* so much goes through one system call */
};

/* --- reading --- */

static int read_slice(struct fs_call *call) {
  size_t room = call->capacity - call->length;
  uv_buf_t buf = uv_buf_init(call->bytes + call->length, room < SLICE ? (unsigned)room : SLICE);
  uv_fs_t fs;
  int count = uv_fs_read(NULL, &fs, call->fd, &buf, 1, -1, NULL);
  uv_fs_req_cleanup(&fs);
  if (count > 0) call->length += (size_t)count;
  return count;
}

/* One byte more than the file has, so that its end is met; where the size is none (in /proc) twice as much. */
static int want_room(struct fs_call *call) {
  struct stat stat_of;
  if (fstat(call->fd, &stat_of) < 0) return fs_errno();
  size_t size = (size_t)stat_of.st_size + 1;
  call->wanted = S_ISREG(stat_of.st_mode) && size > call->capacity ? size : 2 * call->capacity;
  return FS_MORE;
}

static int read_on(struct fs_call *call) {
  int count = 1;
  while (count > 0) {
    if (atomic_load(&call->dropped)) return UV_ECANCELED;
    if (call->length == call->capacity) return want_room(call);
    count = read_slice(call);
  }
  return count;
}

static int run_read(struct fs_call *call) {
  if (call->fd < 0) {
    int fd = fs_open_file(call->path, O_RDONLY, 0);
    if (fd < 0) return fd;
    call->fd = fd;
  }
  int status = read_on(call);
  if (status == FS_MORE) return status;
  fs_close_file(call->fd);
  call->fd = -1;
  return status;
}

static int grow_read(struct fs_call *call) {
  char *bytes = memory_realloc(call->memory, call->bytes, call->wanted);
  if (!bytes) return UV_ENOMEM;
  call->bytes = bytes;
  call->capacity = call->wanted;
  return 0;
}

static int push_read(lua_State *L, struct fs_call *call) {
  lua_pushlstring(L, call->bytes, call->length);
  return 1;
}

static const struct fs_kind read_kind = {
    .op = FS_OP("fs.read_file"), .paths = 1, .opens = true, .run = run_read, .grow = grow_read, .push = push_read};

/* read_file(path): all of it, as one string. */
static int l_read_file(lua_State *L) {
  struct fs_arguments a = {.path = fs_check_path(L, 1), .room = FIRST_ROOM};
  return fs_await(L, &read_kind, &a);
}

/* --- writing --- */

static int write_all(struct fs_call *call, int fd) {
  size_t done = 0;
  while (done < call->length) {
    size_t left = call->length - done;
    uv_buf_t buf = uv_buf_init(call->bytes + done, left < SLICE ? (unsigned)left : SLICE);
    uv_fs_t fs;
    int count = uv_fs_write(NULL, &fs, fd, &buf, 1, -1, NULL);
    uv_fs_req_cleanup(&fs);
    if (count < 0) return count;
    done += (size_t)count;
  }
  return 0;
}

/* Once it has begun it goes to its end, whether somebody waits or not: no file is left half written. */
static int run_write(struct fs_call *call) {
  int fd = fs_open_file(call->path, call->flags, call->mode);
  if (fd < 0) return fd;
  int status = write_all(call, fd);
  int closed = fs_close_file(fd);
  return status < 0 ? status : closed;
}

static const struct fs_kind write_kind = {.op = FS_OP("fs.write_file"), .paths = 1, .opens = true, .run = run_write};

static const char *const write_options[] = {"append", "mode", NULL};

/* write_file(path, data, {append, mode = 0x1B6}): makes the file, or replaces what it holds. */
static int l_write_file(lua_State *L) {
  struct fs_arguments a = {.path = fs_check_path(L, 1)};
  a.bytes = luaL_checklstring(L, 2, &a.length);
  options_check(L, 3, write_options);
  a.mode = fs_option_mode(L, 3, 0666);
  a.flags = O_WRONLY | O_CREAT | (options_boolean(L, 3, "append", false) ? O_APPEND : O_TRUNC);
  return fs_await(L, &write_kind, &a);
}

/* --- copying --- */

enum { EXCLUSIVE = 1 };

struct copy {
  int from;
  int to;
  bool made; /* the file was not there before */
  struct stat source;
  struct stat target;
};

static int open_source(struct copy *copy, const char *path) {
  copy->from = fs_open_file(path, O_RDONLY, 0);
  if (copy->from < 0) return copy->from;
  if (fstat(copy->from, &copy->source) < 0) return fs_errno();
  return S_ISDIR(copy->source.st_mode) ? UV_EISDIR : 0;
}

static bool is_same(const struct copy *copy) {
  return copy->source.st_dev == copy->target.st_dev && copy->source.st_ino == copy->target.st_ino;
}

static int open_target(struct copy *copy, const char *path, bool exclusive) {
  int mode = (int)copy->source.st_mode & 0777;
  copy->to = fs_open_file(path, O_WRONLY | O_CREAT | O_EXCL, mode);
  copy->made = copy->to >= 0;
  if (copy->to == UV_EEXIST && !exclusive) copy->to = fs_open_file(path, O_WRONLY | O_CREAT, mode);
  if (copy->to < 0) return copy->to;
  if (fstat(copy->to, &copy->target) < 0) return fs_errno();
  if (is_same(copy)) return UV_EINVAL;
  bool regular = S_ISREG(copy->target.st_mode);
  return regular && ftruncate(copy->to, 0) < 0 ? fs_errno() : 0;
}

static int copy_bytes(const struct copy *copy, struct fs_call *call) {
  int64_t offset = 0;
  int count = 1;
  while (count > 0) {
    if (atomic_load(&call->dropped)) return UV_ECANCELED;
    uv_fs_t fs;
    count = uv_fs_sendfile(NULL, &fs, copy->to, copy->from, offset, SLICE, NULL);
    uv_fs_req_cleanup(&fs);
    offset += count;
  }
  return count;
}

static int copy_mode(const struct copy *copy) {
  if (!S_ISREG(copy->target.st_mode)) return 0;
  return fchmod(copy->to, copy->source.st_mode & 0777) < 0 ? fs_errno() : 0;
}

static int close_target(const struct copy *copy, const char *path, int status) {
  int closed = fs_close_file(copy->to);
  if (status == 0) status = closed;
  if (status < 0 && copy->made) unlink(path);
  return status;
}

/* A copy that fails or is cancelled does not stay. */
static int run_copy(struct fs_call *call) {
  struct copy copy = {.to = -1};
  int status = open_source(&copy, call->path);
  if (status == 0) status = open_target(&copy, call->other, call->flags & EXCLUSIVE);
  if (status == 0) status = copy_bytes(&copy, call);
  if (status == 0) status = copy_mode(&copy);
  if (copy.to >= 0) status = close_target(&copy, call->other, status);
  if (copy.from >= 0) fs_close_file(copy.from);
  return status;
}

static const struct fs_kind copy_kind = {.op = FS_OP("fs.copy"), .paths = 2, .opens = true, .run = run_copy};

static const char *const copy_options[] = {"exclusive", NULL};

/* copy(from, to, {exclusive}): the bytes of a file and its permissions. What is there is overwritten, or with
 * `exclusive` an error. */
static int l_copy(lua_State *L) {
  struct fs_arguments a = {.path = fs_check_path(L, 1), .other = fs_check_path(L, 2)};
  options_check(L, 3, copy_options);
  a.flags = options_boolean(L, 3, "exclusive", false) ? EXCLUSIVE : 0;
  return fs_await(L, &copy_kind, &a);
}

static const luaL_Reg functions[] = {
    {"fs_read_file", l_read_file},
    {"fs_write_file", l_write_file},
    {"fs_copy", l_copy},
    {NULL, NULL},
};

void fs_file_open(lua_State *L, struct neap *rt) {
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
