/* SPDX-License-Identifier: MIT */
/* Switches: who gets which frame, what is learned and what is a lie, the bounded queues, whom a
 * frame wakes; random operations against a plain model of what waits where; and guests of several
 * vCPUs as threads, which rewrite their frames while they are sent, and of which none may sleep
 * through a frame. The sources are included, for locks of the test's own. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <linux/errno.h>
#include <cmocka.h>

/* Locks that yield: threads, unlike cores, are taken off while they hold one. */
#define KERNEL_LIB_SPINLOCK_H
struct spinlock {
    _Atomic bool held;
};

static void spin_lock(struct spinlock *lock)
{
    while (atomic_exchange(&lock->held, true))
        sched_yield();
}

static void spin_unlock(struct spinlock *lock)
{
    atomic_store(&lock->held, false);
}

#include <atoll/abi.h>
#include "kernel/mm/frames.c"
#include "kernel/mm/frame_pool.c"
#include "vmx/ept.c"
#include "kernel/vm/guest_memory.c"
#include "kernel/vm/switch.c"

#define FRAME_MAX    (FRAME_HEADER + ATOLL_MTU_MAX)
#define GUEST_MEMORY (1 * MIB)
#define GUESTS       6
#define VCPUS        2
#define QUEUE_BYTES  (PORT_QUEUE_FRAMES * PAGE_SIZE)

/* Where guests keep what they send and what they receive: neither begins at a page. */
#define SEND_AT    0x10fd0ull
#define RECEIVE_AT 0x20ff9ull
#define ROM_AT     0x80000ull /* a page that they cannot write */

/* ---- The machine beside ---------------------------------------------------------------------- */

/* Low, because the metadata counts from physical address 0. */
#define ARENA_START 0x10000000ull
#define ARENA_SIZE  (64 * MIB)
#define ARENA_END   (ARENA_START + ARENA_SIZE)

static uint8_t metadata[ARENA_END / PAGE_SIZE];
static struct vm guests[GUESTS];
static struct vcpu vcpus[GUESTS][VCPUS];
static sem_t woken[GUESTS][VCPUS];
static _Atomic uint32_t posts[GUESTS][VCPUS], looks[GUESTS][VCPUS];
static _Atomic uint8_t posted_vector;
static uint32_t switch_number;

static _Atomic uint32_t flood_failures; /* of threads, which cannot fail the test themselves */
static _Atomic bool dead[GUESTS];

static void expect(bool good, const char *what)
{
    if (!good && flood_failures++ == 0)
        fprintf(stderr, "%s\n", what);
}

_Noreturn void panic(const char *format, ...)
{
    fprintf(stderr, "panic: %s\n", format);
    abort();
}

static void wake(struct vcpu *vcpu, _Atomic uint32_t counter[GUESTS][VCPUS])
{
    expect(!dead[vcpu->vm->id], "a call for the dead");
    counter[vcpu->vm->id][vcpu->index]++;
    sem_post(&woken[vcpu->vm->id][vcpu->index]);
}

void interrupts_post(struct vcpu *vcpu, uint8_t vector)
{
    posted_vector = vector;
    wake(vcpu, posts);
}

void sched_post(struct vcpu *vcpu, uint32_t requests)
{
    if (requests != REQUEST_LOOK)
        panic("a request of another kind");
    wake(vcpu, looks);
}

static int set_up_machine(void **state)
{
    (void)state;
    void *arena = mmap((void *)ARENA_START, ARENA_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    frames_init(metadata, HPA(ARENA_END));
    frames_add(HPA(ARENA_START), HPA(ARENA_END));
    return arena == (void *)ARENA_START ? 0 : -1;
}

static void make_guest(uint32_t id)
{
    static const struct guest_region rom = {ROM_AT, ROM_AT + PAGE_SIZE, EPT_READ};
    struct vm *vm = &guests[id];
    memset(vm, 0, sizeof *vm);
    vm->id = id;
    vm->config.vcpus = VCPUS;
    snprintf(vm->config.name, sizeof vm->config.name, "guest-%u", id);
    assert_int_equal(
        guest_memory_create(&vm->memory, GUEST_MEMORY, GUEST_WITH_HOLE, FRAME_ORDER_4K, 0), 0);
    assert_int_equal(guest_memory_set_regions(&vm->memory, &rom, 1, EPT_RWX), 0);
    for (uint32_t i = 0; i < VCPUS; i++) {
        memset(&vcpus[id][i], 0, sizeof vcpus[id][i]);
        vcpus[id][i].vm = vm;
        vcpus[id][i].index = i;
        vm->vcpus[i] = &vcpus[id][i];
        posts[id][i] = looks[id][i] = 0;
        assert_int_equal(sem_init(&woken[id][i], 0, 0), 0);
    }
}

static int set_up(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < GUESTS; id++)
        make_guest(id);
    switch_number++; /* switches stay for ever: each test has its own */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < GUESTS; id++) {
        guest_memory_destroy(&guests[id].memory);
        for (uint32_t i = 0; i < VCPUS; i++)
            sem_destroy(&woken[id][i]);
    }
    return 0;
}

/* ---- Ports and frames ------------------------------------------------------------------------ */

typedef struct {
    uint8_t bytes[MAC_SIZE];
} mac_t;

static const mac_t broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
static const mac_t group = {{0x01, 0x00, 0x5e, 0, 0, 1}};

static mac_t foreign(uint32_t number)
{
    return (mac_t){{0x52, 0x54, 0, 0, (uint8_t)(number >> 8), (uint8_t)number}};
}

static struct device_config net_config(const char *name, uint32_t mtu)
{
    struct device_config config = {.kind = DEVICE_NET, .mtu = (uint16_t)mtu};
    strcpy(config.name, name);
    snprintf(config.source, sizeof config.source, "switch-%u", switch_number);
    return config;
}

