/* SPDX-License-Identifier: MIT */
/* The shared serial line: what stands on it, in which order, how much is done at once; that a guest
 * leaves the terminal as it was. And the log's stamps, and its readers, on a ring that has come
 * around. */
#define KERNEL_LIB_X86_H /* the clock and the core are the test's */
#include <stdint.h>

static uint64_t tsc;

static uint64_t rdtsc(void)
{
    return tsc;
}

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static uint32_t cpu_index(void)
{
    return 0;
}

#include "kernel/log.c"

#define lock terminal_lock
#include "kernel/monitor/terminal.c"
#undef lock

/* ---- What lies beside ------------------------------------------------------------------------ */

#define WIRE_MAX 100000

static char wire[WIRE_MAX];
static size_t wire_used, wire_room;

static size_t put_on_wire(const char *bytes, size_t size)
{
    size_t count = MIN(size, wire_room);
    assert_true(wire_used + count < WIRE_MAX);
    memcpy(wire + wire_used, bytes, count);
    wire_used += count;
    wire_room -= count;
    return count;
}

static void flush_wire(void)
{
}

static bool no_key(uint8_t *byte)
{
    (void)byte;
    return false;
}

static const char *guest_bytes = "";

size_t console_take(struct vm *vm, char *bytes, size_t size, uint64_t *lost_bytes)
{
    (void)vm;
    (void)lost_bytes;
    size_t count = MIN(size, strlen(guest_bytes));
    memcpy(bytes, guest_bytes, count);
    guest_bytes += count;
    return count;
}

uint64_t time_us_to_ticks(uint64_t microseconds)
{
    return microseconds;
}

static char output_buffer[TERMINAL_OUTPUT_SIZE];

static int setup(void **state)
{
    static const struct terminal_line test_line = {put_on_wire, flush_wire, no_key};
    (void)state;
    memset(first_ring, 0, sizeof first_ring);
    ring = first_ring;
    ring_size = FIRST_RING;
    head = tail = waiting = lost = 0;
    block_core = NO_CORE;
    anything = true;
    memset(sinks, 0, sizeof sinks);
    log_add_sink(&terminal_sink);
    terminal_init(&test_line);
    terminal_use_buffer(output_buffer);
    output_put = output_taken = 0;
    staged_size = staged_done = 0;
    prompt_shown = false;
    passed_over = 0;
    terminal_filter = (struct terminal_filter){.show = SHOW_ALL};
    terminal_prompt(NULL, 0, false);
    terminal_set_mode(TERMINAL_LOG, NULL);
    guest_bytes = "";
    wire_used = 0;
    wire_room = WIRE_MAX;
    return 0;
}

static const char *shown(void)
{
    while (!log_drain())
        ;
    wire[wire_used] = '\0';
    return wire;
}

static void say_guest(const char *text)
{
    log_console_line("guest", text, strlen(text));
}

/* ---- Tests ----------------------------------------------------------------------------------- */

/* Whatever is overwritten, a reader begins with a whole line: else the rest of a guest's line could
 * pass for one of the hypervisor. */
static void test_readers_begin_with_whole_lines(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        char text[LOG_BUFFER], got[LOG_BUFFER];
        memset(text, 'x', i % 97);
        strcpy(text + i % 97, "[    1.000000] cpu0 atoll: forged");
        say_guest(text);
        (void)log_pass_over();
        struct log_reader reader = {0};
        log_reader_back(&reader, 1000000);
        size_t size = log_read(&reader, got);
        assert_true(size > 0);
        assert_memory_equal(got, "[    0.000000] guest| ", 22);
        assert_int_equal(got[size - 1], '\n');
        struct log_reader oldest = {0};
        size = log_read(&oldest, got);
        assert_memory_equal(got, "[    0.000000] guest| ", 22);
    }
}

static void test_reader_goes_back(void **state)
{
    (void)state;
    char got[LOG_BUFFER];
    struct log_reader reader = {0};
    assert_false(log_reader_previous(&reader));
    for (unsigned i = 0; i < 10; i++)
        log_info("%u", i);
    log_reader_end(&reader);
    assert_int_equal(log_read(&reader, got), 0);
    for (unsigned i = 10; i-- > 0;) {
        assert_true(log_reader_previous(&reader));
        struct log_reader copy = reader;
        size_t size = log_read(&copy, got);
        assert_int_equal(got[size - 3], '0' + i);
    }
    assert_false(log_reader_previous(&reader));
    log_reader_back(&reader, 3);
    size_t size = log_read(&reader, got);
    assert_int_equal(got[size - 3], '7');
}

