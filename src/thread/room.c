#include "thread/room.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "core/port.h"
#include "thread/channel.h"
#include "thread/copy.h"
#include "thread/job.h"
#include "thread/library.h"
#include "thread/thread.h"

enum {
  END_NS = 2000000000,     /* the command waits so long for threads that are asked to end */
};

/* Registry key of the userdata that holds the room. */
static const char room_key;

struct thread_room *thread_room(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &room_key);
  struct thread_room *room = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return room;
}

/* Returns whether it has ended. The command does not wait for ever. */
static bool wait_for_end(struct thread *thread, bool bounded) {
  uint64_t deadline = uv_hrtime() + END_NS, now;
  uv_mutex_lock(&thread->lock);
  while (thread->state != THREAD_ENDED) {
    if (!bounded)
      uv_cond_wait(&thread->changed, &thread->lock);
    else if ((now = uv_hrtime()) >= deadline)
      break;
    else
      (void)uv_cond_timedwait(&thread->changed, &thread->lock, deadline - now);
  }
  bool ended = thread->state == THREAD_ENDED;
  uv_mutex_unlock(&thread->lock);
  return ended;
}

static void end_children(struct thread_room *room) {
  list_each(node, &room->children) (void)thread_stop(container_of(node, struct thread, link), true);
  for (struct list *node; (node = list_first(&room->children));) {
    struct thread *thread = container_of(node, struct thread, link);
    list_remove(node);
    if (wait_for_end(thread, room->rt->ends_process)) {
      uv_thread_join(&thread->id);
      thread_release(thread);
    }
  }
}

/* At the runtime's end. A thread that a runtime of the host's own is for others is over then. */
static void close_room(struct neap *rt, struct resource *resource) {
  struct thread_room *room = container_of(resource, struct thread_room, resource);
  job_end_all(rt, room);
  end_children(room);
  if (!room->self) return;
  if (!room->self->parent) {
    thread_close_port(room->self);
    thread_tell_end(room->self, NULL);
  }
  thread_release(room->self);
  room->self = NULL;
}

void thread_room_open(lua_State *L, struct neap *rt, const struct thread_host *host) {
  struct thread_room *room = lua_newuserdatauv(L, sizeof *room, 0);
  *room = (struct thread_room){.resource.close = close_room, .rt = rt, .host = host};
  list_init(&room->children);
  list_init(&room->jobs);
  list_append(&rt->resources, &room->resource.link);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &room_key);
  copy_open(L, rt);
  channel_open(L, rt);
  thread_library_open(L, rt);
  job_open(L, rt);
}
