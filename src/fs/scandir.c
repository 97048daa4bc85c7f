/* Reading folders, so many entries at a time. */
#include <dirent.h>
#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/op.h"
#include "fs/call.h"
#include "fs/fs.h"
#include "io/stat.h"

enum { ROOM = 16 * 1024 /* for the entries that are read at a time */ };

/* A folder that is open. It is written to by one thread at a time: libuv's while it is [busy]. */
struct directory {
  struct work work; /* must be first */
  struct resource resource;
  struct neap *rt;
  struct scan_op *op;      /* that waits for entries */
  struct directory **box;  /* the userdata, once there is one */
  DIR *dir;                /* NULL: not open yet, or read to its end */
  struct dirent *pending;  /* was read when there was no room for it */
  bool busy;               /* libuv has it */
  bool abandoned;          /* nobody has it any more: it is freed when libuv has let go */
  bool ended;              /* nothing follows the entries that are there */
  int status;              /* of the opening, or when [ended], of the reading */
  size_t start, end;       /* of the entries: each a byte for its type, its name, a zero byte */
  char entries[ROOM];
  char path[];
};

struct scan_op {
  struct op op;
  struct directory *directory; /* NULL: was closed meanwhile */
  bool owns;                   /* it has no userdata yet */
};

/* --- in the other thread --- */

static bool is_dots(const char *name) {
  return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Some file systems do not tell the type along with the name. */
static char type_of(struct directory *d, const struct dirent *entry) {
  struct stat stat_of;
  if (entry->d_type != DT_UNKNOWN) return (char)entry->d_type;
  bool found = fstatat(dirfd(d->dir), entry->d_name, &stat_of, AT_SYMLINK_NOFOLLOW) == 0;
  return found ? (char)IFTODT(stat_of.st_mode) : DT_UNKNOWN;
}

/* Returns false if there is no room. */
static bool add_entry(struct directory *d, struct dirent *entry) {
  size_t size = strlen(entry->d_name) + 1;
  if (is_dots(entry->d_name)) return true;
  if (1 + size > ROOM - d->end) return false;
  d->entries[d->end] = type_of(d, entry);
  memcpy(d->entries + d->end + 1, entry->d_name, size);
  d->end += 1 + size;
  return true;
}

static struct dirent *next_entry(struct directory *d) {
  struct dirent *entry = d->pending;
  d->pending = NULL;
  errno = 0;
  return entry ? entry : readdir(d->dir);
}

static void read_entries(struct directory *d) {
  d->start = d->end = 0;
  for (struct dirent *entry; (entry = next_entry(d));) {
    if (add_entry(d, entry)) continue;
    d->pending = entry;
    return;
  }
  d->status = errno ? fs_errno() : 0;
  d->ended = true;
  closedir(d->dir);
  d->dir = NULL;
}

static void on_work(struct work *work) {
  struct directory *d = (struct directory *)work;
  if (!d->dir && !(d->dir = opendir(d->path)))
    d->status = fs_errno();
  else
    read_entries(d);
}

/* --- in the loop's --- */

static void free_directory(struct directory *d) {
  if (d->dir) closedir(d->dir);
  memory_free(d);
}

static void on_done(struct work *work, int status) {
  struct directory *d = (struct directory *)work;
  d->busy = false;
  if (d->abandoned)
    free_directory(d);
  else if (d->op)
    op_complete(d->rt, &d->op->op, 0);
}

static int submit(struct directory *d) {
  d->work.run = on_work;
  d->work.done = on_done;
  int status = work_submit(&d->work, d->rt, d->rt->loop);
  d->busy = status == 0;
  return status;
}

static void abandon(struct directory *d) {
  list_remove(&d->resource.link);
  d->abandoned = true;
  if (d->busy)
    work_cancel(&d->work);
  else
    free_directory(d);
}

/* Whoever waits for entries learns that there are none. */
static void close_directory(struct directory *d) {
  struct scan_op *op = d->op;
  if (d->box) *d->box = NULL;
  if (op) {
    op->directory = NULL;
    if (op->op.state == OP_WAITING) op_complete(d->rt, &op->op, 0);
  }
  d->op = NULL;
  abandon(d);
}

static void close_resource(struct neap *rt, struct resource *resource) {
  close_directory(container_of(resource, struct directory, resource));
}

static struct directory *make_directory(struct neap *rt, const char *path) {
  size_t size = strlen(path) + 1;
  struct directory *d = memory_alloc(rt->memory, sizeof *d + size);
  if (!d) return NULL;
  memset(d, 0, offsetof(struct directory, entries));
  memcpy(d->path, path, size);
  d->rt = rt;
  d->resource = (struct resource){.close = close_resource, .no_handle = true};
  list_init(&d->resource.link);
  return d;
}

/* --- the ops --- */

static void drop(struct neap *rt, struct op *op) {
  struct scan_op *scan = (struct scan_op *)op;
  struct directory *d = scan->directory;
  if (!d) return;
  d->op = NULL;
  if (scan->owns) abandon(d);
}

/* Pushes the folder as what a for loop wants: the iterator, two values of no use, and what is closed behind it. */
static int push_directory(lua_State *L, struct neap *rt, struct op *op) {
  struct scan_op *scan = (struct scan_op *)op;
  struct directory *d = scan->directory;
  if (op->status < 0) return fs_failure(L, op->status, "fs.scandir", 1);
  if (d->status < 0 && !d->ended) return fs_failure(L, d->status, "fs.scandir", 1);
  struct directory **box = object_new(L, rt, OBJECT_DIRECTORY, sizeof *box, 0);
  *box = d;
  d->box = box;
  scan->owns = false;
  list_append(&rt->resources, &d->resource.link);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, -3);
  return 4;
}

