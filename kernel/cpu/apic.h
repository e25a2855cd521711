/* SPDX-License-Identifier: MIT */
/* The local APIC of the calling processor (SDM Vol. 3A, chapter 10): x2APIC where the processor has
 * it, else xAPIC. What Atoll needs of it: IPIs to start, wake and stop processors, and a timer to
 * sleep by. */
#ifndef KERNEL_CPU_APIC_H
#define KERNEL_CPU_APIC_H

#include "kernel/lib/types.h"

/* Once, on the boot processor: chooses the mode, maps the registers (xAPIC) at `address` (0: where
 * IA32_APIC_BASE says), masks the 8259s.
 * Returns 0, or -ENODEV when the processor has no local APIC, -ENOMEM. */
MUST_CHECK int apic_setup(uint64_t address);

/* On each processor: enables its APIC. Afterwards apic_id() is its id. */
void apic_enable(void);

uint32_t apic_id(void);
bool apic_is_x2apic(void);
void apic_eoi(void);

/* The gate of an interrupt that only ends a HLT: EOI, and no register is lost. */
struct interrupt_frame; /* as the processor pushes it: SDM Vol. 3A, 6.14.2 */
__attribute__((interrupt)) void apic_wake_gate(struct interrupt_frame *frame);

/* IPIs to one processor. All wait, for a bounded time, until the APIC has taken them (xAPIC). */
void apic_send_init(uint32_t target);
void apic_send_startup(uint32_t target, uint8_t page);
void apic_send_nmi(uint32_t target);
void apic_send(uint32_t target, uint8_t vector);

/* An NMI to all processors but this one. */
void apic_send_nmi_others(void);

/* Interrupts this processor with VECTOR_TIMER when the TSC reaches `deadline` (soon after, if it
 * has). The one-shot timer, used without TSC-deadline mode, must have been calibrated. */
void apic_timer_arm(uint64_t deadline);
void apic_timer_stop(void);

/* Measures the one-shot timer against the TSC. Nothing to do in TSC-deadline mode. */
void apic_timer_calibrate(uint64_t tsc_hz);

#endif
