/* SPDX-License-Identifier: MIT */
/* A guest that takes what it can from its neighbours, in the way that how=NAME says, for ms=N
 * milliseconds (100), with all its vCPUs or with vCPU 0 alone. It ends with status 0: the
 * neighbours tell what it cost them. */
#include "guests/lib/guest.h"

#define VECTOR     0x44
#define DEFAULT_MS 100
#define TURNS      100000 /* some milliseconds without an exit */

static uint64_t end_ns;
static struct link link;
static _Atomic unsigned running;

static void ignore(unsigned vector)
{
    (void)vector;
}

static void loop(void)
{
    interrupts_off();
    for (unsigned i = 0; i < TURNS; i++)
        __asm__ volatile("");
    interrupts_on();
}

static void exits(void)
{
    cpuid(0, 0);
}

static void ipi(void)
{
    apic_write(APIC_ICR, APIC_ICR_ALL | VECTOR);
}

static void doorbell(void)
{
    link_ring(&link, ATOLL_LINK_ALL);
}

static void short_sleep(void)
{
    atoll_sleep_for(1);
}

static void yield(void)
{
    atoll_yield();
}

static void timer(void)
{
    apic_timer_deadline(VECTOR, rdtsc() + 1);
}

/* For ever, unless someone wakes it. */
static void sleep_for_good(void)
{
    wait_for_interrupt();
}

/* A periodic timer of one tick that interrupts nobody (SDM Vol. 3A 10.5.4). */
static void tick(void)
{
    apic_write(APIC_DIVIDE, APIC_DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, VECTOR | APIC_LVT_MASKED | APIC_LVT_PERIODIC);
    apic_write(APIC_INITIAL_COUNT, 1);
    wait_for_interrupt();
}

static void init_others(void)
{
    apic_write(APIC_ICR, APIC_ICR_OTHERS | APIC_ICR_INIT | APIC_ICR_ASSERT);
}

static void nmi_to_sibling(void)
{
    apic_send_nmi(1);
}

static void halt_deaf(void)
{
    interrupts_off();
    halt();
}

static bool ignore_nmi(struct exception_frame *frame)
{
    (void)frame;
    return true;
}

static void sleep_on(void *unused)
{
    (void)unused;
    for (;;)
        halt_deaf();
}

static void spin_on(void *unused)
{
    (void)unused;
    for (;;)
        loop();
}

static void init_myself(void *unused)
{
    (void)unused;
    apic_send_init(apic_id());
}

static const struct {
    const char *how;
    void (*act)(void);
    bool alone;                    /* only vCPU 0 does it */
    void (*sibling)(void *unused); /* what vCPU 1 does then; NULL: it is never started */
} ways[] = {
    {"loop", loop, false, NULL},
    {"exits", exits, false, NULL},
    {"ipi", ipi, false, NULL},
    {"doorbell", doorbell, false, NULL},
    {"sleep", short_sleep, false, NULL},
    {"yield", yield, false, NULL},
    {"timer", timer, false, NULL},
    {"halt", sleep_for_good, false, NULL},
    {"tick", tick, true, NULL},
    {"init", init_others, true, NULL},
    {"selfinit", halt_deaf, true, init_myself},
    {"nmi-unstarted", nmi_to_sibling, true, NULL},
    {"nmi-asleep", nmi_to_sibling, true, sleep_on},
    {"nmi-busy", nmi_to_sibling, true, spin_on},
};

static void storm(void *act)
{
    uint64_t count = 0;

    while (now_ns() < end_ns) {
        ((void (*)(void))act)();
        count++;
    }
    printf("bad_neighbour: %lu times\n", count);
    atomic_fetch_sub(&running, 1);
}

static void start(unsigned index, void (*entry)(void *argument), void *argument)
{
    int error = vcpu_start(index, entry, argument);
    if (error == 0)
        return;
    printf("bad_neighbour: vCPU %u does not start (%d)\n", index, error);
    guest_exit(1);
}

static void storm_with_all(void (*act)(void))
{
    atomic_store(&running, vcpu_count());
    for (unsigned i = 1; i < vcpu_count(); i++)
        start(i, storm, (void *)act);
    storm((void *)act);
    while (atomic_load(&running) > 0)
        atoll_yield();
}

static void storm_alone(void (*act)(void), void (*sibling)(void *unused))
{
    if (sibling)
        start(1, sibling, NULL);
    storm((void *)act);
}

int main(void)
{
    const char *how = guest_option("how");

    interrupt_handler_set(VECTOR, ignore);
    exception_handler_set(VECTOR_NMI, ignore_nmi);
    if (link_open(&link, 0) == 0)
        link_interrupt_set(&link, VECTOR, ignore);
    for (size_t i = 0; how && i < ARRAY_SIZE(ways); i++) {
        if (strcmp(how, ways[i].how) != 0)
            continue;
        end_ns = now_ns() + guest_option_number("ms", DEFAULT_MS) * 1000000;
        if (ways[i].alone)
            storm_alone(ways[i].act, ways[i].sibling);
        else
            storm_with_all(ways[i].act);
        return 0;
    }
    printf("bad_neighbour: no such how=\n");
    return 2;
}