static struct port *make_closed_port(uint32_t guest, uint32_t mtu)
{
    char error[MODULE_LINE_ERROR_MAX];
    struct port *port;
    struct device_config config = net_config("net0", mtu);
    if (port_create(&guests[guest], 0, &config, &port, error))
        fail_msg("%s", error);
    return port;
}

static struct port *open_port(uint32_t guest)
{
    struct port *port = make_closed_port(guest, MTU_DEFAULT);
    port_open(port);
    return port;
}

static struct port_view look(const struct port *port)
{
    struct port_view view;
    port_look(port, &view);
    return view;
}

static mac_t own(const struct port *port)
{
    struct port_view view = look(port);
    mac_t mac;
    memcpy(mac.bytes, view.mac, MAC_SIZE);
    return mac;
}

static struct guest_memory *memory_of(const struct port *port)
{
    return &guests[look(port).vm->id].memory;
}

/* The bytes of a frame are its header and then what `seed` says. */
static void fill(uint8_t *frame, mac_t to, mac_t from, uint32_t seed, size_t length)
{
    for (size_t i = 0; i < length; i++)
        frame[i] = (uint8_t)(seed + i * 7 + (i >> 8));
    memcpy(frame, to.bytes, MAC_SIZE);
    memcpy(frame + MAC_SIZE, from.bytes, MAC_SIZE);
}

static int send_bytes(struct port *port, const uint8_t *frame, size_t length)
{
    assert_int_equal(guest_write(memory_of(port), GPA(SEND_AT), frame, length), 0);
    return port_send(port, memory_of(port), GPA(SEND_AT), length);
}

static void send_frame(struct port *port, mac_t to, mac_t from, uint32_t seed, size_t length)
{
    uint8_t frame[FRAME_MAX];
    fill(frame, to, from, seed, length);
    assert_int_equal(send_bytes(port, frame, length), 0);
}

static void send_to(struct port *port, mac_t to)
{
    send_frame(port, to, own(port), 0, 64);
}

static int64_t receive(struct port *port, uint8_t *frame, size_t size)
{
    int64_t length = port_receive(port, memory_of(port), GPA(RECEIVE_AT), size);
    if (length > 0)
        assert_int_equal(guest_read(memory_of(port), GPA(RECEIVE_AT), frame, (uint64_t)length), 0);
    return length;
}

/* Whether there was a frame. */
static bool drop_one(struct port *port)
{
    uint8_t frame[FRAME_MAX];
    return receive(port, frame, sizeof frame) >= 0;
}

static uint32_t drop_all(struct port *port)
{
    uint32_t count = 0;
    while (drop_one(port))
        count++;
    return count;
}

static void assert_counts(const struct port *port, uint64_t received, uint64_t received_dropped,
                          uint64_t sent, uint64_t sent_dropped)
{
    struct port_view view = look(port);
    assert_int_equal(view.received, received);
    assert_int_equal(view.received_dropped, received_dropped);
    assert_int_equal(view.sent, sent);
    assert_int_equal(view.sent_dropped, sent_dropped);
}

/* ---- Ports ----------------------------------------------------------------------------------- */

static void test_addresses(void **state)
{
    (void)state;
    char error[MODULE_LINE_ERROR_MAX] = "";
    struct port *ports[4];
    struct device_config config = net_config("a", MTU_DEFAULT);
    assert_int_equal(port_create(&guests[1], 0, &config, &ports[0], error), 0);
    assert_int_equal(look(ports[0]).mac[0] & 3, 2); /* locally administered, no group's */

    /* the address that guest 2 would get, for another one: it gets the next */
    config.has_mac = true;
    struct port_view first = look(ports[0]);
    memcpy(config.mac, first.mac, MAC_SIZE);
    config.mac[4]++;
    assert_int_equal(port_create(&guests[3], 0, &config, &ports[1], error), 0);
    config.has_mac = false;
    strcat(config.source, "b"); /* no other port has it, wherever that is */
    assert_int_equal(port_create(&guests[2], 0, &config, &ports[2], error), 0);
    assert_int_equal(port_create(&guests[2], 1, &config, &ports[3], error), 0);
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t k = 0; k < i; k++)
            assert_memory_not_equal(own(ports[i]).bytes, own(ports[k]).bytes, MAC_SIZE);

    config = net_config("other", MTU_DEFAULT);
    config.has_mac = true;
    memcpy(config.mac, first.mac, MAC_SIZE);
    assert_int_equal(port_create(&guests[4], 0, &config, &ports[1], error), -EINVAL);
    assert_non_null(strstr(error, "net:other=switch-"));
    assert_non_null(strstr(error, ": a of guest-1 has this mac= there"));
    strcat(config.source, "c"); /* elsewhere it may be there again */
    assert_int_equal(port_create(&guests[4], 0, &config, &ports[1], error), 0);
}

static void test_limits_and_lists(void **state)
{
    (void)state;
    char error[MODULE_LINE_ERROR_MAX] = "", name[VM_NAME_MAX];
    struct ethernet_switch *last = NULL;
    struct port *port;
    struct port *first = make_closed_port(0, MTU_DEFAULT);
    for (uint32_t i = 1; i < SWITCH_PORTS_MAX; i++)
        port = make_closed_port(i % GUESTS, MTU_DEFAULT + i);
    struct device_config config = net_config("net0", MTU_DEFAULT);
    assert_int_equal(port_create(&guests[0], 0, &config, &port, error), -EINVAL);
    assert_non_null(strstr(error, ": 64 ports are on it, which is the limit"));

    snprintf(name, sizeof name, "switch-%u", switch_number);
    for (struct ethernet_switch *at = NULL; (at = switch_after(at));)
        last = at;
    assert_string_equal(switch_name(last), name);
    assert_ptr_equal(switch_port(last, 0), first);
    uint32_t count = 0;
    while ((port = switch_port(last, count)))
        count++;
    assert_int_equal(count, SWITCH_PORTS_MAX);
    struct port_view view = look(switch_port(last, count - 1));
    assert_ptr_equal(view.vm, &guests[(SWITCH_PORTS_MAX - 1) % GUESTS]);
    assert_string_equal(view.device, "net0");
    assert_string_equal(view.switch_name, name);
    assert_int_equal(view.mtu, MTU_DEFAULT + SWITCH_PORTS_MAX - 1);
    assert_false(view.open);
}

