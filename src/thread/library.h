/* Threads as scripts see them. */
#ifndef NEAP_THREAD_LIBRARY_H
#define NEAP_THREAD_LIBRARY_H

#include <lua.h>

struct neap;
struct thread;

void thread_library_open(lua_State *L, struct neap *rt);

/* The thread at [index]; raises a bad argument if it is none. */
struct thread *thread_check(lua_State *L, int index);

/* Pushes the object of the thread, the same one each time. */
void thread_push(lua_State *L, struct neap *rt, void *thread);

/* Reports the error of a thread that has ended, if nobody has read it. Never raises. */
void thread_report(struct neap *rt, struct thread *thread);

#endif
