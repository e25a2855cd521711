/* SPDX-License-Identifier: MIT */
/* F04: all vectors by INT n, INT3, INT1 and INTO, with an IDT of its own. INTO is #UD in 64-bit
 * code, and comes from compatibility mode. Expected:
 * each is delivered once, without an error code, behind the instruction. No vector is taken for the
 * host's NMI or machine check. */
#include "tests/hostile/hostile.h"

#include "guests/lib/descriptors.h"

extern const char software_stub[];
extern volatile uint64_t software_count, software_rip, software_cs;

__asm__(".pushsection .text\n"
        "software_stub:\n"
        "push %rax\n"
        "incq software_count(%rip)\n"
        "mov 8(%rsp), %rax\n"
        "mov %rax, software_rip(%rip)\n"
        "mov 16(%rsp), %rax\n"
        "mov %rax, software_cs(%rip)\n"
        "pop %rax\n"
        "iretq\n"
        ".popsection\n"
        ".pushsection .bss\n"
        ".balign 8\n"
        "software_count: .quad 0\n"
        "software_rip: .quad 0\n"
        "software_cs: .quad 0\n"
        ".popsection\n");

static void run_code(uint8_t *code, const uint8_t *bytes, size_t size, const char *what)
{
    uint64_t before = software_count;

    memcpy(code, bytes, size);
    code[size] = 0xc3; /* RET */
    ((void (*)(void))code)();
    expect(software_count == before + 1, "%s came %lu times", what, software_count - before);
    expect(software_rip == (uintptr_t)code + size && software_cs == SELECTOR_CODE64,
           "%s: frame %lx:%lx", what, software_cs, software_rip);
}

/* OF is set on the way there. */
static void run_into(void)
{
    uint64_t before = software_count, behind;

    __asm__ volatile("lea 2f(%%rip), %0\n"
                     "push %1\n"
                     "lea 1f(%%rip), %%rcx\n"
                     "push %%rcx\n"
                     "mov $0x7fffffff, %%ecx\n"
                     "inc %%ecx\n"
                     "lretq\n"
                     ".code32\n"
                     "1: into\n"
                     "2: ljmp %2, $3f\n"
                     ".code64\n"
                     "3:"
                     : "=&r"(behind)
                     : "i"(SELECTOR_CODE32), "i"(SELECTOR_CODE64)
                     : "rcx", "memory", "cc");
    expect(software_count == before + 1, "INTO came %lu times", software_count - before);
    expect(software_rip == behind && (uint16_t)software_cs == SELECTOR_CODE32,
           "INTO: frame %lx:%lx", software_cs, software_rip);
}

CASE(f04)
{
    static struct idt_entry idt[256];
    struct descriptor_pointer old;
    uint8_t *code = pages_alloc(1);

    page_protect(code, PAGE_READ | PAGE_WRITE | PAGE_EXECUTE);
    expect_vector(ATTEMPT(".byte 0xce"), VECTOR_UD, "INTO");
    for (unsigned vector = 0; vector < 256; vector++)
        idt[vector] = idt_gate(SELECTOR_CODE64, software_stub, 0);
    interrupts_off();
    __asm__ volatile("sidt %0" : "=m"(old));
    lidt(idt, sizeof(idt));
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned vector = 0; vector < 256; vector++)
            run_code(code, (const uint8_t[]){0xcd, (uint8_t)vector}, 2, "INT n");
        run_code(code, (const uint8_t[]){0xcc}, 1, "INT3");
        run_code(code, (const uint8_t[]){0xf1}, 1, "INT1");
        run_into();
        run_code(code, (const uint8_t[]){0x66, 0x48, 0xcd, 0x80}, 4, "INT n with prefixes");
    }
    lidt((const void *)old.base, old.limit + 1ul);
    interrupts_on();
}
