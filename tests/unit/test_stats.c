/* SPDX-License-Identifier: MIT */
/* What a vCPU's figures say: which slot is whose, tables that overflow, rows and sums, the
 * histogram of wake-ups and the time in states. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#undef ATOLL_STATISTICS
#define ATOLL_STATISTICS
#include "kernel/vm/stats.c" /* as it is with the build option */

static struct stats stats;

static void fresh(uint64_t now)
{
    memset(&stats, 0, sizeof stats);
    stats_init(&stats, now);
}

static int set_up(void **state)
{
    (void)state;
    fresh(0);
    return 0;
}

static struct stat_row row_of(uint32_t slot)
{
    struct stat_row row;
    memset(&row, 0xa5, sizeof row);
    assert_true(stats_row(&stats, slot, &row));
    return row;
}

static uint64_t quantile(unsigned permille)
{
    struct stat_wakes wakes;
    memset(&wakes, 0, sizeof wakes);
    stats_add_wakes(&wakes, &stats);
    return stats_wake_quantile(&wakes, permille);
}

static void nothing_yet(void **state)
{
    (void)state;
    struct stat_row row;
    for (uint32_t slot = 0; slot <= STAT_SLOTS; slot++)
        assert_false(stats_row(&stats, slot, &row));
    assert_false(stats_row(&stats, UINT32_MAX, &row));
    assert_int_equal(quantile(500), 0);
    assert_int_equal(stats_in_state(&stats, VCPU_RUNNING, VCPU_CREATED, 1000), 0);
    assert_int_equal(stats_in_state(&stats, VCPU_STATES, VCPU_STATES, 1000), 0);
}

static void a_reason(void **state)
{
    (void)state;
    stats_record(&stats, EXIT_CPUID, 300);
    stats_record(&stats, EXIT_CPUID, 100);
    stats_record(&stats, EXIT_CPUID, 200);
    struct stat_row row = row_of(EXIT_CPUID);
    assert_int_equal(row.reason, EXIT_CPUID);
    assert_false(row.has_detail);
    assert_false(row.others);
    assert_int_equal(row.count, 3);
    assert_int_equal(row.total, 600);
    assert_int_equal(row.least, 100);
    assert_int_equal(row.most, 300);
}

/* Unexpected ones have no slot of their own, and none of somebody else's. */
static void further_reasons(void **state)
{
    (void)state;
    const uint32_t further[] = {STAT_REASONS, EXIT_REASONS - 1, EXIT_REASONS, UINT32_MAX};
    assert_int_equal(stats_reason_slot(STAT_REASONS - 1), STAT_REASONS - 1);
    for (size_t i = 0; i < sizeof further / sizeof *further; i++)
        stats_record(&stats, stats_reason_slot(further[i]), 7);
    assert_int_equal(row_of(STAT_FURTHER).count, 4);
}

static void costs_at_their_limits(void **state)
{
    (void)state;
    stats_record(&stats, EXIT_HLT, UINT32_MAX);
    assert_int_equal(row_of(EXIT_HLT).least, UINT32_MAX);
    assert_int_equal(row_of(EXIT_HLT).most, UINT32_MAX);
    stats_record(&stats, EXIT_HLT, 0);
    struct stat_row row = row_of(EXIT_HLT);
    assert_int_equal(row.least, 0);
    assert_int_equal(row.most, UINT32_MAX);
    assert_int_equal(row.total, UINT32_MAX);
    stats_record(&stats, EXIT_HLT, UINT32_MAX);
    assert_int_equal(row_of(EXIT_HLT).total, 2ull * UINT32_MAX);
}

static void calls_by_number(void **state)
{
    (void)state;
    for (uint32_t call = 0; call < STAT_CALLS; call++)
        stats_record(&stats, STAT_FIRST_CALL + call, 10 + call);
    for (uint32_t call = 0; call < STAT_CALLS; call++) {
        struct stat_row row = row_of(STAT_FIRST_CALL + call);
        assert_int_equal(row.reason, EXIT_VMCALL);
        assert_true(row.has_detail);
        assert_int_equal(row.others, call == STAT_CALLS - 1);
        assert_int_equal(row.detail, row.others ? 0 : call);
        assert_int_equal(row.most, 10 + call);
    }
}

