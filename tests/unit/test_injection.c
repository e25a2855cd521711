/* SPDX-License-Identifier: MIT */
/* The choice of the event to inject: every input against what an entry checks (SDM 26.2.1.3,
 * 26.3.1.5) and against what must never be lost or doubled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kernel/lib/types.h"
#include "vmx/injection.h"

#define STI    1u
#define MOV_SS 2u
#define NMI    8u

#define VALID     0x80000000ull
#define TYPE(e)   ((e) >> 8 & 7)
#define TYPE_INTR 0u
#define TYPE_NMI  2u

/* One of each type that can be delivered anew, and none. */
static const uint64_t events[] = {
    0,
    VALID | 0 << 8 | 0x20,
    VALID | 0 << 8 | 0xff,
    VALID | 2 << 8 | 2,
    VALID | 3 << 8 | 6,
    VALID | 3 << 8 | 1 << 11 | 14 | 0x12345678ull << 32,
    VALID | 4 << 8 | 0x80,
    VALID | 5 << 8 | 1,
    VALID | 6 << 8 | 3,
};

static const int vectors[] = {-1, 0, 16, 0x20, 0x80, 0xff};

/* What an entry with the result would check (26.2.1.3, 26.3.1.5, with "virtual NMIs"). */
static void check_entry(const struct vmx_injection_input *in, const struct vmx_injection *out)
{
    uint32_t blocking = out->interruptibility;
    if (!out->event)
        return;
    assert_true(out->event & VALID);
    assert_int_equal(out->event & 0x7ffff000, 0); /* reserved bits 30:12 */
    if (TYPE(out->event) == TYPE_INTR) {
        assert_int_equal(blocking & (STI | MOV_SS), 0);
        if (!in->event) /* one that was in delivery has IF as it was before */
            assert_true(in->interrupts_on);
    }
    if (TYPE(out->event) == TYPE_NMI) {
        assert_int_equal(out->event & 0xff, 2);
        assert_int_equal(blocking & (STI | MOV_SS | NMI), 0); /* STI: on some processors */
    }
}

/* Only bits that the entry would refuse are cleared, and only for an event that is there. */
static void check_interruptibility(const struct vmx_injection_input *in,
                                   const struct vmx_injection *out)
{
    uint32_t may_clear = 0;
    if (in->event && TYPE(in->event) == TYPE_INTR)
        may_clear = STI | MOV_SS;
    if (in->event && TYPE(in->event) == TYPE_NMI)
        may_clear = STI | MOV_SS | NMI;
    assert_int_equal(out->interruptibility, in->interruptibility & ~may_clear);
}

static void check_choice(const struct vmx_injection_input *in, const struct vmx_injection *out)
{
    bool shadow = in->interruptibility & (STI | MOV_SS);
    bool nmi_may = in->nmi && !shadow && !(in->interruptibility & NMI);
    bool interrupt_may = in->vector >= 0 && in->interrupts_on && !shadow;

    assert_false(out->nmi_taken && out->interrupt_taken);
    assert_int_equal(out->nmi_taken, !in->event && nmi_may);
    assert_int_equal(out->interrupt_taken, !in->event && !nmi_may && interrupt_may);
    if (in->event)
        assert_int_equal(out->event, in->event);
    else if (out->nmi_taken)
        assert_int_equal(out->event, VALID | 2 << 8 | 2);
    else if (out->interrupt_taken)
        assert_int_equal(out->event, VALID | (unsigned)in->vector);
    else
        assert_int_equal(out->event, 0);
}

/* What waits is taken or has a window, and a window has something that waits. The NMI window must
 * not be open at the entry already with the NMI refused there: the guest would never go on. */
static void check_windows(const struct vmx_injection_input *in, const struct vmx_injection *out)
{
    bool nmi_waits = in->nmi && !out->nmi_taken;
    bool interrupt_waits = in->vector >= 0 && !out->interrupt_taken;
    bool sti_only = (in->interruptibility & (STI | MOV_SS | NMI)) == STI;
    bool behind_sti = nmi_waits && sti_only && !in->event;

    assert_int_equal(out->nmi_window, nmi_waits && !behind_sti);
    assert_int_equal(out->interrupt_window, interrupt_waits || behind_sti);
    if (out->nmi_window && !out->event)
        assert_true(out->interruptibility & (MOV_SS | NMI));
    if (out->interrupt_window && !out->event && !(out->interruptibility & (STI | MOV_SS)))
        assert_false(in->interrupts_on);
}

static void test_all_inputs(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(events) * ARRAY_SIZE(vectors) * 64; i++) {
        struct vmx_injection_input in = {
            .event = events[i / 64 % ARRAY_SIZE(events)],
            .interruptibility = i % 16,
            .interrupts_on = i / 16 % 2,
            .nmi = i / 32 % 2,
            .vector = vectors[i / 64 / ARRAY_SIZE(events)],
        };
        struct vmx_injection out = vmx_injection_choose(&in);
        check_entry(&in, &out);
        check_interruptibility(&in, &out);
        check_choice(&in, &out);
        check_windows(&in, &out);
    }
}

static void test_every_vector(void **state)
{
    (void)state;
    for (int vector = 0; vector < 256; vector++) {
        struct vmx_injection_input in = {.interrupts_on = true, .vector = vector};
        struct vmx_injection out = vmx_injection_choose(&in);
        assert_true(out.interrupt_taken);
        assert_int_equal(out.event, VALID | (unsigned)vector);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_inputs),
        cmocka_unit_test(test_every_vector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
