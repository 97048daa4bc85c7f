#include "cli/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

struct slot {
  char
      mark[16]; /* by which the slot is found in the file of the executable, where it stands once */
  uint64_t offset, length;
};

static const volatile struct slot slot = {.mark = "neap's programs"};

static const char closing[] = "neap end";
#define CLOSING_LENGTH (sizeof closing - 1)

/* A file in memory. */
struct image {
  char *bytes;
  size_t length;
};

static void read_slot(struct slot *copy) {
  for (size_t i = 0; i < sizeof slot; i++) ((char *)copy)[i] = ((const volatile char *)&slot)[i];
}

bool bundle_is_here(void) {
  return slot.length != 0;
}

/* --- reading and writing files: 0 or an errno --- */

/* Linux knows the very file that runs, even one that was replaced meanwhile. */
static int open_executable(int *fd) {
  char path[PATH_MAX];
  size_t size = sizeof path;
  *fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (*fd >= 0) return 0;
  int error = -uv_exepath(path, &size);
  if (error) return error;
  *fd = open(path, O_RDONLY | O_CLOEXEC);
  return *fd < 0 ? errno : 0;
}

static int read_bytes(int fd, char *bytes, size_t length, uint64_t offset) {
  while (length > 0) {
    ssize_t count = pread(fd, bytes, length, (off_t)offset);
    if (count == 0) return ENODATA;
    if (count < 0 && errno != EINTR) return errno;
    if (count < 0) continue;
    bytes += count, offset += (uint64_t)count, length -= (size_t)count;
  }
  return 0;
}

static int write_bytes(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t count = write(fd, bytes, length);
    if (count < 0 && errno != EINTR) return errno;
    if (count < 0) continue;
    bytes += count, length -= (size_t)count;
  }
  return 0;
}

/* Reads [length] bytes of this executable, or all of it. The caller frees them, also after an error. */
static int read_executable(struct image *image, uint64_t offset, uint64_t length) {
  struct stat info;
  int fd, error = open_executable(&fd);
  if (error) return error;
  if (fstat(fd, &info)) error = errno;
  uint64_t size = error ? 0 : (uint64_t)info.st_size;
  if (!error && (offset > size || length > size - offset)) error = ENODATA;
  image->length = (size_t)(length ? length : size);
  if (!error && !(image->bytes = malloc(image->length))) error = ENOMEM;
  if (!error) error = read_bytes(fd, image->bytes, image->length, offset);
  close(fd);
  return error;
}

/* --- running --- */

/* Replaces the { file's name, source } on top by the function and the name. */
static void load_file(lua_State *L) {
  size_t length;
  int file = lua_gettop(L);
  lua_rawgeti(L, file, 1);
  lua_rawgeti(L, file, 2);
  const char *source = lua_tolstring(L, -1, &length);
  const char *chunkname = lua_pushfstring(L, "@%s", lua_tostring(L, -2));
  if (luaL_loadbufferx(L, source, length, chunkname, "t") != LUA_OK) lua_error(L);
  lua_replace(L, file);
  lua_settop(L, file + 1);
}

/* The searcher. Its upvalue: a table of { file's name, source } by module's name. */
static int l_search(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  if (lua_getfield(L, lua_upvalueindex(1), name) == LUA_TNIL) {
    lua_pushfstring(L, "no module '%s' in the program", name);
    return 1;
  }
  load_file(L);
  return 2;
}

/* Puts the searcher with the table on top, which it pops, before that of package.path. */
static void add_searcher(lua_State *L) {
  lua_pushcclosure(L, l_search, 1);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i >= 2; i--) {
    lua_geti(L, -1, i);
    lua_seti(L, -2, i + 1);
  }
  lua_pushvalue(L, -3);
  lua_seti(L, -2, 2);
  lua_pop(L, 3);
}

/* Pushes the string that begins at [from]. Returns what follows it, or NULL for damage. */
static const char *push_string(lua_State *L, const char *from, const char *end) {
  uint32_t length;
  if (!from || (size_t)(end - from) < sizeof length) return NULL;
  memcpy(&length, from, sizeof length);
  from += sizeof length;
  if ((size_t)(end - from) < length) return NULL;
  lua_pushlstring(L, from, length);
  return from + length;
}

static int lost(lua_State *L) {
  return luaL_error(
      L, "the program has lost its Lua files: was this executable stripped or truncated?");
}

