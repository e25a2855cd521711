/* SPDX-License-Identifier: MIT */
/* EPT paging structures: SDM Vol. 3C 28.2.2, tables 28-1 to 28-7, for a page-walk length of 4.
 * Two things hold between calls: an entry is 0 or present, and no table but the root is empty.
 * Callers serialise changes to one EPT; processors and walks may be on it while something is
 * mapped, so each entry is written whole, and a table is filled before it is linked. */
#include "kernel/lib/hot_path.h"

#include "vmx/ept.h"

#include <linux/errno.h>
#include <stdatomic.h>
#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"

/* Bits of an entry. Left 0: accessed and dirty (8, 9), and all that bits 52 and up switch on. A
 * non-leaf entry allows everything: rights are decided by the leaf alone. So is the memory type:
 * guests that share a page must not see it by several (SDM Vol. 3A 11.12.4). */
#define EPT_ACCESS_MASK  ((uint64_t)EPT_RWX)
#define EPT_TYPE_SHIFT   3
#define EPT_TYPE_MASK    (7ull << EPT_TYPE_SHIFT)
#define EPT_IGNORE_PAT   BIT(6) /* of a leaf */

#define EPT_INDEX_BITS  9
#define EPT_ENTRIES     (1u << EPT_INDEX_BITS)
#define EPT_GUEST_LIMIT BIT(48)
#define EPT_HOST_LIMIT  BIT(52)

/* Levels count up from the leaves, so that a leaf's order is level * EPT_INDEX_BITS. */
enum ept_level { LEVEL_PT, LEVEL_PD, LEVEL_PDPT, LEVEL_PML4, LEVELS };

typedef _Atomic uint64_t ept_entry;

static uint64_t span(unsigned level)
{
    return PAGE_SIZE << (level * EPT_INDEX_BITS);
}

/* By shift and mask, as all on the way of a fault: a span is a power of 2, but no constant. */
static unsigned index_at(uint64_t guest, unsigned level)
{
    return guest >> (PAGE_SHIFT + level * EPT_INDEX_BITS) & (EPT_ENTRIES - 1);
}

static uint64_t read_entry(const ept_entry *entry)
{
    /* acquire: pairs with write_entry, for who walks while another core maps */
    return atomic_load_explicit(entry, memory_order_acquire);
}

static void write_entry(ept_entry *entry, uint64_t value)
{
    /* release: the processor that sees a link sees the table behind it */
    atomic_store_explicit(entry, value, memory_order_release);
}

static bool is_present(uint64_t entry)
{
    return (entry & EPT_ACCESS_MASK) != 0;
}

static bool is_table(uint64_t entry, unsigned level)
{
    return level > LEVEL_PT && is_present(entry) && !(entry & EPT_LARGE_PAGE);
}

static ept_entry *table_of(uint64_t entry)
{
    return phys_to_virt(HPA(entry & EPT_ADDRESS_MASK));
}

static uint64_t table_entry(const ept_entry *table)
{
    return virt_to_phys((const void *)table).value | EPT_RWX;
}

static uint64_t leaf_entry(uint64_t host, unsigned level, uint8_t access, unsigned type)
{
    uint64_t large = level > LEVEL_PT ? EPT_LARGE_PAGE : 0;
    return host | large | EPT_IGNORE_PAT | (uint64_t)type << EPT_TYPE_SHIFT | access;
}

static hpa_t address_in(uint64_t entry, unsigned level, uint64_t guest)
{
    return HPA((entry & EPT_ADDRESS_MASK) + (guest & (span(level) - 1)));
}

static unsigned type_of(uint64_t entry)
{
    return (entry & EPT_TYPE_MASK) >> EPT_TYPE_SHIFT;
}

static struct ept_leaf leaf_of(uint64_t entry, unsigned level, uint64_t guest)
{
    return (struct ept_leaf){
        .address = address_in(entry, level, guest),
        .order = level * EPT_INDEX_BITS,
        .access = (uint8_t)(entry & EPT_ACCESS_MASK),
        .memory_type = (uint8_t)type_of(entry),
    };
}

