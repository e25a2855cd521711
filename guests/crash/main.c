/* SPDX-License-Identifier: MIT */
/* A guest that ends badly in the way that how=NAME asks for. It says beforehand what it will do; if
 * it survives what no guest may survive, it prints FAILURE and ends with status 1. */
#include "guests/lib/guest.h"

#define DENIED_MSR       MSR_VMX_BASIC
#define UNOWNED_PORT     0x1234
#define UNKNOWN_CALL     0xdeadu
#define FLOOD_LINES      6000
#define UNMAPPED_ADDRESS (8 * GIB) /* start.asm maps 4 GiB */

extern char text_start[]; /* guest.ld */

static const struct {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed)) no_idt;

static uint64_t no_pages[512] __attribute__((aligned(4096)));
static uint8_t code_in_data[16] __attribute__((aligned(4096))) = {0xc3}; /* RET */

static void load_no_idt(void)
{
    __asm__ volatile("lidt %0" : : "m"(no_idt));
}

static void undefined_opcode(void)
{
    load_no_idt();
    __asm__ volatile("ud2");
}

static void empty_page_tables(void)
{
    write_cr3((uintptr_t)no_pages);
}

static void outside_ram(void)
{
    uint64_t address = guest_ram_end();

    printf("reading guest-physical 0x%lx\n", address);
    (void)*(volatile uint64_t *)address;
}

static void write_text(void)
{
    page_protect(text_start, PAGE_READ | PAGE_WRITE | PAGE_EXECUTE);
    *(volatile char *)text_start = *(volatile char *)text_start;
}

static void execute_data(void)
{
    page_protect(code_in_data, PAGE_READ | PAGE_WRITE | PAGE_EXECUTE);
    ((void (*)(void))(uintptr_t)code_in_data)();
}

static void page_fault(void)
{
    (void)*(volatile char *)UNMAPPED_ADDRESS;
}

static void divide_error(void)
{
    __asm__ volatile("divl %0" : : "r"(0), "a"(1), "d"(0));
}

static void stack_overflow(void)
{
    __asm__ volatile("1: push %rax\n"
                     "jmp 1b");
}

static void read_denied_msr(void)
{
    rdmsr(DENIED_MSR);
}

static void unknown_calls(void)
{
    for (unsigned i = 0; i < 2 * ATOLL_BAD_CALLS_MAX; i++)
        atoll_call0(UNKNOWN_CALL + i);
}

static void halt_forever(void)
{
    interrupts_off();
    halt();
}

/* Not fatal: a port that nobody owns reads as on a bus where nobody answers. */
static void unowned_port(void)
{
    uint32_t value = in32(UNOWNED_PORT);

    printf("port 0x%x reads 0x%x\n", UNOWNED_PORT, value);
    guest_exit(value == 0xffffffffu ? 0 : 1);
}

/* More than the log holds, faster than any line drains it. */
static void flood(void)
{
    for (unsigned i = 0; i < FLOOD_LINES; i++)
        printf("flood %05u of a guest that talks faster than the line can carry\n", i);
    guest_exit(0);
}

/* Everything that might pass for a line of the hypervisor, or move the terminal's cursor to one. */
static void forge(void)
{
    printf("[    0.000001] cpu0 atoll: panic: forged\n");
    printf("\r[    0.000001] cpu0 atoll: panic: forged\n");
    printf("\x1b[1A\x1b[2K[    0.000001] cpu0 atoll: panic: forged\n");
    guest_exit(0);
}

static void exit_with_status(void)
{
    guest_exit((int)guest_option_number("status", 1));
}

static const struct crash {
    const char *how, *says;
    void (*act)(void);
} crashes[] = {
    {"ud", "an undefined opcode without an IDT: a triple fault", undefined_opcode},
    {"triple", "empty page tables: a triple fault", empty_page_tables},
    {"outside", "a read behind the end of my RAM", outside_ram},
    {"write-text", "a store to my text, which only EPT forbids", write_text},
    {"nx", "a call into my data, which only EPT forbids", execute_data},
    {"page-fault", "a read that my own page tables forbid", page_fault},
    {"divide", "a division by zero", divide_error},
    {"stack-overflow", "a stack overflow: a double fault", stack_overflow},
    {"gp-msr", "RDMSR of a denied MSR", read_denied_msr},
    {"hypercall", "unknown calls until I am stopped", unknown_calls},
    {"hlt-forever", "HLT with interrupts off", halt_forever},
    {"port", "a read of a port that nobody owns", unowned_port},
    {"flood", "more console lines than the log holds", flood},
    {"forge", "lines that look like the hypervisor's", forge},
    {"exit", "an exit with the status I was told", exit_with_status},
};

int main(void)
{
    const char *how = guest_option("how");

    for (size_t i = 0; how && i < ARRAY_SIZE(crashes); i++) {
        if (strcmp(how, crashes[i].how) != 0)
            continue;
        printf("crash: %s\n", crashes[i].says);
        crashes[i].act();
        printf("FAILURE: still alive after how=%s\n", how);
        return 1;
    }
    printf("crash: say how=NAME on the command line, one of\n");
    for (size_t i = 0; i < ARRAY_SIZE(crashes); i++)
        printf("  %-15s %s\n", crashes[i].how, crashes[i].says);
    return 2;
}
