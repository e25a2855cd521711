/* SPDX-License-Identifier: MIT */
/* The audit of frames on a small machine: two guests, a link, a disk, vCPUs, and the hypervisor's
 * own. Each violation is made once and must be named; then each bit of each EPT entry and of each
 * byte of the allocator's is flipped, which must never go unnoticed. The sources are included, so
 * that their direct map starts at an arena: physical address 0 is the arena's first byte. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

static uint8_t *arena;

#undef DIRECT_MAP_BASE
#define DIRECT_MAP_BASE ((uint64_t)(uintptr_t)arena)
#include "kernel/mm/frames.c"
#include "kernel/mm/frame_pool.c"
#include "vmx/ept.c"
#include "kernel/vm/guest_memory.c"
#include "kernel/vm/frame_ledger.c"

#define ARENA_SIZE (12 * MIB)
#define HOLE       0x10000 /* bytes of the arena that are not the allocator's, like the image */
#define LINK_GUEST 0xc0000000ull
#define LINK_PAGES 2
#define VCPU_PAGES 4
#define EXTRA      12 /* vCPU pages and tables of the hole */

enum { ALPHA, BETA, GUESTS };

_Noreturn void panic(const char *format, ...)
{
    fail_msg("panic: %s", format);
    abort();
}

static uint8_t metadata[ARENA_SIZE / PAGE_SIZE];
static uint32_t words[ARENA_SIZE / PAGE_SIZE];

static struct guest {
    struct guest_memory memory;
    void *vcpu[VCPU_PAGES];
    struct frame_share share;
} guests[GUESTS];

static struct frame_pool disk_pool;
static struct ept disk; /* of alpha */
static hpa_t link, own; /* shared pages; the hypervisor's */
static char said[LEDGER_LINE_MAX * 16];
static struct frame_ledger ledger;

static void hear(const char *line)
{
    snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", line);
}

static const char *name(uint32_t vm)
{
    return vm == ALPHA ? "alpha" : "beta";
}

static uint8_t ram_access(const void *memory, gpa_t guest)
{
    return guest_page_access(memory, guest);
}

static uint8_t disk_access(const void *context, gpa_t offset)
{
    (void)context;
    return offset.value < MIB ? EPT_RW : 0;
}

static void claim_guest(uint32_t vm)
{
    const struct guest *guest = &guests[vm];
    const struct frame_space space = {.vm = vm, .ept = &guest->memory.ept, .use = LEDGER_OWNED,
                                      .access = ram_access, .context = &guest->memory,
                                      .shares = &guest->share, .share_count = 1};
    uint64_t pages, taken = 0;
    for (; taken < VCPU_PAGES; taken++)
        ledger_claim(&ledger, virt_to_phys(guest->vcpu[taken]), PAGE_SIZE, LEDGER_HELD, vm);
    taken += ledger_claim_space(&ledger, &space, &pages);
    ledger_compare(&ledger, vm, "frames of RAM", pages, guest->memory.present);
    ledger_compare(&ledger, vm, "frames in use", taken, guest->memory.pool.taken);
}

static void claim_disk(void)
{
    const struct frame_space space = {.vm = ALPHA, .ept = &disk, .use = LEDGER_HELD,
                                      .access = disk_access};
    uint64_t pages;
    ledger_compare(&ledger, ALPHA, "frames of disks", ledger_claim_space(&ledger, &space, &pages),
                   disk_pool.taken);
}

/* As frame_audit.c does. */
static unsigned audit(void)
{
    uint64_t reserved = 0;
    said[0] = '\0';
    if (!ledger_begin(&ledger))
        return ledger.violations;
    ledger_claim(&ledger, link, LINK_PAGES * PAGE_SIZE, LEDGER_SHARED, 0);
    for (uint32_t vm = 0; vm < GUESTS; vm++) {
        ledger_claim_stock(&ledger, &guests[vm].memory.pool, vm);
        reserved += guests[vm].memory.pool.reserved - guests[vm].memory.pool.stock;
    }
    ledger_claim_stock(&ledger, &disk_pool, ALPHA);
    reserved += disk_pool.reserved - disk_pool.stock;
    for (uint32_t vm = 0; vm < GUESTS; vm++)
        claim_guest(vm);
    claim_disk();
    return ledger_end(&ledger, reserved);
}