/* The entry for `guest` where the walk ends: at `*level` or, above it, where no table follows.
 * Sets `*level` to where that was. */
static inline ept_entry *find_entry(const struct ept *ept, uint64_t guest, unsigned *level)
{
    const unsigned target = *level;
    ept_entry *table = table_of(ept->root.value);
#pragma GCC unroll 4
    for (unsigned at = LEVEL_PML4; at > target; at--) {
        ept_entry *entry = &table[index_at(guest, at)];
        uint64_t value = read_entry(entry);
        if (__builtin_expect(!is_table(value, at), 0)) {
            *level = at;
            return entry;
        }
        table = table_of(value);
    }
    return &table[index_at(guest, target)];
}

static bool is_leaf_order(unsigned order)
{
    return order == FRAME_ORDER_4K || order == FRAME_ORDER_2M || order == FRAME_ORDER_1G;
}

/* Write without read is a misconfiguration; nothing at all would not be a leaf. */
static bool is_valid_access(uint8_t access)
{
    return ((access & EPT_READ) && (access & ~EPT_RWX) == 0) || access == EPT_EXECUTE;
}

static void remember(struct ept *ept, uint64_t guest, hpa_t host, uint8_t access)
{
    uint64_t page = guest >> PAGE_SHIFT, tag = page >> EPT_RECENT_BITS;
    if (tag >= BIT(64 - EPT_RECENT_TAG_SHIFT))
        return;
    uint64_t entry = tag << EPT_RECENT_TAG_SHIFT |
                     host.value >> PAGE_SHIFT << EPT_RECENT_HOST_SHIFT | access;
    atomic_store_explicit(&ept->recent[page % EPT_RECENT], entry, memory_order_release);
}

static void forget_recent(struct ept *ept)
{
    for (unsigned i = 0; i < EPT_RECENT; i++)
        atomic_store_explicit(&ept->recent[i], 0, memory_order_relaxed);
}

int ept_create(struct ept *ept, unsigned max_order, struct frame_pool *pool)
{
    if (!is_leaf_order(max_order))
        return -EINVAL;
    void *root = frame_pool_page(pool);
    if (root == NULL)
        return -ENOMEM;
    ept->pool = pool;
    ept->root = virt_to_phys(root);
    ept->table_count = 1;
    ept->max_order = (uint8_t)max_order;
    forget_recent(ept);
    return 0;
}

#define GROUP 16u

static inline bool is_group_empty(const ept_entry *group)
{
    const uint64_t *plain = (const uint64_t *)group; /* what is written meanwhile may be missed */
    uint64_t all = 0;
#pragma GCC unroll 16
    for (unsigned i = 0; i < GROUP; i++)
        all |= plain[i];
    return all == 0;
}

/* The first entry from `i` on that is not 0, EPT_ENTRIES: there is none. Tables are mostly empty,
 * and whoever goes over one looks at a group at a time. */
static unsigned next_used(const ept_entry *table, unsigned i)
{
    for (; i < EPT_ENTRIES; i++) {
        while (i % GROUP == 0 && i < EPT_ENTRIES && is_group_empty(&table[i]))
            i += GROUP;
        if (i == EPT_ENTRIES || read_entry(&table[i]) != 0)
            break;
    }
    return i;
}

static bool is_valid_mapping(const struct ept *ept, uint64_t guest, uint64_t host, unsigned order,
                             uint8_t access, unsigned type)
{
    if (!is_leaf_order(order) || order > ept->max_order)
        return false;
    uint64_t size = PAGE_SIZE << order;
    return IS_ALIGNED(guest, size) && IS_ALIGNED(host, size) && guest < EPT_GUEST_LIMIT &&
           host < EPT_HOST_LIMIT && is_valid_access(access) && (type == EPT_UC || type == EPT_WB);
}