/* Every port, 64 K orders of a start: found again, told apart, and the rest in the last slot. */
static void ports_fill_up(void **state)
{
    (void)state;
    for (uint32_t first = 0; first <= UINT16_MAX; first += 7) {
        fresh(0);
        bool taken[STAT_PORTS] = {false};
        for (uint32_t i = 0; i < STAT_PORTS - 1; i++) {
            uint16_t port = (uint16_t)(first + i * 0x1234);
            uint32_t slot = stats_port_slot(&stats, port);
            assert_in_range(slot, STAT_FIRST_PORT, STAT_FIRST_PORT + STAT_PORTS - 2);
            assert_false(taken[slot - STAT_FIRST_PORT]);
            taken[slot - STAT_FIRST_PORT] = true;
            stats_record(&stats, slot, 1);
            assert_int_equal(row_of(slot).detail, port);
        }
        for (uint32_t i = 0; i < STAT_PORTS - 1; i++) {
            uint16_t port = (uint16_t)(first + i * 0x1234);
            assert_int_equal(row_of(stats_port_slot(&stats, port)).detail, port);
        }
        uint16_t further = (uint16_t)(first + STAT_PORTS * 0x1234);
        assert_int_equal(stats_port_slot(&stats, further), STAT_FIRST_PORT + STAT_PORTS - 1);
        assert_int_equal(stats_port_slot(&stats, (uint16_t)(further + 1)),
                         STAT_FIRST_PORT + STAT_PORTS - 1);
    }
    stats_record(&stats, STAT_FIRST_PORT + STAT_PORTS - 1, 5);
    struct stat_row row = row_of(STAT_FIRST_PORT + STAT_PORTS - 1);
    assert_int_equal(row.reason, EXIT_IO);
    assert_true(row.has_detail);
    assert_true(row.others);
    assert_int_equal(row.detail, 0);
}

static void ports_that_collide(void **state)
{
    (void)state;
    const uint16_t same[] = {STAT_HOMES - 1, 2 * STAT_HOMES - 1, 3 * STAT_HOMES - 1};
    for (unsigned round = 0; round < 2; round++) /* the second port wraps around */
        for (uint32_t i = 0; i < ARRAY_SIZE(same); i++)
            assert_int_equal(stats_port_slot(&stats, same[i]),
                             STAT_FIRST_PORT + (STAT_HOMES - 1 + i) % STAT_HOMES);
}

static void the_first_and_the_last_port(void **state)
{
    (void)state;
    uint32_t zero = stats_port_slot(&stats, 0), last = stats_port_slot(&stats, UINT16_MAX);
    assert_int_not_equal(zero, last);
    stats_record(&stats, zero, 1);
    stats_record(&stats, last, 1);
    assert_int_equal(row_of(zero).detail, 0);
    assert_int_equal(row_of(last).detail, UINT16_MAX);
    assert_int_equal(row_of(last).reason, EXIT_IO);
}

static void places_of_two_mebibytes(void **state)
{
    (void)state;
    uint32_t zero = stats_place_slot(&stats, 0);
    assert_int_equal(stats_place_slot(&stats, PAGE_SIZE_2M - 1), zero);
    uint32_t next = stats_place_slot(&stats, PAGE_SIZE_2M);
    assert_int_not_equal(next, zero);
    stats_record(&stats, zero, 1);
    stats_record(&stats, next, 2);
    assert_int_equal(row_of(zero).detail, 0);
    assert_int_equal(row_of(next).detail, PAGE_SIZE_2M);
    assert_int_equal(row_of(next).reason, EXIT_EPT_VIOLATION);
    assert_true(row_of(next).has_detail);
    uint64_t last = BIT(52) - 1; /* that a processor can name */
    uint32_t far = stats_place_slot(&stats, last);
    stats_record(&stats, far, 3);
    assert_int_equal(row_of(far).detail, last - (PAGE_SIZE_2M - 1));
}

