/* SPDX-License-Identifier: MIT */
/* Guest consoles: what becomes a line of the log and what the terminal's, the rate of lines under
 * any clock, the history as a ring, input and its interrupt; random operations against a model that
 * never forgets a byte. */
#define KERNEL_LIB_X86_H /* rdtsc is the test's */
#include <stdint.h>

static uint64_t tsc;

static uint64_t rdtsc(void)
{
    return tsc;
}

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "kernel/vm/console.c"

#define HZ        1000000000ull
#define VM_VCPUS  3
#define LINES_MAX 40000

/* ---- What lies beside ------------------------------------------------------------------------ */

static struct vm vm;
static struct vcpu vcpus[VM_VCPUS];
static struct console console;
static uint64_t hz;

static char *logged[LINES_MAX]; /* of the guest; those of the hypervisor begin with '!' */
static uint32_t logged_count;
static uint32_t posts, looks, holds;
static const struct vcpu *posted_to;
static uint8_t posted_vector;

static void keep_line(char first, const char *text, size_t length)
{
    assert_true(logged_count < LINES_MAX);
    char *line = malloc(length + 2);
    line[0] = first;
    memcpy(line + 1, text, length);
    line[length + 1] = '\0';
    logged[logged_count++] = line;
}

static void forget_lines(void)
{
    while (logged_count > 0)
        free(logged[--logged_count]);
}

void log_line(const char *subject, const char *format, ...)
{
    char text[LOG_LINE_MAX];
    va_list args;
    assert_string_equal(subject, "guest");
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    keep_line('!', text, strlen(text));
}

void log_console_line(const char *guest, const char *text, size_t length)
{
    assert_string_equal(guest, "guest");
    keep_line('|', text, length);
}

uint64_t time_tsc_hz(void)
{
    return hz;
}

void interrupts_post(struct vcpu *vcpu, uint8_t vector)
{
    assert_int_equal(holds, 1); /* else the vCPU may be given back at this moment */
    posts++;
    posted_to = vcpu;
    posted_vector = vector;
}

void sched_post(struct vcpu *vcpu, uint32_t requests)
{
    assert_ptr_equal(vcpu->vm, &vm);
    assert_int_equal(requests, REQUEST_LOOK);
    looks++;
}

bool vm_hold(struct vm *held)
{
    holds += held->state == VM_ALIVE;
    return held->state == VM_ALIVE;
}

void vm_put(struct vm *held)
{
    assert_ptr_equal(held, &vm);
    holds--;
}

static int set_up(void **state)
{
    (void)state;
    memset(&vm, 0, sizeof vm);
    memset(&console, 0, sizeof console);
    strcpy(vm.config.name, "guest");
    vm.console = &console;
    vm.state = VM_ALIVE;
    vm.config.vcpus = VM_VCPUS;
    for (uint32_t i = 0; i < VM_VCPUS; i++) {
        vcpus[i].vm = &vm;
        vm.vcpus[i] = &vcpus[i];
    }
    hz = HZ;
    tsc = 5; /* the machine was just switched on */
    posts = looks = holds = 0;
    posted_to = NULL;
    console_set_rate(CONSOLE_RATE);
    atomic_store(&has_terminal, false);
    console_reset(&vm);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    forget_lines();
    assert_int_equal(holds, 0);
    return 0;
}

static void guest_writes(const char *text)
{
    console_write(&vm, text, strlen(text));
}

static void write_lines(uint32_t count)
{
    while (count-- > 0)
        guest_writes("line\n");
}

static uint32_t count_lines(char first)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < logged_count; i++)
        count += logged[i][0] == first;
    return count;
}

/* What the hypervisor's lines with `words` say how many were, in all. */
static uint64_t reported(const char *words)
{
    uint64_t sum = 0;
    unsigned long long count;
    for (uint32_t i = 0; i < logged_count; i++)
        if (strstr(logged[i], words) && sscanf(logged[i], "!console: %llu ", &count) == 1)
            sum += count;
    return sum;
}

