/* SPDX-License-Identifier: MIT */
/* Application processors, one at a time, and no wait without an end. */
#include "kernel/cpu/smp.h"

#include <string.h>

#include "kernel/cpu/apic.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/x86.h"
#include "kernel/log.h"
#include "kernel/mm/paging.h"
#include "kernel/mm/phys.h"

#define INIT_DELAY_US    10000
#define STARTUP_DELAY_US 200
#define XAPIC_BROADCAST  0xff
#define ANSWER_US        100000 /* from SIPI to the first instruction of ours */
#define ONLINE_US        1000000 /* from there to smp_online() */

extern const char trampoline_start[], trampoline_end[];
void ap_main(struct cpu *cpu);

uint64_t ap_page_root; /* read by trampoline.asm */
static void (*main_of_others)(void);
static uint8_t trampoline_page;

void ap_main(struct cpu *cpu)
{
    cpu_load(cpu);
    cpu_protect();
    apic_enable();
    main_of_others();
    halt_forever();
}

/* One of two wins: the starter that gives up, or the started that answers. */
static bool change_state(struct cpu *cpu, uint32_t from, uint32_t to)
{
    return atomic_compare_exchange_strong_explicit(&cpu->state, &from, to, memory_order_acq_rel,
                                                   memory_order_acquire);
}

void smp_online(void)
{
    while (!change_state(this_cpu(), CPU_ANSWERED, CPU_ONLINE))
        __asm__ volatile("cli; hlt");
}

/* Waits until the processor has left `state`, at most `us` microseconds. */
static bool left_state(struct cpu *cpu, uint32_t state, uint32_t us)
{
    uint64_t end = rdtsc() + time_us_to_ticks(us);
    while (atomic_load_explicit(&cpu->state, memory_order_acquire) == state) {
        if (rdtsc() > end)
            return false;
        cpu_pause();
    }
    return true;
}

static bool start(struct cpu *cpu)
{
    apic_send_init(cpu->apic_id);
    time_delay_us(INIT_DELAY_US);
    apic_send_startup(cpu->apic_id, trampoline_page);
    if (!left_state(cpu, CPU_STARTING, STARTUP_DELAY_US)) {
        apic_send_startup(cpu->apic_id, trampoline_page);
        if (!left_state(cpu, CPU_STARTING, ANSWER_US) &&
            change_state(cpu, CPU_STARTING, CPU_LEFT_OUT)) {
            log_info("cpu%u (APIC id %u) does not answer to INIT-SIPI-SIPI and is left out",
                     cpu->index, cpu->apic_id);
            return false;
        }
    }
    if (!left_state(cpu, CPU_ANSWERED, ONLINE_US) &&
        change_state(cpu, CPU_ANSWERED, CPU_LEFT_OUT)) {
        log_info("cpu%u (APIC id %u) answered but did not come online and is left out", cpu->index,
                 cpu->apic_id);
        return false;
    }
    return atomic_load_explicit(&cpu->state, memory_order_acquire) == CPU_ONLINE;
}

uint32_t smp_start(const uint32_t *apic_ids, uint32_t count, uint32_t max, hpa_t page,
                   void (*main)(void))
{
    uint32_t running = 1;
    main_of_others = main;
    ap_page_root = paging_root();
    trampoline_page = (uint8_t)(page.value >> PAGE_SHIFT);
    memcpy(phys_to_virt(page), trampoline_start, (size_t)(trampoline_end - trampoline_start));

    for (uint32_t i = 0; i < count; i++) {
        if (apic_ids[i] == this_cpu()->apic_id)
            continue;
        if (max != 0 && running == max) {
            log_info("cpus=%u: the other processors stay off", max);
            break;
        }
        if (!apic_is_x2apic() && apic_ids[i] >= XAPIC_BROADCAST) {
            log_info("APIC id %u needs x2APIC mode, which the processor lacks: left out",
                     apic_ids[i]);
            continue;
        }
        struct cpu *cpu = cpu_create(apic_ids[i]);
        if (!cpu) {
            log_info("APIC id %u: no memory for another processor", apic_ids[i]);
            break;
        }
        running += start(cpu);
    }
    return running;
}

bool smp_restart(struct cpu *cpu)
{
    atomic_store_explicit(&cpu->state, CPU_STARTING, memory_order_release);
    return start(cpu);
}

void smp_stop_others(void)
{
    if (cpus_count > 1)
        apic_send_nmi_others();
}