static void make_guest(uint32_t vm, uint64_t size, uint8_t link_access)
{
    static const struct guest_region text = {0x1000, 0x3000, EPT_RX};
    struct guest *guest = &guests[vm];
    assert_int_equal(guest_memory_create(&guest->memory, size, GUEST_WITH_HOLE, FRAME_ORDER_2M,
                                         EXTRA), 0);
    assert_int_equal(guest_memory_set_regions(&guest->memory, &text, 1, EPT_RWX), 0);
    for (unsigned i = 0; i < VCPU_PAGES; i++)
        assert_non_null(guest->vcpu[i] = frame_pool_page(&guest->memory.pool));
    guest->share = (struct frame_share){GPA(LINK_GUEST), link, LINK_PAGES * PAGE_SIZE, link_access};
    for (uint64_t at = 0; at < guest->share.size; at += PAGE_SIZE)
        assert_int_equal(ept_map(&guest->memory.ept, GPA(LINK_GUEST + at), HPA(link.value + at),
                                 FRAME_ORDER_4K, link_access, EPT_WB), 0);
}

static int set_up(void **state)
{
    (void)state;
    hpa_t metal;
    void *page;
    arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED)
        return -1;
    frames_init(metadata, HPA(ARENA_SIZE));
    frames_add(HPA(HOLE), HPA(ARENA_SIZE));
    assert_int_equal(frame_alloc(1, &link), 0);
    assert_int_equal(frame_alloc(2, &metal), 0);
    own = metal;
    ledger = (struct frame_ledger){.frames = words, .violation = hear, .name = name};
    make_guest(ALPHA, 4 * MIB, EPT_RW);
    make_guest(BETA, MIB, EPT_READ);
    guest_memory_map_all(&guests[ALPHA].memory); /* a leaf of 2 MiB among others */
    for (uint64_t at = 0; at < 20 * PAGE_SIZE; at += PAGE_SIZE)
        assert_int_equal(guest_memory_fault(&guests[BETA].memory, GPA(at), EPT_READ), 0);
    assert_int_equal(frame_pool_create(&disk_pool, 20), 0);
    assert_int_equal(ept_create(&disk, FRAME_ORDER_4K, &disk_pool), 0);
    for (uint64_t at = 0; at < 3 * PAGE_SIZE; at += PAGE_SIZE) {
        assert_non_null(page = frame_pool_page(&disk_pool));
        assert_int_equal(ept_map(&disk, GPA(at), virt_to_phys(page), FRAME_ORDER_4K, EPT_RW,
                                 EPT_WB), 0);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return munmap(arena, ARENA_SIZE);
}

static void all_is_well(void)
{
    if (audit() != 0)
        fail_msg("%s", said);
}

static void every_frame_is_counted(void **state)
{
    (void)state;
    all_is_well();
    all_is_well(); /* the first time it has learnt what is the hypervisor's */
    assert_int_equal(ledger.count[LEDGER_FREE], frames_free_count());
    assert_int_equal(ledger.count[LEDGER_HOST], 4);
    assert_int_equal(ledger.count[LEDGER_SHARED], LINK_PAGES);
    assert_int_equal(ledger.count[LEDGER_OWNED], 4 * MIB / PAGE_SIZE + 20);
    assert_int_equal(ledger.count[LEDGER_OPEN], 0);
    uint64_t sum = 0;
    for (unsigned use = 0; use < LEDGER_USES; use++)
        sum += ledger.count[use];
    assert_int_equal(sum, frames_total_count());
}

