/* Signals on their way from the process to those who hear them: one handle of libuv for each signal that
 * somebody in a runtime hears. Knows no Lua.
 *
 * libuv tells of a signal by a pipe, and drops what does not fit into it. So arrivals are counted beside it,
 * and whenever it tells of one signal the counts of the others are looked at too: of a storm every signal is
 * heard, however long the loop was busy.
 *
 * The first who hears a signal in the process takes it from whoever handled it before, a host or the neap
 * command; when the last one is gone that is as it was. */
#ifndef NEAP_PROCESS_SIGNAL_SOURCE_H
#define NEAP_PROCESS_SIGNAL_SOURCE_H

#include <stdbool.h>

#include "base/list.h"
#include "core/runtime.h"

enum { SIGNAL_MAX = 64 };

struct signal_source;

/* Of a runtime. */
struct signal_hub {
  struct neap *rt;
  struct signal_source *sources[SIGNAL_MAX + 1]; /* by number; NULL: nobody hears it */
};

/* Someone who hears one signal. [hear] is told how often it came; it runs inside libuv's callback: it may
 * complete ops and queue, not run Lua. */
struct hearer {
  struct list link;
  struct signal_source *source; /* NULL: hears nothing, or no more */
  void (*hear)(struct hearer *hearer, unsigned count);
  bool awaits;                  /* keeps the loop alive */
};

/* Begins to hear it: [hearer] has its [hear]. Returns 0 or UV_E*. */
int signal_hear(struct signal_hub *hub, struct hearer *hearer, int number);

/* No more. Does nothing to one who hears nothing. */
void signal_unhear(struct hearer *hearer);

/* Whether the loop goes on for this. */
void signal_set_awaits(struct hearer *hearer, bool awaits);

#endif
