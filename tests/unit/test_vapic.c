/* SPDX-License-Identifier: MIT */
/* The virtual APIC: each rule of SDM Vol. 3A, chapter 10, by itself, then long random sequences
 * against a model that has arrays of bools for registers and a timer that counts tick by tick. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/types.h"
#include "kernel/vm/vapic.h"

#define TSC_DEADLINE 0x6e0u
#define MSR_TPR      0x808u
#define MSR_PPR      0x80au
#define MSR_EOI      0x80bu
#define MSR_SPURIOUS 0x80fu
#define MSR_ISR      0x810u
#define MSR_IRR      0x820u
#define MSR_ESR      0x828u
#define MSR_ICR      0x830u
#define LVT_TIMER    0x832u
#define LVT_ERROR    0x837u
#define INITIAL      0x838u
#define CURRENT      0x839u
#define DIVIDE       0x83eu
#define SELF_IPI     0x83fu

#define ENABLED      0x100u
#define MASKED       0x10000u
#define ONE_SHOT     (0u << 17)
#define PERIODIC     (1u << 17)
#define DEADLINE     (2u << 17)
#define DIVIDE_BY_1  0xbu
#define SEND_ILLEGAL 0x20u
#define RECV_ILLEGAL 0x40u

#define TICKS 3 /* for one undivided count */

static uint64_t page[PAGE_SIZE / 8];
static struct vapic apic;

static uint64_t read_at(uint32_t msr, uint64_t now)
{
    uint64_t value = 0;
    assert_true(vapic_read(&apic, msr, now, &value));
    return value;
}

static uint64_t read_msr(uint32_t msr)
{
    return read_at(msr, 0);
}

static enum vapic_effect write_at(uint32_t msr, uint64_t value, uint64_t now)
{
    struct vapic_ipi ipi;
    return vapic_write(&apic, msr, value, now, &ipi);
}

static enum vapic_effect write_msr(uint32_t msr, uint64_t value)
{
    return write_at(msr, value, 0);
}

static bool in_register(uint32_t first, unsigned vector)
{
    return read_msr(first + vector / 32) >> (vector % 32) & 1;
}

static int set_up(void **state)
{
    (void)state;
    apic = (struct vapic){.page = (uint8_t *)page, .tsc_per_count = TICKS};
    vapic_reset(&apic, 0);
    return write_msr(MSR_SPURIOUS, ENABLED | 0xff) == VAPIC_DONE ? 0 : -1;
}

/* ---- Registers ------------------------------------------------------------------------------- */

#define R 1
#define W 2

static const struct {
    uint32_t first, last;
    unsigned access;
    uint64_t writable; /* bits that a write may have */
    uint64_t ignored;  /* of these, bits that read as 0 behind the write */
} registers[] = {
    {0x6e0, 0x6e0, R | W, UINT64_MAX, UINT64_MAX}, /* reads 0 in one-shot mode */
    {0x802, 0x803, R, 0, 0},                       /* id, version */
    {0x808, 0x808, R | W, 0xff, 0},                /* TPR */
    {0x80a, 0x80a, R, 0, 0},                       /* PPR */
    {0x80b, 0x80b, W, 0, 0},                       /* EOI */
    {0x80d, 0x80d, R, 0, 0},                       /* LDR */
    {0x80f, 0x80f, R | W, 0x3ff, 0},               /* spurious */
    {0x810, 0x827, R, 0, 0},                       /* ISR, TMR, IRR */
    {0x828, 0x828, R | W, 0, 0},                   /* ESR */
    {0x830, 0x830, R | W, 0xffffffff000cdfff, 0x1000},
    {0x832, 0x832, R | W, 0x710ff, 0x1000},        /* timer */
    {0x833, 0x834, R | W, 0x117ff, 0x1000},        /* thermal, performance */
    {0x835, 0x836, R | W, 0x1f7ff, 0x5000},        /* LINT0, LINT1 */
    {0x837, 0x837, R | W, 0x110ff, 0x1000},        /* error */
    {0x838, 0x838, R | W, 0xffffffff, 0},
    {0x839, 0x839, R, 0, 0},
    {0x83e, 0x83e, R | W, 0xb, 0},
    {0x83f, 0x83f, W, 0xff, 0},
};

static size_t find_register(uint32_t msr)
{
    size_t i = 0;
    while (i < ARRAY_SIZE(registers) && (msr < registers[i].first || msr > registers[i].last))
        i++;
    return i;
}

static void check_write(uint32_t msr, uint64_t value, bool legal)
{
    uint64_t page_before[PAGE_SIZE / 8];
    struct vapic before;

    assert_int_equal(set_up(NULL), 0);
    memcpy(page_before, page, sizeof(page));
    memcpy(&before, &apic, sizeof(apic));
    assert_int_equal(write_msr(msr, value) != VAPIC_GP, legal);
    if (legal)
        return;
    assert_memory_equal(page, page_before, sizeof(page));
    assert_memory_equal(&apic, &before, sizeof(apic));
}

static void check_access(uint32_t msr)
{
    size_t i = find_register(msr);
    bool found = i < ARRAY_SIZE(registers);
    unsigned access = found ? registers[i].access : 0;
    uint64_t value;

    assert_int_equal(vapic_read(&apic, msr, 0, &value), access & R);
    check_write(msr, 0, access & W);
    for (unsigned bit = 0; bit < 64; bit++) {
        bool legal = (access & W) && (registers[i].writable & BIT(bit));
        check_write(msr, BIT(bit), legal);
        if (legal && (access & R) && msr != 0x828)
            assert_int_equal(read_msr(msr) & BIT(bit), BIT(bit) & ~registers[i].ignored);
    }
}

