/* SPDX-License-Identifier: MIT */
/* The rings of the trace: barectf's encoder fills one packet after the other. A core marks its ring
 * while it writes; who dumps switches tracing off and then waits for that mark alone, so that
 * writing takes no lock. */
#include "kernel/vm/trace.h"

#include <linux/errno.h>
#include <stdatomic.h>
#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/format.h"
#include "kernel/lib/text.h"
#include "kernel/lib/x86.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"

#define NDEBUG                  /* the encoder's assert() would need a libc */
#define memcpy __builtin_memcpy /* its fields are one store each then, not a call */
#include "kernel/vm/trace_encoder.c"
#undef memcpy

#define PACKET_SIZE 4096u
#define RING_ORDER  4 /* frames: a page for the state, the rest are packets */
#define PACKETS     (BIT(RING_ORDER) - 1)

#define NAMES_CORE 65535u /* cpu_id of the packets with names */
#define NAMES      64u    /* in a packet, which has room for them even if all are long */
#define DUMP_LINE  80     /* holds the first and the last line of a dump */

#define WRITE_SPINS (1u << 20) /* far longer than an event takes */

struct ring {
    struct ctf_core_ctx encoder;
    _Atomic bool writing;
    uint64_t now;    /* the encoder's clock: never goes back */
    uint64_t opened; /* packets ever */
    uint32_t slot;   /* of the last one */
    uint32_t core;
    uint64_t overwritten;    /* events */
    uint64_t began[PACKETS]; /* TSC of the first event, by slot */
    uint16_t events[PACKETS];
    uint8_t (*packets)[PACKET_SIZE];
};

_Static_assert(sizeof(struct ring) <= PAGE_SIZE, "it lies in the page before its packets");
_Static_assert((9 + 2 + VM_NAME_MAX) * NAMES < PACKET_SIZE - 64, "names fit their packet");

static struct ring **rings; /* by core */
static uint32_t ring_count;
static void *names_page;
static const struct trace_dump *reading; /* the dump under way ... */
static uint32_t reading_names;           /* ... its packets with names, of which ... */
static uint32_t names_written;           /* ... names_page has this one, counted from 1 */

/* Numbers in it stand for those of the machine: see trace.yaml. */
static char metadata[] =
#include "kernel/vm/trace_metadata.inc"
    ;
#define METADATA_SIZE (sizeof metadata - 1)
#define PLACE_DIGITS  10

/* ---- The encoder's view of a ring */

static uint64_t ring_clock(void *data)
{
    return ((struct ring *)data)->now;
}

static int ring_is_full(void *data)
{
    (void)data;
    return 0;
}

/* The next packet, over the oldest one. */
static void ring_open(void *data)
{
    struct ring *ring = data;
    ring->slot = ring->opened++ % PACKETS;
    ring->overwritten += ring->events[ring->slot];
    ring->events[ring->slot] = 0;
    ring->began[ring->slot] = ring->now;
    ctf_packet_set_buf(&ring->encoder, ring->packets[ring->slot], PACKET_SIZE);
    ctf_core_open_packet(&ring->encoder, (uint16_t)ring->core);
}

static void ring_close(void *data)
{
    ctf_core_close_packet(&((struct ring *)data)->encoder);
}

static void ring_init(struct ring *ring, uint32_t core, void *packets)
{
    const struct ctf_platform_callbacks callbacks = {ring_clock, ring_is_full, ring_open,
                                                     ring_close};
    ring->core = core;
    ring->packets = packets;
    ctf_init(&ring->encoder, packets, PACKET_SIZE, callbacks, ring);
    /* as if it were full: the first event opens one */
    ring->encoder.parent.at = ring->encoder.parent.packet_size;
}

static uint64_t ring_packets(const struct ring *ring)
{
    return MIN(ring->opened, PACKETS);
}

/* The slot of the oldest packet. */
static uint32_t ring_oldest(const struct ring *ring)
{
    return (ring->opened - ring_packets(ring)) % PACKETS;
}

/* ---- Making the rings */

/* Puts a number in the place of one of trace.yaml's. */
static void patch(const char *place, uint64_t value)
{
    char text[PLACE_DIGITS + 1];
    int length = snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    for (size_t i = 0; i + PLACE_DIGITS <= METADATA_SIZE; i++) {
        if (memcmp(metadata + i, place, PLACE_DIGITS) != 0)
            continue;
        memset(metadata + i, ' ', PLACE_DIGITS);
        memcpy(metadata + i, text, MIN(length, PLACE_DIGITS));
        return;
    }
}

