/* SPDX-License-Identifier: MIT */
/* The calls of include/atoll/abi.h. Every address goes through the one door to guest memory. */
#include <atoll/abi.h>
#include <linux/errno.h>
#include <string.h>

#include "kernel/cpu/time.h"
#include "kernel/lib/x86.h"
#include "kernel/vm/console.h"
#include "kernel/vm/exits.h"
#include "kernel/vm/signals.h"

#define CONSOLE_CHUNK 256

static int64_t call_console_write(struct vcpu *vcpu, uint64_t address, uint64_t length)
{
    char chunk[CONSOLE_CHUNK];
    if (length > ATOLL_CONSOLE_MAX)
        return -EINVAL;
    if (!guest_range_ok(&vcpu->vm->memory, GPA(address), length))
        return -EFAULT;
    for (uint64_t done = 0; done < length;) {
        uint64_t part = MIN(length - done, sizeof chunk);
        if (guest_read(&vcpu->vm->memory, GPA(address + done), chunk, part))
            return -EFAULT;
        console_write(vcpu->vm, chunk, part);
        done += part;
    }
    return (int64_t)length;
}

static int64_t call_vm_info(struct vcpu *vcpu, uint64_t address, uint64_t size)
{
    struct atoll_vm_info info;
    memset(&info, 0, sizeof info);
    info.abi_version = ATOLL_ABI_VERSION;
    info.vm = vcpu->vm->id;
    info.vcpus = vcpu->vm->config.vcpus;
    info.physical_cpu = cpu_index();
    info.memory = vcpu->vm->memory.size;
    info.tsc_hz = time_tsc_hz();
    info.run_ticks = vcpu->run_ticks + (rdtsc() - vcpu->slice_start);
    _Static_assert(sizeof info.name == VM_NAME_MAX, "the name is copied whole");
    memcpy(info.name, vcpu->vm->config.name, sizeof info.name);
    uint64_t length = MIN(size, sizeof info);
    int error = guest_write(&vcpu->vm->memory, GPA(address), &info, length);
    return error ? error : (int64_t)length;
}

static enum exit_action call_sleep(struct vcpu *vcpu, uint64_t host_tsc)
{
    if (host_tsc <= rdtsc())
        return ACTION_RESUME;
    vcpu_sleep(vcpu, host_tsc);
    return ACTION_SLEEP;
}

static enum exit_action call_exit(struct vcpu *vcpu, uint64_t status)
{
    vcpu->vm->status = (uint8_t)status;
    vm_stop(vcpu, STOP_GUEST_EXIT, NULL, "status %u", (uint8_t)status);
    return ACTION_STOP;
}

static enum exit_action unknown_call(struct vcpu *vcpu, uint64_t number)
{
    if (++vcpu->bad_calls < ATOLL_BAD_CALLS_MAX)
        return ACTION_RESUME;
    vm_stop(vcpu, STOP_BAD_HYPERCALL, NULL, "%u unknown calls in a row, the last is number 0x%llx",
            vcpu->bad_calls, (unsigned long long)number);
    return ACTION_STOP;
}

static uint64_t saturating_add(uint64_t a, uint64_t b)
{
    return a + b < a ? UINT64_MAX : a + b;
}

/* A guest time in the past of the guest is in the past of the host. */
static uint64_t to_host_tsc(const struct vcpu *vcpu, uint64_t guest_tsc)
{
    return saturating_add(guest_tsc, -vcpu->vmx.tsc_offset);
}

enum exit_action hypercall_handle(struct vcpu *vcpu)
{
    uint64_t *gpr = vcpu->vmx.gpr;
    uint64_t number = gpr[VMX_RAX];
    if (vmx_cpl(&vcpu->vmx) != 0 || !vmx_in_64bit_mode(&vcpu->vmx)) {
        gpr[VMX_RAX] = (uint64_t)-EPERM;
        return ACTION_RESUME;
    }
    gpr[VMX_RAX] = 0;
    enum exit_action action = ACTION_RESUME;
    switch (number) {
    case ATOLL_CALL_NULL:
        break;
    case ATOLL_CALL_CONSOLE_WRITE:
        gpr[VMX_RAX] = (uint64_t)call_console_write(vcpu, gpr[VMX_RDI], gpr[VMX_RSI]);
        break;
    case ATOLL_CALL_EXIT:
        return call_exit(vcpu, gpr[VMX_RDI]);
    case ATOLL_CALL_YIELD:
        vcpu->yielded = true;
        action = ACTION_YIELD;
        break;
    case ATOLL_CALL_SLEEP_UNTIL:
        action = call_sleep(vcpu, to_host_tsc(vcpu, gpr[VMX_RDI]));
        break;
    case ATOLL_CALL_SLEEP_FOR:
        action = call_sleep(vcpu, saturating_add(rdtsc(), time_ns_to_ticks(gpr[VMX_RDI])));
        break;
    case ATOLL_CALL_VM_INFO:
        gpr[VMX_RAX] = (uint64_t)call_vm_info(vcpu, gpr[VMX_RDI], gpr[VMX_RSI]);
        break;
    case ATOLL_CALL_WALL_CLOCK: {
        uint64_t now = time_wall_clock_ns();
        gpr[VMX_RAX] = now ? now : (uint64_t)-ENODEV;
        break;
    }
    case ATOLL_CALL_PROBE:
        gpr[VMX_RAX] = (uint64_t)signals_request(gpr[VMX_RDI]);
        break;
    default:
        gpr[VMX_RAX] = (uint64_t)-ENOSYS;
        return unknown_call(vcpu, number);
    }
    vcpu->bad_calls = 0;
    return action;
}
