/* SPDX-License-Identifier: MIT */
/* Collects the books of all VMs for the ledger, with every lock that they change under. First those
 * of all VMs, in the order of the list: nobody else holds two. Then those of memories and disks:
 * who has one of these waits for nothing but the allocator. */
#include "kernel/vm/frame_audit.h"

#include <stdatomic.h>

#include "kernel/lib/x86.h"
#include "kernel/log.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "kernel/vm/devices.h"
#include "kernel/vm/frame_ledger.h"
#include "kernel/vm/vm.h"

#define PART 32 /* of the time of one core that audits at ends of VMs take, at most */

typedef unsigned long long ull;

static const char *name_of(uint32_t vm)
{
    return vm_by_id(vm)->config.name;
}

static struct spinlock lock; /* of all below */
static bool expected;        /* a violation, by a fault on purpose */

static void report(const char *line)
{
    log_info("frames: %s: %s", expected ? "found" : "VIOLATION", line);
}

static struct frame_ledger ledger = {.violation = report, .name = name_of};
static unsigned audits, violations;
static _Atomic uint64_t next_tsc; /* no audit at an end of a VM before */

bool frame_audit_init(void)
{
    unsigned order = 0;
    hpa_t frames;
    while (PAGE_SIZE << order < frames_end().value / PAGE_SIZE * sizeof *ledger.frames)
        order++;
    if (frame_alloc(order, &frames))
        return false;
    ledger.frames = phys_to_virt(frames);
    return true;
}

static void lock_all(void)
{
    struct vm *vm;
    STAILQ_FOREACH(vm, &vms, link)
        spin_lock(&vm->lock);
    STAILQ_FOREACH(vm, &vms, link) {
        spin_lock(&vm->memory.lock);
        if (vm->devices)
            spin_lock(&vm->devices->lock);
    }
}

static void unlock_all(void)
{
    struct vm *vm;
    STAILQ_FOREACH(vm, &vms, link) {
        if (vm->devices)
            spin_unlock(&vm->devices->lock);
        spin_unlock(&vm->memory.lock);
        spin_unlock(&vm->lock);
    }
}

/* ---- What a VM holds ------------------------------------------------------------------------- */

static void claim_page(const void *page, uint32_t vm, uint64_t *count)
{
    if (!page)
        return;
    ledger_claim(&ledger, virt_to_phys(page), PAGE_SIZE, LEDGER_HELD, vm);
    ++*count;
}

/* Returns how many frames they are. */
static uint64_t claim_vcpus(const struct vm *vm)
{
    uint64_t count = 0;
    _Static_assert(VMX_VCPU_FRAMES == 2, "VMCS and virtual-APIC page");
    for (uint32_t i = 0; i < vm->config.vcpus && vm->vcpus[i]; i++) {
        claim_page(vm->vcpus[i], vm->id, &count);
        claim_page(vm->vcpus[i]->vmx.vmcs.region, vm->id, &count);
        claim_page(vm->vcpus[i]->vmx.apic_page, vm->id, &count);
    }
    return count;
}

static uint8_t ram_access(const void *memory, gpa_t guest)
{
    return guest_page_access(memory, guest);
}

/* The identity map of processors without "unrestricted guest". */
static bool identity_share(struct frame_share *share)
{
    *share = (struct frame_share){.size = PAGE_SIZE, .access = EPT_READ};
    return vmx_identity_map(&share->guest, &share->host);
}

static void claim_memory(const struct vm *vm)
{
    struct frame_share shares[VM_LINKS_MAX + 1];
    const struct guest_memory *memory = &vm->memory;
    struct frame_space space = {.vm = vm->id, .ept = &memory->ept, .use = LEDGER_OWNED,
                                .access = ram_access, .context = memory, .shares = shares};
    uint64_t pages, taken = claim_vcpus(vm);
    for (; space.share_count < vm->config.link_count; space.share_count++)
        shares[space.share_count] = link_share(vm, space.share_count);
    if (identity_share(&shares[space.share_count]))
        space.share_count++;
    taken += ledger_claim_space(&ledger, &space, &pages);
    ledger_compare(&ledger, vm->id, "frames of RAM", pages, memory->present);
    ledger_compare(&ledger, vm->id, "frames in use", taken, memory->pool.taken);
}

