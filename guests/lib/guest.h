/* SPDX-License-Identifier: MIT */
/* The guest SDK: the one header that a guest includes. A guest is `int main(void)`: it runs in long
 * mode at CPL 0 with interrupts on, SSE usable, the first 4 GiB identity-mapped, and the value it
 * returns (0 to 255, 0 is success) is its exit status. */
#ifndef GUESTS_LIB_GUEST_H
#define GUESTS_LIB_GUEST_H

#include <stdint.h>
#include <xen/arch-x86/hvm/start_info.h>

#include "atoll/abi.h"

#include "guests/lib/apic.h"
#include "guests/lib/block.h"
#include "guests/lib/both.h"
#include "guests/lib/calls.h"
#include "guests/lib/channel.h"
#include "guests/lib/interrupts.h"
#include "guests/lib/link.h"
#include "guests/lib/locks.h"
#include "guests/lib/pages.h"
#include "guests/lib/ring.h"
#include "guests/lib/smp.h"
#include "guests/lib/user.h"

/* printf writes whole lines at once, so that a line costs one call and those of several vCPUs do
 * not mix. Handlers may use it, except that of NMI. */

/* Hands over what printf holds back of this vCPU's unfinished line. */
void console_flush(void);

/* Takes up to `size` bytes that were typed at the guest's console, without waiting. Returns how
 * many, 0 when there are none, or a negative errno (ATOLL_CALL_CONSOLE_READ). */
int console_read(char *bytes, size_t size);

/* Reads a line that is typed, sleeping in HLT until it is there: what printf holds back is written
 * first, such as a prompt, printable characters are echoed, Backspace takes the last one away.
 * Characters beyond `size` - 1 are not accepted. Returns the length of the line, which has no
 * newline and ends in NUL; -EINVAL: `size` is 0; -ENOSYS: the hypervisor is too old. One vCPU at a
 * time may read, with interrupts on. */
int console_read_line(char *line, size_t size);

/* The PVH memory map: returns the number of entries. */
size_t guest_memory_map(const struct hvm_memmap_table_entry **entries);

/* RAM in bytes, and the first address behind the highest RAM. */
uint64_t guest_ram_size(void);
uint64_t guest_ram_end(void);

#endif
