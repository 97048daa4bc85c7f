/* What a runtime knows of threads. */
#ifndef NEAP_THREAD_ROOM_H
#define NEAP_THREAD_ROOM_H

#include <lua.h>
#include <stdbool.h>

#include "base/list.h"
#include "core/runtime.h"

struct thread;

/* How states are made and freed: by those who put all rooms together. [make] returns NULL without memory. */
struct thread_host {
  lua_State *(*make)(bool ignore_environment);
  void (*free)(lua_State *L);
};

struct thread_room {
  struct resource resource; /* its close ends the children */
  struct neap *rt;
  const struct thread_host *host;
  struct thread *self;      /* NULL until somebody asks, in the host's own thread */
  struct list children;     /* that were not joined yet */
  struct list jobs;         /* that run here for other threads: see job.h */
  unsigned started;         /* so far: names them */
};

void thread_room_open(lua_State *L, struct neap *rt, const struct thread_host *host);

struct thread_room *thread_room(lua_State *L);

#endif