static uint8_t disk_access(const void *block, gpa_t offset)
{
    return offset.value < ((const struct block *)block)->capacity ? EPT_RW : 0;
}

static void claim_disks(const struct vm *vm)
{
    uint64_t pages, taken = 0;
    for (uint32_t i = 0; i < vm->devices->count; i++) {
        const struct block *block = &vm->devices->device[i].block;
        const struct frame_space space = {.vm = vm->id, .ept = &block->written, .use = LEDGER_HELD,
                                          .access = disk_access, .context = block};
        if (block->pool && !block->read_only)
            taken += ledger_claim_space(&ledger, &space, &pages);
    }
    ledger_compare(&ledger, vm->id, "frames of disks", taken, vm->devices->pool.taken);
}

/* All pools are claimed from before any EPT is walked: what is wrong is named the better. Returns
 * what the pool may still take from the allocator. */
static uint64_t claim_stock(const struct frame_pool *pool, uint32_t vm)
{
    ledger_claim_stock(&ledger, pool, vm);
    return pool->reserved - pool->stock;
}

static void claim_all(void)
{
    struct vm *vm;
    struct frame_share identity;
    uint64_t reserved = 0;
    if (!ledger_begin(&ledger))
        return;
    links_claim(&ledger);
    if (identity_share(&identity))
        ledger_claim(&ledger, identity.host, PAGE_SIZE, LEDGER_SHARED, 0);
    STAILQ_FOREACH(vm, &vms, link) {
        reserved += claim_stock(&vm->memory.pool, vm->id);
        if (vm->devices)
            reserved += claim_stock(&vm->devices->pool, vm->id);
    }
    STAILQ_FOREACH(vm, &vms, link) {
        if (vm->state == VM_ALIVE)
            claim_memory(vm);
        else
            ledger_compare(&ledger, vm->id, "frames, with no life,", 0, vm->memory.pool.taken);
        if (vm->devices)
            claim_disks(vm);
    }
    ledger_end(&ledger, reserved);
}

void frame_audit(void)
{
    if (!ledger.frames)
        return;
    spin_lock(&lock);
    lock_all();
    claim_all();
    unlock_all();
    audits++;
    violations += ledger.violations;
    spin_unlock(&lock);
}

unsigned frame_audit_of_fault(uint64_t *word, uint64_t flip)
{
    spin_lock(&lock);
    lock_all();
    expected = true;
    *word ^= flip;
    claim_all();
    *word ^= flip;
    expected = false;
    unlock_all();
    unsigned found = ledger.violations;
    spin_unlock(&lock);
    return found;
}

void frame_audit_sometimes(void)
{
    uint64_t begin = rdtsc();
    /* relaxed: two cores that come at once make one audit more */
    if (!ledger.frames || begin < atomic_load_explicit(&next_tsc, memory_order_relaxed))
        return;
    frame_audit();
    uint64_t end = rdtsc();
    atomic_store_explicit(&next_tsc, end + (end - begin) * PART, memory_order_relaxed);
}

void frame_audit_summary(void)
{
    const uint64_t *count = ledger.count;
    log_info("frames: %u audits, %u violations; %llu free, %llu the hypervisor's, %llu held for "
             "guests, %llu of guests, %llu shared", audits, violations, (ull)count[LEDGER_FREE],
             (ull)count[LEDGER_HOST], (ull)count[LEDGER_HELD], (ull)count[LEDGER_OWNED],
             (ull)count[LEDGER_SHARED]);
}
