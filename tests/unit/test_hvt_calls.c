/* SPDX-License-Identifier: MIT */
/* The calls of hvt guests: which addresses are RAM, over all of a small model; which ports are
 * calls; what each call does with its structure, wherever that lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/errno.h>
#include <cmocka.h>

#include "tests/unit/hvt_model.h"

#define SMALL 96u /* bytes of RAM */

static const uint8_t sizes[] = {
    [HVT_CALL_WALLTIME] = 8,     [HVT_CALL_PUTS] = 16,       [HVT_CALL_POLL] = 24,
    [HVT_CALL_BLOCK_WRITE] = 40, [HVT_CALL_BLOCK_READ] = 40, [HVT_CALL_NET_WRITE] = 32,
    [HVT_CALL_NET_READ] = 32,    [HVT_CALL_HALT] = 16,
};

static void is_stopped(enum stop_reason reason)
{
    assert_int_equal(model.stops, 1);
    assert_int_equal(model.reason, reason);
}

/* ---- Addresses ------------------------------------------------------------------------------- */

/* All numbers near 0 and near 2^64. */
#define EACH(number, near) (uint64_t number = -(uint64_t)(near); number != (near); number++)

static void the_rule_of_addresses(void **state)
{
    (void)state;
    for (uint64_t ram = 1; ram <= SMALL; ram++) {
        model_start(ram, false);
        for
            EACH(address, 2 * SMALL)
            for
                EACH(length, 2 * SMALL)
            assert_int_equal(is_ram(&model.vm, address, length), model_is_ram(address, length));
    }
}

static void structures_are_in_ram(void **state)
{
    (void)state;
    for (unsigned number = 1; number < ARRAY_SIZE(sizes); number++) {
        for (uint64_t address = 0; address < 2 * SMALL; address++) {
            model_start(SMALL, true);
            enum exit_action action = model_call(number, address);
            if (address + sizes[number] < SMALL)
                assert_int_equal(action, number == HVT_CALL_HALT ? ACTION_STOP : ACTION_RESUME);
            else
                is_stopped(STOP_BAD_HYPERCALL);
        }
        model_start(SMALL, true);
        model_call(number, UINT32_MAX);
        is_stopped(STOP_BAD_HYPERCALL);
        model_start(SMALL, true); /* the high half of RAX is not looked at */
        model_call(number, 1ull << 32);
        assert_int_equal(model.stops, number == HVT_CALL_HALT);
    }
}

static void texts_are_in_ram(void **state)
{
    (void)state;
    for
        EACH(data, SMALL + 8)
        {
        for
            EACH(length, SMALL + 8)
            {
                model_start(SMALL, false);
                *(struct hvt_puts *)model.ram = (struct hvt_puts){data, length};
                if (!model_is_ram(data, length)) {
                    assert_int_equal(model_call(HVT_CALL_PUTS, 0), ACTION_STOP);
                    is_stopped(STOP_BAD_HYPERCALL);
                    assert_non_null(strstr(model.detail, "Invalid guest access"));
                    continue;
                }
                assert_int_equal(model_call(HVT_CALL_PUTS, 0), ACTION_RESUME);
                assert_int_equal(model.console_size, length);
                assert_memory_equal(model.console, model.ram + data, length);
            }
        }
}

/* ---- Ports ----------------------------------------------------------------------------------- */

static void ports_that_are_calls(void **state)
{
    (void)state;
    for (uint32_t port = 0; port <= UINT16_MAX; port++) {
        for (uint64_t kind = 0; kind < 0x40; kind++) { /* size, IN, string, REP */
            if (kind != MODEL_OUT32 && port > HVT_PORT + 16)
                continue;
            bool is_call =
                (kind & 0x1f) == MODEL_OUT32 && port > HVT_PORT && port <= HVT_PORT + HVT_CALL_HALT;
            model_start(SMALL, true);
            enum exit_action action = model_io((uint16_t)port, kind, UINT32_MAX);
            assert_int_equal(action, ACTION_STOP);
            is_stopped(is_call ? STOP_BAD_HYPERCALL : STOP_BAD_IO_PORT);
        }
    }
}

