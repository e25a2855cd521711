/* SPDX-License-Identifier: MIT */
/* What is broken about frames is a word in which bits flip; it is mended behind the audit that must
 * have found it, before anybody can use it. A VMCS stays broken: its guest ends by that. */
#include "kernel/vm/faults.h"

#include <atoll/abi.h>
#include <linux/errno.h>

#include "kernel/log.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/memory.h"
#include "kernel/mm/phys.h"
#include "kernel/vm/frame_audit.h"
#include "kernel/vm/vm.h"

#define PAGE 0x1000ull /* of a guest, one that is present from its start: the start information */

static bool enabled;

void faults_enable(void)
{
    enabled = true;
}

/* ---- Frames ---------------------------------------------------------------------------------- */

/* Where the first other guest that lives has that page; 0: there is none. */
static uint64_t page_of_another(const struct vm *self)
{
    struct vm *vm;
    struct ept_leaf leaf;
    STAILQ_FOREACH(vm, &vms, link) {
        if (vm == self || !vm_hold(vm))
            continue;
        bool mapped = ept_walk(&vm->memory.ept, GPA(PAGE), &leaf) == 0;
        vm_put(vm);
        if (mapped)
            return leaf.address.value;
    }
    return 0;
}

static uint64_t start_of(enum memory_use wanted)
{
    enum memory_use use;
    struct boot_range range;
    for (size_t number = 0; memory_reserved(number, &use, &range); number++)
        if (use == wanted)
            return range.start;
    return 0;
}

static uint64_t *entry_of(const struct ept_step *step)
{
    return (uint64_t *)phys_to_virt(step->table) + step->index;
}

/* Breaks entry `number` of the list while nothing else moves. Returns how many violations the audit
 * finds then. */
static int64_t break_frames(const struct vcpu *vcpu, uint64_t number)
{
    struct ept_step step[EPT_STEPS_MAX];
    struct vm *vm = vcpu->vm;
    if (ept_walk_steps(&vm->memory.ept, GPA(PAGE), step) != EPT_STEPS_MAX)
        return -EINVAL;
    void *page = page_alloc(); /* that nobody has */
    if (!page)
        return -ENOMEM;
    const struct ept_step *last = &step[EPT_STEPS_MAX - 1];
    uint64_t *leaf = entry_of(last), at = last->address.value, frame = at >> PAGE_SHIFT;
    uint64_t *states = phys_to_virt(HPA(start_of(MEMORY_METADATA)));
    const struct {
        const char *what;
        uint64_t *word, flip;
    } faults[] = {
        {"a bit of a leaf's address flips", leaf, PAGE_SIZE},
        {"a leaf maps another guest's frame", leaf, at ^ page_of_another(vm)},
        {"a leaf maps a frame that is free", leaf, at ^ virt_to_phys(page).value},
        {"a leaf maps the hypervisor's image", leaf, at ^ start_of(MEMORY_IMAGE)},
        {"a leaf maps its own table", leaf, at ^ last->table.value},
        {"a leaf's access changes", leaf, EPT_WRITE},
        {"a leaf's memory type changes", leaf, BIT(3)},
        {"a bit of a table's address flips", entry_of(last - 1), PAGE_SIZE},
        {"a bit of an empty entry flips", entry_of(step) + 1, EPT_EXECUTE},
        {"a bit of the allocator's byte of a frame flips", states + frame / 8,
         BIT(frame % 8 * 8 + 7)},
        {"the count of frames in use is off", &vm->memory.pool.taken, 1},
        {"the count of frames of RAM is off", &vm->memory.present, 1},
        {"the count of tables is off", (uint64_t *)&vm->memory.ept.table_count, 1},
        {"the count of reserved frames is off", &vm->memory.pool.reserved, BIT(20)},
        {"a frame is handed out and forgotten", leaf, 0},
    };
    bool last_one = number == ARRAY_SIZE(faults) - 1;
    if (!last_one)
        page_free(page);
    if (number >= ARRAY_SIZE(faults))
        return -EINVAL;
    log_line(vcpu->name, "fault: %s", faults[number].what);
    unsigned found = frame_audit_of_fault(faults[number].word, faults[number].flip);
    if (last_one)
        page_free(page);
    return found;
}

/* ---- Others ---------------------------------------------------------------------------------- */

/* `detail`: the field's encoding, and the bit's number << 16. */
static int64_t flip_field(struct vcpu *vcpu, uint64_t detail)
{
    unsigned bit = detail >> 16 & 63;
    const char *field = vmx_flip((uint16_t)detail, bit);
    if (!field)
        return -EINVAL;
    log_line(vcpu->name, "fault: bit %u flips in %s", bit, field);
    return 0;
}

static __attribute__((noinline)) void write_to_text(void)
{
    *(volatile char *)(uintptr_t)write_to_text = 0;
}

int64_t faults_request(struct vcpu *vcpu, uint64_t fault, uint64_t detail)
{
    if (!enabled)
        return -ENOSYS;
    switch (fault) {
    case ATOLL_FAULT_EXCEPTION:
        log_line(vcpu->name, "fault: an exception in a handler");
        write_to_text();
        return 0;
    case ATOLL_FAULT_FRAMES:
        return break_frames(vcpu, detail);
    case ATOLL_FAULT_VMCS:
        return flip_field(vcpu, detail);
    default:
        return -EINVAL;
    }
}