static void test_access(void **state)
{
    (void)state;
    for (uint32_t msr = VAPIC_MSR_FIRST; msr <= VAPIC_MSR_LAST; msr++)
        check_access(msr);
    check_access(TSC_DEADLINE);
    static const uint32_t outside[] = {0, 0x1b, 0x6df, 0x6e1, 0x7ff, 0x900, 0x10000802, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
        check_access(outside[i]);
    check_write(LVT_TIMER, 3u << 17, false); /* a reserved mode of legal bits */
}

/* All of the table of 10.4.7.1, from a state that has nothing of it. */
static void test_reset(void **state)
{
    (void)state;
    memset(page, 0xa5, sizeof(page));
    for (unsigned i = 0; i < 4; i++)
        atomic_store(&apic.posted[i], UINT64_MAX);
    apic.errors = RECV_ILLEGAL;
    apic.deadline = 5;
    vapic_reset(&apic, 0x35);

    for (uint32_t msr = VAPIC_MSR_FIRST; msr <= VAPIC_MSR_LAST; msr++) {
        uint64_t value, expected = 0;
        if (!vapic_read(&apic, msr, 100, &value))
            continue;
        if (msr == 0x802)
            expected = 0x35;
        if (msr == 0x803)
            expected = 0x50014;
        if (msr == 0x80d)
            expected = 0x30020;
        if (msr == MSR_SPURIOUS)
            expected = 0xff;
        if (msr >= LVT_TIMER && msr <= LVT_ERROR)
            expected = MASKED;
        assert_int_equal(value, expected);
    }
    for (unsigned i = 0; i < VAPIC_SIZE / 8; i++)
        assert_int_equal(page[i] >> 32, 0); /* RDMSR of the hardware takes 64 bits */
    for (unsigned i = VAPIC_SIZE / 8; i < PAGE_SIZE / 8; i++)
        assert_int_equal(page[i], 0xa5a5a5a5a5a5a5a5); /* what lies behind the registers */
    assert_false(vapic_enabled(&apic));
    assert_false(vapic_has_posted(&apic));
    assert_false(vapic_timer_run(&apic, UINT64_MAX));
    assert_int_equal(vapic_deliverable(&apic), VAPIC_NONE);
    assert_int_equal(vapic_highest_requested(&apic), VAPIC_NONE);
    assert_int_equal(vapic_highest_in_service(&apic), VAPIC_NONE);
    assert_int_equal(apic.tsc_per_count, TICKS);
    assert_int_equal(write_msr(MSR_ESR, 0), VAPIC_DONE);
    assert_int_equal(read_msr(MSR_ESR), 0);
}

static void test_base(void **state)
{
    (void)state;
    assert_int_equal(vapic_base(&apic), 0xfee00d00);
    vapic_reset(&apic, 1);
    assert_int_equal(vapic_base(&apic), 0xfee00c00);
}

static void test_logical_ids(void **state)
{
    (void)state;
    static const struct {
        uint32_t id, ldr;
    } cases[] = {
        {0, 1}, {15, 0x8000}, {16, 0x10001}, {0xff, 0xf8000}, {0xfffff, 0xffff8000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        vapic_reset(&apic, cases[i].id);
        assert_int_equal(read_msr(0x80d), cases[i].ldr);
    }
}

/* ---- Software-disabled (10.4.7.2) ------------------------------------------------------------ */

static void test_disabling_masks_the_lvt(void **state)
{
    (void)state;
    assert_true(vapic_enabled(&apic));
    for (uint32_t msr = LVT_TIMER; msr <= LVT_ERROR; msr++) {
        assert_int_equal(write_msr(msr, 0x40), VAPIC_DONE);
        assert_int_equal(read_msr(msr), 0x40);
    }
    assert_int_equal(write_msr(MSR_SPURIOUS, 0xff), VAPIC_DONE);
    assert_false(vapic_enabled(&apic));
    for (uint32_t msr = LVT_TIMER; msr <= LVT_ERROR; msr++) {
        assert_int_equal(read_msr(msr), MASKED | 0x40);
        assert_int_equal(write_msr(msr, 0x50), VAPIC_DONE);
        assert_int_equal(read_msr(msr), MASKED | 0x50);
    }
    assert_int_equal(write_msr(MSR_SPURIOUS, ENABLED | 0xff), VAPIC_DONE);
    for (uint32_t msr = LVT_TIMER; msr <= LVT_ERROR; msr++)
        assert_int_equal(read_msr(msr), MASKED | 0x50);
}

static void test_disabled_takes_nothing_new(void **state)
{
    (void)state;
    struct vapic_ipi ipi;
    assert_int_equal(write_msr(SELF_IPI, 0x41), VAPIC_EVALUATE);
    assert_int_equal(write_msr(MSR_SPURIOUS, 0xff), VAPIC_DONE);
    assert_true(vapic_post(&apic, 0x91));
    assert_true(vapic_collect(&apic));
    assert_false(vapic_collect(&apic));
    assert_int_equal(write_msr(SELF_IPI, 0x92), VAPIC_EVALUATE);
    assert_int_equal(vapic_deliverable(&apic), 0x41); /* what it has accepted stays */
    vapic_accept(&apic, 0x41);
    assert_int_equal(vapic_highest_requested(&apic), VAPIC_NONE);
    /* It sends all the same. */
    assert_int_equal(vapic_write(&apic, MSR_ICR, 1ull << 32 | 0x50, 0, &ipi), VAPIC_SEND);
}

/* ---- Priorities ------------------------------------------------------------------------------ */

static void test_every_tpr_against_every_vector(void **state)
{
    (void)state;
    for (unsigned vector = 16; vector < 256; vector++) {
        assert_int_equal(set_up(NULL), 0);
        assert_int_equal(write_msr(SELF_IPI, vector), VAPIC_EVALUATE);
        for (unsigned tpr = 0; tpr < 256; tpr++) {
            assert_int_equal(write_msr(MSR_TPR, tpr), VAPIC_EVALUATE);
            assert_int_equal(read_msr(MSR_PPR), tpr);
            assert_int_equal(vapic_cr8(&apic), tpr >> 4);
            assert_int_equal(vapic_deliverable(&apic),
                             vector >> 4 > tpr >> 4 ? (int)vector : VAPIC_NONE);
        }
        for (unsigned cr8 = 0; cr8 < 16; cr8++) {
            vapic_set_cr8(&apic, (uint8_t)(0xf0 | cr8)); /* bits 7:4 do not count */
            assert_int_equal(read_msr(MSR_TPR), cr8 << 4);
            assert_int_equal(read_msr(MSR_PPR), cr8 << 4);
        }
    }
}

static void test_nesting(void **state)
{
    (void)state;
    assert_int_equal(write_msr(SELF_IPI, 0x35), VAPIC_EVALUATE);
    vapic_accept(&apic, 0x35);
    assert_false(in_register(MSR_IRR, 0x35));
    assert_true(in_register(MSR_ISR, 0x35));
    assert_int_equal(read_msr(MSR_PPR), 0x30);
    assert_int_equal(write_msr(SELF_IPI, 0x3f), VAPIC_EVALUATE); /* the same class waits */
    assert_int_equal(vapic_deliverable(&apic), VAPIC_NONE);
    assert_int_equal(write_msr(SELF_IPI, 0x40), VAPIC_EVALUATE);
    assert_int_equal(vapic_deliverable(&apic), 0x40);
    vapic_accept(&apic, 0x40);
    assert_int_equal(write_msr(MSR_TPR, 0x32), VAPIC_EVALUATE);
    assert_int_equal(read_msr(MSR_PPR), 0x40);
    assert_int_equal(write_msr(MSR_EOI, 0), VAPIC_EVALUATE);
    assert_false(in_register(MSR_ISR, 0x40));
    assert_true(in_register(MSR_ISR, 0x35));
    assert_int_equal(read_msr(MSR_PPR), 0x32); /* one class: as PPR virtualisation has it */
    assert_int_equal(write_msr(MSR_TPR, 0), VAPIC_EVALUATE);
    assert_int_equal(write_msr(MSR_EOI, 0), VAPIC_EVALUATE);
    assert_int_equal(vapic_deliverable(&apic), 0x3f);
    assert_int_equal(write_msr(MSR_EOI, 0), VAPIC_EVALUATE); /* with nothing in service */
    assert_int_equal(vapic_highest_requested(&apic), 0x3f);
}

/* ---- Posting --------------------------------------------------------------------------------- */

static void test_posting(void **state)
{
    (void)state;
    assert_false(vapic_collect(&apic));
    for (unsigned vector = 16; vector < 256; vector++) {
        assert_true(vapic_post(&apic, (uint8_t)vector));
        assert_false(vapic_post(&apic, (uint8_t)vector));
        assert_true(vapic_has_posted(&apic));
        assert_false(in_register(MSR_IRR, vector));
        assert_true(vapic_collect(&apic));
        assert_false(vapic_has_posted(&apic));
        assert_true(in_register(MSR_IRR, vector));
        assert_int_equal(vapic_highest_requested(&apic), vector);
    }
}

#define POSTERS  4
#define ATTEMPTS 300000

struct poster {
    pthread_t thread;
    uint8_t vector;
    unsigned posted;    /* times that vapic_post said it was new */
    unsigned collected; /* times that the owner found it */
};

static _Atomic unsigned posting; /* posters that are not done */

static void *post_often(void *argument)
{
    struct poster *poster = argument;
    for (unsigned i = 0; i < ATTEMPTS; i++)
        poster->posted += vapic_post(&apic, poster->vector);
    atomic_fetch_sub(&posting, 1);
    return NULL;
}

static void collect_all(struct poster *posters)
{
    vapic_collect(&apic);
    for (int vector; (vector = vapic_highest_requested(&apic)) != VAPIC_NONE;) {
        vapic_accept(&apic, (uint8_t)vector);
        posters[vector - 0x40].collected++;
    }
}

/* All post to one word. What was new is collected exactly once. */
static void test_nothing_posted_is_lost(void **state)
{
    (void)state;
    struct poster posters[POSTERS] = {0};
    atomic_store(&posting, POSTERS);
    for (unsigned i = 0; i < POSTERS; i++) {
        posters[i].vector = (uint8_t)(0x40 + i);
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_often, &posters[i]), 0);
    }
    while (atomic_load(&posting) > 0)
        collect_all(posters);
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);
    collect_all(posters);
    for (unsigned i = 0; i < POSTERS; i++) {
        assert_true(posters[i].posted > 0);
        assert_int_equal(posters[i].collected, posters[i].posted);
    }
}

