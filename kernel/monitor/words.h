/* SPDX-License-Identifier: MIT */
/* A command line in its words, and what words may mean. Words are separated by blanks; "..." keeps
 * blanks together. Whatever is typed, or pasted, is untrusted. Pure. */
#ifndef KERNEL_MONITOR_WORDS_H
#define KERNEL_MONITOR_WORDS_H

#include "kernel/lib/types.h"

#define WORDS_MAX 16

/* Cuts `line` (in place) into words. -j, wherever it stands behind the first word, is taken out and
 * sets `json`. Returns how many there are, or -E2BIG for more than WORDS_MAX, -EINVAL for a quote
 * that does not end. */
MUST_CHECK int words_split(char *line, const char *words[WORDS_MAX], bool *json);

/* A number: decimal, or hexadecimal behind 0x, with an optional K, M or G for powers of 1024.
 * 0, -EINVAL, -ERANGE. */
MUST_CHECK int words_number(const char *word, uint64_t *number);

/* "NAME.N": a vCPU of a VM. A word that does not end in ".N" is vCPU 0 of the VM of that name.
 * 0 with the length of the name, -EINVAL. */
MUST_CHECK int words_vcpu(const char *word, size_t *name_length, uint32_t *index);

#endif
