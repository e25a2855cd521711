/* SPDX-License-Identifier: MIT */
/* What an exit costs its guest: TSC ticks of an instruction that exits, the empty loop taken off,
 * and of what takes several of them. In Bochs with one CPU a tick is an instruction, and a run
 * repeats exactly. */
#include "guests/lib/descriptors.h"
#include "guests/lib/exceptions.h"
#include "guests/lib/guest.h"

#define MSR_APIC_BASE 0x1b /* no processor reads it without an exit */
#define BATCHES       100
#define ROUNDS        20 /* of a batch: few enough that most end within a slice */
#define VECTOR        0x41
#define SAMPLES       101
#define FRESH_PAGES   SAMPLES
#define CLEARING      512  /* REP STOSQ over a page */
#define QUIET_MS      500  /* until the serial line has taken what was printed */
#define WAIT_TICKS    5000 /* until the timer is due: the core is idle by then */

/* ---- One instruction ------------------------------------------------------------------------- */

static void nothing(void)
{
}

static void null_call(void)
{
    uint64_t result = ATOLL_CALL_NULL;
    __asm__ volatile("vmcall" : "+a"(result) : : "memory");
}

static void cpuid_leaf_0(void)
{
    uint32_t a = 0, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
}

static void read_msr(void)
{
    (void)rdmsr(MSR_APIC_BASE);
}

static void out_port(void)
{
    __asm__ volatile("outb %0, %1" : : "a"((uint8_t)0), "Nd"((uint16_t)0x80));
}

/* Of the cheapest batch: the others were interrupted. */
static uint64_t ticks(void (*what)(void))
{
    uint64_t least = UINT64_MAX;
    for (unsigned batch = 0; batch < BATCHES; batch++) {
        uint64_t start = rdtsc();
        for (unsigned i = 0; i < ROUNDS; i++)
            what();
        least = MIN(least, rdtsc() - start);
    }
    return least;
}

/* Tells Bochs' debugger, if it looks (tests/bench/vmcs_counts.py): once before, once behind. */
static inline void mark(void)
{
    __asm__ volatile("xchg %bx, %bx");
}

static void report(const char *name, void (*what)(void))
{
    printf("cost: %s %lu ticks\n", name, (ticks(what) - ticks(nothing)) / ROUNDS);
    mark();
    what();
    mark();
}

/* ---- What is measured from one moment to another --------------------------------------------- */

static uint64_t samples[SAMPLES];

static uint64_t median(void)
{
    for (unsigned i = 1; i < SAMPLES; i++)
        for (unsigned j = i; j > 0 && samples[j] < samples[j - 1]; j--) {
            uint64_t smaller = samples[j];
            samples[j] = samples[j - 1];
            samples[j - 1] = smaller;
        }
    return samples[SAMPLES / 2];
}

/* The first write to a page that nobody has touched. */
static uint64_t touch(volatile uint8_t *page)
{
    uint64_t start = rdtsc();
    *page = 1;
    return rdtsc() - start - 1; /* 1: what two reads of the TSC are apart */
}

static void report_fresh_pages(void)
{
    uint8_t *end = (uint8_t *)guest_ram_end();
    for (unsigned i = 0; i < SAMPLES; i++)
        samples[i] = touch(end - (i + 1) * 4096ul);
    printf("cost: ept_zero_page %lu ticks\n", median() - CLEARING);
    mark();
    touch(end - (SAMPLES + 1) * 4096ul);
    mark();
}

/* The handler is two instructions: it leaves the TSC, low half, in EAX. */
void handler(void);
__asm__(".text\n"
        "handler:\n"
        "    rdtsc\n"
        "    iretq\n");

static void install(unsigned vector)
{
    struct descriptor_pointer idt;
    __asm__ volatile("sidt %0" : "=m"(idt));
    ((struct idt_entry *)idt.base)[vector] = idt_gate(SELECTOR_CODE64, handler, 0);
}

/* From the write of the self-IPI register to the handler. */
static uint32_t self_ipi(void)
{
    uint32_t start, end;
    __asm__ volatile("rdtsc\n"
                     "mov %%eax, %0\n"
                     "mov %2, %%ecx\n"
                     "mov %3, %%eax\n"
                     "xor %%edx, %%edx\n"
                     "wrmsr\n"
                     : "=&r"(start), "=&a"(end)
                     : "i"(APIC_SELF_IPI), "i"(VECTOR)
                     : "rcx", "rdx", "memory");
    return end - start - 5; /* besides the one that exits: RDTSC and four of set-up */
}

/* From the deadline to the handler, asleep in HLT. */
static uint32_t wake(void)
{
    uint64_t deadline = rdtsc() + WAIT_TICKS;
    uint32_t end;
    interrupts_off();
    apic_timer_deadline(VECTOR, deadline);
    __asm__ volatile("sti\n"
                     "hlt\n"
                     : "=a"(end)
                     :
                     : "rdx", "memory");
    return end - (uint32_t)deadline;
}

static void report_median(const char *name, uint32_t (*what)(void))
{
    for (unsigned i = 0; i < SAMPLES; i++) {
        samples[i] = what();
        apic_end_of_interrupt();
    }
    printf("cost: %s %lu ticks\n", name, median());
    mark();
    what();
    mark();
    apic_end_of_interrupt();
}

int main(void)
{
    report("hypercall_null", null_call);
    report("cpuid", cpuid_leaf_0);
    report("rdmsr", read_msr);
    report("out_device", out_port);
    report_fresh_pages();
    install(VECTOR);
    report_median("self_ipi", self_ipi);
    sleep_ms(QUIET_MS);
    report_median("hlt_wake", wake);
    return 0;
}