/* ---- Violations, each once ------------------------------------------------------------------- */

static uint64_t *entry_at(uint32_t vm, uint64_t guest, unsigned level)
{
    unsigned found = level;
    uint64_t *entry = (uint64_t *)find_entry(&guests[vm].memory.ept, guest, &found);
    assert_int_equal(found, level);
    return entry;
}

/* The audit must say each of the lines, and nothing when the word is as it was. */
static void found(uint64_t *word, uint64_t value, const char *line, const char *second)
{
    uint64_t old = *word;
    *word = value;
    unsigned count = audit();
    *word = old;
    if (count == 0 || !strstr(said, line) || !strstr(said, second))
        fail_msg("expected \"%s\" and \"%s\", not:\n%s", line, second, said);
    all_is_well();
}

static const char *text(const char *format, ...)
{
    static char texts[4][LEDGER_LINE_MAX];
    static unsigned next;
    va_list args;
    va_start(args, format);
    vsnprintf(texts[next = (next + 1) % 4], LEDGER_LINE_MAX, format, args);
    va_end(args);
    return texts[next];
}

#define AT(frame)     ((frame) & EPT_ADDRESS_MASK)
#define LEAF(frame)   (AT(frame) | ept_leaf_bits(FRAME_ORDER_4K, EPT_RWX))
#define MAPS(f, what) text("0x5000 maps frame 0x%llx: it is " what, (ull)AT(f)), "beta: "

static void a_leaf_to_a_wrong_frame_is_named(void **state)
{
    (void)state;
    uint64_t *leaf = entry_at(BETA, 0x5000, LEVEL_PT), was = *leaf;
    uint64_t alphas = *entry_at(ALPHA, 0x1000, LEVEL_PT);
    uint64_t betas = *entry_at(BETA, 0x6000, LEVEL_PT);
    uint64_t root = guests[ALPHA].memory.ept.root.value;
    uint64_t table = *entry_at(BETA, 0, LEVEL_PD);
    uint64_t vcpu = virt_to_phys(guests[ALPHA].vcpu[1]).value;
    hpa_t freed;
    assert_int_equal(frame_alloc(0, &freed), 0);
    assert_int_equal(frame_free(freed, 0), 0);

    all_is_well();
    found(leaf, LEAF(alphas), MAPS(alphas, "RAM of alpha"));
    found(leaf, LEAF(betas), text("0x6000 maps frame 0x%llx: it is RAM of beta", (ull)AT(betas)),
          text("frame 0x%llx is handed out, and nobody has it", (ull)AT(was)));
    found(leaf, LEAF(freed.value), MAPS(freed.value, "free"));
    found(leaf, LEAF(own.value), MAPS(own.value, "the hypervisor's"));
    found(leaf, LEAF(0ull), MAPS(0ull, "no memory for guests"));
    found(leaf, LEAF(1ull << 40), MAPS(1ull << 40, "no memory for guests"));
    found(leaf, LEAF(root), MAPS(root, "held for alpha"));
    found(leaf, LEAF(table), MAPS(table, "held for beta"));
    found(leaf, LEAF(vcpu), MAPS(vcpu, "held for alpha"));
    found(leaf, LEAF(link.value), MAPS(link.value, "shared by others"));
    found(leaf, LEAF(guests[BETA].memory.pool.next.value),
          MAPS(guests[BETA].memory.pool.next.value, "held for beta"));
}

