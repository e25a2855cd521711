/* SPDX-License-Identifier: MIT */
/* The virtual local APIC: one table says who may read or write a register and which bits, the rest
 * is what a write does. */
#include "kernel/lib/hot_path.h"

#include "kernel/vm/vapic.h"

#include <string.h>

#include "kernel/lib/x86_bits.h"

enum vapic_register { /* offset in the page = (MSR - 0x800) << 4; SDM Vol. 3A, table 10-6 */
    REG_ID = 0x020,
    REG_VERSION = 0x030,
    REG_TPR = 0x080,
    REG_PPR = 0x0a0,
    REG_EOI = 0x0b0,
    REG_LDR = 0x0d0,
    REG_SPURIOUS = 0x0f0,
    REG_ISR = 0x100,
    REG_TMR = 0x180,
    REG_IRR = 0x200,
    REG_ESR = 0x280,
    REG_ICR = 0x300,
    REG_ICR_HIGH = 0x304, /* upper half of the 64-bit ICR */
    REG_LVT_TIMER = 0x320,
    REG_LVT_THERMAL = 0x330,
    REG_LVT_PERFORMANCE = 0x340,
    REG_LVT_LINT0 = 0x350,
    REG_LVT_LINT1 = 0x360,
    REG_LVT_ERROR = 0x370,
    REG_TIMER_INITIAL = 0x380,
    REG_TIMER_CURRENT = 0x390,
    REG_TIMER_DIVIDE = 0x3e0,
    REG_SELF_IPI = 0x3f0,
};

#define REGISTERS         (VAPIC_SIZE >> 4) /* those above MSR 0x83f are all reserved */
#define VECTOR_WORDS      8    /* registers of 32 vectors each that make up ISR, TMR and IRR */
#define VECTOR_LEGAL      16   /* 0 to 15 are illegal (SDM 10.5.2) */
#define VERSION           (5u << 16 | 0x14) /* six LVT entries, no EOI-broadcast suppression */
#define SPURIOUS_ENABLE   (1u << 8)
#define LVT_VECTOR        0xffu
#define LVT_MASKED        (1u << 16)
#define LVT_READ_ONLY     (1u << 12 | 1u << 14) /* delivery status, remote IRR: always 0 here */
#define TIMER_MODE        (3u << 17)
#define TIMER_PERIODIC    (1u << 17)
#define TIMER_DEADLINE    (2u << 17)
#define ESR_SEND_ILLEGAL  (1u << 5)
#define ESR_RECV_ILLEGAL  (1u << 6)
#define ICR_DELIVERY(icr) ((unsigned)(icr) >> 8 & 7)
#define ICR_LOGICAL       BIT(11)
#define ICR_BUSY          BIT(12)
#define ICR_LEVEL         BIT(14)
#define ICR_TRIGGER       BIT(15)
#define SHORTHAND_SHIFT   18
#define BROADCAST         0xffffffffu

enum shorthand { TO_DESTINATION, TO_SELF, TO_ALL, TO_OTHERS }; /* ICR bits 19:18 */

struct access {
    bool read, write;
    uint64_t bits; /* that may be 1 in a write; all others are reserved: #GP */
};

/* No LVT CMCI, no DFR, no ICR2: #GP. The ICR's bit 12, delivery status in xAPIC mode, is reserved
 * by the SDM, but Intel's processors ignore it. Bit 9 of the spurious register disables focus
 * checking, which no x2APIC does; operating systems set it and processors take it. Read-only bits
 * of the LVT are ignored. */