/* ---- ESR ------------------------------------------------------------------------------------- */

static void test_illegal_vectors_sent(void **state)
{
    (void)state;
    static const struct {
        uint32_t msr;
        uint64_t value;
    } senders[] = {
        {SELF_IPI, 0},
        {MSR_ICR, 1ull << 32},         /* fixed */
        {MSR_ICR, 1ull << 32 | 0x100}, /* lowest priority */
        {MSR_ICR, 1 << 18},            /* fixed to itself */
    };
    for (size_t i = 0; i < ARRAY_SIZE(senders); i++) {
        for (unsigned vector = 0; vector < 16; vector++) {
            assert_int_equal(set_up(NULL), 0);
            assert_int_equal(write_msr(senders[i].msr, senders[i].value | vector), VAPIC_EVALUATE);
            assert_int_equal(read_msr(MSR_ESR), 0); /* until it is written */
            assert_int_equal(write_msr(MSR_ESR, 0), VAPIC_DONE);
            assert_int_equal(read_msr(MSR_ESR), SEND_ILLEGAL);
            assert_int_equal(write_msr(MSR_ESR, 0), VAPIC_DONE);
            assert_int_equal(read_msr(MSR_ESR), 0);
            assert_int_equal(vapic_highest_requested(&apic), VAPIC_NONE);
        }
    }
}