/* Frees tables that hold nothing but the way to `guest`, from the one that `link` names at `level`
 * down to the one that holds the entry of level `target`. */
static void free_chain(const struct ept *ept, uint64_t link, unsigned level, unsigned target,
                       uint64_t guest)
{
    while (level > target) {
        ept_entry *table = table_of(link);
        level--;
        link = read_entry(&table[index_at(guest, level)]);
        frame_pool_free_page(ept->pool, table);
    }
}

/* Builds the tables between an entry of `level` and `leaf`, which belongs at level `target`, from
 * the leaf upwards, and returns in `link` what the entry of `level` is to hold. */
static int build_chain(const struct ept *ept, uint64_t leaf, unsigned target, unsigned level,
                       uint64_t guest, uint64_t *link)
{
    *link = leaf;
    for (unsigned at = target; at < level; at++) {
        ept_entry *table = frame_pool_page(ept->pool);
        if (table == NULL) {
            free_chain(ept, *link, at, target, guest);
            return -ENOMEM;
        }
        write_entry(&table[index_at(guest, at)], *link);
        *link = table_entry(table);
    }
    return 0;
}

int ept_map(struct ept *ept, gpa_t guest, hpa_t host, unsigned order, uint8_t access,
            enum ept_memory_type type)
{
    if (!is_valid_mapping(ept, guest.value, host.value, order, access, type))
        return -EINVAL;

    unsigned target = order / EPT_INDEX_BITS;
    unsigned level = target;
    ept_entry *entry = find_entry(ept, guest.value, &level);
    if (is_present(read_entry(entry))) /* a larger leaf, this one, or a table of smaller ones */
        return -EEXIST;

    uint64_t link;
    uint64_t leaf = leaf_entry(host.value, target, access, type);
    int error = build_chain(ept, leaf, target, level, guest.value, &link);
    if (error != 0)
        return error;
    write_entry(entry, link);
    ept->table_count += level - target;
    return 0;
}

int ept_populate(struct ept *ept, gpa_t guest, uint8_t access, hpa_t *host)
{
    if (__builtin_expect(guest.value >= EPT_GUEST_LIMIT || !is_valid_access(access), 0))
        return -EINVAL;
    unsigned level = LEVEL_PT;
    ept_entry *entry = find_entry(ept, guest.value, &level);
    uint64_t old = read_entry(entry);
    if (__builtin_expect(is_present(old), 0)) {
        *host = address_in(old, level, guest.value);
        return 0;
    }
    void *page = frame_pool_page(ept->pool);
    if (__builtin_expect(page == NULL, 0))
        return -ENOMEM;

    *host = HPA(virt_to_phys(page).value + (guest.value & PAGE_MASK));
    const uint64_t leaf = leaf_entry(virt_to_phys(page).value, LEVEL_PT, access, EPT_WB);
    if (__builtin_expect(level == LEVEL_PT, 1)) {
        write_entry(entry, leaf);
        return 1;
    }
    uint64_t link;
    if (build_chain(ept, leaf, LEVEL_PT, level, guest.value, &link) != 0) {
        frame_pool_free_page(ept->pool, page);
        return -ENOMEM;
    }
    write_entry(entry, link);
    ept->table_count += level - LEVEL_PT;
    return 1;
}

bool ept_has_room(const struct ept *ept, gpa_t guest, unsigned order)
{
    unsigned level = order / EPT_INDEX_BITS;
    /* no table is empty: where one hangs, something is mapped */
    return !is_present(read_entry(find_entry(ept, guest.value, &level)));
}

static bool is_empty(const ept_entry *table)
{
    for (unsigned i = 0; i < EPT_ENTRIES; i++)
        if (read_entry(&table[i]) != 0)
            return false;
    return true;
}

