/* SPDX-License-Identifier: MIT */
/* The audit of frames (selftest=hostile): each frame of memory is free, the hypervisor's, one VM's
 * or shared, and what all EPTs say, recounted, is what the books say. Made before the first guest
 * runs, at ends of VMs while others run on, and behind the last end; what is wrong is a line each
 * that begins with "frames: VIOLATION: ". Meanwhile the hypervisor may take no frames for itself:
 * the monitor's `exits` and `top` do, and would be reported. */
#ifndef KERNEL_VM_FRAME_AUDIT_H
#define KERNEL_VM_FRAME_AUDIT_H

#include "kernel/lib/types.h"

/* Takes the memory that audits need. False: there is none. */
MUST_CHECK bool frame_audit_init(void);

/* Audits, if there is memory for it; the first time, what nobody claims is the hypervisor's. The
 * caller holds no lock. */
void frame_audit(void);

/* A VM has ended: as frame_audit, but no more often than takes a small part of the time. */
void frame_audit_sometimes(void);

/* The same with bits of a word flipped meanwhile: its violations are expected, and their lines
 * begin with "frames: found: ". Returns how many there are. */
unsigned frame_audit_of_fault(uint64_t *word, uint64_t flip);

/* One line: how many audits there were, and what the last one has found. */
void frame_audit_summary(void);

#endif
