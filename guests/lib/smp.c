/* SPDX-License-Identifier: MIT */
/* The start of further vCPUs (SDM Vol. 3A 8.4.4): by INIT and SIPI through real mode, or by a call
 * in protected mode. Both lead through trampoline.asm to vcpu_main. */
#include "guests/lib/guest.h"

#include "guests/lib/vcpu.h"

#define STACK_PAGES       8
#define FAULT_STACK_PAGES 2
#define SIPI_GAP_US       200 /* SDM 8.4.4.1 */
#define START_NS          2000000000ull

_Noreturn void vcpu_main(struct vcpu *vcpu); /* called by trampoline.asm */

extern const char vcpu_trampoline[], vcpu_entry32[]; /* trampoline.asm */

static struct vcpu boot_vcpu;
static char boot_fault_stack[FAULT_STACK_PAGES * PAGE_SIZE] __attribute__((aligned(16)));
static char boot_user_stack[FAULT_STACK_PAGES * PAGE_SIZE] __attribute__((aligned(16)));
static unsigned count = 1;

struct vcpu *vcpu_table[VCPUS_MAX] = {&boot_vcpu}; /* by number; trampoline.asm reads it */

_Static_assert(offsetof(struct vcpu, stack_top) == 8, "trampoline.asm");
_Static_assert(sizeof(struct vcpu) <= PAGE_SIZE, "a vCPU's block is one page");

static void set_stacks(struct vcpu *vcpu, uintptr_t fault_stack_top, uintptr_t user_stack_top)
{
    vcpu->tss.ist[IST_DOUBLE_FAULT - 1] = fault_stack_top;
    vcpu->tss.rsp[0] = user_stack_top;
}

void vcpu_init_boot(void)
{
    boot_vcpu.self = &boot_vcpu;
    boot_vcpu.last_vector = NO_EXCEPTION;
    boot_vcpu.started = true;
    set_stacks(&boot_vcpu, (uintptr_t)boot_fault_stack + sizeof(boot_fault_stack),
               (uintptr_t)boot_user_stack + sizeof(boot_user_stack));
    count = MIN(MAX(cpuid(ATOLL_CPUID_INFO, 0).edx, 1u), VCPUS_MAX);
}

unsigned vcpu_count(void)
{
    return count;
}

unsigned vcpu_index(void)
{
    return vcpu_this()->index;
}

bool vcpu_is_idle(unsigned index)
{
    return index < count && (!vcpu_table[index] || atomic_load(&vcpu_table[index]->finished));
}

_Noreturn void vcpu_main(struct vcpu *vcpu)
{
    exceptions_load(vcpu);
    apic_init();
    atomic_store(&vcpu->started, true);
    interrupts_on();
    vcpu->entry(vcpu->argument);
    interrupts_off();
    console_flush();
    atomic_store(&vcpu->finished, true);
    for (;;)
        halt();
}

static struct vcpu *make(unsigned index)
{
    char *pages = pages_alloc(1 + STACK_PAGES + 2 * FAULT_STACK_PAGES);
    if (!pages)
        return NULL;

    struct vcpu *vcpu = (struct vcpu *)pages;
    char *stack_top = pages + (1 + STACK_PAGES) * PAGE_SIZE;
    vcpu->self = vcpu;
    vcpu->index = index;
    vcpu->stack_top = (uintptr_t)stack_top;
    set_stacks(vcpu, (uintptr_t)stack_top + FAULT_STACK_PAGES * PAGE_SIZE,
               (uintptr_t)stack_top + 2 * FAULT_STACK_PAGES * PAGE_SIZE);
    vcpu_table[index] = vcpu;
    return vcpu;
}

static int start_by_sipi(unsigned index)
{
    unsigned page = (unsigned)((uintptr_t)vcpu_trampoline / PAGE_SIZE);

    apic_send_sipi(index, page);
    spin_us(SIPI_GAP_US);
    apic_send_sipi(index, page); /* ignored by a vCPU that has heard the first */
    return 0;
}

/* An INIT takes effect a little later: until then the vCPU counts as running. */
static int start_by_call(unsigned index)
{
    uint64_t start = now_ns();
    int64_t result;

    do
        result = atoll_start_vcpu(index, (uintptr_t)vcpu_entry32, 0);
    while (result == -EBUSY && now_ns() - start < START_NS);
    return (int)result;
}

static bool by_sipi(void)
{
    const char *how = guest_option("start");

    if (how && strcmp(how, "call") == 0)
        return false;
    return cpuid(ATOLL_CPUID_FEATURES, 0).eax & ATOLL_FEATURE_INIT_SIPI;
}

static int wait_until_started(const struct vcpu *vcpu)
{
    uint64_t start = now_ns();

    while (!atomic_load(&vcpu->started)) {
        if (now_ns() - start >= START_NS)
            return -ETIMEDOUT;
        atoll_yield();
    }
    return 0;
}

int vcpu_restart(unsigned index, void (*entry)(void *argument), void *argument)
{
    if (index == 0 || index >= count)
        return -EINVAL;
    struct vcpu *vcpu = vcpu_table[index] ? vcpu_table[index] : make(index);
    if (!vcpu)
        return -ENOMEM;

    apic_send_init(index); /* it must not run on while its block changes */
    spin_us(SIPI_GAP_US);
    vcpu->last_vector = NO_EXCEPTION;
    vcpu->line_length = 0;
    vcpu->entry = entry;
    vcpu->argument = argument;
    atomic_store(&vcpu->finished, false);
    atomic_store(&vcpu->started, false);
    int error = by_sipi() ? start_by_sipi(index) : start_by_call(index);
    return error ? error : wait_until_started(vcpu);
}

int vcpu_start(unsigned index, void (*entry)(void *argument), void *argument)
{
    if (index > 0 && index < count && !vcpu_is_idle(index))
        return -EBUSY;
    return vcpu_restart(index, entry, argument);
}