static uint64_t reported_dropped(void)
{
    return reported(" lines dropped, more than ");
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void test_lines(void **state)
{
    (void)state;
    guest_writes("one\ntw");
    assert_int_equal(logged_count, 1);
    guest_writes("o\r\n\n\r\n");
    guest_writes("a\rb\x1b\n");
    guest_writes("rest\r");
    console_flush(&vm);
    console_flush(&vm);
    static const char *const lines[] = {"|one", "|two", "|", "|", "|a\rb\x1b", "|rest"};
    assert_int_equal(logged_count, ARRAY_SIZE(lines));
    for (uint32_t i = 0; i < logged_count; i++)
        assert_string_equal(logged[i], lines[i]);
}

static void test_long_line_is_cut(void **state)
{
    (void)state;
    char text[2 * CONSOLE_LINE_MAX + 11];
    memset(text, 'x', sizeof text);
    console_write(&vm, text, CONSOLE_LINE_MAX);
    assert_int_equal(logged_count, 0);
    guest_writes("\n"); /* a line of just that length is one line */
    assert_int_equal(logged_count, 1);
    console_write(&vm, text, sizeof text);
    guest_writes("\n");
    assert_int_equal(logged_count, 4);
    assert_int_equal(strlen(logged[0]), 1 + CONSOLE_LINE_MAX);
    assert_int_equal(strlen(logged[2]), 1 + CONSOLE_LINE_MAX);
    assert_int_equal(strlen(logged[3]), 1 + 11);
}

/* What a life left behind does not become the next one's. */
static void test_reset(void **state)
{
    (void)state;
    char byte;
    guest_writes("half a line");
    assert_int_equal(console_type(&vm, "x", 1), 1);
    assert_int_equal(console_set_vector(&vcpus[0], 40), 0);
    console_reset(&vm);
    guest_writes("whole\n");
    assert_string_equal(logged[0], "|whole");
    assert_int_equal(console_read(&vm, &byte, 1), 0);
    assert_int_equal(console_type(&vm, "y", 1), 1);
    assert_int_equal(posts, 0);
}

/* ---- The rate -------------------------------------------------------------------------------- */

static void test_burst_and_rate(void **state)
{
    (void)state;
    write_lines(CONSOLE_BURST + 1000);
    assert_int_equal(logged_count, CONSOLE_BURST);

    tsc += HZ / 20; /* worth 5 lines: not enough after a drop */
    write_lines(1);
    assert_int_equal(logged_count, CONSOLE_BURST);
    tsc += HZ / 20;
    write_lines(100);
    assert_int_equal(logged_count, CONSOLE_BURST + 1 + 10);
    assert_string_equal(logged[CONSOLE_BURST],
                        "!console: 1001 lines dropped, more than 100 a second");
    console_flush(&vm);
    assert_string_equal(logged[logged_count - 1],
                        "!console: 90 lines dropped, more than 100 a second");
    console_flush(&vm);
    assert_int_equal(count_lines('!'), 2);

    tsc += HZ / 100; /* nothing dropped is unreported: each line counts again */
    write_lines(1);
    assert_int_equal(count_lines('|'), CONSOLE_BURST + 11);
}

/* A flood of a minute: the rate is kept, and all is counted. */
static void test_steady_flood(void **state)
{
    (void)state;
    uint64_t written = 0;
    for (uint64_t second = 0; second < 60; second++) {
        for (int i = 0; i < 1000; i++, written++) {
            write_lines(1);
            tsc += HZ / 1000;
        }
    }
    assert_in_range(count_lines('|'), CONSOLE_BURST + 60 * 100 - 20, CONSOLE_BURST + 60 * 100);
    assert_true(count_lines('!') <= 60 * 10);
    console_flush(&vm);
    assert_int_equal(count_lines('|') + reported_dropped(), written);
}

static void test_no_limit(void **state)
{
    (void)state;
    console_set_rate(0);
    write_lines(20000);
    assert_int_equal(logged_count, 20000);
}

/* At each of these rates: the burst, then as many as the rate says, whatever the frequency. */
static void test_rates(void **state)
{
    static const uint32_t rates[] = {1, 2, 9, 10, 11, 4999, 5001, 1000000, UINT32_MAX};
    static const uint64_t frequencies[] = {1, 1000, HZ, 1ull << 44};
    for (uint32_t i = 0; i < ARRAY_SIZE(rates); i++) {
        for (uint32_t k = 0; k < ARRAY_SIZE(frequencies); k++) {
            tear_down(state);
            set_up(state);
            console_set_rate(rates[i]);
            hz = frequencies[k];
            write_lines(CONSOLE_BURST + 10);
            assert_int_equal(count_lines('|'), CONSOLE_BURST);
            /* for a second, or the time of at least one line */
            tsc += MAX(hz, rates[i]) + 1;
            write_lines(CONSOLE_BURST + 10);
            uint64_t more = count_lines('|') - CONSOLE_BURST;
            assert_true(more > 0 && more <= CONSOLE_BURST);
            if (hz >= rates[i])
                assert_in_range(more, MIN(rates[i], CONSOLE_BURST),
                                MIN(rates[i] + 1ull, CONSOLE_BURST));
        }
    }
}

/* Credit of a slow rate is no more than a burst of a fast one. */
static void test_new_rate(void **state)
{
    (void)state;
    console_set_rate(1);
    write_lines(1);
    console_set_rate(1000);
    tsc += 1;
    write_lines(CONSOLE_BURST + 10);
    assert_int_equal(count_lines('|'), 1 + CONSOLE_BURST);
}

static void test_clock_jumps(void **state)
{
    (void)state;
    tsc = UINT64_MAX - 10; /* the first line ever */
    write_lines(CONSOLE_BURST + 1);
    assert_int_equal(count_lines('|'), CONSOLE_BURST);

    tsc -= HZ; /* a core that is behind: nothing is gained, there or back */
    write_lines(1);
    tsc += HZ;
    write_lines(1);
    assert_int_equal(count_lines('|'), CONSOLE_BURST);

    tsc = 7; /* far behind: the clock is set anew, a second later lines come again */
    write_lines(1);
    assert_int_equal(count_lines('|'), CONSOLE_BURST);
    tsc += HZ;
    write_lines(101);
    assert_int_equal(count_lines('|'), CONSOLE_BURST + 100);

    tsc = UINT64_MAX; /* far ahead: no more than the burst */
    write_lines(CONSOLE_BURST + 100);
    assert_int_equal(count_lines('|'), 2 * CONSOLE_BURST + 100);
}

/* ---- The terminal ---------------------------------------------------------------------------- */

static char taken[4 * CONSOLE_HISTORY];
static size_t taken_count;
static uint64_t taken_lost;

static void take_all(void)
{
    taken_count = 0;
    taken_lost = 0;
    for (size_t part; (part = console_take(&vm, taken + taken_count, 100, &taken_lost)) > 0;)
        taken_count += part;
    taken[taken_count] = '\0';
}

static void test_replay(void **state)
{
    (void)state;
    take_all();
    assert_int_equal(taken_count, 0);
    guest_writes("one\ntwo");
    console_attach(&vm);
    take_all();
    assert_string_equal(taken, "one\ntwo");
    guest_writes(" and\r\nthree");
    take_all();
    assert_string_equal(taken, " and\r\nthree");
    console_detach(&vm);
    guest_writes("more\n");
    take_all();
    assert_int_equal(taken_count, 0);
    assert_int_equal(logged_count, 2); /* "two" was the terminal's, the rest of "three" is not */
    assert_string_equal(logged[1], "|more");
    console_attach(&vm);
    take_all();
    assert_string_equal(taken, "one\ntwo and\r\nthreemore\n");
    assert_int_equal(taken_lost, 0);
    console_detach(&vm);
    assert_int_equal(logged_count, 2);
}

static void test_history_wraps(void **state)
{
    (void)state;
    char text[CONSOLE_HISTORY + 1000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    console_set_rate(0);
    console_write(&vm, text, 700);
    console_write(&vm, text, sizeof text); /* more than it holds, at once */
    console_attach(&vm);
    take_all();
    assert_int_equal(taken_count, CONSOLE_HISTORY);
    assert_int_equal(taken_lost, 0); /* replay begins where there is something */
    assert_memory_equal(taken, text + 1000, CONSOLE_HISTORY);

    console_write(&vm, text, 10); /* the terminal is slow: the oldest are overwritten */
    console_write(&vm, text, CONSOLE_HISTORY);
    take_all();
    assert_int_equal(taken_lost, 10);
    assert_int_equal(taken_count, CONSOLE_HISTORY);
    assert_memory_equal(taken, text, CONSOLE_HISTORY);
}

/* Neither is lost nor comes twice: the line that waits at attach, what was not taken at detach. */
static void test_incomplete_lines(void **state)
{
    (void)state;
    guest_writes("logged\nwaits");
    console_attach(&vm);
    console_attach(&vm);
    console_detach(&vm); /* nothing was taken */
    assert_int_equal(logged_count, 1);
    guest_writes(" on\n");
    assert_int_equal(logged_count, 2);
    assert_string_equal(logged[1], "|waits on");

    guest_writes("begin");
    console_attach(&vm);
    guest_writes("ning\nsecond\nthird");
    char bytes[100];
    uint64_t lost = 0;
    size_t size = console_take(&vm, bytes, strlen("logged\nwaits on\nbeginning\nse"), &lost);
    assert_memory_equal(bytes + size - 2, "se", 2);
    console_detach(&vm);
    console_detach(&vm);
    assert_int_equal(logged_count, 3);
    assert_string_equal(logged[2], "|cond");
    console_flush(&vm);
    assert_string_equal(logged[3], "|third");
}

static void test_detach_counts_what_nobody_had(void **state)
{
    (void)state;
    char text[CONSOLE_HISTORY];
    memset(text, '\n', sizeof text);
    console_attach(&vm);
    console_write(&vm, text, 7);
    console_write(&vm, text, sizeof text);
    console_detach(&vm);
    assert_string_equal(logged[0], "!console: 7 bytes lost: the terminal did not take them");
    assert_int_equal(count_lines('|'), CONSOLE_BURST); /* the rate counts here too */
    console_flush(&vm);
    assert_int_equal(count_lines('|') + reported_dropped(), CONSOLE_HISTORY);
}

/* ---- Input ----------------------------------------------------------------------------------- */

static void test_input(void **state)
{
    (void)state;
    char typed[CONSOLE_INPUT + 20], got[CONSOLE_INPUT + 20];
    for (size_t i = 0; i < sizeof typed; i++)
        typed[i] = (char)i;
    assert_int_equal(console_read(&vm, got, sizeof got), 0);
    for (int round = 0; round < 5; round++) {
        assert_int_equal(console_type(&vm, typed, 100), 100);
        assert_int_equal(console_type(&vm, typed + 100, 48), CONSOLE_INPUT - 100);
        assert_int_equal(console_type(&vm, typed, 1), 0);
        assert_int_equal(console_read(&vm, got, 3), 3);
        assert_int_equal(console_read(&vm, got + 3, sizeof got), CONSOLE_INPUT - 3);
        assert_memory_equal(got, typed, CONSOLE_INPUT);
    }
    assert_int_equal(posts, 0);

    vm.stop_reason = STOP_OPERATOR; /* stopped, and not yet given back */
    assert_int_equal(console_type(&vm, typed, 1), 0);
    vm.stop_reason = STOP_NONE;
    vm.state = VM_STOPPED;
    assert_int_equal(console_type(&vm, typed, 1), 0);
}

static void test_interrupt(void **state)
{
    (void)state;
    char text[CONSOLE_INPUT] = {0};
    static const uint64_t bad[] = {1, 31, 256, 1ull << 32 | 40, UINT64_MAX};
    for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(console_set_vector(&vcpus[0], bad[i]), -EINVAL);
    assert_int_equal(console_set_vector(&vcpus[1], 0), 0);
    assert_int_equal(looks, 0);

    assert_int_equal(console_set_vector(&vcpus[1], 32), 0);
    assert_int_equal(console_type(&vm, "ab", 2), 2);
    assert_int_equal(posts, 1);
    assert_ptr_equal(posted_to, &vcpus[1]);
    assert_int_equal(posted_vector, 32);
    assert_int_equal(console_set_vector(&vcpus[2], 255), 0);
    assert_int_equal(console_type(&vm, text, sizeof text), CONSOLE_INPUT - 2);
    assert_ptr_equal(posted_to, &vcpus[2]);
    assert_int_equal(posted_vector, 255);
    assert_int_equal(console_type(&vm, "a", 1), 0); /* nothing came in: nothing to tell */
    assert_int_equal(posts, 2);
    assert_int_equal(looks, 0);
    assert_int_equal(console_set_vector(&vcpus[0], 0), 0);
    assert_int_equal(looks, VM_VCPUS); /* they may sleep for good now */
}

static void test_can_wake(void **state)
{
    (void)state;
    assert_false(console_can_wake(&vm));
    assert_int_equal(console_set_vector(&vcpus[0], 64), 0);
    assert_false(console_can_wake(&vm)); /* nobody can type */
    console_has_terminal();
    assert_true(console_can_wake(&vm));
    assert_int_equal(console_set_vector(&vcpus[0], 0), 0);
    assert_false(console_can_wake(&vm));
}

/* ---- Random operations against a model ---------------------------------------------------------
 *
 * The model keeps every byte and every line that would be in the log without a limit. */

#define MODEL_BYTES 400000
#define MODEL_STEPS 1500
#define MODEL_RUNS  60

static struct {
    char bytes[MODEL_BYTES];
    size_t written, shown, unlogged;
    bool attached;
    char line[CONSOLE_LINE_MAX];
    size_t used;
    char lines[LINES_MAX][CONSOLE_LINE_MAX + 2];
    uint32_t line_count;
    uint64_t lost_at_detach;
    char input[CONSOLE_INPUT];
    size_t typed;
} model;

static uint32_t pick(uint32_t below)
{
    return (uint32_t)rand() % below;
}

static void model_line(void)
{
    size_t length = model.used;
    if (length > 0 && model.line[length - 1] == '\r')
        length--;
    assert_true(model.line_count < LINES_MAX);
    char *line = model.lines[model.line_count++];
    line[0] = '|';
    memcpy(line + 1, model.line, length);
    line[length + 1] = '\0';
    model.used = 0;
}

static void model_log(char byte)
{
    if (byte == '\n' || model.used == CONSOLE_LINE_MAX)
        model_line();
    if (byte != '\n')
        model.line[model.used++] = byte;
}

static size_t model_oldest(void)
{
    return model.written > CONSOLE_HISTORY ? model.written - CONSOLE_HISTORY : 0;
}

static void random_write(void)
{
    char text[1500];
    size_t size = pick(pick(10) ? 60 : sizeof text);
    for (size_t i = 0; i < size; i++)
        text[i] = "\n\r\n\n"[pick(4)];
    for (size_t i = 0; i < size; i++)
        if (pick(20))
            text[i] = (char)('a' + pick(26));
    assert_true(model.written + size <= MODEL_BYTES);
    memcpy(model.bytes + model.written, text, size);
    model.written += size;
    for (size_t i = 0; i < size && !model.attached; i++)
        model_log(text[i]);
    console_write(&vm, text, size);
}

static void random_attach(void)
{
    if (!model.attached) {
        model.shown = model_oldest();
        model.unlogged = model.written - model.used;
        model.used = 0;
    }
    model.attached = true;
    console_attach(&vm);
}

static void random_detach(void)
{
    size_t position = model.shown > model.unlogged ? model.shown : model.unlogged;
    if (model.attached && position < model_oldest()) {
        model.lost_at_detach += model_oldest() - position;
        position = model_oldest();
    }
    while (model.attached && position < model.written)
        model_log(model.bytes[position++]);
    model.attached = false;
    console_detach(&vm);
}

static void random_take(void)
{
    char bytes[CONSOLE_HISTORY + 10];
    uint64_t lost = 0, expected_lost = 0;
    size_t size = pick(pick(3) ? 200 : sizeof bytes);
    if (model.attached && model.shown < model_oldest()) {
        expected_lost = model_oldest() - model.shown;
        model.shown = model_oldest();
    }
    size_t expected = model.attached ? MIN(size, model.written - model.shown) : 0;
    assert_int_equal(console_take(&vm, bytes, size, &lost), expected);
    assert_int_equal(lost, expected_lost);
    assert_memory_equal(bytes, model.bytes + model.shown, expected);
    model.shown += expected;
}

static void random_type(void)
{
    char bytes[CONSOLE_INPUT];
    size_t size = pick(40), expected = MIN(size, CONSOLE_INPUT - model.typed);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)pick(256);
    memcpy(model.input + model.typed, bytes, expected);
    model.typed += expected;
    assert_int_equal(console_type(&vm, bytes, size), expected);
}

static void random_read(void)
{
    char bytes[CONSOLE_INPUT];
    size_t size = pick(50), expected = MIN(size, model.typed);
    assert_int_equal(console_read(&vm, bytes, size), expected);
    assert_memory_equal(bytes, model.input, expected);
    model.typed -= expected;
    memmove(model.input, model.input + expected, model.typed);
}

static void random_flush(void)
{
    if (model.used > 0)
        model_line();
    console_flush(&vm);
}

static void random_step(void)
{
    static void (*const steps[])(void) = {random_write,  random_write, random_write, random_take,
                                          random_take,   random_type,  random_read,  random_attach,
                                          random_detach, random_flush};
    uint32_t choice = pick(40);
    tsc += pick(4) ? pick(HZ / 50) : 0;
    steps[choice < 10 ? choice : choice % 7]();
}

/* The lines of the log are those of the model, in their order, but for `dropped`. */
static void assert_lines(uint64_t dropped)
{
    uint64_t skipped = 0;
    uint32_t line = 0;
    for (uint32_t i = 0; i < logged_count; i++) {
        if (logged[i][0] == '!')
            continue;
        while (line < model.line_count && strcmp(logged[i], model.lines[line]) != 0) {
            skipped++;
            line++;
        }
        assert_true(line++ < model.line_count);
    }
    assert_int_equal(skipped + (model.line_count - line), dropped);
}

static void test_random_operations(void **state)
{
    uint64_t dropped = 0, lost = 0;
    for (unsigned seed = 0; seed < MODEL_RUNS; seed++) {
        tear_down(state);
        set_up(state);
        srand(seed);
        memset(&model, 0, sizeof model);
        console_set_rate(seed % 2 ? 0 : 40);
        for (int i = 0; i < MODEL_STEPS; i++)
            random_step();
        random_detach();
        random_flush();
        assert_int_equal(console.dropped, 0);
        assert_int_equal(reported(" bytes lost: "), model.lost_at_detach);
        assert_lines(reported_dropped());
        if (seed % 2)
            assert_int_equal(reported_dropped(), 0);
        dropped += reported_dropped();
        lost += model.lost_at_detach;
    }
    assert_true(dropped > 0 && lost > 0); /* all that may happen has happened */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lines),
        TEST(test_long_line_is_cut),
        TEST(test_reset),
        TEST(test_burst_and_rate),
        TEST(test_steady_flood),
        TEST(test_no_limit),
        TEST(test_rates),
        TEST(test_new_rate),
        TEST(test_clock_jumps),
        TEST(test_replay),
        TEST(test_history_wraps),
        TEST(test_incomplete_lines),
        TEST(test_detach_counts_what_nobody_had),
        TEST(test_input),
        TEST(test_interrupt),
        TEST(test_can_wake),
        TEST(test_random_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