static void patch_clock(void)
{
    uint64_t wall = time_wall_clock_ns(), up = time_ticks_to_ns(rdtsc());
    uint64_t offset = wall > up ? wall - up : 0; /* when the TSC was 0 */
    patch("1000000007", time_tsc_hz());
    patch("1000000009", offset / 1000000000);
    patch("1000000021", time_ns_to_ticks(offset % 1000000000));
}

static void free_rings(void)
{
    while (ring_count > 0)
        (void)frame_free(virt_to_phys(rings[--ring_count]), RING_ORDER);
}

int trace_init(bool on)
{
    _Static_assert(CPUS_MAX * sizeof *rings <= PAGE_SIZE, "a page of pointers");
    patch_clock();
    rings = page_alloc();
    names_page = page_alloc();
    if (!rings || !names_page)
        return -ENOMEM;
    for (uint32_t core = 0; core < cpus_count; core++) {
        hpa_t frame;
        if (frame_alloc(RING_ORDER, &frame)) {
            free_rings();
            return -ENOMEM;
        }
        rings[core] = phys_to_virt(frame);
        ring_init(rings[core], core, (uint8_t *)rings[core] + PAGE_SIZE);
        ring_count = core + 1;
    }
    return on ? trace_set(true) : 0;
}

/* seq_cst in both: see ring_begin */
static void switch_on(void)
{
    __atomic_fetch_or(&exits_watched, WATCH_TRACE, __ATOMIC_SEQ_CST);
}

static void switch_off(void)
{
    __atomic_fetch_and(&exits_watched, ~WATCH_TRACE, __ATOMIC_SEQ_CST);
}

int trace_set(bool on)
{
    if (!on) {
        switch_off();
        reading = NULL;
        return 0;
    }
    if (ring_count == 0)
        return -ENOMEM;
    if (reading)
        return -EBUSY;
    switch_on();
    return 0;
}

/* ---- Events */

/* This core's ring, marked; NULL: there is none, or tracing was just switched off. `tsc` is the
 * event's time; a ring's time never goes back, whatever order its events are reported in. */
static struct ring *ring_begin(uint64_t tsc)
{
    uint32_t core = cpu_index();
    if (core >= ring_count)
        return NULL;
    struct ring *ring = rings[core];
    /* seq_cst: the mark is seen before exits_watched is read; rings_freeze does it the other way
     * round, so that one of the two sees what the other has written */
    atomic_store_explicit(&ring->writing, true, memory_order_seq_cst);
    if (!(__atomic_load_n(&exits_watched, __ATOMIC_SEQ_CST) & WATCH_TRACE)) {
        atomic_store_explicit(&ring->writing, false, memory_order_release); /* nothing written */
        return NULL;
    }
    ring->now = MAX(ring->now, tsc);
    return ring;
}

static void ring_end(struct ring *ring)
{
    ring->events[ring->slot]++;
    /* release: who sees the mark gone sees the event */
    atomic_store_explicit(&ring->writing, false, memory_order_release);
}

typedef void encode_fn(struct ctf_core_ctx *encoder, uint16_t vm, uint8_t vcpu);

/* An event that says nothing but of which vCPU it is. */
static inline void write_event(encode_fn *encode, const struct vcpu *vcpu, uint64_t tsc)
{
    struct ring *ring = ring_begin(tsc);
    if (!ring)
        return;
    encode(&ring->encoder, (uint16_t)vcpu->vm->id, (uint8_t)vcpu->index);
    ring_end(ring);
}

void trace_entry(const struct vcpu *vcpu, uint64_t tsc)
{
    write_event(ctf_core_trace_entry, vcpu, tsc);
}

void trace_run(const struct vcpu *vcpu)
{
    write_event(ctf_core_trace_run, vcpu, rdtsc());
}

void trace_pause(const struct vcpu *vcpu)
{
    write_event(ctf_core_trace_pause, vcpu, rdtsc());
}

void trace_wake(const struct vcpu *vcpu)
{
    write_event(ctf_core_trace_wake, vcpu, rdtsc());
}