int ept_unmap(struct ept *ept, gpa_t guest, struct ept_leaf *leaf)
{
    if (ept_walk(ept, guest, leaf) != 0)
        return -ENOENT;

    forget_recent(ept);
    for (unsigned level = leaf->order / EPT_INDEX_BITS; level <= LEVEL_PML4; level++) {
        ept_entry *entry = find_entry(ept, guest.value, &level);
        uint64_t old = read_entry(entry);
        if (is_table(old, level) && !is_empty(table_of(old)))
            break;
        write_entry(entry, 0);
        if (is_table(old, level)) {
            frame_pool_free_page(ept->pool, table_of(old));
            ept->table_count--;
        }
    }
    return 0;
}

int ept_walk(const struct ept *ept, gpa_t guest, struct ept_leaf *leaf)
{
    if (guest.value >= EPT_GUEST_LIMIT)
        return -ENOENT;
    unsigned level = LEVEL_PT;
    uint64_t entry = read_entry(find_entry(ept, guest.value, &level));
    if (!is_present(entry))
        return -ENOENT;
    *leaf = leaf_of(entry, level, guest.value);
    return 0;
}

void *ept_reach(const struct ept *ept, gpa_t guest, uint8_t access)
{
    struct ept_leaf leaf;
    void *recent;
    if (ept_recent(ept, guest, access, &recent))
        return recent;
    if (ept_walk(ept, guest, &leaf) || (leaf.access & access) != access)
        return NULL;
    remember((struct ept *)ept, guest.value, leaf.address, leaf.access); /* no change of the map */
    return phys_to_virt(leaf.address);
}

/* Bits 6:3 of an entry that names a table are reserved. */
#define EPT_TABLE_RESERVED 0x78ull

static bool is_memory_type(unsigned type)
{
    return type < 8 && (0x73u >> type & 1); /* UC, WC, WT, WP, WB */
}

/* SDM 28.2.3.1, but for what depends on the processor: execute-only, the physical-address width. */
static enum ept_step_kind kind_of(uint64_t entry, unsigned level)
{
    if (!is_present(entry))
        return EPT_STEP_ABSENT;
    if ((entry & EPT_RW) == EPT_WRITE)
        return EPT_STEP_MISCONFIGURED;
    if (is_table(entry, level))
        return entry & EPT_TABLE_RESERVED ? EPT_STEP_MISCONFIGURED : EPT_STEP_TABLE;
    bool valid = level < LEVEL_PML4 && is_memory_type(type_of(entry));
    return valid ? EPT_STEP_LEAF : EPT_STEP_MISCONFIGURED;
}

static struct ept_step step_of(const ept_entry *table, unsigned level, uint64_t guest)
{
    static const char *const names[LEVELS] = {
        [LEVEL_PML4] = "PML4E", [LEVEL_PDPT] = "PDPTE", [LEVEL_PD] = "PDE", [LEVEL_PT] = "PTE"};
    unsigned index = index_at(guest, level);
    uint64_t entry = read_entry(&table[index]);
    enum ept_step_kind kind = kind_of(entry, level);
    return (struct ept_step){
        .table = virt_to_phys((const void *)table),
        .name = names[level],
        .index = index,
        .entry = entry,
        .kind = kind,
        .size = span(level),
        .address = kind == EPT_STEP_LEAF ? address_in(entry, level, guest)
                                         : HPA(entry & EPT_ADDRESS_MASK),
        .access = (uint8_t)(entry & EPT_ACCESS_MASK),
        .memory_type = (uint8_t)type_of(entry),
    };
}

unsigned ept_walk_steps(const struct ept *ept, gpa_t guest, struct ept_step steps[EPT_STEPS_MAX])
{
    const ept_entry *table = table_of(ept->root.value);
    unsigned count = 0;
    if (guest.value >= EPT_GUEST_LIMIT)
        return 0;
    for (unsigned level = LEVEL_PML4;; level--) {
        struct ept_step *step = &steps[count++];
        *step = step_of(table, level, guest.value);
        if (step->kind != EPT_STEP_TABLE)
            return count;
        table = table_of(step->entry);
    }
}

