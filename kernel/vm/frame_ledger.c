/* SPDX-License-Identifier: MIT */
/* The ledger is a word a frame. What is the hypervisor's for good cannot be known from books: it is
 * what nobody claims at the first audit, before any guest runs, and it may only become less. */
#include "kernel/vm/frame_ledger.h"

#include <stdarg.h>
#include <string.h>

#include "kernel/lib/format.h"
#include "kernel/mm/frames.h"

#define USE_BITS  3
#define USE_MASK  ((1u << USE_BITS) - 1)
#define SHOWN_MAX 8 /* violations of an audit that are told: one may cause many */

typedef unsigned long long ull;

struct walk {
    struct frame_ledger *ledger;
    const struct frame_space *space;
    uint64_t tables, present;
    uint32_t own; /* what a frame of its pages becomes */
    uint64_t usual[EPT_RWX + 1]; /* by access: what a leaf of 4 KiB is beside its address */
};

static uint32_t entry_of(enum ledger_use use, uint32_t vm)
{
    return (uint32_t)use | vm << USE_BITS;
}

void ledger_violation(struct frame_ledger *ledger, const char *format, ...)
{
    char line[LEDGER_LINE_MAX];
    va_list args;
    if (++ledger->violations > SHOWN_MAX)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    ledger->violation(line);
}

/* Puts what frame number `number` is into `text`. */
static const char *describe(const struct frame_ledger *ledger, uint64_t number, char text[64])
{
    static const char *const words[LEDGER_USES] = {
        [LEDGER_NO_RAM] = "no memory for guests",
        [LEDGER_FREE] = "free",
        [LEDGER_HOST] = "the hypervisor's",
        [LEDGER_OPEN] = "nobody's",
        [LEDGER_HELD] = "held for ",
        [LEDGER_OWNED] = "RAM of ",
        [LEDGER_SHARED] = "shared by others",
    };
    uint32_t entry = number < ledger->end ? ledger->frames[number] : entry_of(LEDGER_NO_RAM, 0);
    enum ledger_use use = entry & USE_MASK;
    bool of_vm = use == LEDGER_HELD || use == LEDGER_OWNED;
    snprintf(text, 64, "%s%s", words[use], of_vm ? ledger->name(entry >> USE_BITS) : "");
    return text;
}

/* One frame that is handed out changes from `from` to `entry`; false: it is something else. */
static bool take(struct frame_ledger *ledger, uint64_t number, uint32_t entry)
{
    if (number >= ledger->end || ledger->frames[number] != entry_of(LEDGER_OPEN, 0))
        return false;
    ledger->frames[number] = entry;
    ledger->count[LEDGER_OPEN]--;
    ledger->count[entry & USE_MASK]++;
    return true;
}

/* What is free is large, and most of memory. */
static void note_free(uint32_t *words, uint64_t count)
{
    __asm__ volatile("rep stosl" : "+D"(words), "+c"(count) : "a"(entry_of(LEDGER_FREE, 0))
                     : "memory");
}

static void note_block(hpa_t block, unsigned order, bool free, void *context)
{
    struct frame_ledger *ledger = context;
    uint32_t *words = &ledger->frames[block.value >> PAGE_SHIFT];
    if (free) {
        note_free(words, BIT(order));
        ledger->count[LEDGER_FREE] += BIT(order);
        return;
    }
    for (uint64_t i = 0; i < BIT(order); i++) {
        bool host = ledger->settled && words[i] == entry_of(LEDGER_HOST, 0);
        words[i] = entry_of(host ? LEDGER_HOST : LEDGER_OPEN, 0);
        ledger->count[words[i]]++;
    }
}

bool ledger_begin(struct frame_ledger *ledger)
{
    char error[FRAMES_ERROR_MAX];
    ledger->violations = 0;
    ledger->end = frames_end().value >> PAGE_SHIFT;
    memset(ledger->count, 0, sizeof ledger->count);
    bool good = frames_check(note_block, ledger, error);
    if (!good)
        ledger_violation(ledger, "the allocator: %s", error);
    return good;
}

