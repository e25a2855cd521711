/* SPDX-License-Identifier: MIT */
/* The trace on two cores: what is written is what a dump has, byte by byte as docs/trace.md says;
 * what was overwritten is counted; a dump comes in pieces of any size and as lines of base64. */
#define KERNEL_LIB_X86_H /* the TSC and the number of the core are the tests' */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t tsc;
static _Thread_local uint32_t core;

static uint64_t rdtsc(void)
{
    return tsc;
}

static uint32_t cpu_index(void)
{
    return core;
}

#include "kernel/vm/trace.c"
#include "kernel/vm/trace_frame.c"

#define CORES    2
#define TSC_HZ   50000000ull
#define WALL_NS  1767225600123456789ull
#define DUMP_MAX (256 * KIB)

uint32_t exits_watched;
uint32_t cpus_count;
struct cpu *cpus[CPUS_MAX];
struct vm_list vms = STAILQ_HEAD_INITIALIZER(vms);

static uint32_t frames_left, frames_used;

int frame_alloc(unsigned order, hpa_t *frame)
{
    if (frames_left == 0)
        return -ENOMEM;
    frames_left--;
    frames_used++;
    void *block = aligned_alloc(PAGE_SIZE << order, PAGE_SIZE << order);
    memset(block, 0, PAGE_SIZE << order);
    *frame = virt_to_phys(block);
    return 0;
}

int frame_free(hpa_t frame, unsigned order)
{
    assert_int_equal(order, RING_ORDER);
    frames_used--;
    free(phys_to_virt(frame));
    return 0;
}

void *page_alloc(void)
{
    return calloc(1, PAGE_SIZE);
}

uint64_t time_tsc_hz(void)
{
    return TSC_HZ;
}

uint64_t time_wall_clock_ns(void)
{
    return WALL_NS;
}

uint64_t time_ticks_to_ns(uint64_t ticks)
{
    return ticks * (1000000000 / TSC_HZ);
}

uint64_t time_ns_to_ticks(uint64_t nanoseconds)
{
    return nanoseconds / (1000000000 / TSC_HZ);
}

/* ---- The machine of a test */

static struct vm vm[2 * NAMES + 2];
static struct vcpu vcpu = {.vm = &vm[1], .index = 3};

static void name_vms(uint32_t count)
{
    STAILQ_INIT(&vms);
    for (uint32_t i = 0; i < count; i++) {
        vm[i].id = i;
        /* as long as a name may be */
        snprintf(vm[i].config.name, VM_NAME_MAX, "a-guest-with-quite-a-name-%05u", (uint16_t)i);
        STAILQ_INSERT_TAIL(&vms, &vm[i], link);
    }
}

static int set_up(void **state)
{
    (void)state;
    tsc = 1000;
    core = 0;
    cpus_count = CORES;
    frames_left = 100;
    name_vms(2);
    return trace_init(true);
}

static int tear_down(void **state)
{
    (void)state;
    trace_set(false);
    free_rings();
    free(rings);
    free(names_page);
    assert_int_equal(frames_used, 0);
    return 0;
}

/* ---- Reading a dump by the book */

struct event {
    uint32_t core, id;
    uint64_t tsc;
    uint32_t vm, vcpu;    /* doorbell: from, 0 */
    uint64_t first, rest; /* of an exit: reason, and the others in one; else the last field */
    char name[VM_NAME_MAX];
};

struct dump {
    char *bytes;
    size_t size;
    unsigned metadata_size, cores, packet_size, packets;
    unsigned long long overwritten;
    const char *metadata;
    struct event *events;
    size_t count;
    uint64_t discarded[CORES]; /* as the packets have it */
    uint32_t first_packet[CORES];
    uint64_t closed[CORES]; /* the last packet's end */
};

static uint64_t take(const uint8_t **at, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, *at, size);
    *at += size;
    return value;
}

static struct event take_event(const uint8_t **at)
{
    struct event event = {.id = (uint32_t)take(at, 1), .tsc = take(at, 8)};
    event.vm = (uint32_t)take(at, 2);
    if (event.id == 5) {
        for (char *to = event.name; (*to = (char)take(at, 1)) != '\0'; to++)
            assert_true(to < event.name + sizeof event.name - 1);
        return event;
    }
    if (event.id == 0) {
        event.first = take(at, 2);
        return event;
    }
    event.vcpu = (uint32_t)take(at, 1);
    switch (event.id) {
    case 2:
        event.first = take(at, 2);
        event.rest = take(at, 8);
        event.rest ^= take(at, 8) << 1;
        event.rest ^= take(at, 4) << 32;
        break;
    case 3:
        event.first = take(at, 4);
        break;
    case 4:
        event.first = take(at, 2);
        break;
    case 9:
        event.first = take(at, 1);
        break;
    default:
        assert_true(event.id <= 10);
    }
    return event;
}