static void test_illegal_vector_of_the_timer(void **state)
{
    (void)state;
    assert_int_equal(write_msr(LVT_TIMER, MASKED | 15), VAPIC_DONE);
    assert_int_equal(write_msr(INITIAL, 1), VAPIC_TIMER);
    assert_true(vapic_timer_run(&apic, 100));
    assert_int_equal(write_msr(MSR_ESR, 0), VAPIC_DONE);
    assert_int_equal(read_msr(MSR_ESR), 0); /* masked: no interrupt, no error */
    assert_int_equal(write_msr(LVT_TIMER, 15), VAPIC_DONE);
    assert_int_equal(write_msr(INITIAL, 1), VAPIC_TIMER);
    assert_true(vapic_timer_run(&apic, 100));
    assert_int_equal(write_msr(MSR_ESR, 0), VAPIC_DONE);
    assert_int_equal(read_msr(MSR_ESR), RECV_ILLEGAL);
    assert_int_equal(vapic_highest_requested(&apic), VAPIC_NONE);
}

static void test_error_interrupt(void **state)
{
    (void)state;
    assert_int_equal(write_msr(LVT_ERROR, 0xe1), VAPIC_DONE);
    assert_int_equal(write_msr(SELF_IPI, 3), VAPIC_EVALUATE);
    assert_int_equal(vapic_deliverable(&apic), 0xe1);
    vapic_accept(&apic, 0xe1);
    assert_int_equal(write_msr(SELF_IPI, 3), VAPIC_EVALUATE); /* not rearmed */
    assert_int_equal(vapic_highest_requested(&apic), VAPIC_NONE);
    assert_int_equal(write_msr(MSR_ESR, 0), VAPIC_DONE);
    assert_int_equal(write_msr(SELF_IPI, 3), VAPIC_EVALUATE);
    assert_int_equal(vapic_highest_requested(&apic), 0xe1);
}

static void test_error_interrupt_with_an_illegal_vector(void **state)
{
    (void)state;
    assert_int_equal(write_msr(LVT_ERROR, 7), VAPIC_DONE);
    assert_int_equal(write_msr(SELF_IPI, 3), VAPIC_EVALUATE);
    assert_int_equal(write_msr(MSR_ESR, 0), VAPIC_DONE);
    assert_int_equal(read_msr(MSR_ESR), SEND_ILLEGAL | RECV_ILLEGAL);
    assert_int_equal(vapic_highest_requested(&apic), VAPIC_NONE);
}

/* ---- Interprocessor interrupts --------------------------------------------------------------- */

static enum vapic_effect expected_effect(unsigned delivery, unsigned shorthand, bool level,
                                         bool trigger, uint8_t vector)
{
    switch (delivery) {
    case 0:
    case 1:
        return shorthand == 1 || vector < 16 ? VAPIC_EVALUATE : VAPIC_SEND;
    case 4:
    case 6:
        return VAPIC_SEND;
    case 5:
        return trigger && !level ? VAPIC_DONE : VAPIC_SEND;
    default:
        return VAPIC_DONE;
    }
}

static void check_icr(unsigned flags, uint8_t vector)
{
    unsigned delivery = flags & 7, shorthand = flags >> 3 & 3;
    bool logical = flags & 32, busy = flags & 64, level = flags & 128, trigger = flags & 256;
    const uint32_t destination = 0x87654321;
    uint64_t icr = (uint64_t)destination << 32 | shorthand << 18 | trigger << 15 | level << 14 |
                   busy << 12 | logical << 11 | delivery << 8 | vector;
    struct vapic_ipi ipi;
    enum vapic_effect expected = expected_effect(delivery, shorthand, level, trigger, vector);

    assert_int_equal(set_up(NULL), 0);
    memset(&ipi, 0xa5, sizeof(ipi));
    assert_int_equal(vapic_write(&apic, MSR_ICR, icr, 0, &ipi), expected);
    assert_int_equal(read_msr(MSR_ICR), icr & ~0x1000ull);
    assert_int_equal(page[0x300 / 8], icr & ~0x1000ull); /* where the hardware reads it */
    bool raised = expected == VAPIC_EVALUATE && vector >= 16;
    assert_int_equal(vapic_highest_requested(&apic), raised ? vector : VAPIC_NONE);
    if (expected != VAPIC_SEND)
        return;
    assert_int_equal(ipi.delivery, delivery);
    assert_int_equal(ipi.vector, vector);
    assert_int_equal(ipi.shorthand, shorthand);
    assert_int_equal(ipi.logical, logical);
    assert_int_equal(ipi.destination, destination);
}

static void test_icr(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 512; flags++)
        for (unsigned vector = 0; vector < 256; vector++)
            check_icr(flags, (uint8_t)vector);
}

static bool receives(uint32_t destination, bool logical, unsigned shorthand, uint32_t source,
                     uint32_t target)
{
    struct vapic_ipi ipi = {.delivery = VAPIC_FIXED,
                            .vector = 0x40,
                            .shorthand = (uint8_t)shorthand,
                            .logical = logical,
                            .destination = destination};
    return vapic_is_destination(&ipi, source, target);
}

#define IDS 70 /* five clusters, the last one in part */

static void test_physical_destinations(void **state)
{
    (void)state;
    for (uint32_t target = 0; target < IDS; target++) {
        for (uint32_t destination = 0; destination < 2 * IDS; destination++)
            assert_int_equal(receives(destination, false, 0, 1, target), destination == target);
        assert_true(receives(UINT32_MAX, false, 0, target, target));
        assert_true(receives(UINT32_MAX, true, 0, 1, target));
        assert_false(receives(0xff, false, 0, 1, target)); /* that is xAPIC's broadcast */
        assert_false(receives(target | 0x80000000, false, 0, 1, target));
    }
}

static void test_logical_destinations(void **state)
{
    (void)state;
    for (uint32_t target = 0; target < IDS; target++) {
        for (uint32_t cluster = 0; cluster < 6; cluster++) {
            bool own_cluster = cluster == target / 16;
            for (uint32_t members = 0; members < 0x10000; members++) {
                bool expected = own_cluster && (members >> target % 16 & 1);
                if (receives(cluster << 16 | members, true, 0, 1, target) != expected)
                    fail_msg("cluster %u, members 0x%x, target %u", cluster, members, target);
            }
        }
        assert_false(receives(0xffff0000 | 0xfffe, true, 0, 1, target)); /* no broadcast */
    }
}

