/* What a child has as its standard input, output and error output. */
#ifndef NEAP_PROCESS_CHILD_STDIO_H
#define NEAP_PROCESS_CHILD_STDIO_H

#include <stdbool.h>
#include <uv.h>

#include "core/runtime.h"
#include "io/slab.h"
#include "io/transport.h"

enum { STDIO_COUNT = 3 };

enum stdio_kind { STDIO_NULL, STDIO_FD, STDIO_PIPE, STDIO_PATH, STDIO_STDOUT };

struct stdio {
  uint8_t kind;
  bool opened;                 /* [fd] is ours to close */
  int fd;                      /* the child's end; -1: the null device */
  int flags;                   /* to open [path] with */
  const char *path;
  struct transport *transport; /* our end of a pipe */
};

/* Opens what is to be opened for the three. Returns 0, or a code of libuv and in [failed] whose it is. */
int stdio_open(struct stdio stdio[STDIO_COUNT], struct neap *rt, struct slab *slab, int *failed);

/* Fills in what uv_spawn is given. */
void stdio_fill(const struct stdio stdio[STDIO_COUNT], uv_stdio_container_t containers[STDIO_COUNT]);

/* Closes the child's ends, which it has by now; and our ends, where nobody has taken them. */
void stdio_close(struct stdio stdio[STDIO_COUNT]);

#endif
