/* SPDX-License-Identifier: MIT */
/* Switches: found by name when guests are created; a port is opened at each start of its VM and
 * closed at each end. What decides about a frame is read from the sender's memory once, since other
 * vCPUs may rewrite it meanwhile; the rest is copied straight into each receiver's queue. No more
 * than one lock is held at a time. */
#include "kernel/vm/switch.h"

#include <linux/errno.h>
#include <string.h>
#include <sys/queue.h>

#include "kernel/lib/format.h"
#include "kernel/lib/unaligned.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "kernel/vm/interrupts.h"
#include "kernel/vm/sched.h"

#define QUEUE_ORDER  4
#define QUEUE_SIZE   (PORT_QUEUE_FRAMES * (uint32_t)PAGE_SIZE)
#define RECORD_ALIGN 8u
#define RECORD_SKIP  UINT32_MAX /* as a length: the next record is at the queue's start */
#define LEARNED_MAX  8          /* addresses of a port beside its own */
#define FRAME_HEAD   64u        /* bytes that are read once: all of a small frame */

/* Addresses as numbers, byte 0 the lowest. Bits 0 and 1 of that: group, locally administered. */
#define MAC_GROUP     1u
#define MAC_LOCAL     2u
#define MAC_GENERATED 'A' /* the second byte of those that are made here */

_Static_assert(PAGE_SIZE << QUEUE_ORDER == QUEUE_SIZE, "the queue is one block of frames");
_Static_assert((QUEUE_SIZE & (QUEUE_SIZE - 1)) == 0, "positions may wrap");

struct port {
    struct ethernet_switch *ethernet;
    struct vm *vm;
    uint64_t address;      /* its own */
    uint8_t mac[MAC_SIZE]; /* the same */
    uint16_t mtu;
    uint8_t *queue; /* QUEUE_SIZE bytes of records */
    char device[DEVICE_NAME_MAX];
    _Atomic bool gone; /* for good, unless the operator starts its VM again */
    _Atomic uint64_t sent, sent_dropped;

    struct spinlock lock; /* of all below; what is atomic others may look at */
    _Atomic bool open;
    _Atomic uint32_t vector; /* of the interrupt for a frame; 0: none */
    struct vcpu *vcpu;       /* who gets it */
    bool told;               /* it was posted, and the queue has not been found empty since */
    uint32_t head, tail;     /* positions of the next record to write and to read */
    _Atomic uint32_t queued;
    _Atomic uint64_t received, received_dropped;

    /* Under the switch's lock: a ring, so that a port that learns too many loses its own. */
    _Atomic uint64_t learned[LEARNED_MAX]; /* 0: none */
    uint32_t learned_next;
};
_Static_assert(sizeof(struct port) <= PAGE_SIZE, "the record of a port is one page");

struct ethernet_switch {
    char name[VM_NAME_MAX];
    uint32_t port_count;                  /* grows at boot only */
    uint64_t addresses[SWITCH_PORTS_MAX]; /* the ports' own */
    struct port *ports[SWITCH_PORTS_MAX];
    struct spinlock lock; /* of what is learned */
    STAILQ_ENTRY(ethernet_switch) next;
};
_Static_assert(sizeof(struct ethernet_switch) <= PAGE_SIZE, "so is that of a switch");

/* A frame in a queue, which is aligned and does not wrap. */
struct record {
    uint32_t length; /* of the frame; or RECORD_SKIP */
    uint8_t bytes[];
};

/* A frame on its way. */
struct frame {
    const struct guest_memory *memory; /* the sender's */
    gpa_t address;                     /* `length` bytes of RAM there */
    uint32_t length;
    uint8_t head[FRAME_HEAD]; /* as much as there is of it */
};

static STAILQ_HEAD(, ethernet_switch) switches = STAILQ_HEAD_INITIALIZER(switches); /* as above */

static uint64_t address_at(const uint8_t *mac)
{
    return load_u32(mac) | (uint64_t)load_u16(mac + 4) << 32;
}

