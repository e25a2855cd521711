/* SPDX-License-Identifier: MIT */
/* A guest that touches RAM for the first time in every way: loads, stores, locked instructions, the
 * stack of an exception, of an interrupt, of an NMI (SDM Vol. 3C 27.2.4), page tables, the buffer
 * of a call. All of it must be there, zeroed, and no event delivered twice. */
#include "guests/lib/guest.h"

#include "tests/guests/check.h"

#define VECTOR      0x43
#define STACK_PAGES 4
#define ENTRY_FLAGS 7ull      /* present, writable, user */
#define UNMAPPED    (4 * GIB) /* start.asm maps no more */

extern char text_start[]; /* guest.ld */

static volatile unsigned count;

static bool on_event(struct exception_frame *frame)
{
    count++;
    if (frame->vector == VECTOR && apic_bit(APIC_ISR, VECTOR))
        apic_end_of_interrupt();
    return true;
}

static bool on_page_fault(struct exception_frame *frame)
{
    count++;
    frame->rip = frame->rbx; /* where ON_STACK goes on */
    return true;
}

static char *fresh_pages(size_t pages)
{
    char *first = pages_alloc(pages);

    if (first)
        return first;
    check(false, "no fresh page is left");
    guest_exit(checks_done("lazy_test"));
}

/* Runs `instructions`, which cause one event, with RSP in pages that nobody has touched. */
#define ON_STACK(what, rsp, instructions)                                                          \
    ({                                                                                             \
        uint64_t rsp_ = (rsp);                                                                     \
        count = 0;                                                                                 \
        interrupts_off();                                                                          \
        __asm__ volatile("lea 2f(%%rip), %%rbx\n"                                                  \
                         "mov %%rsp, %%r12\n"                                                      \
                         "mov %0, %%rsp\n" instructions "\n"                                       \
                         "2: mov %%r12, %%rsp\n"                                                   \
                         :                                                                         \
                         : "r"(rsp_)                                                               \
                         : "memory", "cc", "rax", "rbx", "rcx", "rdx", "r12");                     \
        interrupts_on();                                                                           \
        check(count == 1, "%s on an untouched stack comes once (%u)", what, count);                \
    })

/* `beyond` bytes of each event's frame lie in one more page. */
static uint64_t fresh_stack(unsigned beyond)
{
    return (uintptr_t)fresh_pages(STACK_PAGES + 1) + STACK_PAGES * PAGE_SIZE + beyond;
}

static void events(unsigned beyond)
{
    ON_STACK("INT3", fresh_stack(beyond), "int3");
    ON_STACK("INT n", fresh_stack(beyond), "int $0x43");
    ON_STACK("a page fault", fresh_stack(beyond),
             "mov $0x100000000, %%rax\n"
             "mov (%%rax), %%eax");
    ON_STACK("an interrupt", fresh_stack(beyond),
             "mov $0x83f, %%ecx\n" /* SELF IPI */
             "mov $0x43, %%eax\n"
             "xor %%edx, %%edx\n"
             "wrmsr\n"
             "sti\n"
             "nop\n"
             "nop\n"
             "cli");
    ON_STACK("an NMI", fresh_stack(beyond),
             "mov $0x830, %%ecx\n" /* ICR: NMI to vCPU 0 */
             "mov $0x4400, %%eax\n"
             "xor %%edx, %%edx\n"
             "wrmsr\n"
             "nop\n"
             "nop");
}

static uint64_t *table_below(uint64_t entry)
{
    return (uint64_t *)(entry & 0x000ffffffffff000ull);
}

/* The walk of the guest's page tables reads pages that nobody has touched, level by level. */
static void page_tables(void)
{
    uint64_t *pml4 = table_below(read_cr3()), *pdpt = table_below(pml4[0]);
    uint64_t *directory = (uint64_t *)fresh_pages(1), *table = (uint64_t *)fresh_pages(1);
    volatile uint64_t *mapped = (uint64_t *)UNMAPPED;
    char *page = fresh_pages(1);

    exception_handler_set(VECTOR_PF, NULL);
    pdpt[UNMAPPED / GIB] = (uintptr_t)directory | ENTRY_FLAGS;
    int first = ATTEMPT("mov (%0), %%rax", : : "r"(mapped) : "rax", "memory");
    directory[0] = (uintptr_t)table | ENTRY_FLAGS;
    int second = ATTEMPT("mov (%0), %%rax", : : "r"(mapped) : "rax", "memory");
    table[0] = (uintptr_t)page | ENTRY_FLAGS;
    check(first == VECTOR_PF && second == VECTOR_PF, "untouched page tables map nothing: %s, %s",
          exception_name(first), exception_name(second));
    check(*mapped == 0, "and an untouched page behind them is zeroed");
}

static void calls(void)
{
    char *pages = fresh_pages(2);
    struct atoll_vm_info *info = (struct atoll_vm_info *)(pages + PAGE_SIZE - 8);
    int64_t result = atoll_vm_info(info);

    check(result == sizeof(*info) && info->abi_version == ATOLL_ABI_VERSION,
          "a call writes into two untouched pages: %ld", result);
}

/* Returns false when a word is not 0. The way of the first touch changes from page to page. */
static bool page_is_zero(uint64_t page)
{
    volatile uint64_t *words = (uint64_t *)page;
    size_t count_of_words = PAGE_SIZE / sizeof(*words);
    uint64_t old = 0;

    if (page / PAGE_SIZE % 3 == 1)
        words[page / PAGE_SIZE % count_of_words] = 0;
    if (page / PAGE_SIZE % 3 == 2)
        __asm__ volatile("lock xaddq %0, %1" : "+r"(old), "+m"(words[count_of_words - 1]));
    for (size_t i = 0; i < count_of_words; i++)
        old |= words[i];
    return old == 0;
}

static void whole_ram(void)
{
    const struct hvm_memmap_table_entry *map;
    size_t entries = guest_memory_map(&map), pages = 0, bad = 0;
    uint64_t used_from = (uintptr_t)text_start, used_to = (uintptr_t)pages_next();

    for (size_t i = 0; i < entries; i++) {
        uint64_t end = MIN(map[i].addr + map[i].size, UNMAPPED);
        if (map[i].type != XEN_HVM_MEMMAP_TYPE_RAM)
            continue;
        for (uint64_t page = MAX(map[i].addr, PAGE_SIZE); page < end; page += PAGE_SIZE) {
            if (page >= used_from && page < used_to)
                continue;
            pages++;
            bad += !page_is_zero(page);
        }
    }
    check(bad == 0 && pages > 0, "%lu pages of RAM are there and zeroed, %lu are not", pages - bad,
          bad);
}

int main(void)
{
    exception_handler_set(VECTOR_BP, on_event);
    exception_handler_set(VECTOR_NMI, on_event);
    exception_handler_set(VECTOR, on_event);
    exception_handler_set(VECTOR_PF, on_page_fault);
    events(0);
    events(16);
    page_tables();
    calls();
    whole_ram();
    return checks_done("lazy_test");
}
