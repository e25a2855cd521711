/* SPDX-License-Identifier: MIT */
/* The line of a GRUB module: "name key=value ...", what one guest is to get. Pure. */
#ifndef KERNEL_VM_MODULE_LINE_H
#define KERNEL_VM_MODULE_LINE_H

#include "kernel/lib/types.h"

#define VM_NAME_MAX          32   /* with the NUL */
#define VM_COMMAND_LINE_MAX  1024 /* with the NUL */
#define MODULE_LINE_ERROR_MAX 160

#define VM_MEMORY_DEFAULT    (8 * MIB)
#define VM_MEMORY_MIN        (1 * MIB)

struct vm_config {
    char name[VM_NAME_MAX];                 /* [A-Za-z0-9][A-Za-z0-9._-]*, and not "atoll" */
    char command_line[VM_COMMAND_LINE_MAX]; /* cmdline=TEXT or cmdline="TEXT" */
    uint64_t memory;                        /* mem=N[K|M|G], whole pages, bytes */
    uint32_t vcpus;                         /* vcpus=N; only 1 is accepted so far */
};

/* Reads a module's string. GRUB re-quotes whole words, so `"cmdline=a b"` is accepted as well as
 * `cmdline="a b"`; GRUB also puts a backslash before \, " and ', inside quotes and outside, so
 * \\, \" and \' stand for the second byte. Returns 0, or -EINVAL with one line in `error` that
 * names the key and the value. On an error, `config->name` holds the guest's name if it could be
 * read, else "". */
MUST_CHECK int module_line_parse(const char *line, struct vm_config *config,
                                 char error[MODULE_LINE_ERROR_MAX]);

#endif