static void read_packet(struct dump *dump, const uint8_t *packet, uint64_t *seen)
{
    const uint8_t *at = packet;
    assert_int_equal(take(&at, 4), 0xc1fc1fc1);
    assert_int_equal(take(&at, 1), 0);
    assert_int_equal(take(&at, 4), 8 * dump->packet_size);
    const uint8_t *end = packet + take(&at, 4) / 8;
    uint64_t begins = take(&at, 8), ends = take(&at, 8), discarded = take(&at, 8);
    uint64_t number = take(&at, 8), last = begins;
    uint32_t of = (uint32_t)take(&at, 2);
    assert_true(end > at && end <= packet + dump->packet_size);
    assert_true(of < CORES || of == NAMES_CORE);
    if (of < CORES) {
        if (seen[of] == UINT64_MAX)
            dump->first_packet[of] = (uint32_t)number;
        else
            assert_int_equal(number, seen[of] + 1);
        seen[of] = number;
        dump->discarded[of] = discarded;
    }
    assert_int_equal(begins, take(&(const uint8_t *){at + 1}, 8));
    while (at < end) {
        struct event event = take_event(&at);
        event.core = of;
        assert_true(event.tsc >= last);
        assert_true((event.id == 5) == (of == NAMES_CORE));
        last = event.tsc;
        dump->events = realloc(dump->events, (dump->count + 1) * sizeof event);
        dump->events[dump->count++] = event;
    }
    assert_ptr_equal(at, end);
    assert_true(last <= ends);
    if (of < CORES) {
        assert_true(begins >= dump->closed[of]);
        dump->closed[of] = ends;
    }
}

static void read_all(struct dump *dump)
{
    uint64_t seen[CORES] = {UINT64_MAX, UINT64_MAX};
    int length = 0;
    dump->bytes[dump->size] = '\0';
    assert_int_equal(sscanf(dump->bytes, "ATOLLTRACE 1 %u %u %u%n", &dump->metadata_size,
                            &dump->cores, &dump->packet_size, &length),
                     3);
    dump->metadata = dump->bytes + length + 1;
    assert_int_equal(dump->metadata[-1], '\n');
    const char *packet = dump->metadata + dump->metadata_size;
    while (memcmp(packet, "ATOLLTRACE END ", 15) != 0) {
        assert_true(packet + dump->packet_size < dump->bytes + dump->size);
        read_packet(dump, (const uint8_t *)packet, seen);
        packet += dump->packet_size;
        dump->packets++;
    }
    unsigned packets;
    assert_int_equal(
        sscanf(packet, "ATOLLTRACE END %u %llu%n", &packets, &dump->overwritten, &length), 2);
    assert_string_equal(packet + length, "\n");
    assert_int_equal(packets, dump->packets);
}

static struct dump take_dump(size_t piece)
{
    struct trace_dump state = {0};
    struct dump dump = {.bytes = malloc(DUMP_MAX + 1)};
    size_t size;
    while ((size = trace_dump_read(&state, dump.bytes + dump.size, piece)) > 0) {
        dump.size += size;
        assert_true(dump.size + piece <= DUMP_MAX);
        if (size < piece)
            assert_int_equal(trace_dump_read(&state, dump.bytes, piece), 0);
    }
    read_all(&dump);
    return dump;
}

static void free_dump(struct dump *dump)
{
    free(dump->bytes);
    free(dump->events);
}

static void expect(const struct event *event, struct event wanted)
{
    if (event->core != wanted.core || event->id != wanted.id || event->tsc != wanted.tsc ||
        event->vm != wanted.vm || event->vcpu != wanted.vcpu || event->first != wanted.first ||
        event->rest != wanted.rest)
        fail_msg("core %u event %u at %lu of %u.%u: %lx %lx", event->core, event->id, event->tsc,
                 event->vm, event->vcpu, event->first, event->rest);
}

static void write_exit(uint64_t rip)
{
    const struct vm_exit exit = {.reason = 48, .rip = rip, .qualification = 0x1234};
    trace_exit(&vcpu, &exit, tsc, 20);
    tsc += 50;
}

static uint64_t exit_rest(uint64_t rip)
{
    return rip ^ 0x1234 << 1 ^ 20ull << 32;
}

/* ---- The tests */

