/* When libuv is asked for what has happened, and how. */
#ifndef NEAP_CORE_POLL_H
#define NEAP_CORE_POLL_H

#include <stdbool.h>
#include <stdint.h>

struct neap;

/* Looks for what is there already. */
void poll_now(struct neap *rt);

/* Blocks until I/O, the first deadline, or [limit_ms]. */
void poll_wait(struct neap *rt, uint64_t limit_ms);

/* Looks for what is there, then waits for [limit_ms], or less. Returns whether nothing came in all that time. */
bool poll_idle(struct neap *rt, int limit_ms);

/* What every poll ends with, also one that somebody else made. */
void poll_after(struct neap *rt);

/* Enough was run since the last one. */
bool poll_is_due(struct neap *rt);

/* A deadline has passed already: the timers are looked at before the next turn. */
void poll_soon(struct neap *rt);

/* Polls if that was asked for, or is due: what it makes ready stands before what the caller then does. */
void poll_if_due(struct neap *rt);

#endif
