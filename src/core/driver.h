/* On a loop of the host's, which the host runs, the tasks run by three handles of it. None of them keeps that
 * loop alive by itself: tasks that wait do, by their deadlines, their I/O, or what may be posted. */
#ifndef NEAP_CORE_DRIVER_H
#define NEAP_CORE_DRIVER_H

struct neap;

/* Returns 0 or UV_E*. */
int driver_open(struct neap *rt);

/* Something has become ready between two turns. */
void driver_wake(struct neap *rt);

/* Begins to close them: their memory is freed when the host's loop has run again. */
void driver_close(struct neap *rt);

#endif