static void test_no_memory(void **state)
{
    (void)state;
    char error[MODULE_LINE_ERROR_MAX] = "";
    struct port *port;
    struct device_config config = net_config("net0", MTU_DEFAULT);
    uint64_t before = frames_available_count(), all = before;
    for (uint32_t left = 0; left < 1 + PORT_QUEUE_FRAMES; left++) {
        assert_int_equal(frames_reserve(all - left), 0);
        assert_int_equal(port_create(&guests[0], 0, &config, &port, error), -ENOMEM);
        assert_non_null(strstr(error, ": no memory for a port"));
        frames_unreserve(all - left);
        all = frames_available_count();
    }
    assert_int_equal(before - all, 1); /* the switch stays once it is there */
    assert_int_equal(port_create(&guests[0], 0, &config, &port, error), 0);
}

/* ---- Who gets a frame ------------------------------------------------------------------------ */

static void test_known_address(void **state)
{
    (void)state;
    static const size_t lengths[] = {14, 15, 60, 63, 64, 65, 100, 1000, 1513, 1514};
    struct port *a = open_port(0), *b = open_port(1), *c = open_port(2);
    uint8_t sent[FRAME_MAX], got[FRAME_MAX];
    for (uint32_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        fill(sent, own(b), own(a), i, lengths[i]);
        assert_int_equal(send_bytes(a, sent, lengths[i]), 0);
        assert_true(port_has_frame(b));
        assert_int_equal(receive(b, got, sizeof got), lengths[i]);
        assert_memory_equal(got, sent, lengths[i]);
        assert_false(port_has_frame(b));
    }
    assert_int_equal(receive(b, got, sizeof got), -EAGAIN);
    assert_int_equal(receive(c, got, sizeof got), -EAGAIN);
    assert_counts(a, 0, 0, ARRAY_SIZE(lengths), 0);
    assert_counts(b, ARRAY_SIZE(lengths), 0, 0, 0);
    assert_counts(c, 0, 0, 0, 0);
}

static void test_flood(void **state)
{
    (void)state;
    const mac_t unknown[] = {broadcast, group, foreign(1), {{0}}};
    struct port *a = open_port(0), *b = open_port(1);
    struct port *c = make_closed_port(2, MTU_DEFAULT);
    for (uint32_t i = 0; i < ARRAY_SIZE(unknown); i++) {
        send_to(a, unknown[i]);
        assert_int_equal(drop_all(a), 0);
        assert_int_equal(drop_all(b), 1);
    }
    port_open(c);
    assert_int_equal(drop_all(c), 0);
    send_to(a, broadcast);
    assert_int_equal(drop_all(b), 1);
    assert_int_equal(drop_all(c), 1);
    assert_counts(a, 0, 0, ARRAY_SIZE(unknown) + 1, 0);
}

/* Nobody is there, or nobody but the sender. */
static void test_nowhere(void **state)
{
    (void)state;
    struct port *a = open_port(0), *b = make_closed_port(1, MTU_DEFAULT), *c = open_port(2);
    send_to(a, own(b));
    send_to(a, own(a));
    assert_int_equal(drop_all(a) + drop_all(c), 0);
    send_frame(a, own(c), foreign(1), 0, 64);
    send_to(a, foreign(1)); /* it is behind this port */
    assert_int_equal(drop_all(c), 1);
    port_close(c);
    send_to(a, broadcast);
    assert_counts(a, 0, 0, 5, 4);
}

static void test_learning(void **state)
{
    (void)state;
    struct port *a = open_port(0), *b = open_port(1), *c = open_port(2);
    send_frame(a, broadcast, foreign(1), 0, 64);
    assert_int_equal(drop_all(b) + drop_all(c), 2);
    send_to(b, foreign(1));
    assert_int_equal(drop_all(a), 1);
    assert_int_equal(drop_all(c), 0);

    send_frame(c, broadcast, foreign(1), 0, 64); /* it has moved */
    assert_int_equal(drop_all(a) + drop_all(b), 2);
    send_to(b, foreign(1));
    assert_int_equal(drop_all(a), 0);
    assert_int_equal(drop_all(c), 1);

    /* what one port says displaces nothing of another's, and the last eight of its own stay */
    for (uint32_t i = 100; i < 500; i++)
        send_frame(a, own(b), foreign(i), 0, 64);
    drop_all(b);
    send_to(b, foreign(1));
    assert_int_equal(drop_all(a), 0);
    assert_int_equal(drop_all(c), 1);
    for (uint32_t i = 480; i < 500; i++) {
        send_to(b, foreign(i));
        assert_int_equal(drop_all(a), 1);
        assert_int_equal(drop_all(c), i < 492);
    }

    port_close(a); /* a new life has said nothing yet */
    send_to(b, foreign(499));
    assert_int_equal(drop_all(c), 1);
    port_open(a);
    send_to(b, foreign(499));
    assert_int_equal(drop_all(a) + drop_all(c), 2);
    assert_counts(b, 402, 0, 25, 0);
}

static void test_lies(void **state)
{
    (void)state;
    struct port *a = open_port(0), *b = open_port(1), *c = make_closed_port(2, MTU_DEFAULT);
    const mac_t lies[] = {own(b), own(c), broadcast, group, {{0}}};
    for (uint32_t i = 0; i < ARRAY_SIZE(lies); i++) {
        send_frame(a, own(b), lies[i], 0, 64);
        send_frame(a, broadcast, lies[i], 0, 64);
        assert_int_equal(drop_all(b), 0);
    }
    assert_counts(a, 0, 0, 2 * ARRAY_SIZE(lies), 2 * ARRAY_SIZE(lies));
    port_open(c);
    send_to(b, own(c)); /* nothing was learned of it */
    assert_int_equal(drop_all(c), 1);
    assert_int_equal(drop_all(a), 0);
}