void trace_sleep(const struct vcpu *vcpu)
{
    write_event(ctf_core_trace_sleep, vcpu, rdtsc());
}

void trace_exit(const struct vcpu *vcpu, const struct vm_exit *exit, uint64_t tsc, uint64_t cost)
{
    struct ring *ring = ring_begin(tsc + cost);
    if (!ring)
        return;
    ctf_core_trace_exit(&ring->encoder, (uint16_t)vcpu->vm->id, (uint8_t)vcpu->index,
                        (uint16_t)exit->reason, exit->rip, exit->qualification, cost);
    ring_end(ring);
}

void trace_inject(const struct vcpu *vcpu, uint32_t information)
{
    struct ring *ring = ring_begin(rdtsc());
    if (!ring)
        return;
    ctf_core_trace_inject(&ring->encoder, (uint16_t)vcpu->vm->id, (uint8_t)vcpu->index,
                          information);
    ring_end(ring);
}

void trace_migrate(const struct vcpu *vcpu, uint32_t to)
{
    struct ring *ring = ring_begin(rdtsc());
    if (!ring)
        return;
    ctf_core_trace_migrate(&ring->encoder, (uint16_t)vcpu->vm->id, (uint8_t)vcpu->index,
                           (uint16_t)to);
    ring_end(ring);
}

void trace_stop(const struct vcpu *vcpu, uint32_t reason)
{
    struct ring *ring = ring_begin(rdtsc());
    if (!ring)
        return;
    ctf_core_trace_stop(&ring->encoder, (uint16_t)vcpu->vm->id, (uint8_t)vcpu->index,
                        (uint8_t)reason);
    ring_end(ring);
}

void trace_doorbell(const struct vm *from, const struct vm *to)
{
    struct ring *ring = ring_begin(rdtsc());
    if (!ring)
        return;
    ctf_core_trace_doorbell(&ring->encoder, (uint16_t)from->id, (uint16_t)to->id);
    ring_end(ring);
}

/* ---- Dumping */

/* Each packet says how many events of its core were overwritten: readers tell their user. */
static void ring_freeze(struct ring *ring)
{
    uint32_t place = ring->encoder.off_pc_events_discarded / 8;
    /* acquire: pairs with ring_end. Bounded, for a core that will never go on */
    for (uint32_t i = 0;
         i < WRITE_SPINS && atomic_load_explicit(&ring->writing, memory_order_acquire); i++)
        __builtin_ia32_pause();
    ctf_core_close_packet(&ring->encoder);
    for (uint32_t slot = 0; slot < ring_packets(ring); slot++)
        memcpy(ring->packets[slot] + place, &ring->overwritten, sizeof ring->overwritten);
}

static uint32_t name_packets(void)
{
    const struct vm *vm;
    uint32_t count = 0;
    if (ring_count == 0)
        return 0;
    STAILQ_FOREACH(vm, &vms, link)
        count++;
    return (count + NAMES - 1) / NAMES;
}

/* Starts or goes on with a dump; false: it was given up. */
static bool take_up(const struct trace_dump *dump)
{
    if (dump->part == 0 && dump->offset == 0 && dump != reading) {
        switch_off();
        for (uint32_t core = 0; core < ring_count; core++)
            ring_freeze(rings[core]);
        reading = dump;
        reading_names = name_packets();
        names_written = 0;
    }
    return dump == reading;
}

static uint32_t count_packets(void)
{
    uint32_t count = name_packets();
    for (uint32_t core = 0; core < ring_count; core++)
        count += ring_packets(rings[core]);
    return count;
}

static uint64_t count_overwritten(void)
{
    uint64_t count = 0;
    for (uint32_t core = 0; core < ring_count; core++)
        count += rings[core]->overwritten;
    return count;
}

/* When the oldest packet of all begins; 0 when there is none. */
static uint64_t earliest(void)
{
    uint64_t first = UINT64_MAX;
    for (uint32_t core = 0; core < ring_count; core++)
        if (rings[core]->opened > 0)
            first = MIN(first, rings[core]->began[ring_oldest(rings[core])]);
    return first == UINT64_MAX ? 0 : first;
}

