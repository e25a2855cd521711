/* SPDX-License-Identifier: MIT */
/* Guest RAM on first touch. The reservation covers the worst case, every page touched and mapped by
 * 4 KiB, so a page that does not come is a host bug. A page's rights are those of its regions, at
 * any time: they are asked before EPT is looked at, and never have to be read back from it. */
#include "kernel/lib/hot_path.h"

#include "kernel/vm/guest_memory.h"

#include <linux/errno.h>
#include <string.h>

#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "kernel/panic.h"

#define TABLE_ENTRIES 512ull /* of an EPT table, at every level */

static const unsigned leaf_orders[] = {FRAME_ORDER_1G, FRAME_ORDER_2M, FRAME_ORDER_4K};

uint64_t guest_memory_low(const struct guest_memory *m)
{
    return m->low;
}

uint64_t guest_memory_high(const struct guest_memory *m)
{
    return m->size - guest_memory_low(m);
}

static uint64_t in_units(uint64_t size, uint64_t unit)
{
    return size / unit + (size % unit != 0);
}

/* The tables that map all RAM by 4 KiB. The hole is whole page directories, so for them and what is
 * below it moves RAM but does not add to it. */
static uint64_t table_count(const struct guest_memory *m)
{
    const uint64_t pt = TABLE_ENTRIES * PAGE_SIZE, pd = TABLE_ENTRIES * pt;
    uint64_t high = guest_memory_high(m), end = high ? GUEST_HOLE_END + high : m->size;
    return 1 + in_units(end, TABLE_ENTRIES * pd) + in_units(m->size, pd) + in_units(m->size, pt);
}

int guest_memory_create(struct guest_memory *m, uint64_t size, enum guest_layout layout,
                        unsigned max_order, uint64_t extra)
{
    uint64_t low = layout == GUEST_FLAT ? size : MIN(size, GUEST_HOLE_START);
    *m = (struct guest_memory){.size = size, .low = low, .access = EPT_RWX};
    /* no sum can wrap: pages are far from 2^64, and no machine has what EPT could not map */
    int error = frame_pool_create(&m->pool, size / PAGE_SIZE + table_count(m) + extra);
    if (!error)
        error = ept_create(&m->ept, max_order, &m->pool);
    if (error) {
        frame_pool_destroy(&m->pool);
        m->size = 0;
    }
    return error;
}

static void free_leaf(gpa_t guest, const struct ept_leaf *leaf, void *context)
{
    struct guest_memory *m = context;
    if (guest_range_ok(m, guest, 1))
        frame_pool_free_block(&m->pool, leaf->order, leaf->address);
}

void guest_memory_destroy(struct guest_memory *m)
{
    if (m->size == 0)
        return;
    ept_take_apart(&m->ept, free_leaf, m);
    frame_pool_destroy(&m->pool);
    *m = (struct guest_memory){0};
}

static bool is_valid_region(const struct guest_region *region)
{
    return IS_ALIGNED(region->start | region->end, PAGE_SIZE) && region->start < region->end &&
           ((region->access & EPT_READ) || region->access == EPT_EXECUTE) &&
           (region->access & ~EPT_RWX) == 0;
}

int guest_memory_set_regions(struct guest_memory *m, const struct guest_region *regions,
                             uint32_t count, uint8_t access)
{
    if (count > GUEST_REGIONS_MAX)
        return -EINVAL;
    for (uint32_t i = 0; i < count; i++)
        if (!is_valid_region(&regions[i]) || (i > 0 && regions[i].start < regions[i - 1].start))
            return -EINVAL;
    if (m->present)
        return -EBUSY;
    memcpy(m->regions, regions, count * sizeof *regions);
    m->region_count = count;
    m->access = access;
    m->regions_end = 0;
    for (uint32_t i = 0; i < count; i++)
        m->regions_end = MAX(m->regions_end, regions[i].end);
    return 0;
}

/* What the guest may do with a page of its RAM. */
static uint8_t page_access(const struct guest_memory *m, uint64_t guest)
{
    uint8_t access = 0;
    if (guest >= m->regions_end)
        return m->access;
    for (uint32_t i = 0; i < m->region_count && m->regions[i].start <= guest; i++)
        if (guest < m->regions[i].end)
            access |= m->regions[i].access;
    return access ? access : m->access;
}

uint8_t guest_page_access(const struct guest_memory *m, gpa_t guest)
{
    return guest_range_ok(m, guest, 1) ? page_access(m, guest.value) : 0;
}

/* Brings the page of RAM with `guest` in with its `access`, unless it is there, and returns where
 * that byte is. The page is cleared under the lock: outside it would be taken twice, and cores that
 * meet at one page would clear two. */
static inline __attribute__((always_inline)) hpa_t touch(struct guest_memory *m, uint64_t guest,
                                                         uint8_t access)
{
    hpa_t host;
    spin_lock(&m->lock);
    int fresh = ept_populate(&m->ept, GPA(guest), access, &host);
    if (fresh < 0)
        panic("guest memory: no page for 0x%llx (%d)", (unsigned long long)guest, fresh);
    m->present += (unsigned)fresh;
    spin_unlock(&m->lock);
    return host;
}

int guest_memory_fault(struct guest_memory *m, gpa_t guest, uint8_t access)
{
    if (guest.value >= m->low && !guest_range_ok(m, guest, 1))
        return -EFAULT;
    uint8_t allowed = page_access(m, guest.value);
    if (access & ~allowed)
        return -EACCES;
    touch(m, guest.value, allowed);
    return 0;
}