void ledger_claim(struct frame_ledger *ledger, hpa_t start, uint64_t size, enum ledger_use use,
                  uint32_t vm)
{
    char what[64];
    for (uint64_t at = start.value; at < start.value + size; at += PAGE_SIZE)
        if (!take(ledger, at >> PAGE_SHIFT, entry_of(use, vm)))
            ledger_violation(ledger, "frame 0x%llx, held%s%s: it is %s", (ull)at,
                             use == LEDGER_HELD ? " for " : " to be shared",
                             use == LEDGER_HELD ? ledger->name(vm) : "",
                             describe(ledger, at >> PAGE_SHIFT, what));
}

void ledger_claim_stock(struct frame_ledger *ledger, const struct frame_pool *pool, uint32_t vm)
{
    if (pool->stock > pool->reserved)
        ledger_violation(ledger, "%s: %llu frames lie ready, %llu are reserved", ledger->name(vm),
                         (ull)pool->stock, (ull)pool->reserved);
    else
        ledger_claim(ledger, pool->next, pool->stock * PAGE_SIZE, LEDGER_HELD, vm);
}

/* ---- A VM's EPT, or a disk's array ----------------------------------------------------------- */

static const struct frame_share *share_at(const struct frame_space *space, uint64_t guest)
{
    for (uint32_t i = 0; i < space->share_count; i++)
        if (guest - space->shares[i].guest.value < space->shares[i].size)
            return &space->shares[i];
    return NULL;
}

/* All of an entry but the address: access, memory type, size, and that no other bit is set. */
static void check_bits(const struct walk *walk, uint64_t guest, uint64_t entry, uint64_t expected)
{
    if ((entry & ~EPT_ADDRESS_MASK) != expected)
        ledger_violation(walk->ledger, "%s: the entry of 0x%llx is 0x%llx, beside the address it "
                         "should be 0x%llx", walk->ledger->name(walk->space->vm), (ull)guest,
                         (ull)entry, (ull)expected);
}

static void check_share(struct walk *walk, const struct frame_share *share, uint64_t guest,
                        uint64_t entry, unsigned order)
{
    struct frame_ledger *ledger = walk->ledger;
    uint64_t host = share->host.value + (guest - share->guest.value);
    check_bits(walk, guest, entry, walk->usual[share->access]);
    if (order != FRAME_ORDER_4K || (entry & EPT_ADDRESS_MASK) != host)
        ledger_violation(ledger, "%s: 0x%llx maps frame 0x%llx, not the shared one, 0x%llx",
                         ledger->name(walk->space->vm), (ull)guest, (ull)(entry & EPT_ADDRESS_MASK),
                         (ull)host);
    else if (ledger->frames[host >> PAGE_SHIFT] != entry_of(LEDGER_SHARED, 0))
        ledger_violation(ledger, "%s: 0x%llx maps frame 0x%llx, which is not shared",
                         ledger->name(walk->space->vm), (ull)guest, (ull)host);
}

static void check_page(struct walk *walk, uint64_t guest, uint64_t entry, unsigned order)
{
    const struct frame_space *space = walk->space;
    struct frame_ledger *ledger = walk->ledger;
    uint64_t first = (entry & EPT_ADDRESS_MASK) >> PAGE_SHIFT;
    uint8_t access = space->access(space->context, GPA(guest));
    char what[64];
    if (!access)
        ledger_violation(ledger, "%s: 0x%llx is mapped and is no RAM", ledger->name(space->vm),
                         (ull)guest);
    else
        check_bits(walk, guest, entry,
                   order ? ept_leaf_bits(order, access) : walk->usual[access]);
    if (!IS_ALIGNED(first, BIT(order)))
        ledger_violation(ledger, "%s: 0x%llx maps %llu KiB at 0x%llx, which is not aligned",
                         ledger->name(space->vm), (ull)guest, (ull)((PAGE_SIZE << order) / KIB),
                         (ull)(first << PAGE_SHIFT));
    for (uint64_t i = 0; i < BIT(order); i++)
        if (!take(ledger, first + i, walk->own))
            ledger_violation(ledger, "%s: 0x%llx maps frame 0x%llx: it is %s",
                             ledger->name(space->vm), (ull)(guest + i * PAGE_SIZE),
                             (ull)((first + i) << PAGE_SHIFT),
                             describe(ledger, first + i, what));
    walk->present += BIT(order);
}