/* (image): the table of modules; the script stands in it under "". */
static int l_parse(lua_State *L) {
  const struct image *image = lua_touserdata(L, 1);
  const char *end = image->bytes + image->length - CLOSING_LENGTH;
  if (image->length < CLOSING_LENGTH || memcmp(end, closing, CLOSING_LENGTH) != 0) return lost(L);
  lua_newtable(L);
  for (const char *at = image->bytes; at != end;) {
    at = push_string(L, at, end);
    if (!at) return lost(L);
    lua_createtable(L, 2, 0);
    for (int i = 1; i <= 2; i++) {
      if (!(at = push_string(L, at, end))) return lost(L);
      lua_rawseti(L, -2, i);
    }
    lua_rawset(L, 2);
  }
  return 1;
}

static int l_read(lua_State *L) {
  struct image *image = lua_touserdata(L, 1);
  struct slot where;
  read_slot(&where);
  int error = read_executable(image, where.offset, where.length);
  if (error == ENODATA) return lost(L);
  if (error) return luaL_error(L, "cannot read this executable: %s", strerror(error));
  return l_parse(L);
}

/* (image): the script as a function. */
static int l_load(lua_State *L) {
  l_read(L);
  lua_getfield(L, -1, "");
  load_file(L);
  lua_pop(L, 1);
  lua_insert(L, -2);
  lua_pushnil(L);
  lua_setfield(L, -2, "");
  add_searcher(L);
  return 1;
}

int bundle_load(lua_State *L) {
  struct image image = {0};
  lua_pushcfunction(L, l_load);
  lua_pushlightuserdata(L, &image);
  int status = lua_pcall(L, 1, 1, 0);
  free(image.bytes);
  return status;
}

/* --- writing --- */

/* Tells the slot of the executable in [image], which must have just one, what follows. */
static bool fill_slot(struct image *image, uint64_t length) {
  struct slot filled;
  read_slot(&filled);
  char *found = memmem(image->bytes, image->length, filled.mark, sizeof filled.mark);
  if (!found) return false;
  size_t rest = image->length - (size_t)(found - image->bytes) - 1;
  if (rest < sizeof filled || memmem(found + 1, rest, filled.mark, sizeof filled.mark))
    return false;
  filled.offset = image->length;
  filled.length = length;
  memcpy(found, &filled, sizeof filled);
  return true;
}

static int write_program(int fd, const struct image *image, const char *files, size_t length) {
  mode_t mask = umask(0);
  umask(mask);
  int error = write_bytes(fd, image->bytes, image->length);
  if (!error) error = write_bytes(fd, files, length);
  if (!error) error = write_bytes(fd, closing, CLOSING_LENGTH);
  if (!error && fchmod(fd, 0777 & ~mask)) error = errno;
  return error;
}

/* Writes beside [output] first, so that what was there stays until all is well. [draft] is a name to make. */
static int replace_output(const char *output, char *draft, const struct image *image,
                          const char *files, size_t length) {
  int fd = mkstemp(draft);
  if (fd < 0) return errno;
  int error = write_program(fd, image, files, length);
  if (close(fd) && !error) error = errno;
  if (!error && rename(draft, output)) error = errno;
  if (error) unlink(draft);
  return error;
}

static bool is_same(const struct stat *one, const char *path) {
  struct stat other;
  return stat(path, &other) == 0 && other.st_dev == one->st_dev && other.st_ino == one->st_ino;
}

/* Raises unless the file `output` at 1 may be replaced: it is a plain one, and none of those in the list at 3. */
static void check_output(lua_State *L, const char *output) {
  struct stat info;
  if (stat(output, &info)) return;
  if (!S_ISREG(info.st_mode)) luaL_error(L, "cannot write %s: it is not a plain file", output);
  for (lua_Integer i = 1; lua_geti(L, 3, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
    if (is_same(&info, lua_tostring(L, -1)))
      luaL_error(L, "cannot write %s: it is a source of the program", output);
  }
}

static int write_output(lua_State *L, struct image *image) {
  size_t length;
  const char *output = lua_tostring(L, 1), *files = lua_tolstring(L, 2, &length);
  char *draft = lua_newuserdata(L, strlen(output) + 8);
  memcpy(stpcpy(draft, output), ".XXXXXX", 8);
  int error = read_executable(image, 0, 0);
  if (error) return lua_pushfstring(L, "cannot read neap's executable: %s", strerror(error)), error;
  if (!fill_slot(image, length + CLOSING_LENGTH))
    return lua_pushliteral(L, "neap's executable has no place for a program"), ENOEXEC;
  error = replace_output(output, draft, image, files, length);
  if (error) lua_pushfstring(L, "cannot write %s: %s", output, strerror(error));
  return error;
}

int bundle_write(lua_State *L) {
  struct image image = {0};
  check_output(L, luaL_checkstring(L, 1));
  luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  int error = write_output(L, &image);
  free(image.bytes);
  return error ? lua_error(L) : 0;
}