static void test_shorthands(void **state)
{
    (void)state;
    for (uint32_t source = 0; source < IDS; source++) {
        for (uint32_t target = 0; target < IDS; target++) {
            for (int logical = 0; logical < 2; logical++) { /* the destination does not count */
                assert_int_equal(receives(5, logical, 1, source, target), source == target);
                assert_true(receives(5, logical, 2, source, target));
                assert_int_equal(receives(UINT32_MAX, logical, 3, source, target),
                                 source != target);
            }
        }
    }
}

/* ---- Timer ----------------------------------------------------------------------------------- */

static void start_timer(uint32_t lvt, uint32_t divide, uint32_t initial, uint64_t now)
{
    assert_int_not_equal(write_at(LVT_TIMER, lvt, now), VAPIC_GP);
    assert_int_equal(write_at(DIVIDE, divide, now), VAPIC_DONE);
    assert_int_equal(write_at(INITIAL, initial, now), VAPIC_TIMER);
}

static void test_divide(void **state)
{
    (void)state;
    static const struct {
        uint32_t code, by;
    } codes[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        assert_int_equal(set_up(NULL), 0);
        start_timer(ONE_SHOT | 0x40, codes[i].code, 10, 1000);
        uint64_t tick = TICKS * codes[i].by;
        assert_int_equal(apic.deadline, 1000 + 10 * tick);
        for (uint64_t passed = 0; passed <= 10 * tick; passed++)
            assert_int_equal(read_at(CURRENT, 1000 + passed), 10 - passed / tick);
        assert_int_equal(read_at(CURRENT, 1000 + 11 * tick), 0);
    }
}

static void test_one_shot(void **state)
{
    (void)state;
    start_timer(ONE_SHOT | 0x40, DIVIDE_BY_1, 100, 1000);
    assert_false(vapic_timer_run(&apic, 1299));
    assert_int_equal(vapic_highest_requested(&apic), VAPIC_NONE);
    assert_true(vapic_timer_run(&apic, 1300));
    assert_int_equal(vapic_highest_requested(&apic), 0x40);
    assert_int_equal(apic.deadline, VAPIC_NEVER);
    assert_false(vapic_timer_run(&apic, 5000));
    assert_int_equal(read_at(INITIAL, 5000), 100);
    assert_int_equal(write_at(INITIAL, 100, 5000), VAPIC_TIMER);
    assert_int_equal(write_at(INITIAL, 0, 5001), VAPIC_TIMER); /* stops it */
    assert_int_equal(apic.deadline, VAPIC_NEVER);
    assert_int_equal(write_at(INITIAL, 0, 5001), VAPIC_DONE);
}

static void test_periodic_makes_up_for_nothing(void **state)
{
    (void)state;
    start_timer(PERIODIC | 0x40, DIVIDE_BY_1, 100, 1000);
    assert_true(vapic_timer_run(&apic, 1300)); /* on time */
    assert_int_equal(apic.deadline, 1600);
    assert_true(vapic_timer_run(&apic, 1601));
    assert_int_equal(apic.deadline, 1900);
    assert_int_equal(read_at(CURRENT, 2499), 1); /* whether it was run or not */
    assert_int_equal(read_at(CURRENT, 2500), 100);
    assert_true(vapic_timer_run(&apic, 2500)); /* two missed, the third on time */
    assert_int_equal(apic.deadline, 2800);
    assert_true(vapic_timer_run(&apic, 1ull << 62));
    assert_true(apic.deadline > 1ull << 62 && apic.deadline <= (1ull << 62) + 300);
    assert_int_equal((apic.deadline - 1000) % 300, 0);
    assert_false(vapic_timer_run(&apic, 1ull << 62));
}

static void test_masked_timer_counts(void **state)
{
    (void)state;
    start_timer(PERIODIC | MASKED | 0x40, DIVIDE_BY_1, 100, 1000);
    assert_true(vapic_timer_run(&apic, 1300));
    assert_int_equal(vapic_highest_requested(&apic), VAPIC_NONE);
    assert_int_equal(apic.deadline, 1600);
}

static void test_tsc_deadline(void **state)
{
    (void)state;
    assert_int_equal(write_at(TSC_DEADLINE, 5000, 0), VAPIC_DONE); /* another mode: ignored */
    assert_int_equal(apic.deadline, VAPIC_NEVER);
    assert_int_equal(write_at(LVT_TIMER, DEADLINE | 0x40, 0), VAPIC_DONE);
    assert_int_equal(write_at(TSC_DEADLINE, 5000, 1000), VAPIC_TIMER);
    assert_int_equal(read_at(TSC_DEADLINE, 4999), 5000);
    assert_int_equal(read_at(CURRENT, 4999), 0);
    assert_int_equal(read_at(TSC_DEADLINE, 5000), 0); /* run or not */
    assert_int_equal(write_at(INITIAL, 7, 1000), VAPIC_DONE); /* ignored */
    assert_int_equal(read_at(INITIAL, 1000), 0);
    assert_int_equal(apic.deadline, 5000);
    assert_int_equal(write_at(DIVIDE, DIVIDE_BY_1, 1000), VAPIC_DONE);
    assert_false(vapic_timer_run(&apic, 4999));
    assert_true(vapic_timer_run(&apic, 5000));
    assert_int_equal(vapic_highest_requested(&apic), 0x40);
    assert_int_equal(apic.deadline, VAPIC_NEVER);
    assert_int_equal(write_at(TSC_DEADLINE, 3, 6000), VAPIC_TIMER); /* the past: at once */
    assert_true(vapic_timer_run(&apic, 6000));
    assert_int_equal(write_at(TSC_DEADLINE, 9000, 6000), VAPIC_TIMER);
    assert_int_equal(write_at(TSC_DEADLINE, 0, 6000), VAPIC_TIMER); /* disarms */
    assert_int_equal(apic.deadline, VAPIC_NEVER);
    assert_int_equal(write_at(TSC_DEADLINE, UINT64_MAX, 6000), VAPIC_TIMER); /* armed, not NEVER */
    assert_int_not_equal(read_at(TSC_DEADLINE, 6000), 0);
}