/* ---- What is refused ------------------------------------------------------------------------- */

static void test_bad_frames(void **state)
{
    (void)state;
    struct port *a = open_port(0), *b = open_port(1);
    struct guest_memory *memory = memory_of(a);
    static const uint64_t lengths[] = {0, 13, 1515, 65536, 1ull << 32 | 64, UINT64_MAX};
    static const uint64_t places[] = {GUEST_MEMORY - 63, GUEST_MEMORY,    GUEST_HOLE_START,
                                      GUEST_HOLE_END,    UINT64_MAX - 30, UINT64_MAX};
    send_to(a, broadcast);
    drop_all(b);
    for (uint32_t i = 0; i < ARRAY_SIZE(lengths); i++)
        assert_int_equal(port_send(a, memory, GPA(SEND_AT), lengths[i]), -EINVAL);
    for (uint32_t i = 0; i < ARRAY_SIZE(places); i++)
        assert_int_equal(port_send(a, memory, GPA(places[i]), 64), -EFAULT);
    assert_int_equal(port_send(a, memory, GPA(GUEST_MEMORY - 1513), 1514), -EFAULT);
    assert_counts(a, 0, 0, 1, 0);
    assert_int_equal(drop_all(b), 0);
    assert_int_equal(port_send(a, memory, GPA(GUEST_MEMORY - 1514), 1514), 0); /* of zeroes */
    assert_counts(a, 0, 0, 2, 1);
}

static void test_mtu(void **state)
{
    (void)state;
    struct port *a = make_closed_port(0, ATOLL_MTU_MAX), *b = make_closed_port(1, ATOLL_MTU_MAX);
    struct port *c = make_closed_port(2, MTU_MIN);
    uint8_t sent[FRAME_MAX], got[FRAME_MAX];
    port_open(a);
    port_open(b);
    port_open(c);
    fill(sent, broadcast, own(a), 3, FRAME_MAX);
    assert_int_equal(send_bytes(a, sent, FRAME_MAX), 0);
    assert_int_equal(receive(b, got, sizeof got), FRAME_MAX);
    assert_memory_equal(got, sent, FRAME_MAX);
    assert_int_equal(port_send(a, memory_of(a), GPA(SEND_AT), FRAME_MAX + 1), -EINVAL);
    send_frame(a, own(c), own(a), 0, FRAME_HEADER + MTU_MIN + 1);
    assert_int_equal(drop_all(c), 0);
    assert_counts(c, 0, 2, 0, 0);
    send_frame(a, own(c), own(a), 0, FRAME_HEADER + MTU_MIN);
    assert_int_equal(drop_all(c), 1);
    assert_counts(a, 0, 0, 3, 0);
}

static void test_buffers(void **state)
{
    (void)state;
    struct port *a = open_port(0), *b = open_port(1);
    struct guest_memory *memory = memory_of(b);
    static const uint64_t places[] = {ROM_AT,       ROM_AT - 1,       GUEST_MEMORY - 63,
                                      GUEST_MEMORY, GUEST_HOLE_START, UINT64_MAX - 30};
    uint8_t sent[64], got[64] = {0};
    fill(sent, own(b), own(a), 1, sizeof sent);
    assert_int_equal(send_bytes(a, sent, sizeof sent), 0);
    send_frame(a, own(b), own(a), 2, 20);
    for (uint32_t i = 0; i < ARRAY_SIZE(places); i++)
        assert_int_equal(port_receive(b, memory, GPA(places[i]), sizeof sent), -EFAULT);
    assert_int_equal(port_receive(b, memory, GPA(RECEIVE_AT), UINT64_MAX), -EFAULT);
    assert_int_equal(look(b).queued, 2);
    assert_counts(b, 0, 0, 0, 0);

    assert_int_equal(receive(b, got, 30), 30); /* the rest is lost */
    assert_memory_equal(got, sent, 30);
    assert_int_equal(got[30], 0);
    assert_int_equal(receive(b, got, 0), 0);
    assert_int_equal(port_receive(b, memory, GPA(GUEST_MEMORY), 1), -EFAULT); /* an empty one */
    assert_counts(b, 2, 0, 0, 0);
}

/* ---- Queues ---------------------------------------------------------------------------------- */

static uint32_t fill_up(struct port *from, struct port *to, size_t length)
{
    uint64_t dropped = look(to).received_dropped;
    while (look(to).received_dropped == dropped)
        send_frame(from, own(to), own(from), 0, length);
    return look(to).queued;
}

static void test_full_queue(void **state)
{
    (void)state;
    struct port *a = make_closed_port(0, ATOLL_MTU_MAX), *b = make_closed_port(1, ATOLL_MTU_MAX);
    port_open(a);
    port_open(b);
    uint32_t small = fill_up(a, b, 64);
    assert_in_range(small, 800, QUEUE_BYTES / 64);
    send_frame(a, own(b), own(a), 0, 64);
    assert_counts(b, 0, 2, 0, 0);
    assert_counts(a, 0, 0, small + 2, 0); /* it was sent: the receiver is who had no room */
    assert_true(drop_one(b));
    send_frame(a, own(b), own(a), 0, 64);
    assert_counts(b, 1, 2, 0, 0);
    assert_int_equal(drop_all(b), small);

    uint32_t large = fill_up(a, b, FRAME_MAX);
    assert_in_range(large, 6, QUEUE_BYTES / FRAME_MAX);
    assert_int_equal(drop_all(b), large);
    assert_counts(b, 1 + small + large, 3, 0, 0);
}

