/* SPDX-License-Identifier: MIT */
/* The state in which an hvt guest is entered, and the memory that it finds (Solo5's
 * tenders/hvt/hvt_cpu_x86_64.h and hvt_boot_info.c). */
#include "guests/hvt/lib/guest.h"

#include "tests/guests/check.h"

#define PAGE 4096ull
#define CR0  0x80010031 /* PE ET NE WP PG */
#define CR4  0x620      /* PAE OSFXSR OSXMMEXCPT */
#define EFER 0x500      /* LME LMA */

HVT_DEVICES(HVT_BLOCK("disk"));

static void check_registers(void)
{
    const struct guest_entry *e = &guest_entry;

    check((read_cr0() & ~(uint64_t)X86_CR0_TS) == CR0, "CR0 is %lx", read_cr0());
    check(read_cr3() == HVT_PML4, "CR3 is %lx", read_cr3());
    check(read_cr4() == CR4, "CR4 is %lx", read_cr4());
    check(rdmsr(MSR_EFER) == EFER, "EFER is %lx", rdmsr(MSR_EFER));
    check(e->rsp == guest_boot_info()->mem_size - 8, "RSP was %lx", e->rsp);
    check(e->rdi == HVT_BOOT_INFO, "RDI was %lx", e->rdi);
    check(e->rflags == X86_EFLAGS_FIXED, "RFLAGS was %lx", e->rflags);
    check((e->rax | e->rbx | e->rcx | e->rdx | e->rsi | e->rbp | e->r8 | e->r9 | e->r10 | e->r11 |
           e->r12 | e->r13 | e->r14 | e->r15) == 0,
          "the other registers were 0");
    check((rdmsr(MSR_FS_BASE) | rdmsr(MSR_GS_BASE)) == 0, "the bases of FS and GS are 0");
}

static void check_boot_info(void)
{
    const struct hvt_boot_info *info = guest_boot_info();
    const struct hvt_manifest *manifest = (const struct hvt_manifest *)info->manifest;

    check(info->mem_size == guest_option_number("mem", 0), "mem_size is %lx", info->mem_size);
    check(info->kernel_end > (uintptr_t)main && info->kernel_end <= (uintptr_t)image_end &&
              info->kernel_end % PAGE == 0,
          "kernel_end is %lx", info->kernel_end);
    check(info->tsc_hz > 1000000, "the TSC's frequency is %lu", info->tsc_hz);
    check(info->host_features == 0 && info->guest_features == 0 && info->net_ring == 0,
          "no features, no ring");
    check(manifest->version == HVT_MANIFEST_VERSION && manifest->entries == 2,
          "manifest version %u, %u entries", manifest->version, manifest->entries);
    check(manifest->entry[1].attached == 1 && manifest->entry[1].host_private == 0 &&
              manifest->entry[1].block.capacity == 8192 &&
              manifest->entry[1].block.block_size == 512,
          "the disk is attached, with its sizes");
    check(info->command_line > info->manifest && info->command_line < HVT_IMAGE_START,
          "the command line is at %lx", info->command_line);
}

/* The word at `address` can be read: gives the exception. */
static int read_at(uint64_t address)
{
    uint64_t word;

    return ATTEMPT("mov %1, %0", : "=r"(word) : "m"(*(const uint64_t *)address));
}

static int write_at(uint64_t address)
{
    return ATTEMPT("lock orq $0, %0", : "+m"(*(uint64_t *)address));
}

static void check_map(void)
{
    uint64_t end = guest_boot_info()->mem_size;
    const uint64_t unmapped[] = {0,   HVT_GDT,        HVT_PML4, HVT_PT, HVT_BOOT_INFO - PAGE,
                                 end, 4 * GIB - PAGE, 4 * GIB};
    const uint64_t read_only[] = {HVT_BOOT_INFO, 0x20000, HVT_IMAGE_START - PAGE};
    const uint64_t writable[] = {(uintptr_t)image_end, end - PAGE};

    for (size_t i = 0; i < ARRAY_SIZE(unmapped); i++)
        check(read_at(unmapped[i]) == VECTOR_PF, "%lx is not mapped", unmapped[i]);
    for (size_t i = 0; i < ARRAY_SIZE(read_only); i++)
        check(read_at(read_only[i]) == NO_EXCEPTION && write_at(read_only[i]) == VECTOR_PF,
              "%lx is read-only", read_only[i]);
    for (size_t i = 0; i < ARRAY_SIZE(writable); i++)
        check(write_at(writable[i]) == NO_EXCEPTION, "%lx can be written", writable[i]);
}

static void check_zero(void)
{
    const uint64_t *word = (const uint64_t *)image_end;
    const uint64_t *end = (const uint64_t *)(guest_entry.rsp - 16 * KIB); /* the stack in use */

    while (word < end && *word == 0)
        word++;
    check(word == end, "free memory is 0");
}

int main(void)
{
    check_registers();
    check_boot_info();
    check_map();
    check_zero();
    printf("command line: [%s]\n", guest_command_line());
    return checks_done("entry");
}
