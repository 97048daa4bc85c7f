/* Who is interested in which descriptors that are not libuv's: any number in one. libuv would make what it watches
 * non-blocking for all who share it, looks at it for one handle alone, and aborts when it was closed meanwhile: it
 * watches an epoll descriptor instead, which watches all of these. */
#ifndef NEAP_IO_INTEREST_H
#define NEAP_IO_INTEREST_H

#include <lua.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "core/runtime.h"

enum { INTEREST_READ = EPOLLIN, INTEREST_WRITE = EPOLLOUT };

/* Of libuv, that a runtime has open once somebody was interested in anything. */
enum { INTEREST_HANDLES = 2 };

struct watched;

struct interest {
  struct list link;        /* in the descriptor's list */
  struct watched *watched; /* NULL: it has not begun, or has ended */
  uint32_t events;         /* INTEREST_*; 0: none for the time being */

  /* From libuv's callbacks: the descriptor is ready, or has an error that the next call will tell. It clears
   * [events], or is called again. With a [status] of UV_EBADF the descriptor has turned out to be closed; with
   * UV_ECANCELED the runtime ends, and the interest has. */
  void (*ready)(struct neap *rt, struct interest *interest, int status);
};

/* Returns 0 or UV_E*: UV_EPERM for a regular file. */
int interest_begin(struct neap *rt, struct interest *interest, int fd);

/* May be called twice, and for one that is cleared. */
void interest_end(struct interest *interest);

/* Before whoever owns the descriptor closes it: it is as if it were ready. */
void interest_forget(struct neap *rt, int fd);

/* The interests in a descriptor, or NULL; and a number that is higher than those of all that somebody is interested
 * in. */
struct list *interest_list(const struct neap *rt, int fd);
int interest_bound(const struct neap *rt);

/* Checks that the argument is a descriptor's number. */
int interest_check_fd(lua_State *L, int index);

#endif