static void test_each_event(void **state)
{
    (void)state;
    trace_entry(&vcpu, 1001);
    tsc = 1010;
    trace_inject(&vcpu, 0x80000b0e);
    trace_run(&vcpu);
    core = 1;
    tsc = 1020;
    trace_pause(&vcpu);
    trace_wake(&vcpu);
    trace_sleep(&vcpu);
    trace_migrate(&vcpu, 500);
    trace_doorbell(&vm[1], &vm[0]);
    trace_stop(&vcpu, STOP_OPERATOR);
    core = 0;
    tsc = 1100;
    write_exit(0xffffffff81000000);

    struct dump dump = take_dump(1000);
    assert_int_equal(dump.cores, CORES);
    assert_int_equal(dump.packets, 3);
    assert_int_equal(dump.count, 2 + 10);
    assert_int_equal(dump.overwritten, 0);
    const struct event *event = dump.events + 2;
    expect(event++, (struct event){0, 1, 1001, 1, 3, 0, 0, ""});
    expect(event++, (struct event){0, 3, 1010, 1, 3, 0x80000b0e, 0, ""});
    expect(event++, (struct event){0, 7, 1010, 1, 3, 0, 0, ""});
    expect(event++, (struct event){0, 2, 1120, 1, 3, 48, exit_rest(0xffffffff81000000), ""});
    expect(event++, (struct event){1, 6, 1020, 1, 3, 0, 0, ""});
    expect(event++, (struct event){1, 10, 1020, 1, 3, 0, 0, ""});
    expect(event++, (struct event){1, 8, 1020, 1, 3, 0, 0, ""});
    expect(event++, (struct event){1, 4, 1020, 1, 3, 500, 0, ""});
    expect(event++, (struct event){1, 0, 1020, 1, 0, 0, 0, ""});
    expect(event++, (struct event){1, 9, 1020, 1, 3, STOP_OPERATOR, 0, ""});
    free_dump(&dump);
}

/* The machine's clock is in the metadata, which keeps its length; no number of trace.yaml's is. */
static void test_metadata(void **state)
{
    (void)state;
    char line[64];
    uint64_t offset = WALL_NS - 1000 * 20;
    struct dump dump = take_dump(4096);
    char *text = strndup(dump.metadata, dump.metadata_size);
    assert_int_equal(strlen(text), METADATA_SIZE);
    assert_memory_equal(text, "/* CTF 1.8 */\n", 14);
    assert_non_null(strstr(text, "freq = 50000000  ;"));
    snprintf(line, sizeof line, "offset_s = %llu;", (unsigned long long)(offset / 1000000000));
    assert_non_null(strstr(text, line));
    snprintf(line, sizeof line, "\toffset = %-10llu;",
             (unsigned long long)(offset % 1000000000 / 20));
    assert_non_null(strstr(text, line));
    assert_null(strstr(text, "10000000"));
    assert_non_null(strstr(text, "\"EPT violation\" = 48,"));
    snprintf(line, sizeof line, "\"OPERATOR\" = %d,", STOP_OPERATOR);
    assert_non_null(strstr(text, line));
    assert_null(strstr(text, "gen_date"));
    free(text);
    free_dump(&dump);
}

static void test_names(void **state)
{
    (void)state;
    name_vms(2 * NAMES + 2);
    tsc = 7000;
    core = 1;
    trace_run(&vcpu);
    struct dump dump = take_dump(3333);
    assert_int_equal(dump.packets, 4);
    assert_int_equal(dump.count, 2 * NAMES + 3);
    for (uint32_t i = 0; i < 2 * NAMES + 2; i++) {
        assert_int_equal(dump.events[i].id, 5);
        assert_int_equal(dump.events[i].tsc, 7000);
        assert_int_equal(dump.events[i].vm, i);
        assert_string_equal(dump.events[i].name, vm[i].config.name);
    }
    free_dump(&dump);
}

/* The newest events are there, one after the other; the others are counted, wherever one looks. */
static void test_overwriting(void **state)
{
    (void)state;
    const uint64_t written = 5000;
    core = 1;
    trace_wake(&vcpu);
    core = 0;
    for (uint64_t i = 0; i < written; i++)
        write_exit(i);

    struct trace_figures figures = trace_figures();
    struct dump dump = take_dump(4096);
    uint64_t kept = dump.count - 2 - 1;
    assert_true(kept > 1500 && kept < written);
    assert_int_equal(dump.overwritten, written - kept);
    assert_int_equal(dump.discarded[0], written - kept);
    assert_int_equal(dump.discarded[1], 0);
    assert_int_equal(dump.packets, 1 + PACKETS + 1);
    assert_true(dump.first_packet[0] > 0);
    assert_int_equal(dump.first_packet[1], 0);
    assert_int_equal(figures.events, kept + 1);
    assert_int_equal(figures.overwritten, dump.overwritten);
    assert_int_equal(figures.bytes, dump.size);
    for (uint64_t i = 0; i < kept; i++) {
        uint64_t rip = written - kept + i;
        expect(&dump.events[2 + i],
               (struct event){0, 2, 1000 + 50 * rip + 20, 1, 3, 48, exit_rest(rip), ""});
    }
    free_dump(&dump);
}

