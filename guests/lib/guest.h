/* SPDX-License-Identifier: MIT */
/* The guest SDK: the one header that a guest includes. A guest is `int main(void)`: it runs in long
 * mode at CPL 0 with interrupts on, SSE usable, the first 4 GiB identity-mapped, and the value it
 * returns (0 to 255, 0 is success) is its exit status. */
#ifndef GUESTS_LIB_GUEST_H
#define GUESTS_LIB_GUEST_H

#include <linux/errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <xen/arch-x86/hvm/start_info.h>

#include "atoll/abi.h"
#include "kernel/lib/format.h"
#include "kernel/lib/types.h"

#include "guests/lib/calls.h"
#include "guests/lib/cpu.h"
#include "guests/lib/exceptions.h"
#include "guests/lib/pages.h"
#include "guests/lib/time.h"

int main(void);

/* Writes to the guest's console: whole lines at once, so that a line costs one call. The formats
 * are those of kernel/lib/format.h. */
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Hands over what printf holds back of an unfinished line. */
void console_flush(void);

/* Ends the guest with `status`, 0 to 255. */
_Noreturn void guest_exit(int status);

/* The command line of the guest's module line, never NULL. */
const char *guest_command_line(void);

/* The value of the word `key=value` of the command line, NULL when there is none. */
const char *guest_option(const char *key);

/* The same as a decimal number; `fallback` when it is absent or no number. */
uint64_t guest_option_number(const char *key, uint64_t fallback);

/* The PVH memory map: returns the number of entries. */
size_t guest_memory_map(const struct hvm_memmap_table_entry **entries);

/* RAM in bytes, and the first address behind the highest RAM. */
uint64_t guest_ram_size(void);
uint64_t guest_ram_end(void);

#endif
