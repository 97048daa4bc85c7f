#include "process/child_stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/limits.h"
#include "io/transport_uv.h"

enum { FILE_MODE = 0666 };

static int failure(void) { return uv_translate_sys_error(errno); }

/* Pipes of our own, not the pairs of sockets that libuv makes: a child can open "/dev/stdin" then. */
static int open_pipe(struct stdio *stdio, struct neap *rt, struct slab *slab, bool is_input) {
  int ends[2], status = limits_handle(rt);
  if (status < 0) return status;
  if (pipe2(ends, O_CLOEXEC) < 0) return failure();
  stdio->fd = ends[is_input ? 0 : 1];
  stdio->opened = true;
  stdio->transport = transport_pipe(rt, slab);
  if (stdio->transport) return transport_open(stdio->transport, ends[is_input ? 1 : 0]);
  close(ends[is_input ? 1 : 0]);
  return UV_ENOMEM;
}

/* Without O_NONBLOCK the loop would stand still until somebody opens the other end of a named pipe. The child gets it
 * in blocking mode. */
static int open_path(struct stdio *stdio) {
  stdio->fd = open(stdio->path, stdio->flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, FILE_MODE);
  stdio->opened = stdio->fd >= 0;
  return stdio->opened ? 0 : failure();
}

static int open_one(struct stdio stdio[STDIO_COUNT], int i, struct neap *rt, struct slab *slab) {
  switch (stdio[i].kind) {
    case STDIO_PIPE: return open_pipe(&stdio[i], rt, slab, i == 0);
    case STDIO_PATH: return open_path(&stdio[i]);
    case STDIO_STDOUT: return stdio[i].fd = stdio[1].fd, 0;
    case STDIO_FD: return fcntl(stdio[i].fd, F_GETFD) < 0 ? failure() : 0;
    default: return 0;
  }
}

int stdio_open(struct stdio stdio[STDIO_COUNT], struct neap *rt, struct slab *slab, int *failed) {
  for (int i = 0; i < STDIO_COUNT; i++) {
    int status = open_one(stdio, i, rt, slab);
    if (status == 0) continue;
    *failed = i;
    return status;
  }
  return 0;
}

void stdio_fill(const struct stdio stdio[STDIO_COUNT], uv_stdio_container_t containers[STDIO_COUNT]) {
  for (int i = 0; i < STDIO_COUNT; i++) {
    containers[i].flags = stdio[i].fd < 0 ? UV_IGNORE : UV_INHERIT_FD;
    containers[i].data.fd = stdio[i].fd;
  }
}

void stdio_close(struct stdio stdio[STDIO_COUNT]) {
  for (int i = 0; i < STDIO_COUNT; i++) {
    if (stdio[i].opened) close(stdio[i].fd);
    if (stdio[i].transport) transport_release(stdio[i].transport);
    stdio[i].opened = false;
    stdio[i].transport = NULL;
  }
}