static const struct access accesses[REGISTERS] = {
    [REG_ID >> 4] = {.read = true},
    [REG_VERSION >> 4] = {.read = true},
    [REG_TPR >> 4] = {.read = true, .write = true, .bits = 0xff},
    [REG_PPR >> 4] = {.read = true},
    [REG_EOI >> 4] = {.write = true, .bits = 0},
    [REG_LDR >> 4] = {.read = true},
    [REG_SPURIOUS >> 4] = {.read = true, .write = true, .bits = 0x3ff},
    [REG_ISR >> 4 ... (REG_ISR >> 4) + VECTOR_WORDS - 1] = {.read = true},
    [REG_TMR >> 4 ... (REG_TMR >> 4) + VECTOR_WORDS - 1] = {.read = true},
    [REG_IRR >> 4 ... (REG_IRR >> 4) + VECTOR_WORDS - 1] = {.read = true},
    [REG_ESR >> 4] = {.read = true, .write = true, .bits = 0},
    [REG_ICR >> 4] = {.read = true, .write = true, .bits = 0xffffffff000cdfffull},
    [REG_LVT_TIMER >> 4] = {.read = true, .write = true, .bits = 0x710ff},
    [REG_LVT_THERMAL >> 4] = {.read = true, .write = true, .bits = 0x117ff},
    [REG_LVT_PERFORMANCE >> 4] = {.read = true, .write = true, .bits = 0x117ff},
    [REG_LVT_LINT0 >> 4] = {.read = true, .write = true, .bits = 0x1f7ff},
    [REG_LVT_LINT1 >> 4] = {.read = true, .write = true, .bits = 0x1f7ff},
    [REG_LVT_ERROR >> 4] = {.read = true, .write = true, .bits = 0x110ff},
    [REG_TIMER_INITIAL >> 4] = {.read = true, .write = true, .bits = 0xffffffff},
    [REG_TIMER_CURRENT >> 4] = {.read = true},
    [REG_TIMER_DIVIDE >> 4] = {.read = true, .write = true, .bits = 0xb},
    [REG_SELF_IPI >> 4] = {.write = true, .bits = 0xff},
};

/* A call of memcpy would cost more than all else here: freestanding code has no built-in one unless
 * it says so. */
static uint32_t get(const struct vapic *apic, unsigned offset)
{
    uint32_t value;
    __builtin_memcpy(&value, apic->page + offset, sizeof(value));
    return value;
}

static void set(struct vapic *apic, unsigned offset, uint32_t value)
{
    __builtin_memcpy(apic->page + offset, &value, sizeof(value));
}

bool vapic_enabled(const struct vapic *apic)
{
    return get(apic, REG_SPURIOUS) & SPURIOUS_ENABLE;
}

/* ---- Vectors and priorities (SDM 10.8) ------------------------------------------------------- */

/* `base` is that of ISR or IRR. */
static void set_vector(struct vapic *apic, unsigned base, uint8_t vector, bool on)
{
    unsigned offset = base + (vector / 32u << 4);
    uint32_t bit = 1u << (vector % 32);
    uint32_t word = get(apic, offset);
    set(apic, offset, on ? word | bit : word & ~bit);
}

static int highest(const struct vapic *apic, unsigned base)
{
#pragma GCC unroll 8
    for (int i = VECTOR_WORDS - 1; i >= 0; i--) {
        uint32_t word = get(apic, base + ((unsigned)i << 4));
        if (word)
            return i * 32 + 31 - __builtin_clz(word);
    }
    return VAPIC_NONE;
}

int vapic_highest_requested(const struct vapic *apic)
{
    return highest(apic, REG_IRR);
}

int vapic_highest_in_service(const struct vapic *apic)
{
    return highest(apic, REG_ISR);
}

/* Where TPR and ISR have one class the SDM leaves bits 3:0 to the model: those of TPR here, as in
 * PPR virtualisation (29.1.3). */
static void update_ppr(struct vapic *apic)
{
    int in_service = vapic_highest_in_service(apic);
    uint32_t class = in_service == VAPIC_NONE ? 0 : (uint32_t)in_service & 0xf0;
    uint32_t tpr = get(apic, REG_TPR);
    set(apic, REG_PPR, (tpr & 0xf0) >= class ? tpr : class);
}