/* Events are reported a little late, some earlier than the one before. */
static void test_time_never_goes_back(void **state)
{
    (void)state;
    tsc = 5000;
    trace_run(&vcpu);
    trace_entry(&vcpu, 4000);
    tsc = 4500;
    write_exit(1);
    tsc = 6000;
    trace_pause(&vcpu);
    struct dump dump = take_dump(4096);
    assert_int_equal(dump.count, 2 + 4);
    assert_int_equal(dump.events[3].tsc, 5000);
    assert_int_equal(dump.events[4].tsc, 5000);
    assert_int_equal(dump.events[5].tsc, 6000);
    free_dump(&dump);
}

static void test_on_and_off(void **state)
{
    (void)state;
    struct trace_dump reader = {0};
    char bytes[100];
    assert_true(trace_figures().on);
    trace_run(&vcpu);
    assert_int_equal(trace_set(false), 0);
    assert_false(trace_figures().on);
    trace_run(&vcpu);
    assert_int_equal(trace_set(true), 0);
    core = 700; /* one that has no ring */
    trace_run(&vcpu);
    core = 0;
    assert_int_equal(trace_figures().events, 1);

    exits_watched |= WATCH_LOG;
    assert_int_equal(trace_dump_read(&reader, bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(exits_watched, WATCH_LOG);
    trace_run(&vcpu);
    assert_int_equal(trace_set(true), -EBUSY);
    assert_int_equal(trace_set(false), 0);
    assert_int_equal(trace_dump_read(&reader, bytes, sizeof bytes), 0);
    assert_int_equal(trace_set(true), 0);
    assert_int_equal(exits_watched, WATCH_LOG | WATCH_TRACE);

    /* after a dump it goes on, in a new packet */
    trace_pause(&vcpu);
    struct dump dump = take_dump(50);
    assert_int_equal(dump.count, 2 + 2);
    assert_int_equal(dump.packets, 1 + 2);
    free_dump(&dump);
    assert_int_equal(trace_set(true), 0);
    trace_sleep(&vcpu);
    dump = take_dump(50);
    assert_int_equal(dump.count, 2 + 3);
    assert_int_equal(dump.packets, 1 + 3);
    assert_int_equal(dump.events[4].id, 8);
    free_dump(&dump);
    exits_watched = 0;
}

static void test_pieces(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 7, 57, 4096, 4097, 100000};
    for (uint64_t i = 0; i < 300; i++)
        write_exit(i);
    struct dump whole = take_dump(DUMP_MAX / 2);
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct dump dump = take_dump(pieces[i]);
        assert_int_equal(dump.size, whole.size);
        assert_memory_equal(dump.bytes, whole.bytes, whole.size);
        free_dump(&dump);
    }
    free_dump(&whole);
}

static char port_bytes[DUMP_MAX];
static size_t port_size, port_room;

static size_t port_put(const char *bytes, size_t size)
{
    size_t taken = MIN(size, port_room);
    memcpy(port_bytes + port_size, bytes, taken);
    port_size += taken;
    port_room -= taken;
    return taken;
}

/* A port that takes much, little or nothing gets the same bytes, and not too many at once. */
static void test_port(void **state)
{
    (void)state;
    struct trace_dump reader = {0};
    bool done = false;
    for (uint64_t i = 0; i < 300; i++)
        write_exit(i);
    struct dump whole = take_dump(4096);
    port_size = 0;
    for (unsigned i = 0; !done; i++) {
        size_t before = port_size, room = port_room = i % 7 == 0 ? 10000 : i % 17;
        assert_true(port_size <= whole.size);
        done = trace_dump_to(&reader, port_put);
        assert_int_equal(port_size - before, MIN(MIN(room, TRACE_DUMP_STEP), whole.size - before));
        assert_int_equal(done, port_size == whole.size);
    }
    assert_memory_equal(port_bytes, whole.bytes, whole.size);
    assert_true(trace_dump_to(&reader, port_put));
    assert_int_equal(port_size, whole.size);
    assert_int_equal(trace_set(true), 0);
    free_dump(&whole);
}

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static size_t decode(const char *text, char *bytes)
{
    size_t size = 0;
    uint32_t bits = 0, count = 0;
    for (; *text && *text != '='; text++) {
        assert_true(digit(*text) >= 0);
        bits = bits << 6 | (uint32_t)digit(*text);
        count += 6;
        if (count < 8)
            continue;
        count -= 8;
        bytes[size++] = (char)(bits >> count);
    }
    assert_true(strspn(text, "=") == strlen(text));
    return size;
}

