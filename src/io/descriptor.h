/* What a descriptor leads to, and so which transport carries its bytes. */
#ifndef NEAP_IO_DESCRIPTOR_H
#define NEAP_IO_DESCRIPTOR_H

#include "io/transport.h"

enum descriptor_kind {
  DESCRIPTOR_FILE,
  DESCRIPTOR_DEVICE, /* that cannot be waited for: /dev/zero */
  DESCRIPTOR_PIPE,   /* anything that can be, but sockets of the internet and terminals */
  DESCRIPTOR_TCP,
  DESCRIPTOR_TTY,
};

/* Looks at [fd]; may be called in any thread. Returns a kind, or UV_E*. */
int descriptor_look(int fd);

/* Makes a transport that takes over [fd]; it is closed if that fails. [label] is for messages. Returns 0 or
 * UV_E*. */
int descriptor_open(struct neap *rt, struct slab *slab, int fd, enum descriptor_kind kind, const char *label,
                    struct transport **result);

#endif