int vapic_deliverable(const struct vapic *apic)
{
    int vector = vapic_highest_requested(apic);
    bool above = vector != VAPIC_NONE && (uint32_t)vector >> 4 > get(apic, REG_PPR) >> 4;
    return above ? vector : VAPIC_NONE;
}

void vapic_accept(struct vapic *apic, uint8_t vector)
{
    set_vector(apic, REG_IRR, vector, false);
    set_vector(apic, REG_ISR, vector, true);
    set(apic, REG_PPR, vector & 0xf0); /* above what was there: it was deliverable */
}

static void end_of_interrupt(struct vapic *apic)
{
    int vector = vapic_highest_in_service(apic);
    if (vector == VAPIC_NONE)
        return;
    set_vector(apic, REG_ISR, (uint8_t)vector, false);
    update_ppr(apic);
}

static void set_tpr(struct vapic *apic, uint32_t value)
{
    set(apic, REG_TPR, value);
    update_ppr(apic);
}

uint8_t vapic_cr8(const struct vapic *apic)
{
    return (uint8_t)(get(apic, REG_TPR) >> 4);
}

void vapic_set_cr8(struct vapic *apic, uint8_t value)
{
    set_tpr(apic, (value & 0xfu) << 4);
}

/* ---- What other cores post ------------------------------------------------------------------- */

bool vapic_post(struct vapic *apic, uint8_t vector)
{
    uint64_t bit = BIT(vector % 64);
    /* release: what the sender wrote before is there for who collects the vector */
    return !(atomic_fetch_or_explicit(&apic->posted[vector / 64], bit, memory_order_release) & bit);
}

bool vapic_collect(struct vapic *apic)
{
    bool enabled = vapic_enabled(apic);
    uint64_t any = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(apic->posted); i++) {
        /* acquire: pairs with the release in vapic_post */
        uint64_t posted = atomic_exchange_explicit(&apic->posted[i], 0, memory_order_acquire);
        unsigned offset = REG_IRR + (2 * i << 4);
        any |= posted;
        if (!posted || !enabled)
            continue;
        set(apic, offset, get(apic, offset) | (uint32_t)posted);
        set(apic, offset + 0x10, get(apic, offset + 0x10) | (uint32_t)(posted >> 32));
    }
    return any != 0;
}

/* ---- Interrupts of its own, errors (SDM 10.5.3) ---------------------------------------------- */

/* The error interrupt comes with the first error and again only behind a write to the ESR, which
 * rearms it. With an illegal vector of its own it is one more error and no interrupt. */
static void report_error(struct vapic *apic, uint32_t error)
{
    uint32_t lvt = get(apic, REG_LVT_ERROR);
    bool armed = apic->errors == 0;
    apic->errors |= error;
    if (!armed || (lvt & LVT_MASKED))
        return;
    if ((lvt & LVT_VECTOR) < VECTOR_LEGAL)
        apic->errors |= ESR_RECV_ILLEGAL;
    else
        set_vector(apic, REG_IRR, (uint8_t)lvt, true);
}

static void latch_errors(struct vapic *apic)
{
    set(apic, REG_ESR, apic->errors);
    apic->errors = 0;
}

bool vapic_take_self_ipi(struct vapic *apic, uint8_t vector)
{
    if (vector < VECTOR_LEGAL || !vapic_enabled(apic) || vector >> 4 <= vapic_priority_class(apic))
        return false;
    set_vector(apic, REG_ISR, vector, true);
    set(apic, REG_PPR, vector & 0xf0);
    return true;
}

static enum vapic_effect send_to_self(struct vapic *apic, uint8_t vector)
{
    if (vector < VECTOR_LEGAL)
        report_error(apic, ESR_SEND_ILLEGAL);
    else if (vapic_enabled(apic)) /* a disabled one accepts no fixed interrupt */
        set_vector(apic, REG_IRR, vector, true);
    return VAPIC_EVALUATE;
}

/* ---- Local vector table ---------------------------------------------------------------------- */

