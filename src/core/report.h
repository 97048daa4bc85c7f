/* Errors that have nobody to go to: the exception handler. */
#ifndef NEAP_CORE_REPORT_H
#define NEAP_CORE_REPORT_H

#include <lua.h>
#include <stdbool.h>

struct neap;
struct neap_port;
struct neap_report;

void report_open(lua_State *L, struct neap *rt);

/* Calls the exception handler with a context of [message], the error on top of the stack (which it
 * pops), and, unless [name] is NULL, the value at [index] under that name. Never raises. */
void report(lua_State *L, struct neap *rt, const char *message, const char *name, int index);

/* The same for something that is no error, and does not count as one: the context has `warning`, and the
 * traceback on top of the stack (which it pops), or nil. */
void report_warning(lua_State *L, struct neap *rt, const char *message, const char *name, int index);

/* Keeps the message on top of the stack, which it pops, to be reported as a warning by the loop: for
 * finalizers. May raise for want of memory. */
void report_warning_later(lua_State *L, struct neap *rt);

/* Reports what was kept. May raise for want of memory. */
void report_kept_warnings(lua_State *L, struct neap *rt);

/* Gives a report to the host that has the port. Returns false if it wants none. */
bool report_tell_host(struct neap_port *port, const struct neap_report *report);

/* A message handler for lua_pcall that keeps the traceback for the report that follows. */
int report_keep_traceback(lua_State *L);

/* Pushes the handler that is set, or nil; sets it to the value on top, which it pops. */
void report_push_handler(lua_State *L);
void report_set_handler(lua_State *L);
void report_push_default_handler(lua_State *L);

#endif