static void a_leaf_with_wrong_rights_is_named(void **state)
{
    (void)state;
    uint64_t *page = entry_at(BETA, 0x1000, LEVEL_PT), *ours = entry_at(BETA, 0x5000, LEVEL_PT);
    uint64_t *shared = entry_at(BETA, LINK_GUEST, LEVEL_PT);
    uint64_t *large = entry_at(ALPHA, 2 * MIB, LEVEL_PD);
    all_is_well();
    found(page, *page | EPT_WRITE, "beta: the entry of 0x1000 is", "it should be 0x75");
    found(ours, *ours & ~(uint64_t)EPT_RWX, "beta: the entry of 0x5000 is", "should be 0x77");
    found(ours, *ours & ~EPT_TYPE_MASK, "beta: the entry of 0x5000 is", "should be 0x77");
    found(shared, *shared | EPT_WRITE, "beta: the entry of 0xc0000000 is", "should be 0x71");
    found(shared, LEAF(own.value) & ~(uint64_t)(EPT_WRITE | EPT_EXECUTE), "beta: 0xc0000000 maps",
          "not the shared one");
    found(large, *large + PAGE_SIZE, "alpha: 0x200000 maps 2048 KiB at", "which is not aligned");
    found(large, *large ^ EPT_LARGE_PAGE, "alpha: the entry of 0x200000 is", "should be 0x7");
}

static void a_page_outside_of_ram_is_named(void **state)
{
    (void)state;
    all_is_well();
    uint64_t *entry = entry_at(BETA, 0x5000, LEVEL_PT) + (MIB - 0x5000) / PAGE_SIZE;
    found(entry, LEAF(own.value), "beta: 0x100000 is mapped and is no RAM",
          "beta: 21 frames of RAM are there, its books say 20");
}

static void a_table_in_a_wrong_frame_is_named(void **state)
{
    (void)state;
    uint64_t *link_up = entry_at(BETA, 0, LEVEL_PD);
    uint64_t alphas = *entry_at(ALPHA, 0x1000, LEVEL_PT);
    all_is_well();
    found(link_up, AT(alphas) | EPT_RWX,
          text("beta: 0x0 has its table in frame 0x%llx: it is RAM of alpha", (ull)AT(alphas)),
          "beta: 0 frames of RAM are there, its books say 20");
    found(link_up, (BIT(51) | EPT_RWX), "beta: 0x0 has its table in frame 0x8000000000000",
          "it is no memory for guests");
    found(&guests[BETA].memory.ept.root.value, own.value, "beta: 0x0 has its table in",
          "it is the hypervisor's");
}

static void counts_that_differ_are_named(void **state)
{
    (void)state;
    struct guest_memory *m = &guests[BETA].memory;
    uint64_t tables = m->ept.table_count, taken = m->pool.taken, reserved = m->pool.reserved;
    all_is_well();
    found(&m->present, 21, "beta: 20 frames of RAM are there, its books say 21", "");
    found(&m->pool.taken, taken - 1, text("beta: %llu frames in use are there", (ull)taken), "");
    found(&m->pool.reserved, reserved + 1, "all pools may take", "the allocator says");
    found(&m->pool.stock, reserved + 1, "beta: ", "frames lie ready");
    found(&m->pool.stock, m->pool.stock + 1, "frame 0x", "held for beta");
    found(&disk_pool.taken, 3, "alpha: 7 frames of disks are there, its books say 3", "");
    m->ept.table_count++;
    assert_int_equal(audit(), 1);
    m->ept.table_count--;
    assert_string_equal(said, text("beta: %llu tables are there, its books say %llu\n",
                                   (ull)tables, (ull)tables + 1));
}

static void a_lost_frame_is_named(void **state)
{
    (void)state;
    hpa_t page;
    all_is_well();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(frame_alloc(0, &page), 0);
        assert_int_equal(audit(), 1);
        assert_int_equal(audit(), 1); /* it never becomes the hypervisor's by itself */
        assert_string_equal(said, text("frame 0x%llx is handed out, and nobody has it\n",
                                       (ull)page.value));
        assert_int_equal(frame_free(page, 0), 0);
        all_is_well();
    }
    assert_int_equal(frame_free(own, 2), 0); /* and what that gives back is no more its own */
    all_is_well();
    assert_int_equal(frame_alloc(2, &page), 0);
    assert_int_equal(audit(), 4);
    assert_int_equal(frame_free(page, 2), 0);
}