static void places_fill_up(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < STAT_PLACES - 1; i++) {
        uint64_t place = i * 512 * GIB + i * PAGE_SIZE_2M;
        uint32_t slot = stats_place_slot(&stats, place);
        assert_in_range(slot, STAT_FIRST_PLACE, STAT_SLOTS - 2);
        stats_record(&stats, slot, 1);
        assert_int_equal(row_of(slot).detail, place);
        assert_int_equal(row_of(slot).count, 1);
    }
    assert_int_equal(stats_place_slot(&stats, 1 * GIB), STAT_SLOTS - 1);
    assert_int_equal(stats_place_slot(&stats, 0) < STAT_SLOTS - 1, true);
    stats_record(&stats, STAT_SLOTS - 1, 9);
    assert_true(row_of(STAT_SLOTS - 1).others);
}

/* No table may grow over its neighbours, whatever a guest touches. */
static void random_touches(void **state)
{
    (void)state;
    struct stats before;
    srandom(1);
    for (uint32_t i = 0; i < 100000; i++) {
        uint32_t port = stats_port_slot(&stats, (uint16_t)random());
        uint32_t place = stats_place_slot(&stats, (uint64_t)random() << 20 | (uint64_t)random());
        assert_in_range(port, STAT_FIRST_PORT, STAT_FIRST_PLACE - 1);
        assert_in_range(place, STAT_FIRST_PLACE, STAT_SLOTS - 1);
    }
    assert_int_equal(stats.ports[STAT_PORTS - 1], 0);
    assert_int_equal(stats.places[STAT_PLACES - 1], 0);
    memset(stats.ports, 0, sizeof stats.ports);
    memset(stats.places, 0, sizeof stats.places);
    before = stats;
    fresh(0);
    assert_memory_equal(&stats, &before, sizeof stats);
}

static void sums(void **state)
{
    (void)state;
    struct stat_row sum = {.reason = EXIT_IO, .has_detail = true, .detail = 0x80};
    const struct stat_row nothing = {.count = 0, .least = 0};
    const struct stat_row a = {
        .reason = EXIT_CPUID, .count = 2, .total = 90, .least = 40, .most = 50};
    const struct stat_row b = {.count = 3, .total = 66, .least = 6, .most = 30};
    stats_sum(&sum, &nothing);
    stats_sum(&sum, &a);
    assert_int_equal(sum.least, 40);
    assert_int_equal(sum.most, 50);
    stats_sum(&sum, &b);
    stats_sum(&sum, &a);
    stats_sum(&sum, &nothing);
    assert_int_equal(sum.count, 7);
    assert_int_equal(sum.total, 246);
    assert_int_equal(sum.least, 6);
    assert_int_equal(sum.most, 50);
    assert_int_equal(sum.reason, EXIT_IO);
    assert_int_equal(sum.detail, 0x80);
}

static void buckets(void **state)
{
    (void)state;
    static const struct {
        uint64_t ticks;
        uint32_t bucket;
    } cases[] = {{0, 0},         {1, 0},           {2, 1},           {3, 1},
                 {4, 2},         {1023, 9},        {1024, 10},       {0x7fffffff, 30},
                 {1u << 31, 31}, {UINT32_MAX, 31}, {1ull << 32, 31}, {UINT64_MAX / 2, 31}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        fresh(0);
        stats_wake_latency(&stats, cases[i].ticks);
        assert_int_equal(stats.wakes[cases[i].bucket], 1);
        assert_int_equal(stats.wake_total, cases[i].ticks);
        assert_int_equal(stats.wake_worst, MIN(cases[i].ticks, UINT32_MAX));
        assert_int_equal(quantile(500), stats.wake_worst);
    }
}

static void quantiles(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 50; i++)
        stats_wake_latency(&stats, 100); /* [64, 128) */
    for (uint32_t i = 0; i < 49; i++)
        stats_wake_latency(&stats, 5000); /* [4096, 8192) */
    stats_wake_latency(&stats, 1000000);
    assert_int_equal(quantile(0), 127);
    assert_int_equal(quantile(500), 127);
    assert_int_equal(quantile(501), 8191);
    assert_int_equal(quantile(990), 8191);
    assert_int_equal(quantile(991), 1000000); /* the worst one ends its bucket */
    assert_int_equal(quantile(1000), 1000000);
    assert_int_equal(quantile(5000), 1000000);
    assert_int_equal(stats.wake_worst, 1000000);
    assert_int_equal(stats.wake_total, 50 * 100 + 49 * 5000 + 1000000);
}

