#include "thread/forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/port.h"
#include "core/report.h"
#include "neap.h"
#include "thread/thread.h"

struct forwarded {
  struct post post;
  struct neap_port *port; /* that it is posted to */
  struct neap_report report;
  char text[];            /* of the report */
};

/* The parent has waited for its threads before it is freed: so it can still tell. */
static void run_forwarded(struct neap *rt, struct post *post) {
  (void)rt;
  struct forwarded *forwarded = container_of(post, struct forwarded, post);
  (void)report_tell_host(forwarded->port, &forwarded->report);
  free(forwarded);
}

static size_t size_of(const char *text) { return text ? strlen(text) + 1 : 0; }

static const char *keep(char **end, const char *text) {
  size_t size = size_of(text);
  char *kept = *end;
  if (!text) return NULL;
  *end += size;
  return memcpy(kept, text, size);
}

static struct forwarded *copy(struct neap_port *port, const struct neap_report *report) {
  size_t size = size_of(report->message) + size_of(report->traceback) + size_of(report->made_at);
  struct forwarded *forwarded = malloc(sizeof *forwarded + size);
  if (!forwarded) return NULL;
  char *end = forwarded->text;
  *forwarded = (struct forwarded){.post.run = run_forwarded, .port = port};
  forwarded->report.message = keep(&end, report->message);
  forwarded->report.traceback = keep(&end, report->traceback);
  forwarded->report.made_at = keep(&end, report->made_at);
  forwarded->report.is_warning = report->is_warning;
  return forwarded;
}

/* What cannot be handed on is not lost. */
static void forward(void *user, const struct neap_report *report) {
  struct thread *thread = user;
  struct forwarded *forwarded = copy(thread->parent_port, report);
  if (forwarded && port_post(thread->parent_port, &forwarded->post)) return;
  free(forwarded);
  fprintf(stderr, "neap: %s\n", report->message);
}

void forward_reports(struct neap *rt, struct thread *thread) {
  if (thread->parent_port->host.on_report) rt->port->host = (struct port_host){forward, thread};
}
