/* SPDX-License-Identifier: MIT */
/* The vCPU's local APIC in x2APIC mode (SDM Vol. 3A 10.12): its MSRs, IPIs, the timer. The number
 * of a vCPU is its x2APIC id. */
#ifndef GUESTS_LIB_APIC_H
#define GUESTS_LIB_APIC_H

#include <stdbool.h>
#include <stdint.h>

#include "guests/lib/cpu.h"

/* MSRs (SDM table 10-6). */
enum apic_register {
    APIC_ID = 0x802,
    APIC_VERSION = 0x803,
    APIC_TPR = 0x808,
    APIC_PPR = 0x80a,
    APIC_EOI = 0x80b,
    APIC_LDR = 0x80d,
    APIC_SVR = 0x80f,
    APIC_ISR = 0x810, /* 8 of them, 32 vectors each, as TMR and IRR */
    APIC_TMR = 0x818,
    APIC_IRR = 0x820,
    APIC_ESR = 0x828,
    APIC_LVT_CMCI = 0x82f,
    APIC_ICR = 0x830,
    APIC_LVT_TIMER = 0x832,
    APIC_LVT_LINT0 = 0x835,
    APIC_LVT_LINT1 = 0x836,
    APIC_LVT_ERROR = 0x837,
    APIC_INITIAL_COUNT = 0x838,
    APIC_CURRENT_COUNT = 0x839,
    APIC_DIVIDE = 0x83e,
    APIC_SELF_IPI = 0x83f,
    APIC_TSC_DEADLINE = 0x6e0,
};

#define APIC_VECTOR_FIRST    32
#define APIC_SPURIOUS_VECTOR 0xffu
#define APIC_SVR_ENABLE      (1u << 8)
#define APIC_LVT_MASKED      (1u << 16)
#define APIC_LVT_PERIODIC    (1u << 17)
#define APIC_LVT_DEADLINE    (2u << 17)
#define APIC_DIVIDE_BY_1     0xbu
#define APIC_BROADCAST       0xffffffffu /* as a physical destination: every APIC */

/* ICR (SDM figure 10-28). */
#define APIC_ICR_FIXED   (0ull << 8)
#define APIC_ICR_NMI     (4ull << 8)
#define APIC_ICR_INIT    (5ull << 8)
#define APIC_ICR_SIPI    (6ull << 8)
#define APIC_ICR_LOGICAL (1ull << 11)
#define APIC_ICR_ASSERT  (1ull << 14)
#define APIC_ICR_SELF    (1ull << 18)
#define APIC_ICR_ALL     (2ull << 18)
#define APIC_ICR_OTHERS  (3ull << 18)
#define APIC_ICR_TO(id)  ((uint64_t)(id) << 32)

static inline uint64_t apic_read(enum apic_register reg)
{
    return rdmsr(reg);
}

static inline void apic_write(enum apic_register reg, uint64_t value)
{
    wrmsr(reg, value);
}

static inline unsigned apic_id(void)
{
    return (unsigned)apic_read(APIC_ID);
}

/* The vector is done with: the next one of its priority class or below may come. */
static inline void apic_end_of_interrupt(void)
{
    apic_write(APIC_EOI, 0);
}

/* Is the bit of `vector` set in the register `first` (APIC_ISR, APIC_TMR, APIC_IRR)? */
bool apic_bit(enum apic_register first, unsigned vector);

/* Software-enables this vCPU's APIC, with everything masked. The SDK does it at each vCPU's start;
 * nothing happens where CPUID shows no x2APIC. */
void apic_init(void);

/* IPIs: to the vCPU `id`, to all others, to this one. What was written before is seen by whom they
 * interrupt. */
void apic_send(unsigned id, unsigned vector);
void apic_send_others(unsigned vector);
void apic_send_self(unsigned vector);
void apic_send_nmi(unsigned id);
void apic_send_init(unsigned id);
void apic_send_sipi(unsigned id, unsigned page); /* starts at real-mode address page << 12 */

/* The timer of this vCPU has one mode at a time. Counts are those of the undivided timer; a
 * deadline is a value of the TSC, and one that has passed fires at once. */
void apic_timer_one_shot(unsigned vector, uint32_t count);
void apic_timer_periodic(unsigned vector, uint32_t count);
void apic_timer_deadline(unsigned vector, uint64_t tsc);
void apic_timer_stop(void);

#endif