static void test_change_of_mode_disarms(void **state)
{
    (void)state;
    static const uint32_t modes[] = {ONE_SHOT, PERIODIC, DEADLINE};
    for (unsigned i = 0; i < 9; i++) {
        uint32_t from = modes[i / 3], to = modes[i % 3];
        assert_int_equal(set_up(NULL), 0);
        assert_int_equal(write_at(LVT_TIMER, from | 0x40, 0), VAPIC_DONE);
        uint32_t start = from == DEADLINE ? TSC_DEADLINE : INITIAL;
        assert_int_equal(write_at(start, 1000, 0), VAPIC_TIMER);
        uint64_t deadline = apic.deadline;
        assert_int_equal(write_at(LVT_TIMER, to | 0x50, 10), from == to ? VAPIC_DONE : VAPIC_TIMER);
        assert_int_equal(apic.deadline, from == to ? deadline : VAPIC_NEVER);
        assert_int_equal(read_at(INITIAL, 10), from == to && from != DEADLINE ? 1000 : 0);
        assert_int_equal(read_at(TSC_DEADLINE, 10), from == to && from == DEADLINE ? 1000 : 0);
    }
}

/* A write finds the timer due that nobody has run yet. */
static void test_a_write_loses_no_interrupt(void **state)
{
    (void)state;
    static const struct {
        uint32_t msr;
        uint64_t value;
    } writes[] = {
        {LVT_TIMER, MASKED | 0x50},
        {LVT_TIMER, PERIODIC | 0x50},
        {INITIAL, 0},
        {INITIAL, 50},
        {DIVIDE, 0},
        {TSC_DEADLINE, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
        assert_int_equal(set_up(NULL), 0);
        start_timer(ONE_SHOT | 0x40, DIVIDE_BY_1, 100, 1000);
        assert_int_equal(write_at(writes[i].msr, writes[i].value, 1300), VAPIC_TIMER);
        assert_int_equal(vapic_highest_requested(&apic), 0x40);
    }
    /* The same deadline once more is a deadline of its own. */
    assert_int_equal(set_up(NULL), 0);
    assert_int_equal(write_at(LVT_TIMER, DEADLINE | 0x40, 0), VAPIC_DONE);
    assert_int_equal(write_at(TSC_DEADLINE, 5000, 0), VAPIC_TIMER);
    assert_int_equal(write_at(TSC_DEADLINE, 5000, 5000), VAPIC_TIMER);
    assert_int_equal(vapic_highest_requested(&apic), 0x40);
    assert_int_equal(apic.deadline, 5000);
}

static void test_extremes_of_the_timer(void **state)
{
    (void)state;
    apic.tsc_per_count = VAPIC_TSC_PER_COUNT_MAX;
    start_timer(PERIODIC | 0x40, 0xa, UINT32_MAX, 1000); /* by 128 */
    uint64_t period = 0xffffffffull << 31;
    assert_int_equal(apic.deadline, 1000 + period);
    assert_int_equal(read_at(CURRENT, 1000), UINT32_MAX);
    assert_int_equal(read_at(CURRENT, 1000 + period - 1), 1);
    assert_true(vapic_timer_run(&apic, 1000 + period));
    assert_int_equal(apic.deadline, 1000 + 2 * period);
    /* No deadline wraps, and none becomes VAPIC_NEVER. */
    assert_int_equal(write_at(INITIAL, UINT32_MAX, UINT64_MAX - 5), VAPIC_TIMER);
    assert_int_equal(apic.deadline, VAPIC_NEVER - 1);
    for (unsigned late = 0; late < 3; late++) {
        uint64_t now = VAPIC_NEVER - 2 - period + late; /* one tick left, it fits exactly, not */
        assert_int_equal(set_up(NULL), 0);
        apic.tsc_per_count = VAPIC_TSC_PER_COUNT_MAX;
        start_timer(ONE_SHOT | 0x40, 0xa, UINT32_MAX, now);
        assert_int_equal(apic.deadline, late ? VAPIC_NEVER - 1 : VAPIC_NEVER - 2);
        assert_int_equal(read_at(CURRENT, now), UINT32_MAX);
    }
}

/* ---- Random sequences against a model -------------------------------------------------------- */

static struct {
    bool irr[256], isr[256], posted[256];
    bool enabled;
    unsigned tpr, lvt_timer, lvt_error, esr, errors;
    unsigned initial, count, divide, passed; /* `passed` ticks of the current count */
    bool running;                            /* counts, or waits for tsc_deadline */
    bool fired;                              /* since vapic_timer_run */
    uint64_t tsc_deadline, now;
} model;

static uint64_t random_state;

static unsigned random_below(unsigned limit)
{
#ifdef FUZZ_CHOICES /* of the fuzz target that includes this */
    return (unsigned)draw(&FUZZ_CHOICES, limit > 256 ? 2 : 1) % limit;
#endif
    random_state ^= random_state << 13; /* xorshift64 */
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 32) % limit;
}

static int model_highest(const bool *set)
{
    int vector = 255;
    while (vector >= 0 && !set[vector])
        vector--;
    return vector;
}

static unsigned model_ppr(void)
{
    int isr = model_highest(model.isr);
    unsigned class = isr < 0 ? 0 : (unsigned)isr / 16;
    return model.tpr / 16 >= class ? model.tpr : class * 16;
}

static int model_deliverable(void)
{
    for (int vector = 255; vector >= 16; vector--)
        if (model.irr[vector])
            return (unsigned)vector / 16 > model_ppr() / 16 ? vector : -1;
    return -1;
}

