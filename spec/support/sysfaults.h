/* What sysfaults.c does for specs: one call of a function of the C library fails. */
#ifndef NEAP_SPEC_SYSFAULTS_H
#define NEAP_SPEC_SYSFAULTS_H

#include <stdbool.h>

enum { SYSFAULTS_BUFFERS = 64 };

/* Calls of a function since the arming; no name ends the list. */
struct sysfaults_count {
  const char *name;
  int calls;
};

/* From here on calls are counted, and the [k]-th of [name] fails with [error]. NULL: none does. [pipes] says whether
 * reading and writing pipes counts: libuv has some of its own. */
void sysfaults_arm(const char *name, int error, int k, bool pipes);

/* Ends that; tells whether the call came. */
bool sysfaults_disarm(void);

const struct sysfaults_count *sysfaults_counts(void);

/* The number of an error that is named as in errno.h or netdb.h, or 0. */
int sysfaults_error(const char *name);

#endif