/* May the table be looked into? */
static bool check_table(struct walk *walk, uint64_t guest, uint64_t table)
{
    char what[64];
    walk->tables++;
    if (take(walk->ledger, table >> PAGE_SHIFT, entry_of(LEDGER_HELD, walk->space->vm)))
        return true;
    ledger_violation(walk->ledger, "%s: 0x%llx has its table in frame 0x%llx: it is %s",
                     walk->ledger->name(walk->space->vm), (ull)guest, (ull)table,
                     describe(walk->ledger, table >> PAGE_SHIFT, what));
    return false;
}

static __attribute__((noinline)) bool check_odd_entry(struct walk *walk, uint64_t guest,
                                                      uint64_t entry, unsigned order)
{
    const struct frame_share *share = share_at(walk->space, guest);
    uint64_t bits = entry & ~EPT_ADDRESS_MASK;
    bool page = order <= FRAME_ORDER_1G && (order == FRAME_ORDER_4K || (bits & EPT_LARGE_PAGE));
    if (!page) {
        check_bits(walk, guest, entry, EPT_RWX);
        return bits == EPT_RWX && check_table(walk, guest, entry & EPT_ADDRESS_MASK);
    }
    if (share)
        check_share(walk, share, guest, entry, order);
    else
        check_page(walk, guest, entry, order);
    return false;
}

/* Nearly all are pages of RAM as they should be: guests wait meanwhile. */
static bool check_entry(gpa_t guest, uint64_t entry, unsigned order, void *context)
{
    struct walk *walk = context;
    const struct frame_space *space = walk->space;
    uint8_t access = order == FRAME_ORDER_4K ? space->access(space->context, guest) : 0;
    if (!access || (entry & ~EPT_ADDRESS_MASK) != walk->usual[access] ||
        !take(walk->ledger, (entry & EPT_ADDRESS_MASK) >> PAGE_SHIFT, walk->own))
        return check_odd_entry(walk, guest.value, entry, order);
    walk->present++;
    return false;
}

uint64_t ledger_claim_space(struct frame_ledger *ledger, const struct frame_space *space,
                            uint64_t *pages)
{
    struct walk walk = {
        .ledger = ledger, .space = space, .own = entry_of(space->use, space->vm)};
    unsigned before = ledger->violations;
    for (uint8_t access = 0; access <= EPT_RWX; access++)
        walk.usual[access] = ept_leaf_bits(FRAME_ORDER_4K, access);
    if (check_table(&walk, 0, space->ept->root.value))
        ept_for_each_entry(space->ept, check_entry, &walk);
    ledger_compare(ledger, space->vm, "tables", walk.tables, space->ept->table_count);
    /* where an entry is damaged, nobody can walk */
    if (ledger->violations == before && !ept_recent_is_mapped(space->ept))
        ledger_violation(ledger, "%s: a page was found lately that is not mapped so",
                         ledger->name(space->vm));
    *pages = walk.present;
    return walk.present + walk.tables;
}

void ledger_compare(struct frame_ledger *ledger, uint32_t vm, const char *what, uint64_t found,
                    uint64_t books)
{
    if (found != books)
        ledger_violation(ledger, "%s: %llu %s are there, its books say %llu", ledger->name(vm),
                         (ull)found, what, (ull)books);
}

/* ---- The end --------------------------------------------------------------------------------- */

/* At the first audit they become the hypervisor's. */
static void look_for_open(struct frame_ledger *ledger)
{
    for (uint64_t i = 0; i < ledger->end && ledger->count[LEDGER_OPEN] > 0; i++) {
        if (ledger->frames[i] != entry_of(LEDGER_OPEN, 0))
            continue;
        ledger->count[LEDGER_OPEN]--;
        if (ledger->settled) {
            ledger_violation(ledger, "frame 0x%llx is handed out, and nobody has it",
                             (ull)(i << PAGE_SHIFT));
        } else {
            ledger->frames[i] = entry_of(LEDGER_HOST, 0);
            ledger->count[LEDGER_HOST]++;
        }
    }
    ledger->settled = true;
}

unsigned ledger_end(struct frame_ledger *ledger, uint64_t reserved)
{
    uint64_t books = frames_free_count() - frames_available_count();
    if (reserved != books)
        ledger_violation(ledger, "all pools may take %llu frames, the allocator says %llu",
                         (ull)reserved, (ull)books);
    look_for_open(ledger);
    return ledger->violations;
}
