/* Threads: each with a Lua state and a runtime of its own. A thread is known to any number of states, as an object
 * that crosses by reference; the runtime that began it, its parent, waits for its end. The runtime of the host's
 * own thread is one of them as soon as somebody asks for it. */
#ifndef NEAP_THREAD_THREAD_H
#define NEAP_THREAD_THREAD_H

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "base/list.h"
#include "core/port.h"
#include "thread/outcome.h"

struct message;
struct thread_host;

enum thread_state {
  THREAD_STARTING, /* posts are kept */
  THREAD_RUNNING,
  THREAD_ENDING,   /* posts are refused */
  THREAD_ENDED,
};

enum { THREAD_NAME = 64 };


struct thread {
  atomic_uint holders;
  const struct thread_host *host;
  bool is_host;            /* of the host's own runtime */
  struct thread *parent;   /* for the thread itself, until it ends; NULL for the host's own */
  struct neap_port *parent_port;
  struct message *start;   /* function and arguments; the thread's own */
  struct message *settings; /* the same */
  bool killed;             /* the same: what is left is not waited for */
  lua_CFunction prepare; /* see runtime.h */
  bool debug, ignore_environment;
  atomic_bool daemon;
  atomic_bool retrieved;   /* somebody has got what it ended with */

  uv_thread_t id;          /* these are the parent's: */
  struct list link;        /* among its children, until it was joined */
  struct post exited, ended; /* tell the parent: os.exit was called in it; it is over */
  struct op *watch;        /* of the task that stands for it there */

  uv_mutex_t lock;         /* of what follows */
  uv_cond_t changed;       /* it has ended */
  enum thread_state state;
  char name[THREAD_NAME];
  struct neap_port *port;  /* while it is running */
  struct post *early, *early_last; /* posts from before that */
  struct list joiners;
  struct outcome outcome;  /* the same for ever when it has ended: */
  unsigned reported;       /* errors that went to its default exception handler */
  bool exiting;            /* os.exit was called in it */
  int exit_code;
};

/* Makes one, with a part in it for the caller. Returns NULL without memory. */
struct thread *thread_new(const struct thread_host *host);

static inline void thread_hold(struct thread *thread) {
  atomic_fetch_add_explicit(&thread->holders, 1, memory_order_relaxed);
}

void thread_release(void *thread);

/* Hands it a post, from any thread. Returns false, with nothing done, when it is over. */
bool thread_post(struct thread *thread, struct post *post);

/* From any thread: it is running, with that port, and gets the posts that were kept; or takes no more of them. */
void thread_open_port(struct thread *thread, struct neap_port *port);
void thread_close_port(struct thread *thread);

/* It has ended; then, those who wait for that are told. */
void thread_mark_end(struct thread *thread);
void thread_tell_end(struct thread *thread, struct neap *here);

/* How a thread is asked to end: a run_forever in its body returns, or else all is cancelled; all is cancelled;
 * what is left is killed. */
enum thread_stop { STOP_FOREVER, STOP_CANCEL, STOP_KILL };

/* Asks it to end. Returns false without memory. Nothing happens if it is over. */
bool thread_stop(struct thread *thread, enum thread_stop how);

/* Runs it to its end, in its own thread. */
void thread_main(void *thread);

#endif