/* While the APIC is disabled the mask bits stay set (SDM 10.4.7.2). */
static void set_lvt(struct vapic *apic, unsigned offset, uint32_t value)
{
    uint32_t mask = vapic_enabled(apic) ? 0 : LVT_MASKED;
    set(apic, offset, (value & ~LVT_READ_ONLY) | mask);
}

static void mask_lvt(struct vapic *apic)
{
    for (unsigned offset = REG_LVT_TIMER; offset <= REG_LVT_ERROR; offset += 0x10)
        set(apic, offset, get(apic, offset) | LVT_MASKED);
}

static void set_spurious(struct vapic *apic, uint32_t value)
{
    set(apic, REG_SPURIOUS, value);
    if (!vapic_enabled(apic))
        mask_lvt(apic);
}

/* ---- Timer (SDM 10.5.4) ---------------------------------------------------------------------- */

static uint32_t timer_mode(const struct vapic *apic)
{
    return get(apic, REG_LVT_TIMER) & TIMER_MODE;
}

/* TSC ticks for one count. Bits 3, 1 and 0 of the divide configuration: 0 is by 2, 6 by 128, 7 by
 * 1. */
static uint64_t ticks_per_count(const struct vapic *apic)
{
    uint32_t divide = get(apic, REG_TIMER_DIVIDE);
    unsigned code = (divide >> 1 & 4) | (divide & 3);
    return apic->tsc_per_count << ((code + 1) & 7);
}

/* Never VAPIC_NEVER, which means disarmed: as late as can be told. */
static uint64_t ticks_after(uint64_t now, uint64_t ticks)
{
    return ticks < VAPIC_NEVER - now ? now + ticks : VAPIC_NEVER - 1;
}

/* From `now` to the next time at which the armed timer reaches 0; 0: it has fired for good. */
static inline uint64_t ticks_left(const struct vapic *apic, uint64_t now)
{
    if (now < apic->deadline)
        return apic->deadline - now;
    if (timer_mode(apic) != TIMER_PERIODIC)
        return 0;
    /* below 2^32 * 2^7 * 2^24 = 2^63; not 0, for an initial count of 0 arms no timer */
    uint64_t period = get(apic, REG_TIMER_INITIAL) * ticks_per_count(apic);
    return period - (now - apic->deadline) % period;
}

static uint32_t current_count(const struct vapic *apic, uint64_t now)
{
    if (timer_mode(apic) == TIMER_DEADLINE || apic->deadline == VAPIC_NEVER)
        return 0;
    uint64_t left = ticks_left(apic, now);
    return left ? (uint32_t)((left - 1) / ticks_per_count(apic) + 1) : 0;
}

bool vapic_timer_run(struct vapic *apic, uint64_t now)
{
    uint32_t lvt = get(apic, REG_LVT_TIMER);
    if (apic->deadline == VAPIC_NEVER || now < apic->deadline)
        return false;
    uint64_t left = ticks_left(apic, now);
    apic->deadline = left ? ticks_after(now, left) : VAPIC_NEVER;
    if (lvt & LVT_MASKED)
        return true;
    if ((lvt & LVT_VECTOR) < VECTOR_LEGAL)
        report_error(apic, ESR_RECV_ILLEGAL);
    else
        set_vector(apic, REG_IRR, (uint8_t)lvt, true);
    return true;
}

bool vapic_timer_counts(const struct vapic *apic)
{
    uint32_t lvt = get(apic, REG_LVT_TIMER);
    uint32_t vector = lvt & LVT_VECTOR;
    uint32_t requested = get(apic, REG_IRR + (vector / 32 << 4)) >> (vector % 32) & 1;
    return !(lvt & LVT_MASKED) && !requested;
}

/* A change of the mode disarms, as a write of 0 to the initial count does. */
static void set_timer_lvt(struct vapic *apic, uint32_t value)
{
    if (timer_mode(apic) != (value & TIMER_MODE)) {
        set(apic, REG_TIMER_INITIAL, 0);
        apic->deadline = VAPIC_NEVER;
    }
    set_lvt(apic, REG_LVT_TIMER, value);
}

