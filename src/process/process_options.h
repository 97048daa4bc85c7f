/* The table that a process is started with. */
#ifndef NEAP_PROCESS_PROCESS_OPTIONS_H
#define NEAP_PROCESS_PROCESS_OPTIONS_H

#include <lua.h>
#include <stdbool.h>
#include <uv.h>

#include "process/child_stdio.h"

/* A function that starts one. */
struct process_call {
  const char *name;      /* "exec" */
  const char *operation; /* "subprocess.exec" */
  bool shell;            /* the first argument is for the shell */
  bool run;              /* it has the options of `run` too */
};

/* Its pointers lie in Lua's memory, on the stack of the call or in what lies there. */
struct process_options {
  uv_process_options_t uv;
  struct stdio stdio[STDIO_COUNT];
  const char *program; /* as it was given, for messages */
  int given;           /* where on the stack the list of arguments lies, as strings */
  size_t limit;        /* of a line */
  double grace;
  bool group;
  bool detached;
};

/* Reads the table at [table]; the defaults of stdin, stdout and stderr follow it on the stack. Raises for what is
 * none; leaves on the stack what the options point at. */
void process_options_check(lua_State *L, const struct process_call *call, int table, struct process_options *options);

#endif
