/* SPDX-License-Identifier: MIT */
/* B13: segments of odd kinds (expand-down, limit 0, 16-bit, conforming and readable code, base
 * beyond RAM), SS among them, conforming code in CS, and exits with them loaded. Expected: no
 * failed entry, and they stay as loaded; #GP, #NP, #SS for L with D and for what is not present. */
#include "tests/hostile/hostile.h"

#include "guests/lib/descriptors.h"

#define KINDS     8
#define ODD       (8 + KINDS) /* and here those that are refused, or are for CS and SS */
#define VECTOR_NP 11
#define VECTOR_SS 12

/* Limit, type and flags; the last has a base. */
static const uint64_t kinds[KINDS] = {
    0x00cf97000000ffff, /* expand-down, 4 GiB */
    0x0000970000000000, /* expand-down, limit 0, 16-bit */
    0x0000930000000000, /* limit 0 */
    0x00409300000000ff, /* 256 bytes */
    0x00cf9f000000ffff, /* conforming code that can be read */
    0x00af9b000000ffff, /* 64-bit code in a data register */
    0x00cff1000000ffff, /* read-only, DPL 3 */
    0xfecf93fffffeffff, /* a base far out */
};

static const uint64_t odd[] = {
    0x00ef9b000000ffff, /* 64-bit code with L and D */
    0x00af1b000000ffff, /* 64-bit code that is not present */
    0x00cf13000000ffff, /* data that is not present */
    0x00af9f000000ffff, /* conforming 64-bit code */
    0x0040970000000000, /* expand-down data, limit 0 */
    0xfecf93fffffeffff, /* data with a base far out */
};

/* A far return to `selector`, and back to the usual code. */
static int enter_code(uint64_t selector)
{
    uint32_t cs = 0;

    exception_forget();
    __asm__ volatile("push %1\n"
                     "lea 1f(%%rip), %%rcx\n"
                     "push %%rcx\n"
                     "771: lretq\n"
                     "772: add $16, %%rsp\n" /* it faulted: nothing was popped */
                     "jmp 3f\n"
                     ".pushsection .fixups, \"a\"\n"
                     ".quad 771b, 772b\n"
                     ".popsection\n"
                     "1: xor %%eax, %%eax\n"
                     "cpuid\n"
                     "mov $3, %%eax\n" /* ATOLL_CALL_YIELD */
                     "vmcall\n"
                     "mov %%cs, %0\n"
                     "push %2\n"
                     "lea 3f(%%rip), %%rcx\n"
                     "push %%rcx\n"
                     "lretq\n"
                     "3:"
                     : "+m"(cs)
                     : "r"(selector), "r"((uint64_t)SELECTOR_CODE64)
                     : "rax", "rbx", "rcx", "rdx", "memory", "cc");
    return exception_last() == NO_EXCEPTION && cs == selector ? NO_EXCEPTION : exception_last();
}

static void code_and_stack(void)
{
    expect_vector(enter_code(ODD * 8), VECTOR_GP, "code with L and D");
    expect_vector(enter_code(ODD * 8 + 8), VECTOR_NP, "code that is not present");
    expect_vector(enter_code(ODD * 8 + 24), NO_EXCEPTION, "conforming code");
    expect_vector(ATTEMPT("mov %0, %%ss", : : "r"(ODD * 8 + 16)), VECTOR_SS, "SS not present");
    expect_vector(ATTEMPT("mov %0, %%ds", : : "r"(ODD * 8 + 16)), VECTOR_NP, "DS not present");
    expect_vector(ATTEMPT("mov %0, %%ss", : : "r"(ODD * 8 + 24)), VECTOR_GP, "code in SS");
    for (uint32_t i = 4; i < ARRAY_SIZE(odd); i++) {
        uint32_t ss;
        expect_vector(ATTEMPT("mov %0, %%ss", : : "r"(ODD * 8 + i * 8)), NO_EXCEPTION, "odd SS");
        cpuid(0, 0);
        atoll_yield();
        __asm__ volatile("mov %%ss, %0" : "=r"(ss));
        expect(ss == ODD * 8 + i * 8, "SS became %x", ss);
    }
    __asm__ volatile("mov %0, %%ss" : : "r"(SELECTOR_DATA));
}

CASE(b13)
{
    static uint64_t table[ODD + ARRAY_SIZE(odd)];
    struct descriptor_pointer old;

    __asm__ volatile("sgdt %0" : "=m"(old));
    memcpy(table, (const void *)old.base, MIN(old.limit + 1ul, 8 * sizeof(*table)));
    memcpy(table + 8, kinds, sizeof(kinds));
    memcpy(table + ODD, odd, sizeof(odd));
    interrupts_off();
    lgdt(table, sizeof(table));
    for (unsigned i = 0; i < KINDS; i++) {
        uint32_t selector = (8 + i) * 8, ds, es, fs;
        int vector = ATTEMPT("mov %0, %%ds\n"
                             "mov %0, %%es\n"
                             "mov %0, %%fs\n",
                             : : "r"(selector) : "memory");
        expect_vector(vector, NO_EXCEPTION, "loading a segment");
        for (unsigned j = 0; j < 5; j++) {
            cpuid(0, 0);
            atoll_yield();
        }
        __asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2" : "=r"(ds), "=r"(es), "=r"(fs));
        expect(ds == selector && es == selector && fs == selector, "segments became %x %x %x", ds,
               es, fs);
    }
    code_and_stack();
    __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %1, %%fs" : : "r"(SELECTOR_DATA), "r"(0));
    lgdt((const void *)old.base, old.limit + 1ul);
    interrupts_on();
}