/* ---- Each call ------------------------------------------------------------------------------- */

/* Where a structure can lie: aligned, not, across a page's end, on a page not yet touched. */
#define UNTOUCHED (MODEL_UNTOUCHED * PAGE_SIZE)
static const uint64_t places[] = {64, 77, UNTOUCHED + 8, UNTOUCHED + PAGE_SIZE - 4, MODEL_RAM - 41};

#define DATA 512u /* where data is, away from all places */

static void walltime_and_its_place(void **state)
{
    uint64_t time;

    (void)state;
    model_start(MODEL_RAM, false);
    assert_int_equal(model_call(HVT_CALL_WALLTIME, 77), ACTION_RESUME);
    memcpy(&time, model.ram + 77, sizeof(time));
    assert_int_equal(time, MODEL_TIME);
    model_call(HVT_CALL_WALLTIME, MODEL_READ_ONLY * PAGE_SIZE);
    is_stopped(STOP_BAD_HYPERCALL);
}

static void long_texts_let_others_run(void **state)
{
    const struct hvt_puts puts = {1, MODEL_RAM - 2};
    unsigned turns = 1;

    (void)state;
    model_start(MODEL_RAM, false);
    for (size_t i = 0; i < MODEL_RAM; i++)
        model.ram[i] = (uint8_t)(i * 7);
    memcpy(model.ram + 64, &puts, sizeof(puts));
    while (model_call(HVT_CALL_PUTS, 64) == ACTION_RETRY)
        turns++;
    assert_int_equal(turns, (MODEL_RAM + PUTS_A_TURN - 1) / PUTS_A_TURN);
    assert_int_equal(model.console_size, puts.length);
    assert_memory_equal(model.console, model.ram + 1, puts.length);
    model.console_size = 0;
    assert_int_equal(model_call(HVT_CALL_PUTS, 64), ACTION_RETRY); /* the next one begins anew */
    assert_int_equal(model.console_size, PUTS_A_TURN);
}

static struct hvt_block block_call(uint64_t place, bool write, struct hvt_block call)
{
    memcpy(model.ram + place, &call, sizeof(call));
    enum exit_action action = model_call(write ? HVT_CALL_BLOCK_WRITE : HVT_CALL_BLOCK_READ, place);
    assert_int_equal(action == ACTION_RESUME, model.stops == 0);
    memcpy(&call, model.ram + place, sizeof(call));
    return call;
}

static void blocks(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        struct hvt_block good = {DISK_HANDLE, MODEL_DISK - 100, DATA, 100, -7};
        model_start(MODEL_RAM, true);
        struct hvt_block after = block_call(places[i], false, good);
        assert_int_equal(after.result, HVT_OK);
        after.result = good.result;
        assert_memory_equal(&after, &good, sizeof(good));
        assert_int_equal(model.ram[DATA + 99], 'd');
        assert_int_equal(model.ram[DATA + 100], 0);
        assert_int_equal(block_call(places[i], true, good).result, HVT_OK);
        good.length++; /* beyond the disk */
        assert_int_equal(block_call(places[i], true, good).result, HVT_INVALID);
        good.handle = NET_HANDLE;
        assert_int_equal(block_call(places[i], false, good).result, HVT_INVALID);
        good.handle = UINT64_MAX;
        assert_int_equal(block_call(places[i], false, good).result, HVT_INVALID);
    }
    model.devices[0].block.read_only = true;
    struct hvt_block good = {DISK_HANDLE, 0, DATA, 1, 0};
    assert_int_equal(block_call(64, true, good).result, HVT_UNSPECIFIED);
    good.data = MODEL_READ_ONLY * PAGE_SIZE;
    block_call(64, false, good);
    is_stopped(STOP_BAD_HYPERCALL);
}

