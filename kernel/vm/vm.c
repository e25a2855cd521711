/* SPDX-License-Identifier: MIT */
/* The life of a VM: made from a module, stopped once with a reason, released. */
#include "kernel/vm/vm.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "kernel/lib/format.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/log.h"
#include "kernel/mm/frames.h"
#include "kernel/panic.h"
#include "kernel/vm/console.h"
#include "kernel/vm/loader.h"

#define VPIDS UINT16_MAX

_Static_assert(sizeof(struct vm) <= PAGE_SIZE, "the record of a VM is one page");

struct vm_list vms = STAILQ_HEAD_INITIALIZER(vms);
static uint32_t vm_count;
static _Atomic uint32_t alive;

const char *stop_reason_name(enum stop_reason reason)
{
    static const char *const names[] = {
#define X(name) #name,
        STOP_REASONS(X)
#undef X
    };
    return (unsigned)reason < ARRAY_SIZE(names) ? names[reason] : "?";
}

uint32_t vms_alive(void)
{
    /* acquire: who sees the last one gone sees what it left in its record */
    return atomic_load_explicit(&alive, memory_order_acquire);
}

static bool name_taken(const struct vm *vm)
{
    const struct vm *other;
    STAILQ_FOREACH(other, &vms, link)
        if (other != vm && !strcmp(other->config.name, vm->config.name))
            return true;
    return false;
}

/* Builds what a guest needs to run. Returns 0, or an error with one line. */
static int build(struct vm *vm, const void *file, size_t size, char error[VMX_ERROR_MAX])
{
    gpa_t entry, start_info;
    _Static_assert(LOADER_ERROR_MAX <= VMX_ERROR_MAX, "the loader's error fits");
    int status = guest_load(&vm->memory, &vm->config, file, size, &entry, &start_info, error);
    if (status)
        return status;
    /* VPID 0 is the host's; with more guests than VPIDs the rest goes without. */
    uint16_t vpid = vm->id < VPIDS ? (uint16_t)(vm->id + 1) : 0;
    status = vmx_vcpu_create(&vm->vcpu.vmx, &vm->memory.ept, vpid, entry, start_info, error);
    if (status)
        guest_memory_destroy(&vm->memory);
    else
        log_line(vm->config.name, "created: %llu KiB, entry 0x%llx, start info 0x%llx",
                 (unsigned long long)(vm->memory.size / KIB), (unsigned long long)entry.value,
                 (unsigned long long)start_info.value);
    return status;
}

static void refuse(struct vm *vm, const char *error)
{
    vm->refused = true;
    if (vm->config.name[0] == '\0')
        snprintf(vm->config.name, sizeof vm->config.name, "module%u", vm->id);
    log_line(vm->config.name, "refused: %s", error);
}

struct vm *vm_create(const char *string, const void *file, size_t size)
{
    char error[VMX_ERROR_MAX];
    struct vm *vm = page_alloc();
    if (!vm) {
        log_info("no memory for the record of another guest: \"%.64s\" is refused", string);
        return NULL;
    }
    vm->id = vm_count++;
    STAILQ_INSERT_TAIL(&vms, vm, link);

    _Static_assert(MODULE_LINE_ERROR_MAX <= VMX_ERROR_MAX, "the parser's error fits");
    if (module_line_parse(string, &vm->config, error)) {
        refuse(vm, error);
        return NULL;
    }
    if (name_taken(vm)) {
        snprintf(error, sizeof error, "another guest has the name \"%s\"", vm->config.name);
        refuse(vm, error);
        return NULL;
    }
    if (build(vm, file, size, error)) {
        refuse(vm, error);
        return NULL;
    }
    vm->vcpu.vm = vm;
    vm->vcpu.state = VCPU_RUNNABLE;
    snprintf(vm->vcpu.name, sizeof vm->vcpu.name, "%s.%u", vm->config.name, vm->vcpu.index);
    atomic_fetch_add_explicit(&alive, 1, memory_order_relaxed);
    return vm;
}

static void dump_instruction(const struct vcpu *vcpu, uint64_t rip)
{
    uint8_t bytes[INSTRUCTION_MAX];
    char text[3 * INSTRUCTION_MAX + 1];
    unsigned count = 0;
    text[0] = '\0';
    for (; count < INSTRUCTION_MAX; count++) {
        gpa_t guest;
        if (vmx_translate(&vcpu->vmx, rip + count, &guest) ||
            guest_read(&vcpu->vm->memory, guest, &bytes[count], 1))
            break;
        snprintf(text + 3 * count, sizeof text - 3 * count, " %02x", bytes[count]);
    }
    log_line(vcpu->name, "  bytes at rip:%s", count ? text : " not readable");
}

/* The exit, the registers, the bytes at RIP, and after a failed entry the auditor's findings. */
static void describe_stop(const struct vcpu *vcpu, const struct vm_exit *exit)
{
    char decoded[LOG_LINE_MAX];
    vmx_exit_describe(decoded, sizeof decoded, exit, vcpu->vmx.gpr);
    log_line(vcpu->name, "  exit %u %s rip=0x%llx %s", exit->reason, vmx_exit_name(exit->reason),
             (unsigned long long)exit->rip, decoded);
    vmx_dump_guest(&vcpu->vmx, vcpu->name);
    dump_instruction(vcpu, exit->rip);
    if (exit->entry_failed)
        vmx_audit(&vcpu->vmx, vcpu->name);
}

void vm_stop(struct vcpu *vcpu, enum stop_reason reason, const struct vm_exit *exit,
             const char *format, ...)
{
    struct vm *vm = vcpu->vm;
    vcpu->state = VCPU_STOPPED;
    if (vm->stop_reason != STOP_NONE)
        return;
    vm->stop_reason = reason;
    console_flush(vm);

    char detail[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    log_block_begin();
    log_line(vcpu->name, "stopped: %s: %s", stop_reason_name(reason), detail);
    if (exit)
        describe_stop(vcpu, exit);
    log_block_end();
}

void vm_release(struct vm *vm)
{
    vm->run_ticks = vm->vcpu.run_ticks;
    vmx_vcpu_destroy(&vm->vcpu.vmx);
    guest_memory_destroy(&vm->memory);
    atomic_fetch_sub_explicit(&alive, 1, memory_order_release);
}
