/* SPDX-License-Identifier: MIT */
/* The guest of all cases: runs the one that case= names, then looks for the host's secret in all of
 * its memory, and ends with status 0 if everything was as expected. */
#include <stdarg.h>

#include "kernel/mm/secret.h"
#include "tests/hostile/hostile.h"

#define FAILURES_SHOWN 12
#define FLAGS_FREE                                                                                 \
    (X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF |               \
     X86_EFLAGS_DF | X86_EFLAGS_OF)
#define PTE_PRESENT    BIT(0)
#define PTE_WRITABLE   BIT(1)
#define PTE_LARGE      BIT(7)
#define PTE_ADDRESS    0x000ffffffffff000ull

#define X(name) extern const struct hostile_case case_##name;
HOSTILE_CASES
#undef X

static const struct hostile_case *const cases[] = {
#define X(name) &case_##name,
    HOSTILE_CASES
#undef X
};

extern uint64_t guest_page_table[512]; /* start.asm: of the first 2 MiB */

static const char *name;
static unsigned made, failed;
static bool said_farewell;
static volatile uint64_t mask = SECRET_MASK; /* the compiler must not work out the secret */

static void say(const char *format, va_list args)
{
    char text[160];

    vsnprintf(text, sizeof(text), format, args);
    printf("FAILURE: %s: %s\n", name, text);
}

void expect(bool good, const char *format, ...)
{
    va_list args;

    made++;
    if (good)
        return;
    failed++;
    if (failed > FAILURES_SHOWN)
        return;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

void expect_vector(int got, int wanted, const char *what)
{
    expect(got == wanted, "%s: %s, expected %s", what, exception_name(got),
           exception_name(wanted));
}

static bool is_secret(uint64_t value)
{
    return (value ^ mask) == SECRET_MASKED;
}

void look(uint64_t value)
{
    if (is_secret(value))
        expect(false, "the host's secret was seen");
}

unsigned variant(void)
{
    return (unsigned)guest_option_number("n", 0);
}

static void tally(void)
{
    printf("%s: %u of %u expectations met\n", name, made - failed, made);
}

void farewell(void)
{
    said_farewell = true;
    tally();
}

void farewell_at(uint64_t address)
{
    farewell();
    printf("%s: aims at 0x%lx\n", name, address);
}

int try_rdmsr(uint32_t msr, uint64_t *value)
{
    uint32_t low = 0, high = 0;
    int vector = ATTEMPT("rdmsr", : "+a"(low), "+d"(high) : "c"(msr));

    *value = (uint64_t)high << 32 | low;
    return vector;
}

int try_wrmsr(uint32_t msr, uint64_t value)
{
    return ATTEMPT("wrmsr", : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

void expect_no_msrs(const uint32_t *msrs, size_t count)
{
    static const uint64_t values[] = {0, 1, UINT64_MAX, BIT(63)};
    uint64_t value;

    for (size_t i = 0; i < count; i++) {
        int vector = try_rdmsr(msrs[i], &value);
        expect(vector == VECTOR_GP, "RDMSR 0x%x: %s", msrs[i], exception_name(vector));
        for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
            vector = try_wrmsr(msrs[i], values[j]);
            expect(vector == VECTOR_GP, "WRMSR 0x%x: %s", msrs[i], exception_name(vector));
        }
    }
}

static uint64_t *next_table(uint64_t *entry)
{
    if (!(*entry & PTE_PRESENT))
        *entry = (uintptr_t)pages_alloc(1) | PTE_PRESENT | PTE_WRITABLE;
    return (uint64_t *)(*entry & PTE_ADDRESS);
}

void map_far(uint64_t address)
{
    uint64_t *pml4 = (uint64_t *)(read_cr3() & PTE_ADDRESS);
    uint64_t *pdpt = next_table(&pml4[address >> 39 & 511]);
    uint64_t *directory = next_table(&pdpt[address >> 30 & 511]);

    directory[address >> 21 & 511] =
        ALIGN_DOWN(address, PAGE_SIZE_2M) | PTE_PRESENT | PTE_WRITABLE | PTE_LARGE;
    write_cr3(read_cr3());
}

int64_t call_expect(uint64_t number, const uint64_t arguments[5])
{
    static const unsigned places[] = {CALL_RDI, CALL_RSI, CALL_RDX, CALL_R10, CALL_R8};
    uint64_t before[CALL_REGISTERS], after[CALL_REGISTERS];

    for (size_t i = 0; i < CALL_REGISTERS; i++)
        before[i] = random_next();
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        before[places[i]] = arguments[i];
    before[CALL_RAX] = number;
    before[CALL_RFLAGS] = (before[CALL_RFLAGS] & FLAGS_FREE) | X86_EFLAGS_FIXED | X86_EFLAGS_IF;
    memcpy(after, before, sizeof(after));
    call_with(after);
    for (size_t i = CALL_RAX + 1; i < CALL_REGISTERS; i++)
        expect(after[i] == before[i], "call %lx changed register %zu from %lx to %lx", number, i,
               before[i], after[i]);
    look(after[CALL_RAX]);
    return (int64_t)after[CALL_RAX];
}

static uint64_t random_state; /* of splitmix64 */

void random_seed(uint64_t seed)
{
    random_state = seed << 32;
}

uint64_t random_next(void)
{
    uint64_t x = random_state += 0x9e3779b97f4a7c15u;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* Touches what was never touched, too: whatever the host brings in must be zeroed. */
static void search_memory(void)
{
    uint64_t end = MIN(guest_ram_end(), 4 * GIB);

    for (uint64_t page = 0; page < end; page += PAGE_SIZE) {
        const volatile uint64_t *words = (uint64_t *)page;
        if (page < PAGE_SIZE_2M && !(guest_page_table[page >> PAGE_SHIFT] & PTE_PRESENT))
            continue;
        for (size_t i = 0; i < PAGE_SIZE / sizeof(*words); i++)
            look(words[i]);
    }
}

int main(void)
{
    name = guest_option("case");
    for (size_t i = 0; name && i < ARRAY_SIZE(cases); i++) {
        if (strcmp(name, cases[i]->name) != 0)
            continue;
        cases[i]->run();
        expect(!said_farewell, "it survived what must end it");
        search_memory();
        tally();
        return failed > 0;
    }
    printf("FAILURE: say case= and the name of one of %zu cases\n", ARRAY_SIZE(cases));
    return 2;
}
