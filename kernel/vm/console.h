/* SPDX-License-Identifier: MIT */
/* A guest's console: bytes in, whole lines into the log. */
#ifndef KERNEL_VM_CONSOLE_H
#define KERNEL_VM_CONSOLE_H

#include "kernel/vm/vm.h"

/* Adds bytes. Each complete line, or one that has become too long, goes to the log. */
void console_write(struct vm *vm, const char *bytes, size_t size);

/* Writes out what waits for its newline, when the guest has ended. */
void console_flush(struct vm *vm);

#endif
