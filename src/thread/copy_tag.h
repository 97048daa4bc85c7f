/* The bytes of a message: the values, then what is in the first table or function that they mention, in the
 * second, and so on; what these mention goes to the end of the line. So depth costs no stack on either side. */
#ifndef NEAP_THREAD_COPY_TAG_H
#define NEAP_THREAD_COPY_TAG_H

enum tag {
  TAG_NIL,
  TAG_FALSE,
  TAG_TRUE,
  TAG_INTEGER,
  TAG_FLOAT,
  TAG_STRING,      /* u16 length, bytes */
  TAG_LONG_STRING, /* u32 hold */
  TAG_SHARED,      /* u32 hold */
  TAG_GLOBALS,
  TAG_REFERENCE,   /* u16 length, name: see reference.h */
  TAG_SEEN,        /* u32 number */
  TAG_TABLE,       /* u32 items, u32 pairs; its number is the next one. These count so far: */
  TAG_FUNCTION,    /* u32 length, bytes of string.dump */
  TAG_UPVALUE,     /* u32 number of a function, u8 which: the variable is the same one */
  TAG_PAIRS,       /* after a table's items: keys and values */
  TAG_METATABLE,   /* after its pairs */
  TAG_END,
};

#endif
