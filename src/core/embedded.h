/* The Lua files of lua/neap, compiled in. cmake/embed.cmake generates the array. */
#ifndef NEAP_CORE_EMBEDDED_H
#define NEAP_CORE_EMBEDDED_H

#include <stddef.h>

struct embedded_module {
  const char *name;      /* "neap.group" */
  const char *chunkname; /* "@lua/neap/group.lua" */
  const char *source;
  size_t length;
};

extern const struct embedded_module embedded_modules[]; /* ends with a NULL name */

#endif