/* The port whose own address that is. */
static struct port *owner_of(const struct ethernet_switch *ethernet, uint64_t address)
{
    for (uint32_t i = 0; i < ethernet->port_count; i++)
        if (ethernet->addresses[i] == address)
            return ethernet->ports[i];
    return NULL;
}

/* ---- At boot --------------------------------------------------------------------------------- */

static struct ethernet_switch *find(const char *name)
{
    struct ethernet_switch *ethernet;
    STAILQ_FOREACH(ethernet, &switches, next)
        if (!strcmp(ethernet->name, name))
            return ethernet;
    return NULL;
}

/* May there be such a port on the switch? */
static int check(const struct ethernet_switch *ethernet, const struct device_config *config,
                 char error[MODULE_LINE_ERROR_MAX])
{
    if (ethernet->port_count == SWITCH_PORTS_MAX) {
        snprintf(error, MODULE_LINE_ERROR_MAX,
                 "net:%.32s=%s: %u ports are on it, which is the limit", config->name,
                 config->source, ethernet->port_count);
        return -EINVAL;
    }
    const struct port *owner = config->has_mac ? owner_of(ethernet, address_at(config->mac)) : NULL;
    if (owner) {
        snprintf(error, MODULE_LINE_ERROR_MAX, "net:%.32s=%s: %.32s of %s has this mac= there",
                 config->name, config->source, owner->device, owner->vm->config.name);
        return -EINVAL;
    }
    return 0;
}

static bool is_taken(uint64_t address)
{
    struct ethernet_switch *ethernet;
    STAILQ_FOREACH(ethernet, &switches, next)
        if (owner_of(ethernet, address))
            return true;
    return false;
}

/* The same at each boot of the same guests. */
static void make_mac(uint32_t vm, uint32_t device, uint8_t mac[MAC_SIZE])
{
    for (uint32_t number = vm << 8 | device;; number++) { /* another one for each that is taken */
        const uint8_t made[MAC_SIZE] = {MAC_LOCAL,
                                        MAC_GENERATED,
                                        (uint8_t)(number >> 24),
                                        (uint8_t)(number >> 16),
                                        (uint8_t)(number >> 8),
                                        (uint8_t)number};
        memcpy(mac, made, MAC_SIZE);
        if (!is_taken(address_at(mac)))
            return;
    }
}

static struct port *make_port(struct vm *vm, uint32_t device, const struct device_config *config)
{
    hpa_t queue;
    struct port *port = page_alloc();
    if (!port)
        return NULL;
    if (frame_alloc(QUEUE_ORDER, &queue)) {
        page_free(port);
        return NULL;
    }
    port->vm = vm;
    port->mtu = config->mtu;
    port->queue = phys_to_virt(queue);
    port->gone = true;
    memcpy(port->device, config->name, sizeof port->device);
    if (config->has_mac)
        memcpy(port->mac, config->mac, MAC_SIZE);
    else
        make_mac(vm->id, device, port->mac);
    port->address = address_at(port->mac);
    return port;
}

static struct ethernet_switch *make_switch(const char *name)
{
    struct ethernet_switch *ethernet = page_alloc();
    if (!ethernet)
        return NULL;
    memcpy(ethernet->name, name, sizeof ethernet->name);
    STAILQ_INSERT_TAIL(&switches, ethernet, next);
    return ethernet;
}

int port_create(struct vm *vm, uint32_t device, const struct device_config *config,
                struct port **port, char error[MODULE_LINE_ERROR_MAX])
{
    struct ethernet_switch *ethernet = find(config->source);
    if (ethernet && check(ethernet, config, error))
        return -EINVAL;
    if (!ethernet)
        ethernet = make_switch(config->source);
    struct port *made = ethernet ? make_port(vm, device, config) : NULL;
    if (!made) {
        snprintf(error, MODULE_LINE_ERROR_MAX, "net:%.32s=%s: no memory for a port", config->name,
                 config->source);
        return -ENOMEM;
    }
    made->ethernet = ethernet;
    ethernet->addresses[ethernet->port_count] = made->address;
    ethernet->ports[ethernet->port_count++] = made;
    *port = made;
    return 0;
}