static void a_stale_page_is_named(void **state)
{
    (void)state;
    struct ept *ept = &guests[BETA].memory.ept;
    assert_non_null(ept_reach(ept, GPA(0x5000), EPT_READ));
    all_is_well();
    uint64_t entry = ept->recent[5];
    for (unsigned bit = 0; bit < 64; bit++) {
        ept->recent[5] = entry ^ BIT(bit);
        assert_int_equal(audit(), 1);
        assert_string_equal(said, "beta: a page was found lately that is not mapped so\n");
    }
    ept->recent[5] = entry;
}

static void many_are_told_in_part(void **state)
{
    (void)state;
    all_is_well();
    uint64_t *entries = entry_at(BETA, 0, LEVEL_PT);
    for (unsigned i = 0; i < 20; i++)
        entries[i] ^= EPT_WRITE;
    assert_int_equal(audit(), 20);
    unsigned lines = 0;
    for (const char *at = said; *at; at++)
        lines += *at == '\n';
    assert_int_equal(lines, SHOWN_MAX);
    for (unsigned i = 0; i < 20; i++)
        entries[i] ^= EPT_WRITE;
}

/* ---- Bits that flip -------------------------------------------------------------------------- */

static void flip_all(uint64_t *table, unsigned level)
{
    for (unsigned i = 0; i < EPT_ENTRIES; i++) {
        uint64_t was = table[i];
        if (was == 0 && i % 97)
            continue; /* some of those that are empty */
        for (unsigned bit = 0; bit < 64; bit++) {
            table[i] = was ^ BIT(bit);
            if (audit() == 0)
                fail_msg("level %u, entry %u, 0x%llx, bit %u", level, i, (ull)was, bit);
            table[i] = was;
        }
        if (is_table(was, level))
            flip_all((uint64_t *)table_of(was), level - 1);
    }
}

static void no_bit_of_an_ept_flips_unnoticed(void **state)
{
    (void)state;
    all_is_well();
    flip_all((uint64_t *)table_of(guests[BETA].memory.ept.root.value), LEVEL_PML4);
    flip_all((uint64_t *)table_of(disk.root.value), LEVEL_PML4);
    uint64_t *large = entry_at(ALPHA, 2 * MIB, LEVEL_PD), was = *large;
    for (unsigned bit = 0; bit < 64; bit++) {
        *large = was ^ BIT(bit);
        assert_int_not_equal(audit(), 0);
    }
    *large = was;
    all_is_well();
}

static void no_bit_of_the_allocator_flips_unnoticed(void **state)
{
    (void)state;
    all_is_well();
    for (size_t i = 0; i < sizeof metadata; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            metadata[i] ^= (uint8_t)BIT(bit);
            if (audit() != 1 || strncmp(said, "the allocator: ", 15) != 0)
                fail_msg("frame %zu, bit %u: %s", i, bit, said);
            metadata[i] ^= (uint8_t)BIT(bit);
        }
    uint64_t *counts[] = {&pool.free_count, &pool.total_count, &pool.reserved_count,
                          &pool.blocks[0], &pool.blocks[3]};
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
        for (unsigned bit = 0; bit < 64; bit++) {
            *counts[i] ^= BIT(bit);
            assert_int_not_equal(audit(), 0);
            *counts[i] ^= BIT(bit);
        }
    all_is_well();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
        TEST(every_frame_is_counted),
        TEST(a_leaf_to_a_wrong_frame_is_named),
        TEST(a_leaf_with_wrong_rights_is_named),
        TEST(a_page_outside_of_ram_is_named),
        TEST(a_table_in_a_wrong_frame_is_named),
        TEST(counts_that_differ_are_named),
        TEST(a_lost_frame_is_named),
        TEST(a_stale_page_is_named),
        TEST(many_are_told_in_part),
        TEST(no_bit_of_an_ept_flips_unnoticed),
        TEST(no_bit_of_the_allocator_flips_unnoticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
