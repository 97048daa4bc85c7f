/* Functions on files and folders. Each is one piece of work for libuv's threads: all of it, from the opening of a
 * file to its end, runs there, by libuv's functions in their blocking form. A function is a description (struct
 * fs_kind) and a C function for Lua that checks the arguments and hands them to fs_await. */
#ifndef NEAP_FS_CALL_H
#define NEAP_FS_CALL_H

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "core/op.h"
#include "core/runtime.h"
#include "core/work.h"

struct fs_call;

/* What [run] returns when it needs more room than there is. */
enum { FS_MORE = 1 };

struct fs_kind {
  struct op_kind op; /* must be first: FS_OP */
  int paths;         /* how many of the arguments are paths: for messages */
  bool opens;        /* them, which for what is no file may take for ever */

  /* In another thread: no Lua, no memory of the runtime's. Returns 0, UV_E*, or FS_MORE. Where it goes on for long
   * it looks at [dropped]. */
  int (*run)(struct fs_call *call);

  /* In the loop's thread: makes room before [run] is called once more. Returns 0 or UV_E*. */
  int (*grow)(struct fs_call *call);

  /* Pushes the results of what went well, and returns their count. NULL: true. */
  int (*push)(lua_State *L, struct fs_call *call);
};

/* What the function was called with. The strings need to last only until it is submitted. */
struct fs_arguments {
  const char *path;
  const char *other; /* a second path, or NULL */
  const char *bytes;
  size_t length;
  size_t room; /* for so many bytes, at least, there is to be a block */
  int flags;
  int mode;
  double atime, mtime;
};

/* The work. Its memory is its own, since it goes on when its task, or the runtime, is gone. */
struct fs_call {
  struct work work; /* must be first */
  const struct fs_kind *kind;
  struct memory *memory;
  struct fs_op *op;    /* NULL: nobody waits for it any more */
  atomic_bool dropped; /* the same, for the other thread */
  bool pending;        /* libuv has it */
  int status;
  int fd;              /* that is open between two runs, or -1 */
  int flags;
  int mode;
  double atime, mtime;
  char *bytes;         /* a block of its own: what is to be written, or was read */
  size_t length;
  size_t capacity;
  size_t wanted;       /* the capacity that the next [run] will need */
  uv_fs_t fs;          /* of the last step, with its results */
  char *other;
  char path[];
};

struct fs_op {
  struct op op;
  struct neap *rt;
  struct fs_call *call; /* NULL: there was no memory for it */
};

/* The first member of a struct fs_kind. */
#define FS_OP(title) {.name = title, .size = sizeof(struct fs_op), .push = fs_push, .drop = fs_drop, .local = true}

int fs_push(lua_State *L, struct neap *rt, struct op *op);
void fs_drop(struct neap *rt, struct op *op);

/* Does the work off the loop, and pushes what comes of it: the results, or nil, err, code. To be returned. */
int fs_await(lua_State *L, const struct fs_kind *kind, const struct fs_arguments *arguments);

/* Arguments: a string without a zero byte; permission bits. */
const char *fs_check_path(lua_State *L, int index);
int fs_check_mode(lua_State *L, int index);

/* The option "mode" of the table at [index]. */
int fs_option_mode(lua_State *L, int index, int otherwise);

/* Pushes nil, err, code; the message names the first [paths] arguments. */
int fs_failure(lua_State *L, int status, const char *operation, int paths);

/* For [run]: what a system call that failed left in errno. */
int fs_errno(void);

/* For [run]: opens a file, or closes one. */
int fs_open_file(const char *path, int flags, int mode);
int fs_close_file(int fd);

#endif
