/* A function that one thread calls in a task of another: a job. */
#ifndef NEAP_THREAD_JOB_H
#define NEAP_THREAD_JOB_H

#include <lua.h>

struct neap;
struct thread_room;

void job_open(lua_State *L, struct neap *rt);

/* The runtime ends: those that run in it will not come to their end. */
void job_end_all(struct neap *rt, struct thread_room *room);

#endif
