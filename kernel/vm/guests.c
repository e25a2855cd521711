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

/* Returns how many may start; `*guests` is how many modules are guests. */
static uint32_t create_records(const struct boot_info *info, struct vm *created[],
                               uint32_t *guests)
{
    uint32_t count = 0;
    *guests = 0;
    disks_find(info);
    for (uint32_t i = 0; i < info->module_count; i++) {
        if (disks_have(i))
            continue;
        ++*guests;
        const struct boot_module *module = &info->modules[i];
        size_t size = module->range.end - module->range.start;
        const void *file = paging_map_readable(HPA(module->range.start), size);
        struct vm *vm = file ? vm_create(module->string, file, size) : NULL;
        if (vm && vm->state != VM_REFUSED)
            created[count++] = vm;
    }
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

static void start_in_order(const struct plan *plan, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        plan->entries[i] = (struct start_entry){.config = &plan->created[i]->config};
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
    uint32_t guests;
    uint64_t free = frames_available_count();
    if (make_plan(&plan, info->module_count)) {
        log_info("no memory to start %u guests", info->module_count);
        return;
    }
    uint32_t count = create_records(info, plan.created, &guests);
    free_at_start = frames_free_count();
    start_in_order(&plan, count);
    free_at_start += BIT(plan.frames_order);
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