static void visit_entries(const ept_entry *table, unsigned level, uint64_t guest,
                          bool (*visit)(gpa_t guest, uint64_t entry, unsigned order, void *context),
                          void *context)
{
    for (unsigned i = 0; (i = next_used(table, i)) < EPT_ENTRIES; i++) {
        uint64_t entry = read_entry(&table[i]), at = guest + i * span(level);
        if (visit(GPA(at), entry, level * EPT_INDEX_BITS, context))
            visit_entries(table_of(entry), level - 1, at, visit, context);
    }
}

void ept_for_each_entry(const struct ept *ept,
                        bool (*visit)(gpa_t guest, uint64_t entry, unsigned order, void *context),
                        void *context)
{
    visit_entries(table_of(ept->root.value), LEVEL_PML4, 0, visit, context);
}

uint64_t ept_leaf_bits(unsigned order, uint8_t access)
{
    return leaf_entry(0, order / EPT_INDEX_BITS, access, EPT_WB);
}

bool ept_recent_is_mapped(const struct ept *ept)
{
    struct ept_leaf leaf;
    for (uint64_t i = 0; i < EPT_RECENT; i++) {
        uint64_t entry = atomic_load_explicit(&ept->recent[i], memory_order_acquire);
        uint64_t page = entry >> EPT_RECENT_TAG_SHIFT << EPT_RECENT_BITS | i;
        uint64_t host = (entry & EPT_RECENT_HOST_MASK) >> EPT_RECENT_HOST_SHIFT;
        if (entry && (ept_walk(ept, GPA(page << PAGE_SHIFT), &leaf) ||
                      leaf.address.value >> PAGE_SHIFT != host ||
                      leaf.access != (entry & EPT_ACCESS_MASK)))
            return false;
    }
    return true;
}

/* The addresses whose leaves ept_protect changes: [start, end). */
struct range {
    uint64_t start, end;
};

static bool is_mapped(const struct ept *ept, struct range range)
{
    struct ept_leaf leaf;
    for (uint64_t at = range.start; at < range.end;) {
        if (ept_walk(ept, GPA(at), &leaf) != 0)
            return false;
        uint64_t size = PAGE_SIZE << leaf.order;
        at = ALIGN_DOWN(at, size) + size;
    }
    return true;
}

/* The level of the leaf for `guest` if its access is to change, else LEVEL_PT: never split. */
static unsigned level_to_change(const struct ept *ept, uint64_t guest, uint8_t access)
{
    unsigned level = LEVEL_PT;
    uint64_t entry = read_entry(find_entry(ept, guest, &level));
    return (entry & EPT_ACCESS_MASK) == access ? LEVEL_PT : level;
}

/* Only the leaves in which the range starts or ends are split, so that many tables are needed:
 * one for every level down which an end of the range cuts, and one for both where they cut the
 * same entry. At most 4. */
#define SPLIT_TABLES_MAX 4

static unsigned split_table_count(const struct ept *ept, struct range range, uint8_t access)
{
    unsigned first = level_to_change(ept, range.start, access);
    unsigned last = level_to_change(ept, range.end - 1, access);
    unsigned count = 0;
    for (unsigned level = LEVEL_PD; level <= LEVEL_PDPT; level++) {
        bool at_start = level <= first && !IS_ALIGNED(range.start, span(level));
        bool at_end = level <= last && !IS_ALIGNED(range.end, span(level));
        bool same = range.start / span(level) == range.end / span(level);
        count += at_start && at_end && same ? 1 : at_start + at_end;
    }
    return count;
}

static int alloc_tables(const struct ept *ept, void **tables, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        tables[i] = frame_pool_page(ept->pool);
        if (tables[i] == NULL) {
            while (i > 0)
                frame_pool_free_page(ept->pool, tables[--i]);
            return -ENOMEM;
        }
    }
    return 0;
}