static void test_lines(void **state)
{
    (void)state;
    struct trace_frame frame = {0};
    char line[TRACE_FRAME_LINE], last[64];
    size_t size = 0, length, lines = 0;
    write_exit(UINT64_MAX);
    struct dump whole = take_dump(4096);
    char *bytes = malloc(whole.size + TRACE_FRAME_BYTES);
    snprintf(last, sizeof last, "atoll-trace: END %zu", whole.size);
    while ((length = trace_frame_line(&frame, line)) > 0) {
        assert_int_equal(length, strlen(line));
        if (lines++ == 0) {
            assert_string_equal(line, "atoll-trace: BEGIN");
            continue;
        }
        if (size == whole.size) {
            assert_string_equal(line, last);
            continue;
        }
        assert_memory_equal(line, "atoll-trace: ", 13);
        assert_int_equal(length % 4, 13 % 4);
        size += decode(line + 13, bytes + size);
        assert_true(size == whole.size || length == 13 + 76);
    }
    assert_int_equal(lines, 2 + (whole.size + 56) / 57);
    assert_int_equal(size, whole.size);
    assert_memory_equal(bytes, whole.bytes, size);
    free(bytes);
    free_dump(&whole);
}

/* RFC 4648, section 10. */
static void test_base64(void **state)
{
    (void)state;
    static const char *const examples[][2] = {
        {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"\xfb\xff\xbf", "+/+/"}};
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
        char text[5] = "";
        char *bytes = strdup(examples[i][0]);
        encode_group((const uint8_t *)bytes, strlen(bytes), text);
        assert_string_equal(text, examples[i][1]);
        free(bytes);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    tear_down(NULL);
    frames_left = 1;
    assert_int_equal(trace_init(true), -ENOMEM);
    assert_int_equal(frames_used, 0);
    assert_false(trace_is_on());
    assert_int_equal(trace_set(true), -ENOMEM);
    struct dump dump = take_dump(100);
    assert_int_equal(dump.cores, 0);
    assert_int_equal(dump.packets, 0);
    assert_int_equal(trace_figures().bytes, dump.size);
    free_dump(&dump);
}

static _Atomic bool finished;
static uint64_t last_rip;

static void *write_all_the_time(void *argument)
{
    (void)argument;
    core = 1;
    for (uint64_t rip = 1; !finished; rip++) {
        const struct vm_exit exit = {.reason = 10, .rip = rip};
        if (trace_is_on()) {
            trace_exit(&vcpu, &exit, rip, 0);
            last_rip = rip;
        }
    }
    return NULL;
}

/* A dump that starts while another core writes has whole events, and nothing changes under it. */
static void test_dump_while_writing(void **state)
{
    (void)state;
    pthread_t writer;
    finished = false;
    assert_int_equal(pthread_create(&writer, NULL, write_all_the_time, NULL), 0);
    for (int i = 0; i < 30; i++) {
        uint64_t events = trace_figures().events;
        struct dump dump = take_dump(4096);
        struct dump again = take_dump(4096);
        assert_int_equal(again.size, dump.size);
        assert_memory_equal(again.bytes, dump.bytes, dump.size);
        assert_true(dump.count >= 2 && (events == 0 || dump.count > 2));
        for (size_t k = 3; k < dump.count; k++)
            assert_true(dump.events[k].tsc > dump.events[k - 1].tsc);
        free_dump(&dump);
        free_dump(&again);
        assert_int_equal(trace_set(true), 0);
        for (uint64_t start = trace_figures().events; trace_figures().events == start;)
            sched_yield();
    }
    finished = true;
    pthread_join(writer, NULL);
    struct dump dump = take_dump(4096);
    assert_int_equal(dump.events[dump.count - 1].tsc, last_rip);
    free_dump(&dump);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_event),
        TEST(test_metadata),
        TEST(test_names),
        TEST(test_overwriting),
        TEST(test_time_never_goes_back),
        TEST(test_on_and_off),
        TEST(test_pieces),
        TEST(test_port),
        TEST(test_lines),
        cmocka_unit_test(test_base64),
        TEST(test_no_memory),
        TEST(test_dump_while_writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
