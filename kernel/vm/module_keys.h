/* SPDX-License-Identifier: MIT */
/* The keys of a module line: between module_line.c, which cuts the line into words, module_keys.c,
 * which says what the words mean, and module_devices.c, which does so for devices. Nobody else
 * includes this. */
#ifndef KERNEL_VM_MODULE_KEYS_H
#define KERNEL_VM_MODULE_KEYS_H

#include "kernel/lib/format.h"
#include "kernel/lib/text.h"
#include "kernel/vm/module_line.h"

#define MODULE_WORD_MAX (VM_COMMAND_LINE_MAX + 16) /* the longest word: cmdline=TEXT */
#define MODULE_SHOWN    64                         /* bytes of a word that a message shows */

struct module_parser {
    const char *at; /* the rest of the string */
    struct module_line *line;
    struct vm_config *config; /* in it */
    char *error;
    uint32_t seen;     /* bit n: key n of the table was there */
    const char *key;   /* what is being read: its name, as it stands there ... */
    const char *value; /* ... and its value, NUL-terminated, for messages */
    char word[MODULE_WORD_MAX];
};

/* Writes the line that says what is wrong and returns -EINVAL. */
#define module_refuse(parser, ...) \
    (snprintf((parser)->error, MODULE_LINE_ERROR_MAX, __VA_ARGS__), -EINVAL)

/* Are these bytes a name: a letter or digit, then those and . _ -? The length is not limited. */
bool module_is_name(const char *name, size_t length);

/* Is `text` a number from `minimum` to `maximum`? Then it is in `*number`. */
bool module_number(struct text text, uint32_t minimum, uint32_t maximum, uint32_t *number);

/* Is `text` a name of less than `size` bytes? Then it is in `name`, with a NUL. */
bool module_name(struct text text, char *name, size_t size);

/* Writes that the value is bad and what was `expected`; returns -EINVAL. */
int module_refuse_value(struct module_parser *parser, const char *expected);

/* block:NAME=VALUE and net:NAME=VALUE. Return as module_keys_read. */
MUST_CHECK int module_read_block(struct module_parser *parser, struct text value);
MUST_CHECK int module_read_net(struct module_parser *parser, struct text value);

/* The values of the keys that are not there. */
void module_keys_default(struct vm_config *config);

/* Reads the word in `parser->word` (it is cut up by that). Returns 0, or -EINVAL with the reason in
 * `parser->error`. */
MUST_CHECK int module_keys_read(struct module_parser *parser);

/* What needs more than one key: called when all were read. Returns as module_keys_read. */
MUST_CHECK int module_keys_check(struct module_parser *parser);

#endif
