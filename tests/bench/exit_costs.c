/* SPDX-License-Identifier: MIT */
/* What an exit costs its guest: TSC ticks of an instruction that exits, the empty loop taken off,
 * and of what takes several of them. In Bochs with one CPU a tick is an instruction, and a run
 * repeats exactly. Options: quiet=MS, until the serial line has taken what was printed before
 * (500); life=N, a VM that sleeps as soon as it runs: what its start and its end cost, too
 * (`control`). */
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
#define DEFAULT_QUIET 500
#define LIVES         11
#define LINES_MS      25   /* the serial line takes what is said about a start and an end */
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

static uint64_t median(unsigned count)
{
    for (unsigned i = 1; i < count; i++)
        for (unsigned j = i; j > 0 && samples[j] < samples[j - 1]; j--) {
            uint64_t smaller = samples[j];
            samples[j] = samples[j - 1];
            samples[j - 1] = smaller;
        }
    return samples[count / 2];
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
    printf("cost: ept_zero_page %lu ticks\n", median(SAMPLES) - CLEARING);
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
    printf("cost: %s %lu ticks\n", name, median(SAMPLES));
    mark();
    what();
    mark();
    apic_end_of_interrupt();
}

/* ---- The life of another VM ------------------------------------------------------------------ */

static bool is_in_state(uint64_t vm, enum atoll_run_state wanted)
{
    struct atoll_vm_state state;
    return atoll_vm_state(vm, &state) > 0 && state.state == wanted;
}

/* On one core it is built when the call returns, and runs later. */
static uint64_t start(uint64_t vm)
{
    uint64_t begin = rdtsc();
    atoll_control(ATOLL_CONTROL_START, vm);
    return rdtsc() - begin;
}

/* Likewise, all is given back. */
static uint64_t stop(uint64_t vm)
{
    uint64_t begin = rdtsc();
    atoll_control(ATOLL_CONTROL_STOP, vm);
    return rdtsc() - begin;
}

static int report_life(const char *name, uint64_t vm, uint64_t (*what)(uint64_t vm),
                       uint64_t (*undo)(uint64_t vm), enum atoll_run_state wanted)
{
    for (unsigned i = 0; i < LIVES; i++) {
        sleep_ms(LINES_MS);
        samples[i] = what(vm);
        if (!is_in_state(vm, wanted))
            return 1;
        sleep_ms(LINES_MS);
        undo(vm);
    }
    printf("cost: %s %lu ticks\n", name, median(LIVES));
    return 0;
}

static int report_lives(uint64_t vm)
{
    stop(vm);
    if (report_life("vm_create", vm, start, stop, ATOLL_VM_RUNNING))
        return 1;
    start(vm);
    return report_life("vm_destroy", vm, stop, start, ATOLL_VM_STOPPED);
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
    sleep_ms(guest_option_number("quiet", DEFAULT_QUIET));
    report_median("hlt_wake", wake);
    return guest_option("life") ? report_lives(guest_option_number("life", 0)) : 0;
}
