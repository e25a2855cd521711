/* SPDX-License-Identifier: MIT */
/* What became of the guests, at the end. */
#ifndef KERNEL_VM_SUMMARY_H
#define KERNEL_VM_SUMMARY_H

/* A table of all guests, then the line that tools read:
 * "all guests ended: N of M with status 0". */
void summary_print(void);

#endif
