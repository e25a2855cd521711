/* SPDX-License-Identifier: MIT */
/* The local APIC through its MSRs (SDM Vol. 3A 10.5.4, 10.6, 10.12). */
#include "guests/lib/guest.h"

bool apic_bit(enum apic_register first, unsigned vector)
{
    return apic_read(first + vector / 32) >> vector % 32 & 1;
}

void apic_init(void)
{
    if (!cpu_has(CPUID_X2APIC))
        return;
    apic_write(APIC_SVR, APIC_SVR_ENABLE | APIC_SPURIOUS_VECTOR);
    apic_write(APIC_TPR, 0);
    apic_timer_stop();
}

/* A WRMSR to x2APIC registers is not ordered behind earlier stores (SDM 10.12.3). */
static void command(uint64_t icr)
{
    __asm__ volatile("mfence; lfence" : : : "memory");
    apic_write(APIC_ICR, icr | APIC_ICR_ASSERT);
}

void apic_send(unsigned id, unsigned vector)
{
    command(APIC_ICR_TO(id) | APIC_ICR_FIXED | vector);
}

void apic_send_others(unsigned vector)
{
    command(APIC_ICR_OTHERS | APIC_ICR_FIXED | vector);
}

void apic_send_self(unsigned vector)
{
    apic_write(APIC_SELF_IPI, vector);
}

void apic_send_nmi(unsigned id)
{
    command(APIC_ICR_TO(id) | APIC_ICR_NMI);
}

void apic_send_init(unsigned id)
{
    command(APIC_ICR_TO(id) | APIC_ICR_INIT);
}

void apic_send_sipi(unsigned id, unsigned page)
{
    command(APIC_ICR_TO(id) | APIC_ICR_SIPI | page);
}

void apic_timer_one_shot(unsigned vector, uint32_t count)
{
    apic_write(APIC_DIVIDE, APIC_DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, vector);
    apic_write(APIC_INITIAL_COUNT, count);
}

void apic_timer_periodic(unsigned vector, uint32_t count)
{
    apic_write(APIC_DIVIDE, APIC_DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, vector | APIC_LVT_PERIODIC);
    apic_write(APIC_INITIAL_COUNT, count);
}

void apic_timer_deadline(unsigned vector, uint64_t tsc)
{
    apic_write(APIC_LVT_TIMER, vector | APIC_LVT_DEADLINE);
    apic_write(APIC_TSC_DEADLINE, tsc);
}

void apic_timer_stop(void)
{
    apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
    apic_write(APIC_INITIAL_COUNT, 0);
}
