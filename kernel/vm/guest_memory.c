/* SPDX-License-Identifier: MIT */
/* Guest RAM: frames in the largest blocks that fit, and copies through EPT. */
#include "kernel/vm/guest_memory.h"

#include <linux/errno.h>
#include <string.h>

#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "kernel/panic.h"

static const unsigned leaf_orders[] = {FRAME_ORDER_1G, FRAME_ORDER_2M, FRAME_ORDER_4K};

uint64_t guest_memory_low(const struct guest_memory *m)
{
    return MIN(m->size, GUEST_HOLE_START);
}

uint64_t guest_memory_high(const struct guest_memory *m)
{
    return m->size - guest_memory_low(m);
}

/* One leaf at `guest`, the largest for which there is a frame. Returns its size, 0: no memory. */
static uint64_t map_one(struct guest_memory *m, uint64_t guest, uint64_t room)
{
    for (unsigned i = 0; i < ARRAY_SIZE(leaf_orders); i++) {
        unsigned order = leaf_orders[i];
        uint64_t size = PAGE_SIZE << order;
        hpa_t frame;
        if (order > m->ept.max_order || !IS_ALIGNED(guest, size) || size > room)
            continue;
        if (frame_alloc(order, &frame))
            continue;
        if (!ept_map(&m->ept, GPA(guest), frame, order, EPT_RWX, EPT_WB))
            return size;
        if (frame_free(frame, order))
            panic("guest memory: frame 0x%llx was not ours", (unsigned long long)frame.value);
    }
    return 0;
}

static int map_range(struct guest_memory *m, uint64_t start, uint64_t size, uint64_t small)
{
    for (uint64_t done = 0; done < size;) {
        uint64_t room = start + done < small ? PAGE_SIZE : size - done;
        uint64_t step = map_one(m, start + done, room);
        if (step == 0)
            return -ENOMEM;
        done += step;
    }
    return 0;
}

int guest_memory_create(struct guest_memory *m, uint64_t size, unsigned max_order, uint64_t small)
{
    m->size = 0;
    /* asked first: a guest that wants too much must not take everything before it is refused */
    if (size / PAGE_SIZE > frames_free_count() || ept_create(&m->ept, max_order))
        return -ENOMEM;
    m->size = size;
    int error = map_range(m, 0, guest_memory_low(m), small);
    if (!error)
        error = map_range(m, GUEST_HOLE_END, guest_memory_high(m), small);
    if (error)
        guest_memory_destroy(m);
    return error;
}

static void free_leaf(gpa_t guest, const struct ept_leaf *leaf, void *context)
{
    (void)guest;
    (void)context;
    if (frame_free(leaf->address, leaf->order))
        panic("guest memory: frame 0x%llx was not ours", (unsigned long long)leaf->address.value);
}

void guest_memory_destroy(struct guest_memory *m)
{
    if (m->size == 0)
        return;
    ept_for_each(&m->ept, free_leaf, NULL);
    ept_destroy(&m->ept);
    m->size = 0;
}

bool guest_range_ok(const struct guest_memory *m, gpa_t guest, uint64_t length)
{
    uint64_t start = 0, size = guest_memory_low(m);
    if (guest.value >= GUEST_HOLE_END) {
        start = GUEST_HOLE_END;
        size = guest_memory_high(m);
    }
    uint64_t offset = guest.value - start;
    return offset <= size && length <= size - offset;
}

/* The host's pointer to a byte of RAM, and how many bytes follow it in the same leaf. */
static char *pointer_to(const struct guest_memory *m, uint64_t guest, uint64_t *follow)
{
    struct ept_leaf leaf;
    if (ept_walk(&m->ept, GPA(guest), &leaf))
        panic("guest memory: 0x%llx is RAM but not mapped", (unsigned long long)guest);
    uint64_t size = PAGE_SIZE << leaf.order;
    *follow = size - (guest & (size - 1));
    return phys_to_virt(leaf.address);
}

int guest_read(const struct guest_memory *m, gpa_t guest, void *to, uint64_t length)
{
    if (!guest_range_ok(m, guest, length))
        return -EFAULT;
    for (uint64_t done = 0; done < length;) {
        uint64_t follow;
        const char *from = pointer_to(m, guest.value + done, &follow);
        uint64_t part = MIN(follow, length - done);
        memcpy((char *)to + done, from, part);
        done += part;
    }
    return 0;
}

/* May the guest itself write all of the range? What its image made read-only stays so. */
static bool writable(const struct guest_memory *m, gpa_t guest, uint64_t length)
{
    for (uint64_t done = 0; done < length;) {
        struct ept_leaf leaf;
        if (ept_walk(&m->ept, GPA(guest.value + done), &leaf) || !(leaf.access & EPT_WRITE))
            return false;
        uint64_t size = PAGE_SIZE << leaf.order;
        done += size - ((guest.value + done) & (size - 1));
    }
    return true;
}

int guest_write(const struct guest_memory *m, gpa_t guest, const void *from, uint64_t length)
{
    if (!guest_range_ok(m, guest, length) || !writable(m, guest, length))
        return -EFAULT;
    for (uint64_t done = 0; done < length;) {
        uint64_t follow;
        char *to = pointer_to(m, guest.value + done, &follow);
        uint64_t part = MIN(follow, length - done);
        memcpy(to, (const char *)from + done, part);
        done += part;
    }
    return 0;
}