/* ---- What is learned ------------------------------------------------------------------------- */

/* Without the lock: an entry is one word, and who finds an old one finds what was true. */
static _Atomic uint64_t *entry_of(struct port *port, uint64_t address)
{
    for (uint32_t i = 0; i < LEARNED_MAX; i++)
        if (atomic_load_explicit(&port->learned[i], memory_order_relaxed) == address)
            return &port->learned[i];
    return NULL;
}

static struct port *learned_at(const struct ethernet_switch *ethernet, uint64_t address)
{
    for (uint32_t i = 0; i < ethernet->port_count; i++)
        if (entry_of(ethernet->ports[i], address))
            return ethernet->ports[i];
    return NULL;
}

static void forget(struct port *port)
{
    spin_lock(&port->ethernet->lock);
    for (uint32_t i = 0; i < LEARNED_MAX; i++)
        atomic_store_explicit(&port->learned[i], 0, memory_order_relaxed);
    spin_unlock(&port->ethernet->lock);
}

/* `address`, which is no port's own, is behind `port` from now on. */
static void learn(struct port *port, uint64_t address)
{
    struct ethernet_switch *ethernet = port->ethernet;
    if (entry_of(port, address))
        return;
    spin_lock(&ethernet->lock);
    struct port *before = learned_at(ethernet, address);
    if (before)
        atomic_store_explicit(entry_of(before, address), 0, memory_order_relaxed);
    /* Behind port_close nothing is learned: its forget() comes later, or this sees it closed. */
    if (atomic_load_explicit(&port->open, memory_order_relaxed))
        atomic_store_explicit(&port->learned[port->learned_next++ % LEARNED_MAX], address,
                              memory_order_relaxed);
    spin_unlock(&ethernet->lock);
}

/* May `port` send from this address? */
static bool accept_source(struct port *port, uint64_t address)
{
    if (address == port->address)
        return true;
    if (address == 0 || (address & MAC_GROUP) || owner_of(port->ethernet, address))
        return false;
    learn(port, address);
    return true;
}

/* ---- A queue, with its port's lock ----------------------------------------------------------- */

static struct record *record_at(const struct port *port, uint32_t position)
{
    return (struct record *)(port->queue + position % QUEUE_SIZE);
}

static uint32_t record_size(uint32_t length)
{
    return ALIGN_UP((uint32_t)sizeof(struct record) + length, RECORD_ALIGN);
}

/* Moves the head to where a record of `size` bytes finds room without wrapping. */
static bool make_room(struct port *port, uint32_t size)
{
    uint32_t to_end = QUEUE_SIZE - port->head % QUEUE_SIZE;
    uint32_t skip = size <= to_end ? 0 : to_end;
    if (port->head - port->tail + skip + size > QUEUE_SIZE)
        return false;
    if (skip)
        record_at(port, port->head)->length = RECORD_SKIP;
    port->head += skip;
    return true;
}

static int copy_frame(const struct frame *frame, uint8_t *to)
{
    uint32_t head = MIN(frame->length, FRAME_HEAD);
    memcpy(to, frame->head, head);
    if (frame->length == head)
        return 0;
    return guest_read(frame->memory, GPA(frame->address.value + head), to + head,
                      frame->length - head);
}

static bool put(struct port *port, const struct frame *frame)
{
    uint32_t size = record_size(frame->length);
    if (frame->length > FRAME_HEADER + port->mtu || !make_room(port, size))
        return false;
    struct record *record = record_at(port, port->head);
    if (copy_frame(frame, record->bytes))
        return false;
    record->length = frame->length;
    port->head += size;
    /* seq_cst: before the look in notify at who waits */
    atomic_fetch_add(&port->queued, 1);
    return true;
}

/* The oldest one; there is one. */
static const struct record *oldest(struct port *port)
{
    const struct record *record = record_at(port, port->tail);
    if (record->length != RECORD_SKIP)
        return record;
    port->tail += QUEUE_SIZE - port->tail % QUEUE_SIZE;
    return record_at(port, port->tail);
}