static void set_initial_count(struct vapic *apic, uint32_t count, uint64_t now)
{
    if (timer_mode(apic) == TIMER_DEADLINE)
        return;
    set(apic, REG_TIMER_INITIAL, count);
    apic->deadline = count ? ticks_after(now, count * ticks_per_count(apic)) : VAPIC_NEVER;
}

/* A running timer goes on from its current count at the new rate. */
static void set_divide(struct vapic *apic, uint32_t divide, uint64_t now)
{
    if (divide == get(apic, REG_TIMER_DIVIDE))
        return;
    uint32_t count = current_count(apic, now);
    set(apic, REG_TIMER_DIVIDE, divide);
    if (count)
        apic->deadline = ticks_after(now, count * ticks_per_count(apic));
}

static void set_tsc_deadline(struct vapic *apic, uint64_t value)
{
    if (timer_mode(apic) == TIMER_DEADLINE)
        apic->deadline = value ? MIN(value, VAPIC_NEVER - 1) : VAPIC_NEVER;
}

static uint64_t tsc_deadline(const struct vapic *apic, uint64_t now)
{
    bool armed = timer_mode(apic) == TIMER_DEADLINE && apic->deadline != VAPIC_NEVER;
    return armed && now < apic->deadline ? apic->deadline : 0;
}

static enum vapic_effect write_timer(struct vapic *apic, uint32_t msr, uint64_t value, uint64_t now)
{
    /* What is due before the write fires as it was set up then. */
    bool fired = vapic_timer_run(apic, now);
    uint64_t deadline = apic->deadline;
    if (msr == MSR_TSC_DEADLINE)
        set_tsc_deadline(apic, value);
    else if (msr == MSR_X2APIC + (REG_LVT_TIMER >> 4))
        set_timer_lvt(apic, (uint32_t)value);
    else if (msr == MSR_X2APIC + (REG_TIMER_INITIAL >> 4))
        set_initial_count(apic, (uint32_t)value, now);
    else
        set_divide(apic, (uint32_t)value, now);
    return fired || deadline != apic->deadline ? VAPIC_TIMER : VAPIC_DONE;
}

/* ---- Interprocessor interrupts (SDM 10.6, 10.12.9) ------------------------------------------- */

/* SMI and the reserved delivery modes go nowhere: there is no SMM in a guest, and a processor does
 * not fault for them. INIT level de-assert is not supported by any processor with x2APIC. */
static enum vapic_effect write_icr(struct vapic *apic, uint64_t icr, struct vapic_ipi *ipi)
{
    enum vapic_delivery delivery = ICR_DELIVERY(icr);
    uint8_t shorthand = icr >> SHORTHAND_SHIFT & 3;
    bool fixed = delivery == VAPIC_FIXED || delivery == VAPIC_LOWEST;

    icr &= ~ICR_BUSY;
    set(apic, REG_ICR, (uint32_t)icr);
    set(apic, REG_ICR_HIGH, (uint32_t)(icr >> 32));
    if (fixed && (shorthand == TO_SELF || (uint8_t)icr < VECTOR_LEGAL))
        return send_to_self(apic, (uint8_t)icr); /* or finds the vector illegal */
    if (!fixed && delivery != VAPIC_NMI && delivery != VAPIC_INIT && delivery != VAPIC_SIPI)
        return VAPIC_DONE;
    if (delivery == VAPIC_INIT && (icr & ICR_TRIGGER) && !(icr & ICR_LEVEL))
        return VAPIC_DONE;
    *ipi = (struct vapic_ipi){
        .delivery = delivery,
        .vector = (uint8_t)icr,
        .shorthand = shorthand,
        .logical = icr & ICR_LOGICAL,
        .destination = (uint32_t)(icr >> 32),
    };
    return VAPIC_SEND;
}

/* Cluster in bits 31:16, one bit of 15:0 (SDM 10.12.10.2). */
static uint32_t logical_id(uint32_t id)
{
    return id >> 4 << 16 | 1u << (id & 0xf);
}