static struct hvt_net net_call(uint64_t place, bool write, struct hvt_net call)
{
    memcpy(model.ram + place, &call, sizeof(call));
    enum exit_action action = model_call(write ? HVT_CALL_NET_WRITE : HVT_CALL_NET_READ, place);
    assert_int_equal(action == ACTION_RESUME, model.stops == 0);
    memcpy(&call, model.ram + place, sizeof(call));
    return call;
}

static void frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        struct hvt_net call = {NET_HANDLE, DATA, 1514, -7};
        model_start(MODEL_RAM, true);
        assert_int_equal(net_call(places[i], true, call).result, HVT_OK);
        call.length = 13;
        assert_int_equal(net_call(places[i], true, call).result, HVT_INVALID);
        call.length = 1515;
        assert_int_equal(net_call(places[i], true, call).result, HVT_INVALID);
        struct hvt_net after = net_call(places[i], false, call);
        assert_int_equal(after.result, HVT_AGAIN);
        assert_int_equal(after.length, call.length);
        model.frames = 2;
        after = net_call(places[i], false, call);
        assert_int_equal(after.result, HVT_OK);
        assert_int_equal(after.length, MODEL_FRAME);
        assert_int_equal(model.ram[DATA + MODEL_FRAME - 1], 'f');
        call.handle = DISK_HANDLE;
        assert_int_equal(net_call(places[i], false, call).result, HVT_INVALID);
    }
    struct hvt_net call = {NET_HANDLE, MODEL_READ_ONLY * PAGE_SIZE, 64, 0};
    net_call(64, false, call);
    is_stopped(STOP_BAD_HYPERCALL);
    assert_int_equal(model.frames, 1); /* it stays */
}

static void without_a_device_it_is_no_call(void **state)
{
    (void)state;
    for (unsigned number = HVT_CALL_BLOCK_WRITE; number <= HVT_CALL_NET_READ; number++) {
        model_start(MODEL_RAM, false);
        assert_int_equal(model_call(number, 64), ACTION_STOP);
        is_stopped(STOP_BAD_HYPERCALL);
        assert_non_null(strstr(model.detail, "no such device"));
    }
}

static void polls(void **state)
{
    struct hvt_poll poll;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        const uint64_t timeouts[] = {0, 1000000000, UINT64_MAX};
        for (size_t j = 0; j < ARRAY_SIZE(timeouts); j++) {
            model_start(MODEL_RAM, true);
            poll = (struct hvt_poll){timeouts[j], 77, 77};
            memcpy(model.ram + places[i], &poll, sizeof(poll));
            uint64_t before = rdtsc();
            enum exit_action action = model_call(HVT_CALL_POLL, places[i]);
            assert_int_equal(action, timeouts[j] ? ACTION_SLEEP : ACTION_RESUME);
            assert_int_equal(model.waits, timeouts[j] != 0);
            if (timeouts[j])
                assert_true(model.wake >= before + time_ns_to_ticks(timeouts[j]));
            if (action == ACTION_SLEEP) {
                model.frames = 1;
                assert_true(hvt_ready(&model.vm));
                hvt_poll_done(&model.vcpu);
            }
            memcpy(&poll, model.ram + places[i], sizeof(poll));
            assert_int_equal(poll.timeout, timeouts[j]);
            assert_int_equal(poll.ready, timeouts[j] ? BIT(NET_HANDLE) : 0);
            assert_int_equal(poll.result, timeouts[j] ? 1 : 0);
        }
    }
    model_start(MODEL_RAM, true); /* a frame is there already: no wait */
    model.frames = 1;
    poll = (struct hvt_poll){UINT64_MAX, 0, 0};
    memcpy(model.ram + 64, &poll, sizeof(poll));
    assert_int_equal(model_call(HVT_CALL_POLL, 64), ACTION_RESUME);
    assert_false(model.waits);
}

