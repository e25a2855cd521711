/* SPDX-License-Identifier: MIT */
/* Lines of guest consoles. Carriage returns before a newline are dropped; everything else that is
 * not printable is escaped by the log. */
#include "kernel/vm/console.h"

#include "kernel/log.h"

static void put_line(struct vm *vm)
{
    if (vm->console_used > 0 && vm->console[vm->console_used - 1] == '\r')
        vm->console_used--;
    log_console_line(vm->config.name, vm->console, vm->console_used);
    vm->console_used = 0;
}

void console_write(struct vm *vm, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            put_line(vm);
            continue;
        }
        if (vm->console_used == sizeof vm->console)
            put_line(vm);
        vm->console[vm->console_used++] = bytes[i];
    }
}

void console_flush(struct vm *vm)
{
    if (vm->console_used > 0)
        put_line(vm);
}
