/* Removing files, and folders with all that is in them. Links are removed, never followed: each folder is opened from
 * the one that it lies in. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/options.h"
#include "fs/call.h"
#include "fs/fs.h"

enum { RECURSIVE = 1, OPEN_MOST = 32 /* folders at once; those further out are opened again on the way back */ };

/* A folder on the way from the outermost to the one being emptied. [entry] is the folder in it that is next on
 * the way; it is known while [dir] is open. */
struct level {
  DIR *dir;
  struct dirent *entry;
  dev_t dev;
  ino_t ino;
};

struct removal {
  struct level *levels; /* the C library's own memory */
  size_t count;
  size_t capacity;
};

static int add_level(struct removal *r, DIR *dir) {
  struct stat stat_of;
  if (fstat(dirfd(dir), &stat_of) < 0) return fs_errno();
  if (r->count == r->capacity) {
    size_t capacity = r->capacity ? 2 * r->capacity : OPEN_MOST;
    struct level *levels = realloc(r->levels, capacity * sizeof *levels);
    if (!levels) return UV_ENOMEM;
    r->levels = levels;
    r->capacity = capacity;
  }
  r->levels[r->count++] = (struct level){.dir = dir, .dev = stat_of.st_dev, .ino = stat_of.st_ino};
  return 0;
}

static void close_level(struct level *level) {
  if (level->dir) closedir(level->dir);
  level->dir = NULL;
}

static int enter(struct removal *r, int parent, const char *name) {
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return fs_errno();
  DIR *dir = fdopendir(fd);
  int status = dir ? add_level(r, dir) : fs_errno();
  if (status < 0) {
    if (dir)
      closedir(dir);
    else
      close(fd);
    return status;
  }
  if (r->count > OPEN_MOST) close_level(&r->levels[r->count - 1 - OPEN_MOST]);
  return 0;
}

/* Opens the folder around the innermost one again. It must still be the one that it was: the inner one may have been
 * moved elsewhere. */
static int reopen_outer(struct level *outer, const struct level *inner) {
  struct stat stat_of;
  int fd = openat(dirfd(inner->dir), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fs_errno();
  int status = fstat(fd, &stat_of) < 0 ? fs_errno() : 0;
  if (status == 0 && (stat_of.st_dev != outer->dev || stat_of.st_ino != outer->ino)) status = UV_ENOENT;
  if (status == 0 && !(outer->dir = fdopendir(fd))) status = fs_errno();
  outer->entry = NULL;
  if (status < 0) close(fd);
  return status;
}

/* The innermost folder is empty: removes it from the one around it. In one that was opened again it is not known by
 * name; it is met there once more. */
static int leave(struct removal *r) {
  struct level *inner = &r->levels[--r->count];
  struct level *outer = r->count > 0 ? inner - 1 : NULL;
  int status = outer && !outer->dir ? reopen_outer(outer, inner) : 0;
  close_level(inner);
  if (status < 0 || !outer || !outer->entry) return status;
  bool gone = unlinkat(dirfd(outer->dir), outer->entry->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT;
  return gone ? 0 : fs_errno();
}

static bool is_dots(const char *name) {
  return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Removes what is no folder, and enters what is one. What somebody else has removed meanwhile is gone, too. */
static int remove_entry(struct removal *r, struct level *level, struct dirent *entry) {
  int fd = dirfd(level->dir);
  if (entry->d_type != DT_DIR) {
    if (unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT) return 0;
    if (errno != EISDIR && errno != EPERM) return fs_errno();
  }
  int refused = entry->d_type == DT_DIR ? 0 : fs_errno();
  level->entry = entry;
  int status = enter(r, fd, entry->d_name);
  if (status == UV_ENOENT) return 0;
  return status == UV_ENOTDIR && refused ? refused : status;
}

static int step(struct removal *r) {
  struct level *level = &r->levels[r->count - 1];
  errno = 0;
  struct dirent *entry = readdir(level->dir);
  if (!entry) return errno ? fs_errno() : leave(r);
  return is_dots(entry->d_name) ? 0 : remove_entry(r, level, entry);
}

static int empty_folder(struct fs_call *call) {
  struct removal r = {.count = 0};
  int status = enter(&r, AT_FDCWD, call->path);
  while (status == 0 && r.count > 0) status = atomic_load(&call->dropped) ? UV_ECANCELED : step(&r);
  while (r.count > 0) close_level(&r.levels[--r.count]);
  free(r.levels);
  return status;
}

/* unlink refuses a folder with EISDIR here, with EPERM elsewhere. */
static int run_remove(struct fs_call *call) {
  if (unlink(call->path) == 0) return 0;
  int refused = fs_errno();
  if (refused != UV_EISDIR && refused != UV_EPERM) return refused;
  if (rmdir(call->path) == 0) return 0;
  int status = fs_errno();
  if (status == UV_ENOTDIR) return refused;
  if (!(call->flags & RECURSIVE) || (status != UV_ENOTEMPTY && status != UV_EEXIST)) return status;
  status = empty_folder(call);
  if (status < 0) return status;
  return rmdir(call->path) == 0 ? 0 : fs_errno();
}

static const struct fs_kind remove_kind = {.op = FS_OP("fs.remove"), .paths = 1, .run = run_remove};

static const char *const remove_options[] = {"recursive", NULL};

/* remove(path, {recursive}): a file, a link or an empty folder; with `recursive` a folder with all that is in it. */
static int l_remove(lua_State *L) {
  struct fs_arguments a = {.path = fs_check_path(L, 1)};
  options_check(L, 2, remove_options);
  a.flags = options_boolean(L, 2, "recursive", false) ? RECURSIVE : 0;
  return fs_await(L, &remove_kind, &a);
}

static const luaL_Reg functions[] = {
    {"fs_remove", l_remove},
    {NULL, NULL},
};

void fs_remove_open(lua_State *L, struct neap *rt) {
  runtime_push(L);
  luaL_setfuncs(L, functions, 1);
}