static void model_error(unsigned error)
{
    bool first = model.errors == 0;
    model.errors |= error;
    if (!first || (model.lvt_error & MASKED))
        return;
    if ((model.lvt_error & 0xff) < 16)
        model.errors |= RECV_ILLEGAL;
    else
        model.irr[model.lvt_error & 0xff] = true;
}

static unsigned model_mode(void)
{
    return model.lvt_timer & (3u << 17);
}

static unsigned model_ticks(void)
{
    static const unsigned by[] = {2, 4, 8, 16, 0, 0, 0, 0, 32, 64, 128, 1};
    return TICKS * by[model.divide];
}

static void model_fire(void)
{
    unsigned vector = model.lvt_timer & 0xff;
    model.fired = true;
    if (model_mode() != PERIODIC)
        model.running = false;
    if (model.lvt_timer & MASKED)
        return;
    if (vector < 16)
        model_error(RECV_ILLEGAL);
    else
        model.irr[vector] = true;
}

/* One tick of the TSC. */
static void model_tick(void)
{
    model.now++;
    if (!model.running)
        return;
    if (model_mode() == DEADLINE) {
        if (model.now >= model.tsc_deadline)
            model_fire();
        return;
    }
    if (++model.passed < model_ticks())
        return;
    model.passed = 0;
    if (--model.count > 0)
        return;
    if (model_mode() == PERIODIC)
        model.count = model.initial;
    model_fire();
}

static uint64_t model_next(void)
{
    if (!model.running)
        return VAPIC_NEVER;
    if (model_mode() == DEADLINE)
        return model.tsc_deadline;
    return model.now + (uint64_t)model.count * model_ticks() - model.passed;
}

static void compare_timer(void)
{
    bool deadline = model_mode() == DEADLINE;
    assert_int_equal(read_at(CURRENT, model.now), model.running && !deadline ? model.count : 0);
    assert_int_equal(read_at(TSC_DEADLINE, model.now),
                     model.running && deadline ? model.tsc_deadline : 0);
    assert_int_equal(read_at(INITIAL, model.now), model.initial);
    assert_int_equal(read_at(DIVIDE, model.now), model.divide);
    assert_int_equal(read_at(LVT_TIMER, model.now), model.lvt_timer);
}

static void compare(void)
{
    bool posted = false;
    for (unsigned vector = 0; vector < 256; vector++) {
        assert_int_equal(in_register(MSR_IRR, vector), model.irr[vector]);
        assert_int_equal(in_register(MSR_ISR, vector), model.isr[vector]);
        assert_false(in_register(0x818, vector)); /* TMR: all are edge-triggered */
        posted |= model.posted[vector];
    }
    assert_int_equal(vapic_has_posted(&apic), posted);
    assert_int_equal(vapic_highest_requested(&apic), model_highest(model.irr));
    assert_int_equal(vapic_highest_in_service(&apic), model_highest(model.isr));
    assert_int_equal(vapic_deliverable(&apic), model_deliverable());
    assert_int_equal(read_msr(MSR_TPR), model.tpr);
    assert_int_equal(vapic_cr8(&apic), model.tpr / 16);
    assert_int_equal(read_msr(MSR_PPR), model_ppr());
    assert_int_equal(read_msr(MSR_ESR), model.esr);
    assert_int_equal(read_msr(LVT_ERROR), model.lvt_error);
    assert_int_equal(vapic_enabled(&apic), model.enabled);
    assert_int_equal(apic.deadline, model_next());
}

static void run_timer(void)
{
    assert_int_equal(vapic_timer_run(&apic, model.now), model.fired);
    model.fired = false;
}

static void random_post(void)
{
    unsigned vector = 16 + random_below(240);
    assert_int_equal(vapic_post(&apic, (uint8_t)vector), !model.posted[vector]);
    model.posted[vector] = true;
}

static void random_collect(void)
{
    bool any = false;
    for (unsigned vector = 0; vector < 256; vector++) {
        any |= model.posted[vector];
        model.irr[vector] |= model.posted[vector] && model.enabled;
        model.posted[vector] = false;
    }
    assert_int_equal(vapic_collect(&apic), any);
}

static void random_accept(void)
{
    int vector = model_deliverable();
    if (vector < 0)
        return;
    vapic_accept(&apic, (uint8_t)vector);
    model.irr[vector] = false;
    model.isr[vector] = true;
}

static void random_eoi(void)
{
    int vector = model_highest(model.isr);
    assert_int_equal(write_msr(MSR_EOI, 0), VAPIC_EVALUATE);
    if (vector >= 0)
        model.isr[vector] = false;
}

static void random_tpr(void)
{
    model.tpr = random_below(256);
    if (random_below(2)) {
        assert_int_equal(write_msr(MSR_TPR, model.tpr), VAPIC_EVALUATE);
        return;
    }
    vapic_set_cr8(&apic, (uint8_t)(model.tpr / 16));
    model.tpr &= 0xf0;
}

static void random_self_ipi(void)
{
    unsigned vector = random_below(random_below(4) ? 256 : 16);
    bool icr = random_below(2);
    assert_int_equal(write_msr(icr ? MSR_ICR : SELF_IPI, (icr ? 1u << 18 : 0) | vector),
                     VAPIC_EVALUATE);
    if (vector < 16)
        model_error(SEND_ILLEGAL);
    else if (model.enabled)
        model.irr[vector] = true;
}

/* The short way is the long one, or nothing at all. */
static void random_self_ipi_at_once(void)
{
    unsigned vector = random_below(256);
    if (model_deliverable() >= 0)
        return;
    bool requested = model.irr[vector];
    model.irr[vector] = requested || (model.enabled && vector >= 16);
    bool at_once = model.enabled && model_deliverable() == (int)vector;
    model.irr[vector] = requested;
    assert_int_equal(vapic_take_self_ipi(&apic, (uint8_t)vector), at_once);
    if (at_once)
        model.isr[vector] = true;
}