static void interrupt(struct port *port)
{
    uint32_t vector = atomic_load_explicit(&port->vector, memory_order_relaxed);
    if (!vector || port->told)
        return;
    port->told = true;
    interrupts_post(port->vcpu, (uint8_t)vector);
}

/* A frame has come. A vCPU that goes to sleep in a POLL says so and looks at the queue once more:
 * either it sees the frame, or this sees it wait. */
static void notify(struct port *port)
{
    struct vcpu *vcpu = port->vm->vcpus[0];
    if (atomic_load(&vcpu->waits_for_frame))
        sched_post(vcpu, REQUEST_LOOK);
    interrupt(port);
}

/* All vCPUs of an open port's VM look whether they sleep for good now. */
static void have_look(const struct port *port)
{
    for (uint32_t i = 0; i < port->vm->config.vcpus; i++)
        sched_post(port->vm->vcpus[i], REQUEST_LOOK);
}

/* ---- Life and death -------------------------------------------------------------------------- */

void port_open(struct port *port)
{
    spin_lock(&port->lock);
    atomic_store_explicit(&port->gone, false, memory_order_relaxed);
    atomic_store_explicit(&port->open, true, memory_order_relaxed);
    spin_unlock(&port->lock);
}

void port_close(struct port *port)
{
    spin_lock(&port->lock);
    atomic_store_explicit(&port->open, false, memory_order_relaxed);
    atomic_store_explicit(&port->vector, 0, memory_order_relaxed);
    port->head = port->tail = 0;
    atomic_fetch_add_explicit(&port->received_dropped, atomic_exchange(&port->queued, 0),
                              memory_order_relaxed);
    spin_unlock(&port->lock);
    forget(port);
}

void port_give_up(struct port *port)
{
    const struct ethernet_switch *ethernet = port->ethernet;
    atomic_store_explicit(&port->gone, true, memory_order_relaxed); /* the requests order it */
    for (uint32_t i = 0; i < ethernet->port_count; i++) {
        struct port *other = ethernet->ports[i];
        spin_lock(&other->lock);
        if (atomic_load_explicit(&other->vector, memory_order_relaxed)) /* then it is open, too */
            have_look(other);
        spin_unlock(&other->lock);
    }
}

/* Without locks: when a port is given up at this moment, the VM's vCPUs look again. */
bool port_can_wake(const struct port *port)
{
    const struct ethernet_switch *ethernet = port->ethernet;
    if (!atomic_load_explicit(&port->vector, memory_order_relaxed))
        return false;
    for (uint32_t i = 0; i < ethernet->port_count; i++) {
        const struct port *other = ethernet->ports[i];
        if (other->vm != port->vm && !atomic_load_explicit(&other->gone, memory_order_relaxed))
            return true;
    }
    return false;
}

/* ---- Frames ---------------------------------------------------------------------------------- */

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* False: the port is closed. */
static bool deliver(struct port *port, const struct frame *frame)
{
    if (!atomic_load_explicit(&port->open, memory_order_relaxed)) /* spares the lock */
        return false;
    spin_lock(&port->lock);
    bool open = atomic_load_explicit(&port->open, memory_order_relaxed);
    if (open && put(port, frame))
        notify(port);
    else if (open)
        count(&port->received_dropped);
    spin_unlock(&port->lock);
    return open;
}

static bool flood(const struct port *from, const struct frame *frame)
{
    const struct ethernet_switch *ethernet = from->ethernet;
    bool reached = false;
    for (uint32_t i = 0; i < ethernet->port_count; i++)
        if (ethernet->ports[i] != from && deliver(ethernet->ports[i], frame))
            reached = true;
    return reached;
}

/* False: the frame went nowhere. */
static bool forward(struct port *from, const struct frame *frame)
{
    uint64_t address = address_at(frame->head);
    struct port *to = NULL;
    if (address != 0 && !(address & MAC_GROUP)) {
        to = owner_of(from->ethernet, address);
        if (!to)
            to = learned_at(from->ethernet, address);
    }
    if (!to)
        return flood(from, frame);
    return to != from && deliver(to, frame);
}