static void test_close(void **state)
{
    (void)state;
    struct port *a = open_port(0), *b = open_port(1);
    port_close(b);
    port_close(b);
    port_open(b);
    for (uint32_t i = 0; i < 5; i++)
        send_to(a, own(b));
    assert_true(drop_one(b));
    port_close(b);
    assert_false(port_has_frame(b));
    send_to(a, own(b));
    assert_counts(b, 1, 4, 0, 0);
    assert_counts(a, 0, 0, 6, 1);
    port_open(b);
    assert_int_equal(drop_all(b), 0);
    send_to(a, own(b));
    assert_int_equal(drop_all(b), 1);
}

/* ---- Who is woken ---------------------------------------------------------------------------- */

static void test_vector(void **state)
{
    (void)state;
    struct port *a = open_port(0), *b = open_port(1);
    static const uint64_t bad[] = {1, 31, 256, 1ull << 32 | 40, UINT64_MAX};
    for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(port_set_vector(b, &vcpus[1][0], bad[i]), -EINVAL);
    send_to(a, own(b));
    assert_int_equal(posts[1][0] + posts[1][1], 0);

    assert_int_equal(port_set_vector(b, &vcpus[1][1], 40), 0); /* one waits already */
    assert_int_equal(posts[1][1], 1);
    assert_int_equal(posted_vector, 40);
    send_to(a, own(b));
    assert_int_equal(posts[1][1], 1); /* one for all */
    assert_true(drop_one(b) && drop_one(b));
    send_to(a, own(b));
    assert_int_equal(posts[1][1], 1); /* until it has seen that there is none */
    assert_true(drop_one(b) && !drop_one(b));
    assert_int_equal(posts[1][1], 1);
    send_to(a, own(b));
    assert_int_equal(posts[1][1], 2);

    assert_int_equal(drop_all(b), 1);
    assert_int_equal(port_set_vector(b, &vcpus[1][0], 255), 0);
    assert_int_equal(posts[1][0], 0);
    send_frame(a, own(b), own(b), 0, 64); /* a lie is no frame */
    assert_int_equal(posts[1][0], 0);
    send_to(a, own(b));
    assert_int_equal(posts[1][0], 1);
    assert_int_equal(posted_vector, 255);
    assert_int_equal(looks[1][0] + looks[1][1], 0);
    assert_int_equal(port_set_vector(b, &vcpus[1][0], 0), 0);
    assert_true(looks[1][0] == 1 && looks[1][1] == 1); /* they may sleep for good now */
    assert_int_equal(port_set_vector(b, &vcpus[1][0], 0), 0);
    assert_int_equal(looks[1][0], 1);
    send_to(a, own(b));
    assert_int_equal(posts[1][0], 1);

    assert_int_equal(port_set_vector(b, &vcpus[1][0], 40), 0);
    assert_int_equal(posts[1][0], 2);
    port_close(b);
    assert_int_equal(port_set_vector(b, &vcpus[1][0], 40), 0); /* too late */
    port_open(b);
    send_to(a, own(b));
    assert_int_equal(posts[1][0], 2);
    assert_int_equal(posts[0][0] + posts[0][1], 0);
}

static void test_poll(void **state)
{
    (void)state;
    struct port *a = open_port(0), *b = open_port(1);
    send_to(a, own(b));
    assert_int_equal(looks[1][0], 0);
    vcpus[1][0].waits_for_frame = vcpus[0][0].waits_for_frame = true;
    send_to(a, own(b));
    send_to(a, own(b)); /* it has not yet looked: asked again costs nothing */
    assert_int_equal(looks[1][0], 2);
    port_close(b);
    send_to(a, own(b));
    assert_int_equal(looks[1][0], 2);
    assert_int_equal(looks[1][1] + looks[0][0] + posts[1][0], 0);
}

static void test_can_wake(void **state)
{
    (void)state;
    struct port *a = open_port(0);
    assert_int_equal(port_set_vector(a, &vcpus[0][0], 40), 0);
    assert_false(port_can_wake(a)); /* nobody else is there */
    open_port(0);
    assert_false(port_can_wake(a)); /* its own other port */
    struct port *b = make_closed_port(1, MTU_DEFAULT);
    assert_false(port_can_wake(a)); /* that guest never started */
    port_open(b);
    assert_true(port_can_wake(a));
    assert_false(port_can_wake(b));
    port_close(b);
    assert_true(port_can_wake(a)); /* it may start again */
    assert_int_equal(looks[0][0], 0);
    port_give_up(b);
    assert_false(port_can_wake(a));
    assert_true(looks[0][0] == 1 && looks[0][1] == 1);
    assert_int_equal(looks[1][0], 0); /* it is dead */
    port_open(b);                     /* by the operator */
    assert_true(port_can_wake(a));
    assert_int_equal(port_set_vector(a, &vcpus[0][0], 0), 0);
    assert_false(port_can_wake(a));
}

/* ---- Random operations against a model ---------------------------------------------------------
 *
 * The model knows each frame in each queue. It asks the switch only where the ends of a ring decide
 * whether a frame finds room. */

#define MODEL_RUNS    100
#define MODEL_STEPS   4000
#define MODEL_PORTS   GUESTS
#define MODEL_FOREIGN 24
#define MODEL_QUEUE   4096
#define MODEL_LEARNED 8
#define RECORD(n)     (((n) + 4 + 7) / 8 * 8) /* bytes that a frame of n takes in a queue */

struct model_frame {
    mac_t to, from;
    uint32_t seed, length;
};

static struct model_port {
    struct port *port;
    uint32_t mtu;
    bool open, told;
    uint64_t vector;
    uint32_t vcpu;
    uint32_t head, tail, bytes; /* of the queue */
    struct model_frame queue[MODEL_QUEUE];
    uint32_t learned[MODEL_LEARNED], learned_next;
    uint64_t received, received_dropped, sent, sent_dropped, copies;
    uint32_t posts[VCPUS], looks[VCPUS];
} model[MODEL_PORTS];

static uint32_t pick(uint32_t below)
{
    return (uint32_t)rand() % below;
}

static bool same(mac_t a, mac_t b)
{
    return memcmp(a.bytes, b.bytes, MAC_SIZE) == 0;
}

