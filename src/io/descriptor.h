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

/* Gives a descriptor of its own, closed in programs that are started, to who is not to close [fd] nor to make it
 * non-blocking: it leads to the same, by a description that is not shared if it can. Whether it is not stands in
 * [shared]. Returns the descriptor or UV_E*. */
int descriptor_copy(int fd, enum descriptor_kind kind, bool *shared);

/* Makes a transport that takes over [fd]; it is closed if that fails. [label] is for messages. Returns 0 or
 * UV_E*. [shared]: with others who expect it to block. */
int descriptor_open(struct neap *rt, struct slab *slab, int fd, enum descriptor_kind kind, bool shared,
                    const char *label, struct transport **result);

#endif