bool vapic_is_destination(const struct vapic_ipi *ipi, uint32_t source, uint32_t target)
{
    switch (ipi->shorthand) {
    case TO_SELF:
        return target == source;
    case TO_ALL:
        return true;
    case TO_OTHERS:
        return target != source;
    default:
        break;
    }
    if (ipi->destination == BROADCAST)
        return true;
    if (!ipi->logical)
        return target == ipi->destination;
    uint32_t both = logical_id(target) & ipi->destination;
    return logical_id(target) >> 16 == ipi->destination >> 16 && (both & 0xffff);
}

/* ---- Registers ------------------------------------------------------------------------------- */

void vapic_reset(struct vapic *apic, uint32_t id)
{
    memset(apic->page, 0, VAPIC_SIZE);
    for (unsigned i = 0; i < ARRAY_SIZE(apic->posted); i++)
        /* relaxed: what was posted is dropped, and with it what its senders wrote */
        atomic_store_explicit(&apic->posted[i], 0, memory_order_relaxed);
    apic->id = id;
    apic->deadline = VAPIC_NEVER;
    apic->errors = 0;
    set(apic, REG_ID, id);
    set(apic, REG_VERSION, VERSION);
    set(apic, REG_LDR, logical_id(id));
    set(apic, REG_SPURIOUS, 0xff);
    mask_lvt(apic);
}

static const struct access *find_access(uint32_t msr)
{
    static const struct access none;
    uint32_t number = msr - MSR_X2APIC;
    return number < REGISTERS ? &accesses[number] : &none;
}

bool vapic_read(const struct vapic *apic, uint32_t msr, uint64_t now, uint64_t *value)
{
    unsigned offset = (msr - MSR_X2APIC) << 4;
    if (msr == MSR_TSC_DEADLINE) {
        *value = tsc_deadline(apic, now);
        return true;
    }
    if (!find_access(msr)->read)
        return false;
    *value = offset == REG_TIMER_CURRENT ? current_count(apic, now) : get(apic, offset);
    if (offset == REG_ICR)
        *value |= (uint64_t)get(apic, REG_ICR_HIGH) << 32;
    return true;
}

/* A legal write of what is neither the ICR nor the timer's. */
static enum vapic_effect write_simple(struct vapic *apic, unsigned offset, uint32_t value)
{
    switch (offset) {
    case REG_TPR:
        set_tpr(apic, value);
        return VAPIC_EVALUATE;
    case REG_EOI:
        end_of_interrupt(apic);
        return VAPIC_EVALUATE;
    case REG_SELF_IPI:
        return send_to_self(apic, (uint8_t)value);
    case REG_SPURIOUS:
        set_spurious(apic, value);
        return VAPIC_DONE;
    case REG_ESR:
        latch_errors(apic);
        return VAPIC_DONE;
    default:
        set_lvt(apic, offset, value);
        return VAPIC_DONE;
    }
}

enum vapic_effect vapic_write(struct vapic *apic, uint32_t msr, uint64_t value, uint64_t now,
                              struct vapic_ipi *ipi)
{
    if (msr == MSR_TSC_DEADLINE)
        return write_timer(apic, msr, value, now);
    const struct access *access = find_access(msr);
    if (!access->write || (value & ~access->bits))
        return VAPIC_GP;
    unsigned offset = (msr - MSR_X2APIC) << 4;
    switch (offset) {
    case REG_ICR:
        return write_icr(apic, value, ipi);
    case REG_LVT_TIMER:
        if ((value & TIMER_MODE) == TIMER_MODE) /* reserved */
            return VAPIC_GP;
        return write_timer(apic, msr, value, now);
    case REG_TIMER_INITIAL:
    case REG_TIMER_DIVIDE:
        return write_timer(apic, msr, value, now);
    default:
        return write_simple(apic, offset, (uint32_t)value);
    }
}