static struct model_port *model_owner(mac_t mac)
{
    for (uint32_t i = 0; i < MODEL_PORTS; i++)
        if (same(own(model[i].port), mac))
            return &model[i];
    return NULL;
}

/* An entry is the foreign address's number + 1. */
static uint32_t *model_entry(struct model_port *port, mac_t mac)
{
    for (uint32_t i = 0; i < MODEL_LEARNED; i++)
        if (port->learned[i] && same(foreign(port->learned[i] - 1), mac))
            return &port->learned[i];
    return NULL;
}

static void model_learn(struct model_port *port, mac_t mac)
{
    if (model_entry(port, mac))
        return;
    for (uint32_t i = 0; i < MODEL_PORTS; i++)
        if (model_entry(&model[i], mac))
            *model_entry(&model[i], mac) = 0;
    uint32_t number = 0;
    while (!same(foreign(number), mac))
        number++;
    if (port->open)
        port->learned[port->learned_next++ % MODEL_LEARNED] = number + 1;
}

static bool model_has_room(struct model_port *port, uint32_t length)
{
    uint32_t size = RECORD(length);
    if (port->bytes + size > QUEUE_BYTES)
        return false;
    if (port->bytes + size + 2 * RECORD(FRAME_MAX) <= QUEUE_BYTES)
        return true;
    return look(port->port).received_dropped == port->received_dropped;
}

/* Behind the sending: what should have happened at this port. */
static bool model_deliver(struct model_port *port, const struct model_frame *frame)
{
    if (!port->open)
        return false;
    port->copies++;
    if (frame->length > FRAME_HEADER + port->mtu || !model_has_room(port, frame->length)) {
        port->received_dropped++;
        return true;
    }
    port->queue[port->head++ % MODEL_QUEUE] = *frame;
    port->bytes += RECORD(frame->length);
    port->looks[0] += vcpus[port - model][0].waits_for_frame;
    if (port->vector && !port->told) {
        port->posts[port->vcpu]++;
        port->told = true;
    }
    return true;
}

static bool model_forward(struct model_port *from, const struct model_frame *frame)
{
    struct model_port *to = model_owner(frame->to);
    bool reached = false;
    for (uint32_t i = 0; i < MODEL_PORTS && !to; i++)
        if (model_entry(&model[i], frame->to))
            to = &model[i];
    if (to)
        return to != from && model_deliver(to, frame);
    for (uint32_t i = 0; i < MODEL_PORTS; i++)
        if (&model[i] != from && model_deliver(&model[i], frame))
            reached = true;
    return reached;
}

static mac_t random_mac(void)
{
    switch (pick(8)) {
    case 0:
        return broadcast;
    case 1:
        return group;
    case 2:
    case 3:
        return foreign(pick(MODEL_FOREIGN));
    default:
        return own(model[pick(MODEL_PORTS)].port);
    }
}

static void random_send(struct model_port *from)
{
    struct model_frame frame = {
        .to = random_mac(),
        .from = pick(4) ? own(from->port) : random_mac(),
        .seed = pick(256),
        .length = FRAME_HEADER + pick(pick(3) ? MTU_MIN : from->mtu + 1),
    };
    struct model_port *liar = model_owner(frame.from);
    send_frame(from->port, frame.to, frame.from, frame.seed, frame.length);
    from->sent++;
    bool good = (!liar || liar == from) && !(frame.from.bytes[0] & 1);
    if (good && !liar)
        model_learn(from, frame.from);
    if (!good || !model_forward(from, &frame))
        from->sent_dropped++;
}

static void random_receive(struct model_port *port)
{
    uint8_t got[FRAME_MAX], expected[FRAME_MAX];
    size_t size = pick(5) ? FRAME_MAX : pick(100);
    int64_t length = receive(port->port, got, size);
    if (port->head == port->tail) {
        assert_int_equal(length, -EAGAIN);
        port->told = false;
        return;
    }
    const struct model_frame *frame = &port->queue[port->tail++ % MODEL_QUEUE];
    assert_int_equal(length, MIN(size, frame->length));
    fill(expected, frame->to, frame->from, frame->seed, frame->length);
    assert_memory_equal(got, expected, (size_t)length);
    port->bytes -= RECORD(frame->length);
    port->received++;
}

static void random_close(struct model_port *port)
{
    port_close(port->port);
    port->received_dropped += port->head - port->tail;
    port->tail = port->head;
    port->bytes = 0;
    port->open = port->told = false;
    port->vector = 0;
    memset(port->learned, 0, sizeof port->learned);
}

static void random_vector(struct model_port *port)
{
    uint64_t vector = pick(3) ? 32 + pick(224) : 0;
    uint32_t vcpu = pick(VCPUS);
    assert_int_equal(port_set_vector(port->port, &vcpus[port - model][vcpu], vector), 0);
    if (!port->open)
        return;
    for (uint32_t i = 0; i < VCPUS; i++)
        port->looks[i] += port->vector && !vector;
    port->vector = vector;
    port->vcpu = vcpu;
    port->told = vector && port->head != port->tail;
    port->posts[vcpu] += port->told;
}

static void random_step(void)
{
    struct model_port *port = &model[pick(MODEL_PORTS)];
    switch (pick(40)) {
    case 0:
        random_close(port);
        return;
    case 1:
    case 2:
        port->open = true; /* a port that is open may be told so again */
        port_open(port->port);
        return;
    case 3:
        random_vector(port);
        return;
    case 4:
        vcpus[port - model][0].waits_for_frame = pick(2);
        return;
    case 5:
        for (uint32_t count = pick(2000); count > 0 && port->head != port->tail; count--)
            random_receive(port);
        return;
    default:
        if (pick(3))
            random_send(port);
        else
            random_receive(port);
    }
}