static const struct op_kind open_kind = {
    .name = "fs.scandir",
    .size = sizeof(struct scan_op),
    .push = push_directory,
    .drop = drop,
    .local = true,
};

/* scandir(path): an iterator over the names in a folder and the types of what they are. Or nil, err, code. */
static int l_scandir(lua_State *L) {
  struct neap *rt = runtime_of(L);
  const char *path = fs_check_path(L, 1);
  struct scan_op *op = op_begin(L, &open_kind);
  op->directory = make_directory(rt, path);
  if (!op->directory) return op_await(L, &op->op, UV_ENOMEM);
  op->owns = true;
  op->directory->op = op;
  return op_await(L, &op->op, submit(op->directory));
}

/* Pushes the next entry; nil at the end, or where it was closed. What fails in between is raised: an iterator has no
 * other way to tell. */
static int push_entry(lua_State *L, struct directory *d) {
  if (d && d->start < d->end) {
    const char *entry = d->entries + d->start;
    lua_pushstring(L, entry + 1);
    stat_push_type(L, DTTOIF((unsigned char)*entry));
    d->start += strlen(entry + 1) + 2;
    return 2;
  }
  int status = d ? d->status : 0;
  if (status == 0) return lua_pushnil(L), 1;
  d->status = 0;
  error_return(L, status, "fs.scandir", d->path);
  lua_pop(L, 1);
  return lua_error(L);
}

static int push_next(lua_State *L, struct neap *rt, struct op *op) {
  struct directory *d = ((struct scan_op *)op)->directory;
  if (op->status < 0) return luaL_error(L, "fs.scandir: %s", uv_strerror(op->status));
  return push_entry(L, d);
}

static const struct op_kind next_kind = {
    .name = "fs.scandir",
    .size = sizeof(struct scan_op),
    .push = push_next,
    .drop = drop,
    .local = true,
};

static struct directory **check_box(lua_State *L) {
  return object_check(L, runtime_of(L), 1, OBJECT_DIRECTORY);
}

static int await_entries(lua_State *L, struct directory *d, bool ready) {
  struct scan_op *op = op_begin(L, &next_kind);
  op->directory = d;
  d->op = op;
  if (ready) op_complete(d->rt, &op->op, 0);
  return op_await(L, &op->op, ready || d->busy ? 0 : submit(d));
}

/* directory:next(): the name and type of the next entry, or nil. What was read for a call that was cancelled is there
 * for the next. */
static int l_next(lua_State *L) {
  struct directory *d = *check_box(L);
  if (!d) return error_misuse(L, "fs.scandir: the directory is closed");
  if (d->op) return error_misuse(L, "fs.scandir: another task is reading the directory");
  bool ready = !d->busy && (d->start < d->end || d->ended);
  if (ready && op_ready(L, d->rt, "fs.scandir")) return push_entry(L, d);
  return await_entries(L, d, ready);
}

/* directory:close(): whoever waits for an entry gets nil. May be called twice. */
static int l_close(lua_State *L) {
  struct directory *d = *check_box(L);
  if (d) close_directory(d);
  return 0;
}

static const luaL_Reg methods[] = {
    {"next", l_next},      {"__call", l_next}, {"close", l_close},
    {"__close", l_close},  {"__gc", l_close},  {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"fs_scandir", l_scandir},
    {NULL, NULL},
};

void fs_scandir_open(lua_State *L, struct neap *rt) {
  object_register(L, rt, OBJECT_DIRECTORY, "neap.Directory", methods);
  lua_pop(L, 1);
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
