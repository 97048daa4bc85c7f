/* Reports of a thread are its parent's, if a host is told of those: they go there, to be told in its thread. */
#ifndef NEAP_THREAD_FORWARD_H
#define NEAP_THREAD_FORWARD_H

struct neap;
struct thread;

/* In the thread, before it runs anything. */
void forward_reports(struct neap *rt, struct thread *thread);

#endif