static void compare(const struct model_port *port)
{
    struct port_view view = look(port->port);
    uint32_t id = view.vm->id;
    assert_int_equal(view.open, port->open);
    assert_int_equal(view.queued, port->head - port->tail);
    assert_int_equal(port_has_frame(port->port), view.queued > 0);
    assert_counts(port->port, port->received, port->received_dropped, port->sent,
                  port->sent_dropped);
    assert_int_equal(view.received + view.received_dropped + view.queued, port->copies);
    for (uint32_t i = 0; i < VCPUS; i++) {
        assert_int_equal(posts[id][i], port->posts[i]);
        assert_int_equal(looks[id][i], port->looks[i]);
    }
}

static void test_model(void **state)
{
    static const uint32_t mtus[MODEL_PORTS] = {1500, 1500, 9000, 9000, 68, 576};
    for (uint32_t run = 0; run < MODEL_RUNS; run++) {
        tear_down(state);
        set_up(state);
        srand(run);
        memset(model, 0, sizeof model);
        for (uint32_t i = 0; i < MODEL_PORTS; i++) {
            model[i].mtu = mtus[i];
            model[i].port = make_closed_port(i, mtus[i]);
        }
        for (uint32_t step = 0; step < MODEL_STEPS; step++) {
            random_step();
            for (uint32_t i = 0; i < MODEL_PORTS; i++)
                compare(&model[i]);
        }
    }
}

/* ---- Several vCPUs at once ------------------------------------------------------------------- */

#define FLOOD_FRAMES  50000       /* of each sender */
#define FLOOD_PORTS   3           /* each of them sends and receives */
#define FLOOD_RESTART FLOOD_PORTS /* one more: its guest stops and starts all the time */
#define FLOOD_BURST   7           /* frames, then the receiver must have woken up */
#define FLOOD_LENGTH  600
#define PATIENCE      60 /* seconds */

static struct port *flood_ports[FLOOD_PORTS + 1];
static _Atomic bool flood_seen[FLOOD_PORTS][FLOOD_FRAMES], flood_is_over;

static uint32_t flood_to(uint32_t sender, uint32_t number)
{
    uint32_t to = number % (FLOOD_PORTS + 1);
    return to == sender ? FLOOD_RESTART : to;
}

/* Its number stands in the first bytes behind the header. */
static size_t flood_frame(uint8_t frame[FLOOD_LENGTH], uint32_t sender, uint32_t number)
{
    size_t length = 64 + number % (FLOOD_LENGTH - 64);
    fill(frame, own(flood_ports[flood_to(sender, number)]), own(flood_ports[sender]), number,
         length);
    memcpy(frame + FRAME_HEADER, &number, sizeof number);
    return length;
}

static void wait_until_taken(const struct port *port)
{
    time_t limit = time(NULL) + PATIENCE;
    while (port_has_frame(port) && flood_failures == 0) {
        sched_yield();
        expect(time(NULL) < limit, "a frame woke nobody");
    }
}

static void *flood_sender(void *argument)
{
    uint32_t sender = (uint32_t)(uintptr_t)argument;
    struct port *port = flood_ports[sender];
    for (uint32_t number = 0; number < FLOOD_FRAMES && flood_failures == 0; number++) {
        uint8_t frame[FLOOD_LENGTH];
        size_t length = flood_frame(frame, sender, number);
        expect(guest_write(memory_of(port), GPA(SEND_AT), frame, length) == 0, "no write");
        expect(port_send(port, memory_of(port), GPA(SEND_AT), length) == 0, "no send");
        if (number % FLOOD_BURST == 0 && flood_to(sender, number) < FLOOD_PORTS)
            wait_until_taken(flood_ports[flood_to(sender, number)]);
    }
    return NULL;
}

static void check_flooded(const uint8_t *frame, size_t length, uint32_t last[FLOOD_PORTS])
{
    uint8_t expected[FLOOD_LENGTH];
    uint32_t number, sender = 0;
    mac_t from;
    memcpy(&number, frame + FRAME_HEADER, sizeof number);
    memcpy(from.bytes, frame + MAC_SIZE, MAC_SIZE);
    while (sender < FLOOD_PORTS - 1 && !same(from, own(flood_ports[sender])))
        sender++;
    number %= FLOOD_FRAMES; /* if it is another's bytes */
    expect(length == flood_frame(expected, sender, number), "another length");
    expect(memcmp(frame, expected, length) == 0, "other bytes");
    expect(!atomic_exchange(&flood_seen[sender][number], true), "a frame twice");
    expect(last[sender] <= number, "out of order");
    last[sender] = number;
}

/* The first guest as a native one sleeps, in HLT until the interrupt; the second as one of Solo5's,
 * in its POLL; the third has two vCPUs that never sleep. */
static void sleep_until_frame(struct vcpu *vcpu)
{
    if (vcpu->vm->id == 2)
        sched_yield();
    if (vcpu->vm->id == 1)
        atomic_store(&vcpu->waits_for_frame, true);
    if (vcpu->vm->id == 0 || (vcpu->vm->id == 1 && !port_has_frame(flood_ports[1])))
        sem_wait(&woken[vcpu->vm->id][0]);
    atomic_store(&vcpu->waits_for_frame, false);
}

static void *flood_receiver(void *argument)
{
    struct vcpu *vcpu = argument;
    struct port *port = flood_ports[vcpu->vm->id];
    struct guest_memory *memory = memory_of(port);
    gpa_t buffer = GPA(RECEIVE_AT + 4 * PAGE_SIZE * vcpu->index);
    uint32_t last[FLOOD_PORTS] = {0};
    uint8_t frame[FLOOD_LENGTH];
    int64_t length;
    while (!flood_is_over) {
        while ((length = port_receive(port, memory, buffer, sizeof frame)) > 0) {
            expect(guest_read(memory, buffer, frame, (uint64_t)length) == 0, "no read");
            check_flooded(frame, (size_t)length, last);
        }
        expect(length == -EAGAIN, "no frame");
        sleep_until_frame(vcpu);
    }
    return NULL;
}