static void counts_near_their_end(void **state)
{
    (void)state;
    stats.wakes[3] = UINT32_MAX;
    stats.wakes[4] = UINT32_MAX;
    stats.wake_worst = 1000;
    assert_int_equal(quantile(500), 15);
    assert_int_equal(quantile(501), 31);
    struct stat_wakes many = {.count = UINT64_MAX, .worst = 1000, .buckets = {[5] = UINT64_MAX}};
    assert_int_equal(stats_wake_quantile(&many, 999), 63);
}

static void wakes_of_several(void **state)
{
    (void)state;
    struct stat_wakes sum;
    memset(&sum, 0, sizeof sum);
    stats_wake_latency(&stats, 100);
    stats_wake_latency(&stats, 3000);
    stats_add_wakes(&sum, &stats);
    fresh(0);
    stats_wake_latency(&stats, 101);
    stats_wake_latency(&stats, 7);
    stats_add_wakes(&sum, &stats);
    assert_int_equal(sum.count, 4);
    assert_int_equal(sum.total, 3208);
    assert_int_equal(sum.worst, 3000);
    assert_int_equal(sum.buckets[6], 2);
    assert_int_equal(sum.buckets[2], 1);
    assert_int_equal(sum.buckets[11], 1);
    assert_int_equal(stats_wake_quantile(&sum, 750), 127);
    assert_int_equal(stats_wake_quantile(&sum, 751), 3000);
}

static void time_in_states(void **state)
{
    (void)state;
    fresh(900);
    stats_leave_state(&stats, VCPU_CREATED, 1000);
    assert_int_equal(stats_in_state(&stats, VCPU_CREATED, VCPU_RUNNABLE, 1000), 100);
    assert_int_equal(stats_in_state(&stats, VCPU_RUNNABLE, VCPU_RUNNABLE, 1030), 30);
    stats_leave_state(&stats, VCPU_RUNNABLE, 1040);
    stats_leave_state(&stats, VCPU_RUNNING, 1100);
    stats_leave_state(&stats, VCPU_SLEEPING, 1500);
    assert_int_equal(stats_in_state(&stats, VCPU_RUNNABLE, VCPU_RUNNING, 1600), 40);
    assert_int_equal(stats_in_state(&stats, VCPU_RUNNING, VCPU_RUNNING, 1600), 60 + 100);
    assert_int_equal(stats_in_state(&stats, VCPU_SLEEPING, VCPU_RUNNING, 1600), 400);
    assert_int_equal(stats_in_state(&stats, VCPU_PAUSED, VCPU_RUNNING, 1600), 0);
}

static void another_cores_clock_may_be_behind(void **state)
{
    (void)state;
    fresh(1000);
    assert_int_equal(stats_in_state(&stats, VCPU_RUNNING, VCPU_RUNNING, 990), 0);
    stats_leave_state(&stats, VCPU_RUNNING, 990);
    assert_int_equal(stats_in_state(&stats, VCPU_RUNNING, VCPU_SLEEPING, 2000), 0);
    assert_int_equal(stats_in_state(&stats, VCPU_SLEEPING, VCPU_SLEEPING, 1000), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_yet, set_up),
        cmocka_unit_test_setup(a_reason, set_up),
        cmocka_unit_test_setup(further_reasons, set_up),
        cmocka_unit_test_setup(costs_at_their_limits, set_up),
        cmocka_unit_test_setup(calls_by_number, set_up),
        cmocka_unit_test_setup(ports_fill_up, set_up),
        cmocka_unit_test_setup(ports_that_collide, set_up),
        cmocka_unit_test_setup(the_first_and_the_last_port, set_up),
        cmocka_unit_test_setup(places_of_two_mebibytes, set_up),
        cmocka_unit_test_setup(places_fill_up, set_up),
        cmocka_unit_test_setup(random_touches, set_up),
        cmocka_unit_test_setup(sums, set_up),
        cmocka_unit_test_setup(buckets, set_up),
        cmocka_unit_test_setup(quantiles, set_up),
        cmocka_unit_test_setup(counts_near_their_end, set_up),
        cmocka_unit_test_setup(wakes_of_several, set_up),
        cmocka_unit_test_setup(time_in_states, set_up),
        cmocka_unit_test_setup(another_cores_clock_may_be_behind, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