static void random_enable(void)
{
    model.enabled = random_below(4) > 0;
    assert_int_equal(write_msr(MSR_SPURIOUS, (model.enabled ? ENABLED : 0) | random_below(256)),
                     VAPIC_DONE);
    if (model.enabled)
        return;
    model.lvt_timer |= MASKED;
    model.lvt_error |= MASKED;
}

static unsigned random_lvt(void)
{
    unsigned vector = random_below(random_below(8) ? 256 : 16);
    return vector | (random_below(4) && model.enabled ? 0 : MASKED);
}

static void random_lvt_error(void)
{
    model.lvt_error = random_lvt();
    assert_int_equal(write_msr(LVT_ERROR, model.lvt_error), VAPIC_DONE);
}

static void random_esr(void)
{
    assert_int_equal(write_msr(MSR_ESR, 0), VAPIC_DONE);
    model.esr = model.errors;
    model.errors = 0;
}

static void (*const operations[])(void) = {
    random_post, random_post, random_collect,  random_accept, random_accept, random_eoi,
    random_eoi,  random_tpr,  random_self_ipi, random_self_ipi_at_once,
    random_enable, random_esr, random_lvt_error,
};

static void write_lvt_timer(void)
{
    unsigned mode = random_below(4) ? model_mode() : random_below(3) << 17;
    unsigned lvt = random_lvt() | mode;
    if (mode != model_mode()) {
        model.running = false;
        model.initial = model.passed = 0;
    }
    model.lvt_timer = lvt;
}

static void write_initial(void)
{
    unsigned initial = random_below(4) ? 1 + random_below(8) : 0;
    if (model_mode() != DEADLINE) {
        model.initial = model.count = initial;
        model.running = initial > 0;
        model.passed = 0;
    }
}

static void advance(void)
{
    for (unsigned ticks = random_below(random_below(8) ? 20 : 3000); ticks > 0; ticks--)
        model_tick();
}

/* A write to the timer may find it due: nobody has run it then. */
static void random_timer_write(void)
{
    struct {
        uint32_t msr;
        uint64_t value;
    } write;
    bool fired = model.fired;
    uint64_t next = model_next();
    static const unsigned divides[] = {0, 1, 2, 3, 8, 9, 10, 11};
    unsigned divide;

    switch (random_below(4)) {
    case 0:
        write_lvt_timer();
        write.msr = LVT_TIMER;
        write.value = model.lvt_timer;
        break;
    case 1:
        write_initial();
        write.msr = INITIAL;
        write.value = model_mode() == DEADLINE ? 5 : model.initial;
        break;
    case 2:
        divide = divides[random_below(8)];
        if (divide != model.divide)
            model.passed = 0;
        model.divide = divide;
        write.msr = DIVIDE;
        write.value = divide;
        break;
    default:
        write.msr = TSC_DEADLINE;
        write.value = random_below(4) ? model.now + 1 + random_below(100) : 0;
        if (model_mode() == DEADLINE) {
            model.tsc_deadline = write.value;
            model.running = write.value > 0;
        }
        break;
    }
    bool changed = fired || next != model_next();
    assert_int_equal(write_at(write.msr, write.value, model.now),
                     changed ? VAPIC_TIMER : VAPIC_DONE);
    model.fired = false;
}

static void random_step(void)
{
    switch (random_below(4)) {
    case 0:
        advance();
        compare_timer(); /* the guest reads right, run or not */
        if (random_below(2))
            run_timer();
        else
            random_timer_write();
        break;
    case 1:
        random_timer_write();
        break;
    default:
        operations[random_below(ARRAY_SIZE(operations))]();
        break;
    }
    compare();
    compare_timer();
}

static void test_against_the_model(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 200; seed++) {
        assert_int_equal(set_up(NULL), 0);
        random_state = seed * 0x9e3779b97f4a7c15ull;
        memset(&model, 0, sizeof(model));
        model.enabled = true;
        model.lvt_timer = model.lvt_error = MASKED;
        for (unsigned step = 0; step < 1000; step++)
            random_step();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_access, set_up),
        cmocka_unit_test_setup(test_reset, set_up),
        cmocka_unit_test_setup(test_base, set_up),
        cmocka_unit_test_setup(test_logical_ids, set_up),
        cmocka_unit_test_setup(test_disabling_masks_the_lvt, set_up),
        cmocka_unit_test_setup(test_disabled_takes_nothing_new, set_up),
        cmocka_unit_test_setup(test_every_tpr_against_every_vector, set_up),
        cmocka_unit_test_setup(test_nesting, set_up),
        cmocka_unit_test_setup(test_posting, set_up),
        cmocka_unit_test_setup(test_nothing_posted_is_lost, set_up),
        cmocka_unit_test_setup(test_illegal_vectors_sent, set_up),
        cmocka_unit_test_setup(test_illegal_vector_of_the_timer, set_up),
        cmocka_unit_test_setup(test_error_interrupt, set_up),
        cmocka_unit_test_setup(test_error_interrupt_with_an_illegal_vector, set_up),
        cmocka_unit_test_setup(test_icr, set_up),
        cmocka_unit_test_setup(test_physical_destinations, set_up),
        cmocka_unit_test_setup(test_logical_destinations, set_up),
        cmocka_unit_test_setup(test_shorthands, set_up),
        cmocka_unit_test_setup(test_divide, set_up),
        cmocka_unit_test_setup(test_one_shot, set_up),
        cmocka_unit_test_setup(test_periodic_makes_up_for_nothing, set_up),
        cmocka_unit_test_setup(test_masked_timer_counts, set_up),
        cmocka_unit_test_setup(test_tsc_deadline, set_up),
        cmocka_unit_test_setup(test_change_of_mode_disarms, set_up),
        cmocka_unit_test_setup(test_a_write_loses_no_interrupt, set_up),
        cmocka_unit_test_setup(test_extremes_of_the_timer, set_up),
        cmocka_unit_test_setup(test_against_the_model, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
