/* SPDX-License-Identifier: MIT */
/* Exceptions of an hvt guest. Only the SDK's own files include this. */
#ifndef GUESTS_HVT_LIB_TRAPS_H
#define GUESTS_HVT_LIB_TRAPS_H

/* Loads a GDT, a TSS and an IDT in place of what the guest was started with, none of which it can
 * see. From now on an exception that no ATTEMPT expects is an abort. */
void traps_init(void);

#endif
