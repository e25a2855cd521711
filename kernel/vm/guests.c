/* SPDX-License-Identifier: MIT */
/* All guests at boot: their records in the order of the modules (but for those that are disks),
 * which is that of the summary; then what one's line says about others (after=, link=) and about
 * the machine (cpus=); then the start. */
#include "kernel/vm/guests.h"

#include <linux/errno.h>

#include "kernel/lib/format.h"
#include "kernel/log.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/paging.h"
#include "kernel/mm/phys.h"
#include "kernel/panic.h"
#include "kernel/vm/disks.h"
#include "kernel/vm/sched.h"
#include "kernel/vm/start_order.h"
#include "kernel/vm/vm.h"

static uint64_t free_at_start; /* frames, with all records made and no guest started */

/* Returns how many guests a module is: one, or its `copies=`. */
static uint32_t create_those_of(const struct boot_module *module)
{
    size_t size = module->range.end - module->range.start;
    const void *file = paging_map_readable(HPA(module->range.start), size);
    uint32_t copies = 1;
    for (uint32_t copy = 0; copy < copies; copy++) {
        const struct vm *vm = file ? vm_create(module->string, file, size, copy) : NULL;
        if (!vm)
            break; /* and no further one */
        copies = vm->config.copies;
    }
    return copies;
}

/* Returns how many guests all modules are. */
static uint32_t create_records(const struct boot_info *info)
{
    uint32_t count = 0;
    disks_find(info);
    for (uint32_t i = 0; i < info->module_count; i++)
        if (!disks_have(i))
            count += create_those_of(&info->modules[i]);
    return count;
}

/* What a line asks of the machine and of other guests. */
static bool can_start(struct vm *vm)
{
    char error[MODULE_LINE_ERROR_MAX];
    uint32_t core;
    if (vm->config.pinned && sched_lacks_core(vm->config.cpus, &core)) {
        snprintf(error, sizeof error, "cpus=%u: this core is not there, or runs no guests", core);
        vm_refuse(vm, error);
        return false;
    }
    if (links_join(vm, error)) {
        vm_refuse(vm, error);
        return false;
    }
    return true;
}

/* What the start takes for a while, for up to `count` guests. */
struct plan {
    struct vm **created;
    struct start_entry *entries;
    uint32_t *order, *scratch;
    hpa_t frames;
    unsigned frames_order;
};

static int make_plan(struct plan *plan, uint32_t count)
{
    size_t size = count * (sizeof *plan->entries + sizeof *plan->created +
                           sizeof *plan->order + sizeof *plan->scratch);
    plan->frames_order = 0;
    while (PAGE_SIZE << plan->frames_order < size)
        plan->frames_order++;
    if (frame_alloc(plan->frames_order, &plan->frames))
        return -ENOMEM;
    plan->entries = phys_to_virt(plan->frames);
    plan->created = (struct vm **)(plan->entries + count);
    plan->order = (uint32_t *)(plan->created + count);
    plan->scratch = plan->order + count;
    return 0;
}

static void start_in_order(const struct plan *plan)
{
    struct vm *vm;
    uint32_t count = 0;
    STAILQ_FOREACH(vm, &vms, link) {
        if (vm->state == VM_REFUSED)
            continue;
        plan->entries[count] = (struct start_entry){.config = &vm->config};
        plan->created[count++] = vm;
    }
    uint32_t starting = start_order(plan->entries, count, plan->order, plan->scratch);
    for (uint32_t i = 0; i < count; i++)
        if (plan->entries[i].refused)
            vm_refuse(plan->created[i], plan->entries[i].error);
    for (uint32_t i = 0; i < starting; i++)
        if (can_start(plan->created[plan->order[i]]))
            (void)vm_start(plan->created[plan->order[i]]);
}

void guests_create(const struct boot_info *info)
{
    struct plan plan;
    uint64_t free = frames_available_count();
    uint32_t guests = create_records(info);
    free_at_start = frames_free_count();
    if (make_plan(&plan, guests)) {
        log_info("no memory to start %u guests", guests);
        return;
    }
    start_in_order(&plan);
    if (frame_free(plan.frames, plan.frames_order))
        panic("the plan's frames were not ours");
    log_info("%u of %u guests created, %llu of %llu MiB free", vms_alive(), guests,
             (unsigned long long)(frames_available_count() * PAGE_SIZE / MIB),
             (unsigned long long)(free * PAGE_SIZE / MIB));
}

void guests_recount(void)
{
    log_info("frames: %llu free before the first start, %llu behind the last end, %llu reserved",
             (unsigned long long)free_at_start, (unsigned long long)frames_free_count(),
             (unsigned long long)(frames_free_count() - frames_available_count()));
}