int port_send(struct port *port, const struct guest_memory *memory, gpa_t frame, uint64_t length)
{
    if (length < FRAME_HEADER || length > FRAME_HEADER + port->mtu)
        return -EINVAL;
    if (!guest_range_ok(memory, frame, length))
        return -EFAULT;
    struct frame sent = {.memory = memory, .address = frame, .length = (uint32_t)length};
    int error = guest_read(memory, frame, sent.head, MIN(length, FRAME_HEAD));
    if (error)
        return error;
    count(&port->sent);
    if (!accept_source(port, address_at(sent.head + MAC_SIZE)) || !forward(port, &sent))
        count(&port->sent_dropped);
    return 0;
}

/* With the lock. */
static int64_t take(struct port *port, struct guest_memory *memory, gpa_t buffer, uint64_t size)
{
    /* relaxed: it changes under the lock */
    if (atomic_load_explicit(&port->queued, memory_order_relaxed) == 0) {
        port->told = false;
        return -EAGAIN;
    }
    const struct record *record = oldest(port);
    uint64_t part = MIN(size, record->length);
    int error = guest_write(memory, buffer, record->bytes, part);
    if (error)
        return error;
    port->tail += record_size(record->length);
    atomic_fetch_sub_explicit(&port->queued, 1, memory_order_relaxed);
    count(&port->received);
    return (int64_t)part;
}

int64_t port_receive(struct port *port, struct guest_memory *memory, gpa_t buffer, uint64_t size)
{
    if (!guest_range_ok(memory, buffer, size))
        return -EFAULT;
    spin_lock(&port->lock);
    int64_t result = take(port, memory, buffer, size);
    spin_unlock(&port->lock);
    return result;
}

bool port_has_frame(const struct port *port)
{
    return atomic_load(&port->queued) != 0; /* seq_cst: see notify */
}

/* With the open port's lock. */
static void ask(struct port *port, struct vcpu *vcpu, uint32_t vector)
{
    uint32_t before = atomic_exchange_explicit(&port->vector, vector, memory_order_relaxed);
    port->vcpu = vcpu;
    port->told = false;
    if (before && !vector)
        have_look(port);
    if (atomic_load_explicit(&port->queued, memory_order_relaxed) > 0)
        interrupt(port);
}

int port_set_vector(struct port *port, struct vcpu *vcpu, uint64_t vector)
{
    if (!interrupts_may_ask_for(vector))
        return -EINVAL;
    spin_lock(&port->lock);
    /* A VM that was stopped meanwhile is left alone: nothing may be posted to it. */
    if (atomic_load_explicit(&port->open, memory_order_relaxed))
        ask(port, vcpu, (uint32_t)vector);
    spin_unlock(&port->lock);
    return 0;
}

/* ---- For calls and for the operator ---------------------------------------------------------- */

static uint64_t read_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void port_look(const struct port *port, struct port_view *view)
{
    *view = (struct port_view){
        .vm = port->vm,
        .device = port->device,
        .switch_name = port->ethernet->name,
        .mtu = port->mtu,
        .open = atomic_load_explicit(&port->open, memory_order_relaxed),
        .queued = atomic_load_explicit(&port->queued, memory_order_relaxed),
        .received = read_counter(&port->received),
        .received_dropped = read_counter(&port->received_dropped),
        .sent = read_counter(&port->sent),
        .sent_dropped = read_counter(&port->sent_dropped),
    };
    memcpy(view->mac, port->mac, MAC_SIZE);
}

struct ethernet_switch *switch_after(const struct ethernet_switch *ethernet)
{
    return ethernet ? STAILQ_NEXT(ethernet, next) : STAILQ_FIRST(&switches);
}

const char *switch_name(const struct ethernet_switch *ethernet)
{
    return ethernet->name;
}

struct port *switch_port(const struct ethernet_switch *ethernet, uint32_t number)
{
    return number < ethernet->port_count ? ethernet->ports[number] : NULL;
}