static void *flood_restarter(void *argument)
{
    struct vcpu *vcpu = argument;
    struct port *port = flood_ports[FLOOD_RESTART];
    atomic_store(&vcpu->waits_for_frame, true);
    while (!flood_is_over) {
        dead[FLOOD_RESTART] = false;
        port_open(port);
        expect(port_set_vector(port, vcpu, 40) == 0, "no vector");
        sched_yield();
        port_close(port);
        dead[FLOOD_RESTART] = true;
        sched_yield();
        expect(!port_has_frame(port), "a frame for the dead");
    }
    return NULL;
}

static pthread_t start(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, function, argument), 0);
    return thread;
}

static void assert_flood_adds_up(void)
{
    uint64_t sent = 0, arrived = 0, seen = 0, received = 0;
    for (uint32_t i = 0; i <= FLOOD_PORTS; i++) {
        struct port_view view = look(flood_ports[i]);
        assert_int_equal(view.queued, 0);
        sent += view.sent;
        received += view.received;
        arrived += view.received + view.received_dropped + view.sent_dropped;
    }
    for (uint32_t i = 0; i < FLOOD_PORTS; i++)
        for (uint32_t number = 0; number < FLOOD_FRAMES; number++)
            seen += flood_seen[i][number];
    assert_int_equal(sent, FLOOD_PORTS * FLOOD_FRAMES);
    assert_int_equal(arrived, sent);
    assert_int_equal(seen, received);
    assert_true(received > sent / 4);
}

static void test_threads(void **state)
{
    (void)state;
    struct vcpu *const receiving[] = {&vcpus[0][0], &vcpus[1][0], &vcpus[2][0], &vcpus[2][1]};
    pthread_t senders[FLOOD_PORTS], receivers[ARRAY_SIZE(receiving)], restarter;
    for (uint32_t i = 0; i < FLOOD_PORTS; i++)
        flood_ports[i] = open_port(i);
    flood_ports[FLOOD_RESTART] = make_closed_port(FLOOD_RESTART, MTU_DEFAULT);
    assert_int_equal(port_set_vector(flood_ports[0], &vcpus[0][0], 40), 0);
    for (uint32_t i = 0; i < ARRAY_SIZE(receiving); i++)
        receivers[i] = start(flood_receiver, receiving[i]);
    restarter = start(flood_restarter, &vcpus[FLOOD_RESTART][0]);
    for (uint32_t i = 0; i < FLOOD_PORTS; i++)
        senders[i] = start(flood_sender, (void *)(uintptr_t)i);

    for (uint32_t i = 0; i < FLOOD_PORTS; i++)
        pthread_join(senders[i], NULL);
    for (uint32_t i = 0; i < FLOOD_PORTS; i++)
        wait_until_taken(flood_ports[i]);
    flood_is_over = true;
    for (uint32_t i = 0; i < ARRAY_SIZE(receiving); i++) {
        sem_post(&woken[receiving[i]->vm->id][0]);
        pthread_join(receivers[i], NULL);
    }
    pthread_join(restarter, NULL);
    assert_int_equal(flood_failures, 0);
    assert_flood_adds_up();
}

/* Another vCPU rewrites the header while it is sent: nobody gets a frame for another port, nor one
 * from an address that the sender may not use. */

#define REWRITE_FRAMES 200000

static _Atomic bool rewriting;

static void *rewriter(void *argument)
{
    uint8_t *header = argument;
    mac_t macs[3];
    for (uint32_t i = 0; i < 3; i++)
        macs[i] = own(flood_ports[i]);
    for (uint32_t turn = 0; rewriting; turn++) {
        memcpy(header, macs[1 + turn % 2].bytes, MAC_SIZE);
        memcpy(header + MAC_SIZE, macs[turn / 2 % 2].bytes, MAC_SIZE);
        atomic_signal_fence(memory_order_seq_cst);
    }
    return NULL;
}

static void check_rewritten(uint32_t receiver)
{
    uint8_t frame[64];
    mac_t to, from;
    while (receive(flood_ports[receiver], frame, sizeof frame) > 0) {
        memcpy(to.bytes, frame, MAC_SIZE);
        memcpy(from.bytes, frame + MAC_SIZE, MAC_SIZE);
        for (uint32_t i = 0; i < 3; i++) {
            assert_true(i == receiver || !same(to, own(flood_ports[i])));
            assert_true(i == 0 || !same(from, own(flood_ports[i])));
        }
    }
}

static void test_rewritten_header(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        flood_ports[i] = open_port(i);
    send_to(flood_ports[0], own(flood_ports[1])); /* the page is there */
    struct ept_leaf leaf;
    assert_int_equal(ept_walk(&guests[0].memory.ept, GPA(SEND_AT), &leaf), 0);
    rewriting = true;
    pthread_t thread = start(rewriter, (void *)(uintptr_t)leaf.address.value);
    for (uint32_t i = 0; i < REWRITE_FRAMES; i++) {
        assert_int_equal(port_send(flood_ports[0], &guests[0].memory, GPA(SEND_AT), 64), 0);
        check_rewritten(1);
        check_rewritten(2);
    }
    rewriting = false;
    pthread_join(thread, NULL);
    struct port_view view = look(flood_ports[0]);
    assert_true(view.sent_dropped > 0 && view.sent_dropped < view.sent); /* it was rewritten */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_addresses),
        TEST(test_limits_and_lists),
        TEST(test_no_memory),
        TEST(test_known_address),
        TEST(test_flood),
        TEST(test_nowhere),
        TEST(test_learning),
        TEST(test_lies),
        TEST(test_bad_frames),
        TEST(test_mtu),
        TEST(test_buffers),
        TEST(test_full_queue),
        TEST(test_close),
        TEST(test_vector),
        TEST(test_poll),
        TEST(test_can_wake),
        TEST(test_model),
        TEST(test_threads),
        TEST(test_rewritten_header),
    };
    return cmocka_run_group_tests(tests, set_up_machine, NULL);
}