static void halts(void **state)
{
    const struct {
        struct hvt_halt halt;
        uint8_t status;
        const char *words;
    } cases[] = {
        {{0, 0}, 0, "status 0"},
        {{0, 1}, 1, "status 1"},
        {{DATA, 7}, 7, "status 7"},
        {{0, -1}, 255, "status 255"},
        {{0, 255}, 255, "status 255, an abort"},
        {{DATA, 255}, 255, "status 255, an abort: trap rip=0x1234 "},
        {{DATA, 511}, 255, "status 255, an abort: trap rip=0x1234 "},
        {{MODEL_RAM - HVT_COOKIE_SIZE - 1, 255}, 255, "status 255, an abort: trap"},
    };
    const struct hvt_halt bad[] = {{MODEL_RAM - HVT_COOKIE_SIZE, 255}, {UINT64_MAX, 0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct hvt_trap trap = {.rip = 0x1234};
        model_start(MODEL_RAM, true);
        memcpy(model.ram + DATA, &trap, sizeof(trap));
        memcpy(model.ram + 64, &cases[i].halt, sizeof(cases[i].halt));
        assert_int_equal(model_call(HVT_CALL_HALT, 64), ACTION_STOP);
        is_stopped(STOP_GUEST_EXIT);
        assert_int_equal(model.vcpu.exit_status, cases[i].status);
        assert_memory_equal(model.detail, cases[i].words, strlen(cases[i].words));
        assert_int_equal(strstr(model.detail, "trap") != NULL,
                         cases[i].halt.cookie != 0 && cases[i].status == HVT_ABORT);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        model_start(MODEL_RAM, true);
        memcpy(model.ram + 64, &bad[i], sizeof(bad[i]));
        assert_int_equal(model_call(HVT_CALL_HALT, 64), ACTION_STOP);
        is_stopped(STOP_BAD_HYPERCALL);
    }
}

/* What is wrong with the device or the place on it is said before the address is looked at. */
static void bad_devices_come_before_bad_addresses(void **state)
{
    const struct hvt_block bad[] = {{NET_HANDLE, 0, UINT64_MAX, 512, 0},
                                    {DISK_HANDLE, MODEL_DISK, UINT64_MAX, 512, 0},
                                    {DISK_HANDLE, 0, UINT64_MAX, MODEL_DISK + 1, 0}};
    const struct hvt_block good = {DISK_HANDLE, 0, UINT64_MAX, 512, 0};

    (void)state;
    for (unsigned number = HVT_CALL_BLOCK_WRITE; number <= HVT_CALL_BLOCK_READ; number++) {
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
            int32_t result;
            model_start(MODEL_RAM, true);
            memcpy(model.ram + 64, &bad[i], sizeof(bad[i]));
            assert_int_equal(model_call(number, 64), ACTION_RESUME);
            memcpy(&result, model.ram + 64 + offsetof(struct hvt_block, result), sizeof(result));
            assert_int_equal(result, HVT_INVALID);
        }
        model_start(MODEL_RAM, true);
        memcpy(model.ram + 64, &good, sizeof(good));
        assert_int_equal(model_call(number, 64), ACTION_STOP);
        is_stopped(STOP_BAD_HYPERCALL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule_of_addresses),
        cmocka_unit_test(structures_are_in_ram),
        cmocka_unit_test(texts_are_in_ram),
        cmocka_unit_test(ports_that_are_calls),
        cmocka_unit_test(walltime_and_its_place),
        cmocka_unit_test(long_texts_let_others_run),
        cmocka_unit_test(blocks),
        cmocka_unit_test(frames),
        cmocka_unit_test(without_a_device_it_is_no_call),
        cmocka_unit_test(polls),
        cmocka_unit_test(halts),
        cmocka_unit_test(bad_devices_come_before_bad_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
