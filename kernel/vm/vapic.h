/* SPDX-License-Identifier: MIT */
/* A vCPU's local APIC in x2APIC mode (SDM Vol. 3A, 10.12): registers, priorities, timer, what an
 * ICR write asks for. The registers live in a page in the layout of the virtual-APIC page (SDM Vol.
 * 3C, 29.1), so that a processor with APIC virtualisation works on the very same state. Only the
 * core that has the vCPU touches it, except for vapic_post. Pure. */
#ifndef KERNEL_VM_VAPIC_H
#define KERNEL_VM_VAPIC_H

#include <stdatomic.h>

#include "kernel/lib/types.h"

#define VAPIC_MSR_FIRST 0x800u
#define VAPIC_MSR_LAST  0x8ffu
#define VAPIC_SIZE      1024 /* of the page, which has no register behind MSR 0x83f */
#define VAPIC_NONE      (-1)
#define VAPIC_NEVER     UINT64_MAX

/* The longest period, (2^32 - 1) counts * divide by 2^7 * 2^24 ticks, is below 2^63. */
#define VAPIC_TSC_PER_COUNT_MAX (1u << 24)

struct vapic {
    uint8_t *page;               /* VAPIC_SIZE bytes: register r at r << 4, r = MSR - 0x800 */
    _Atomic uint64_t posted[4];  /* vectors that any core has posted and the owner not collected */
    uint32_t id;                 /* x2APIC id */
    uint64_t tsc_per_count;      /* TSC ticks for one count of the undivided timer: 1 to
                                    VAPIC_TSC_PER_COUNT_MAX */
    uint64_t deadline;           /* guest TSC at which the timer fires; VAPIC_NEVER */
    uint32_t errors;             /* since the guest last wrote the ESR, in its format */
};

enum vapic_delivery { /* as in ICR bits 10:8 */
    VAPIC_FIXED = 0,
    VAPIC_LOWEST = 1,
    VAPIC_NMI = 4,
    VAPIC_INIT = 5,
    VAPIC_SIPI = 6,
};

/* An IPI that a guest sends. */
struct vapic_ipi {
    enum vapic_delivery delivery;
    uint8_t vector;
    uint8_t shorthand;    /* ICR bits 19:18: none, self, all, all but self */
    bool logical;
    uint32_t destination;
};

enum vapic_effect {
    VAPIC_GP,       /* #GP(0), nothing has changed */
    VAPIC_DONE,     /* nothing else to do */
    VAPIC_EVALUATE, /* another interrupt may be deliverable now (EOI, TPR, self-IPI) */
    VAPIC_TIMER,    /* `deadline` has changed; VAPIC_EVALUATE too, for a timer that was due */
    VAPIC_SEND,     /* `ipi` is to be sent */
};

/* The state after reset or INIT (SDM 10.4.7.1, 10.12.5.1): software-disabled, everything masked,
 * nothing pending, posted interrupts dropped. `page` and tsc_per_count stay. */
void vapic_reset(struct vapic *apic, uint32_t id);

/* RDMSR of VAPIC_MSR_FIRST to VAPIC_MSR_LAST, and of IA32_TSC_DEADLINE (0x6e0). `now` is the
 * guest's TSC. False: #GP. */
MUST_CHECK bool vapic_read(const struct vapic *apic, uint32_t msr, uint64_t now, uint64_t *value);

/* WRMSR of the same. Reserved bits are #GP. `ipi` is written with VAPIC_SEND alone. */
MUST_CHECK enum vapic_effect vapic_write(struct vapic *apic, uint32_t msr, uint64_t value,
                                         uint64_t now, struct vapic_ipi *ipi);

/* Software-enabled: bit 8 of the spurious-interrupt vector register (SDM 10.4.7.2). */
bool vapic_enabled(const struct vapic *apic);

/* Is the APIC with x2APIC id `target` a destination of what the APIC `source` sends? (SDM 10.6.2,
 * 10.12.10: physical id or 0xffffffff, logical cluster and bit, shorthands.) */
bool vapic_is_destination(const struct vapic_ipi *ipi, uint32_t source, uint32_t target);

/* From any core: makes `vector` (16 to 255) pending. True when it was not posted before: the owner
 * must be told. */
bool vapic_post(struct vapic *apic, uint8_t vector);

/* The owner: moves what was posted into IRR, or drops it while the APIC is software-disabled. True
 * if there was anything. */
bool vapic_collect(struct vapic *apic);

/* Cheap look: is anything posted? */
static inline bool vapic_has_posted(const struct vapic *apic)
{
    uint64_t any = 0;
#pragma GCC unroll 4
    for (unsigned i = 0; i < 4; i++) /* relaxed: who posts tells the owner behind it */
        any |= atomic_load_explicit(&apic->posted[i], memory_order_relaxed);
    return any != 0;
}

/* The highest vector in IRR, if its class is above PPR's: to be delivered now. VAPIC_NONE. */
int vapic_deliverable(const struct vapic *apic);

/* The highest vectors in IRR and in ISR, VAPIC_NONE if there is none: RVI and SVI of the guest
 * interrupt status (SDM 24.4.2). */
int vapic_highest_requested(const struct vapic *apic);
int vapic_highest_in_service(const struct vapic *apic);

/* PPR bits 7:4: interrupts of this priority class and below are not delivered. */
static inline int vapic_priority_class(const struct vapic *apic)
{
    return apic->page[0xa0] >> 4;
}

/* Does the timer's firing make a difference: is its interrupt neither masked nor requested? */
bool vapic_timer_counts(const struct vapic *apic);

/* A write of `vector` to the self-IPI register that is delivered at once, since the vCPU takes
 * interrupts and none waits that it could take: from nowhere to ISR. False, and nothing was done:
 * the APIC is disabled, or the vector must wait or is illegal. */
MUST_CHECK bool vapic_take_self_ipi(struct vapic *apic, uint8_t vector);

/* `vector`, deliverable, is delivered: from IRR to ISR, PPR follows. */
void vapic_accept(struct vapic *apic, uint8_t vector);

/* CR8 and TPR are one (SDM 10.8.6.1). */
uint8_t vapic_cr8(const struct vapic *apic);
void vapic_set_cr8(struct vapic *apic, uint8_t value);

/* The owner, when the guest's TSC is `now`: if the timer is due, its interrupt becomes requested
 * unless masked, and the periodic one is armed for the next period in the future (periods that were
 * missed are not made up for). True if it was due. */
bool vapic_timer_run(struct vapic *apic, uint64_t now);

/* IA32_APIC_BASE (0x1b): enabled, x2APIC, 0xfee00000, and BSP for vCPU 0. It cannot be changed. */
static inline uint64_t vapic_base(const struct vapic *apic)
{
    const uint64_t address = 0xfee00000, enabled = BIT(11), x2apic = BIT(10), bsp = BIT(8);
    return address | enabled | x2apic | (apic->id == 0 ? bsp : 0);
}

#endif