/* Replaces the leaf `entry` of `level` by `table`, whose leaves map the same. */
static void split_leaf(ept_entry *entry, unsigned level, ept_entry *table)
{
    uint64_t old = read_entry(entry);
    unsigned below = level - 1;
    for (unsigned i = 0; i < EPT_ENTRIES; i++) {
        uint64_t host = (old & EPT_ADDRESS_MASK) + i * span(below);
        write_entry(&table[i], leaf_entry(host, below, old & EPT_ACCESS_MASK, type_of(old)));
    }
    write_entry(entry, table_entry(table));
}

/* Splits the leaf that changes for `guest` until one starts or ends at `cut`. Returns how many
 * tables that took. */
static unsigned split_at(struct ept *ept, uint64_t guest, uint64_t cut, uint8_t access,
                         void *const *tables)
{
    unsigned used = 0;
    for (;;) {
        unsigned level = level_to_change(ept, guest, access);
        if (IS_ALIGNED(cut, span(level)))
            return used;
        split_leaf(find_entry(ept, guest, &level), level, tables[used++]);
        ept->table_count++;
    }
}

static void set_access(const struct ept *ept, struct range range, uint8_t access)
{
    for (uint64_t at = range.start; at < range.end;) {
        unsigned level = LEVEL_PT;
        ept_entry *entry = find_entry(ept, at, &level);
        uint64_t old = read_entry(entry);
        /* a leaf that reaches out of the range has the access already, or it had been split */
        write_entry(entry, (old & ~EPT_ACCESS_MASK) | access);
        at = ALIGN_DOWN(at, span(level)) + span(level);
    }
}

int ept_protect(struct ept *ept, gpa_t guest, uint64_t size, uint8_t access)
{
    if (!IS_ALIGNED(guest.value | size, PAGE_SIZE) || !is_valid_access(access) ||
        guest.value >= EPT_GUEST_LIMIT || size > EPT_GUEST_LIMIT - guest.value)
        return -EINVAL;
    if (size == 0)
        return 0;
    struct range range = {guest.value, guest.value + size};
    if (!is_mapped(ept, range))
        return -ENOENT;

    /* All frames are taken before anything changes: undoing a split would free a table that the
     * processor may have cached. */
    void *tables[SPLIT_TABLES_MAX];
    int error = alloc_tables(ept, tables, split_table_count(ept, range, access));
    if (error != 0)
        return error;
    unsigned used = split_at(ept, range.start, range.start, access, tables);
    split_at(ept, range.end - 1, range.end, access, tables + used);
    set_access(ept, range, access);
    forget_recent(ept);
    return 0;
}

struct visitor {
    ept_visit *visit;
    void *context;
    struct frame_pool *pool; /* a table goes there when it was visited; NULL: it stays */
};

static void visit_table(ept_entry *table, unsigned level, uint64_t guest,
                        const struct visitor *visitor)
{
    for (unsigned i = 0; (i = next_used(table, i)) < EPT_ENTRIES; i++) {
        uint64_t entry = read_entry(&table[i]), at = guest + i * span(level);
        if (is_table(entry, level)) {
            visit_table(table_of(entry), level - 1, at, visitor);
        } else if (is_present(entry)) {
            struct ept_leaf leaf = leaf_of(entry, level, at);
            visitor->visit(GPA(at), &leaf, visitor->context);
        }
    }
    if (visitor->pool)
        frame_pool_free_page(visitor->pool, table);
}

void ept_for_each(const struct ept *ept, ept_visit *visit, void *context)
{
    struct visitor visitor = {visit, context, NULL};
    visit_table(table_of(ept->root.value), LEVEL_PML4, 0, &visitor);
}

void ept_take_apart(struct ept *ept, ept_visit *visit, void *context)
{
    struct visitor visitor = {visit, context, ept->pool};
    visit_table(table_of(ept->root.value), LEVEL_PML4, 0, &visitor);
    *ept = (struct ept){0};
}

static void pass_by(gpa_t guest, const struct ept_leaf *leaf, void *context)
{
    (void)guest, (void)leaf, (void)context;
}

void ept_destroy(struct ept *ept)
{
    ept_take_apart(ept, pass_by, NULL);
}