/* Would one leaf over [start, start + size) give a part of a region's pages other rights? */
static bool is_cut(const struct guest_memory *m, uint64_t start, uint64_t size)
{
    for (uint32_t i = 0; i < m->region_count; i++) {
        const struct guest_region *region = &m->regions[i];
        bool apart = region->end <= start || region->start >= start + size;
        bool covers = region->start <= start && region->end >= start + size;
        if (!apart && !covers)
            return true;
    }
    return false;
}

/* Maps one leaf of `order` at `guest` if it fits there and there is a block for it. */
static bool map_leaf(struct guest_memory *m, uint64_t guest, uint64_t room, unsigned order)
{
    uint64_t size = PAGE_SIZE << order;
    hpa_t block;
    if (order > m->ept.max_order || !IS_ALIGNED(guest, size) || size > room ||
        is_cut(m, guest, size) || !ept_has_room(&m->ept, GPA(guest), order) ||
        frame_pool_block(&m->pool, order, &block))
        return false;
    if (ept_map(&m->ept, GPA(guest), block, order, page_access(m, guest), EPT_WB))
        panic("guest memory: 0x%llx was not mapped", (unsigned long long)guest);
    m->present += BIT(order);
    return true;
}

/* One leaf at `guest`, the largest that is possible, or the one that is there. Returns its size. */
static uint64_t map_one(struct guest_memory *m, uint64_t guest, uint64_t room)
{
    struct ept_leaf leaf;
    if (ept_walk(&m->ept, GPA(guest), &leaf) == 0)
        return PAGE_SIZE << leaf.order;
    for (unsigned i = 0; i < ARRAY_SIZE(leaf_orders); i++)
        if (map_leaf(m, guest, room, leaf_orders[i]))
            return PAGE_SIZE << leaf_orders[i];
    panic("guest memory: no page for 0x%llx", (unsigned long long)guest);
}

static void map_range(struct guest_memory *m, uint64_t start, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        spin_lock(&m->lock);
        done += map_one(m, start + done, size - done);
        spin_unlock(&m->lock);
    }
}

void guest_memory_map_all(struct guest_memory *m)
{
    map_range(m, 0, guest_memory_low(m));
    map_range(m, GUEST_HOLE_END, guest_memory_high(m));
}

uint64_t guest_memory_overhead(struct guest_memory *m)
{
    spin_lock(&m->lock);
    uint64_t count = m->pool.taken - m->present;
    spin_unlock(&m->lock);
    return count;
}

bool guest_range_ok(const struct guest_memory *m, gpa_t guest, uint64_t length)
{
    uint64_t start = 0, size = m->low;
    if (guest.value >= GUEST_HOLE_END) {
        start = GUEST_HOLE_END;
        size = guest_memory_high(m);
    }
    uint64_t offset = guest.value - start;
    return offset <= size && length <= size - offset;
}

/* How many of `length` bytes at `guest` are in its page. */
static uint64_t part_in_page(uint64_t guest, uint64_t length)
{
    return MIN(PAGE_SIZE - (guest & PAGE_MASK), length);
}

void *guest_reach_far(const struct guest_memory *m, gpa_t guest, uint8_t access)
{
    return guest_range_ok(m, guest, 1) ? ept_reach(&m->ept, guest, access) : NULL;
}

static __attribute__((noinline)) int read_pages(const struct guest_memory *m, gpa_t guest,
                                                void *to, uint64_t length)
{
    if (!guest_range_ok(m, guest, length))
        return -EFAULT;
    for (uint64_t done = 0; done < length;) {
        uint64_t at = guest.value + done, part = part_in_page(at, length - done);
        struct ept_leaf leaf;
        if (ept_walk(&m->ept, GPA(at), &leaf))
            memset((char *)to + done, 0, part);
        else
            memcpy((char *)to + done, phys_to_virt(leaf.address), part);
        done += part;
    }
    return 0;
}

int guest_read(const struct guest_memory *m, gpa_t guest, void *to, uint64_t length)
{
    const void *from = guest_reach(m, guest, length, EPT_READ);
    if (!from)
        return read_pages(m, guest, to, length);
    memcpy(to, from, length);
    return 0;
}

/* May the guest itself write all of the range? What its image made read-only stays so. */
static bool is_writable(const struct guest_memory *m, uint64_t guest, uint64_t length)
{
    for (uint64_t done = 0; done < length; done += part_in_page(guest + done, length - done))
        if (!(page_access(m, guest + done) & EPT_WRITE))
            return false;
    return true;
}

static void copy_in(struct guest_memory *m, uint64_t guest, const char *from, uint64_t length)
{
    for (uint64_t done = 0; done < length;) {
        uint64_t at = guest + done, part = part_in_page(at, length - done);
        memcpy(phys_to_virt(touch(m, at, page_access(m, at))), from + done, part);
        done += part;
    }
}

static __attribute__((noinline)) int write_pages(struct guest_memory *m, gpa_t guest,
                                                 const void *from, uint64_t length)
{
    if (!guest_range_ok(m, guest, length) || !is_writable(m, guest.value, length))
        return -EFAULT;
    copy_in(m, guest.value, from, length);
    return 0;
}

int guest_write(struct guest_memory *m, gpa_t guest, const void *from, uint64_t length)
{
    void *to = guest_reach(m, guest, length, EPT_WRITE); /* EPT has the page's own rights */
    if (!to)
        return write_pages(m, guest, from, length);
    memcpy(to, from, length);
    return 0;
}

void *guest_load_page(struct guest_memory *m, gpa_t page)
{
    return phys_to_virt(touch(m, page.value, page_access(m, page.value)));
}

int guest_load_bytes(struct guest_memory *m, gpa_t guest, const void *from, uint64_t length)
{
    if (!guest_range_ok(m, guest, length))
        return -EFAULT;
    copy_in(m, guest.value, from, length);
    return 0;
}