/* A turn ends though the line takes all, and though nothing is shown of what comes. */
static void test_a_turn_is_bounded(void **state)
{
    (void)state;
    for (unsigned filtered = 0; filtered < 2; filtered++) {
        setup(state);
        terminal_filter.show = filtered ? SHOW_NOTHING : SHOW_ALL;
        for (unsigned i = 0; i < 200; i++)
            say_guest("flood");
        assert_false(log_drain());
        assert_true(waiting >= 200 - PIECES_A_TURN - 1);
        (void)shown();
        assert_int_equal(waiting, 0);
        assert_true(filtered ? wire_used == 0 : wire_used > 0);
    }
}

static void test_long_lines_do_not_wrap(void **state)
{
    (void)state;
    char text[101];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    say_guest(text);
    assert_null(strstr(shown(), NO_WRAP)); /* nobody is there: the bytes alone */
    wire_used = 0;
    terminal_prompt("atoll> ", 7, false);
    say_guest(text);
    say_guest("short");
    log_info("%s", text);
    const char *found = strstr(shown(), NO_WRAP "[    0.000000] guest| xxx");
    assert_non_null(found);
    assert_non_null(strstr(found, "xxx\r\n" WRAP));
    assert_null(strstr(found + 1, NO_WRAP));
}

static void test_filter(void **state)
{
    (void)state;
    terminal_filter.show = SHOW_HOST;
    say_guest("cpu0 atoll: of a guest");
    log_info("of the host");
    assert_null(strstr(shown(), "guest"));
    assert_non_null(strstr(wire, "of the host"));
    terminal_filter = (struct terminal_filter){.show = SHOW_ALL, .only = "guest"};
    log_line("guest.1", "this");
    log_line("guest2", "not this");
    say_guest("and this");
    (void)shown();
    assert_non_null(strstr(wire, "guest.1: this"));
    assert_null(strstr(wire, "not this"));
    assert_non_null(strstr(wire, "guest| and this"));
}

/* In whatever state a guest left the terminal, a panic can be read. */
static void test_panic_behind_a_guest(void **state)
{
    (void)state;
    terminal_set_mode(TERMINAL_GUEST, NULL);
    guest_bytes = "\x1b]0;no end";
    (void)log_drain();
    (void)log_drain();
    terminal_sink.panic("panic\r\n", 7);
    wire[wire_used] = '\0';
    assert_non_null(strstr(wire, "no end\x1b\\"));
    static const char *const resets[] = {"\x1b[?1049l", "\x1b[r", "\x1b(B", "\x0f", "\x1b[0m",
                                         "25h", "\x1b[4i"};
    for (unsigned i = 0; i < ARRAY_SIZE(resets); i++)
        assert_non_null(strstr(wire, resets[i]));
    assert_string_equal(wire + wire_used - 9, "\r\npanic\r\n");
}

static void test_stamps_are_printfs(void **state)
{
    (void)state;
    const uint64_t seconds[] = {0, 9, 10, 99999, 100000, 18446744073708};
    log_set_clock(1000000, 0);
    for (uint64_t i = 0; i < 1000000; i += i < 100 ? 1 : 37) {
        char stamp[LOG_BUFFER], wanted[LOG_BUFFER];
        tsc = seconds[i % ARRAY_SIZE(seconds)] * 1000000 + i;
        stamp[format_time(stamp)] = '\0';
        sprintf(wanted, "[%5" PRIu64 ".%06" PRIu64 "] ", tsc / 1000000, tsc % 1000000);
        assert_string_equal(stamp, wanted);
    }
    log_set_clock(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_stamps_are_printfs, setup),
        cmocka_unit_test_setup(test_readers_begin_with_whole_lines, setup),
        cmocka_unit_test_setup(test_reader_goes_back, setup),
        cmocka_unit_test_setup(test_a_turn_is_bounded, setup),
        cmocka_unit_test_setup(test_long_lines_do_not_wrap, setup),
        cmocka_unit_test_setup(test_filter, setup),
        cmocka_unit_test_setup(test_panic_behind_a_guest, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