/* Writes a packet with names, always the same one for a number. */
static const char *write_names(uint32_t packet)
{
    struct ring ring = {.now = earliest()};
    const struct vm *vm;
    uint32_t number = 0;
    if (names_written == packet + 1)
        return names_page; /* a dump takes it in many pieces */
    names_written = packet + 1;
    ring_init(&ring, NAMES_CORE, names_page);
    ring.encoder.parent.sequence_number = packet;
    memset(names_page, 0, PACKET_SIZE);
    STAILQ_FOREACH(vm, &vms, link)
        if (number++ / NAMES == packet)
            ctf_core_trace_named(&ring.encoder, (uint16_t)vm->id, vm->config.name);
    ctf_core_close_packet(&ring.encoder);
    return names_page;
}

static const char *packet_bytes(uint32_t number)
{
    if (number < reading_names)
        return write_names(number);
    number -= reading_names;
    for (uint32_t core = 0; core < ring_count; core++) {
        const struct ring *ring = rings[core];
        if (number < ring_packets(ring))
            return (const char *)ring->packets[(ring_oldest(ring) + number) % PACKETS];
        number -= ring_packets(ring);
    }
    return NULL;
}

enum dump_part { PART_HEADER, PART_METADATA, PART_PACKETS, PART_TRAILER, PART_END };

static struct text header(char line[DUMP_LINE])
{
    int length = snprintf(line, DUMP_LINE, "ATOLLTRACE 1 %zu %u %u\n", METADATA_SIZE, ring_count,
                          PACKET_SIZE);
    return (struct text){line, (size_t)length};
}

static struct text trailer(char line[DUMP_LINE])
{
    int length = snprintf(line, DUMP_LINE, "ATOLLTRACE END %u %llu\n", count_packets(),
                          (unsigned long long)count_overwritten());
    return (struct text){line, (size_t)length};
}

/* All the bytes of the place where a dump is. */
static struct text place(const struct trace_dump *dump, char line[DUMP_LINE])
{
    switch (dump->part) {
    case PART_HEADER:
        return header(line);
    case PART_METADATA:
        return (struct text){metadata, METADATA_SIZE};
    case PART_PACKETS:
        return (struct text){packet_bytes(dump->packet), PACKET_SIZE};
    default:
        return trailer(line);
    }
}

static void next_place(struct trace_dump *dump)
{
    dump->offset = 0;
    if (dump->part == PART_PACKETS && ++dump->packet < count_packets())
        return;
    dump->part++;
    if (dump->part == PART_PACKETS && count_packets() == 0)
        dump->part++;
}

static size_t copy(struct trace_dump *dump, char *bytes, size_t size)
{
    char line[DUMP_LINE];
    size_t done = 0;
    while (done < size && dump->part < PART_END) {
        struct text text = place(dump, line);
        size_t piece = MIN(size - done, text.length - dump->offset);
        memcpy(bytes + done, text.bytes + dump->offset, piece);
        done += piece;
        dump->offset += piece;
        if (dump->offset == text.length)
            next_place(dump);
    }
    return done;
}

size_t trace_dump_read(struct trace_dump *dump, char *bytes, size_t size)
{
    if (!take_up(dump))
        return 0;
    size_t done = copy(dump, bytes, size);
    if (dump->part == PART_END)
        reading = NULL;
    return done;
}

/* What the port does not take is copied anew: what is dumped does not change. */
bool trace_dump_to(struct trace_dump *dump, size_t (*put)(const char *bytes, size_t size))
{
    char bytes[256];
    if (!take_up(dump))
        return true;
    for (size_t sent = 0; sent < TRACE_DUMP_STEP && dump->part < PART_END;) {
        struct trace_dump ahead = *dump;
        size_t size = copy(&ahead, bytes, MIN(sizeof bytes, TRACE_DUMP_STEP - sent));
        size_t taken = put(bytes, size);
        copy(dump, bytes, taken);
        sent += taken;
        if (taken < size)
            return false;
    }
    if (dump->part == PART_END)
        reading = NULL;
    return dump->part == PART_END;
}

struct trace_figures trace_figures(void)
{
    char line[DUMP_LINE];
    struct trace_figures figures = {
        .on = trace_is_on(),
        .overwritten = count_overwritten(),
        .bytes = header(line).length + METADATA_SIZE + (uint64_t)count_packets() * PACKET_SIZE +
                 trailer(line).length,
    };
    for (uint32_t core = 0; core < ring_count; core++)
        for (uint32_t slot = 0; slot < PACKETS; slot++)
            figures.events += rings[core]->events[slot];
    return figures;
}
