/* SPDX-License-Identifier: MIT */
/* The local APIC, one register file behind two doors: MSRs 0x800 + offset/16 (x2APIC) or memory at
 * the APIC base (xAPIC). */
#include "kernel/cpu/apic.h"

#include <linux/errno.h>

#include "kernel/cpu/traps.h"
#include "kernel/lib/x86.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/mm/paging.h"

enum apic_register { /* SDM Vol. 3A, table 10-1 */
    APIC_ID = 0x20,
    APIC_TPR = 0x80,
    APIC_EOI = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_ICR = 0x300,
    APIC_ICR_HIGH = 0x310, /* xAPIC only */
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
};

#define APIC_BASE_ADDRESS  0x000ffffffffff000ull
#define APIC_BASE_X2APIC   BIT(10)
#define APIC_BASE_ENABLE   BIT(11)
#define SPURIOUS_ENABLE    BIT(8)
#define LVT_MASKED         BIT(16)
#define LVT_NMI            (4u << 8)
#define LVT_TSC_DEADLINE   (2u << 17)
#define ICR_NMI            (4u << 8)
#define ICR_INIT           (5u << 8)
#define ICR_STARTUP        (6u << 8)
#define ICR_PENDING        BIT(12)
#define ICR_ASSERT         BIT(14)
#define ICR_ALL_BUT_SELF   (3u << 18)
#define DIVIDE_BY_16       3u
#define ICR_POLLS_MAX      1000000
#define CALIBRATION_HZ     1000 /* measure for a millisecond */

static volatile uint32_t *registers; /* xAPIC; NULL in x2APIC mode */
static bool tsc_deadline;
static uint64_t timer_ratio; /* counts of the one-shot timer per TSC tick, 32.32 fixed point */

static uint32_t apic_read(enum apic_register r)
{
    return registers ? registers[r / 4] : (uint32_t)rdmsr(MSR_X2APIC + (r >> 4));
}

static void apic_write(enum apic_register r, uint32_t value)
{
    if (registers)
        registers[r / 4] = value;
    else
        wrmsr(MSR_X2APIC + (r >> 4), value);
}

/* Both 8259s masked, and moved away from the exceptions for the spurious interrupt they may still
 * send (SDM 10.1 and the 8259A data sheet). */
static void mask_8259s(void)
{
    outb(0x20, 0x11);
    outb(0xa0, 0x11);
    outb(0x21, 0x20);
    outb(0xa1, 0x28);
    outb(0x21, 4);
    outb(0xa1, 2);
    outb(0x21, 1);
    outb(0xa1, 1);
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}

int apic_setup(uint64_t address)
{
    struct cpuid features = cpuid(1, 0);
    if (!(features.edx & CPUID_1_EDX_APIC))
        return -ENODEV;
    if (address == 0) /* ACPI did not say */
        address = rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDRESS;
    mask_8259s();
    tsc_deadline = features.ecx & CPUID_1_ECX_TSC_DEADLINE;
    if (features.ecx & CPUID_1_ECX_X2APIC)
        return 0;
    registers = paging_map_device(HPA(address), PAGE_SIZE);
    return registers ? 0 : -ENOMEM;
}

void apic_enable(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;
    wrmsr(MSR_APIC_BASE, base); /* from disabled to x2APIC leads through xAPIC (SDM 10.12.5) */
    if (!registers)
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
    apic_write(APIC_TPR, 0);
    apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    apic_write(APIC_LVT_LINT0, LVT_MASKED);
    apic_write(APIC_LVT_LINT1, LVT_NMI);
    apic_write(APIC_LVT_ERROR, LVT_MASKED);
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_16);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER | (tsc_deadline ? LVT_TSC_DEADLINE : 0));
}

uint32_t apic_id(void)
{
    uint32_t id = apic_read(APIC_ID);
    return registers ? id >> 24 : id;
}

bool apic_is_x2apic(void)
{
    return registers == NULL;
}

void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

void apic_wake_gate(struct interrupt_frame *frame)
{
    (void)frame;
    apic_write(APIC_EOI, 0);
}

static void send(uint32_t target, uint32_t command)
{
    if (!registers) {
        /* In x2APIC mode WRMSR does not order earlier stores (SDM 10.12.3). */
        __asm__ volatile("mfence; lfence" : : : "memory");
        wrmsr(MSR_X2APIC + (APIC_ICR >> 4), (uint64_t)target << 32 | command);
        return;
    }
    apic_write(APIC_ICR_HIGH, target << 24);
    apic_write(APIC_ICR, command);
    for (uint32_t i = 0; i < ICR_POLLS_MAX && (apic_read(APIC_ICR) & ICR_PENDING); i++)
        cpu_pause();
}

void apic_send_init(uint32_t target)
{
    send(target, ICR_INIT | ICR_ASSERT);
}

void apic_send_startup(uint32_t target, uint8_t page)
{
    send(target, ICR_STARTUP | ICR_ASSERT | page);
}

void apic_send_nmi(uint32_t target)
{
    send(target, ICR_NMI | ICR_ASSERT);
}

void apic_send(uint32_t target, uint8_t vector)
{
    send(target, ICR_ASSERT | vector);
}

void apic_send_nmi_others(void)
{
    send(0, ICR_NMI | ICR_ASSERT | ICR_ALL_BUT_SELF);
}

void apic_timer_arm(uint64_t deadline)
{
    if (tsc_deadline) {
        wrmsr(MSR_TSC_DEADLINE, deadline);
        return;
    }
    uint64_t now = rdtsc();
    uint64_t ticks = deadline > now ? deadline - now : 1;
    uint64_t counts = (uint64_t)((unsigned __int128)ticks * timer_ratio >> 32);
    counts = MAX(counts, 1); /* 0 would stop the timer */
    apic_write(APIC_TIMER_INITIAL, (uint32_t)MIN(counts, UINT32_MAX));
}

void apic_timer_stop(void)
{
    if (tsc_deadline)
        wrmsr(MSR_TSC_DEADLINE, 0);
    else
        apic_write(APIC_TIMER_INITIAL, 0);
}

void apic_timer_calibrate(uint64_t tsc_hz)
{
    if (tsc_deadline)
        return;
    apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
    uint64_t start = rdtsc();
    while (rdtsc() - start < tsc_hz / CALIBRATION_HZ)
        cpu_pause();
    uint64_t ticks = rdtsc() - start;
    uint32_t counts = UINT32_MAX - apic_read(APIC_TIMER_CURRENT);
    apic_write(APIC_TIMER_INITIAL, 0);
    apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    timer_ratio = ((uint64_t)counts << 32) / ticks;
}
