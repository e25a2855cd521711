/* SPDX-License-Identifier: MIT */
/* The calls of include/atoll/abi.h. Every address goes through the one door to guest memory. */
#include "kernel/lib/hot_path.h"

#include <atoll/abi.h>
#include <linux/errno.h>
#include <string.h>

#include "kernel/cpu/time.h"
#include "kernel/lib/format.h"
#include "kernel/lib/x86.h"
#include "kernel/mm/frames.h"
#include "kernel/vm/console.h"
#include "kernel/vm/devices.h"
#include "kernel/vm/exits.h"
#include "kernel/vm/faults.h"
#include "kernel/vm/sched.h"
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

/* Bytes for a page that the guest may not write itself are lost: it gave them a bad place. */
static int64_t call_console_read(struct vcpu *vcpu, uint64_t address, uint64_t size)
{
    char bytes[ATOLL_CONSOLE_INPUT];
    _Static_assert(sizeof bytes == CONSOLE_INPUT, "all that can wait");
    if (!guest_range_ok(&vcpu->vm->memory, GPA(address), size))
        return -EFAULT;
    size_t count = console_read(vcpu->vm, bytes, MIN(size, sizeof bytes));
    int error = guest_write(&vcpu->vm->memory, GPA(address), bytes, count);
    return error ? error : (int64_t)count;
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
    sched_wait_until(vcpu, host_tsc);
    return ACTION_SLEEP;
}

static int64_t call_start_vcpu(struct vcpu *vcpu, uint64_t index, uint64_t entry, uint64_t ebx)
{
    struct vm *vm = vcpu->vm;
    if (index >= vm->config.vcpus || ebx > UINT32_MAX)
        return -EINVAL;
    if (entry > UINT32_MAX || !guest_range_ok(&vm->memory, GPA(entry), 1))
        return -EFAULT;
    struct vcpu *other = vm->vcpus[index];
    /* relaxed: a vCPU that is being started or reset at this very moment may be told either */
    if (__atomic_load_n(&other->state, __ATOMIC_RELAXED) != VCPU_CREATED)
        return -EBUSY;
    atomic_store_explicit(&other->start_at, entry | ebx << 32, memory_order_relaxed);
    sched_post(other, REQUEST_START);
    return 0;
}

/* -EAGAIN: another core has the VM's lock. */
static int64_t call_control(struct vcpu *vcpu, uint64_t operation, uint64_t id)
{
    struct vm *vm = vm_by_id(id);
    if (!vcpu->vm->config.control)
        return -EPERM;
    if (!vm || vm->state == VM_REFUSED)
        return -ENOENT;
    switch (operation) {
    case ATOLL_CONTROL_PAUSE: /* who pauses itself can never resume */
        return vm == vcpu->vm ? -EINVAL : vm_pause(vm);
    case ATOLL_CONTROL_RESUME:
        return vm_resume(vm);
    case ATOLL_CONTROL_STOP:
        return vm_end(vm);
    case ATOLL_CONTROL_START:
        return vm_start(vm);
    default:
        return -EINVAL;
    }
}

static uint32_t run_state(const struct vm *vm)
{
    if (vm->state == VM_REFUSED)
        return ATOLL_VM_REFUSED;
    if (vm->state == VM_STOPPED)
        return vm->restarting ? ATOLL_VM_RESTARTING : ATOLL_VM_STOPPED;
    return atomic_load_explicit(&vm->paused, memory_order_relaxed) ? ATOLL_VM_PAUSED
                                                                  : ATOLL_VM_RUNNING;
}

static int64_t call_vm_state(struct vcpu *vcpu, uint64_t id, uint64_t address, uint64_t size)
{
    struct vm *vm = vm_by_id(id);
    struct atoll_vm_state state;
    if (!vcpu->vm->config.control)
        return -EPERM;
    if (!vm)
        return -ENOENT;
    memset(&state, 0, sizeof state);
    if (!spin_trylock(&vm->lock))
        return -EAGAIN;
    state.vm = vm->id;
    state.state = run_state(vm);
    state.starts = vm->starts;
    state.status = vm->status;
    state.run_ticks = vm_run_ticks(vm);
    state.weight = vm->config.weight;
    state.vcpus = vm->config.vcpus;
    _Static_assert(sizeof state.name == VM_NAME_MAX, "the name is copied whole");
    memcpy(state.name, vm->config.name, sizeof state.name);
    if (vm->last_reason != STOP_NONE)
        snprintf(state.reason, sizeof state.reason, "%s", stop_reason_name(vm->last_reason));
    spin_unlock(&vm->lock);
    state.free_frames = frames_available_count();
    uint64_t length = MIN(size, sizeof state);
    int error = guest_write(&vcpu->vm->memory, GPA(address), &state, length);
    return error ? error : (int64_t)length;
}

static int64_t call_block(struct vcpu *vcpu, uint64_t number)
{
    const uint64_t *gpr = vcpu->vmx.gpr;
    struct device *device = device_at(vcpu->vm, gpr[VMX_RDI], DEVICE_BLOCK);
    if (!device)
        return -ENOENT;
    struct block *block = &device->block;
    if (!IS_ALIGNED(gpr[VMX_RSI] | gpr[VMX_R10], block->block_size))
        return -EINVAL;
    if (number == ATOLL_CALL_BLOCK_WRITE)
        return block_write(block, &vcpu->vm->memory, gpr[VMX_RSI], GPA(gpr[VMX_RDX]),
                           gpr[VMX_R10]);
    return block_read(block, &vcpu->vm->memory, gpr[VMX_RSI], GPA(gpr[VMX_RDX]), gpr[VMX_R10]);
}

static int64_t call_net(struct vcpu *vcpu, uint64_t number)
{
    const uint64_t *gpr = vcpu->vmx.gpr;
    const struct device *device = device_at(vcpu->vm, gpr[VMX_RDI], DEVICE_NET);
    if (!device)
        return -ENOENT;
    struct guest_memory *memory = &vcpu->vm->memory;
    switch (number) {
    case ATOLL_CALL_NET_READ:
        return port_receive(device->port, memory, GPA(gpr[VMX_RSI]), gpr[VMX_RDX]);
    case ATOLL_CALL_NET_WRITE:
        return port_send(device->port, memory, GPA(gpr[VMX_RSI]), gpr[VMX_RDX]);
    default:
        return port_set_vector(device->port, vcpu, gpr[VMX_RSI]);
    }
}

static enum exit_action call_exit(struct vcpu *vcpu, uint64_t status)
{
    vcpu->exit_status = (uint8_t)status;
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

/* Another core builds or ends the VM that is asked about, which may take long: the call is made
 * again when others had their turn. */
static enum exit_action finish_or_retry(struct vcpu *vcpu, uint64_t number, int64_t result)
{
    bool again = result == -EAGAIN;
    vcpu->vmx.gpr[VMX_RAX] = again ? number : (uint64_t)result;
    vcpu->yielded = again;
    return again ? ACTION_RETRY : ACTION_RESUME;
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
        /* Where an INIT stays pending, one for the boot processor would reset the machine: the call
         * is made again on another core. */
        if (gpr[VMX_RDI] == ATOLL_PROBE_INIT && cpu_index() == 0 && signals_enabled() &&
            sched_leave_core(vcpu)) {
            gpr[VMX_RAX] = number;
            return ACTION_RETRY;
        }
        gpr[VMX_RAX] = (uint64_t)(gpr[VMX_RDI] == ATOLL_PROBE_FAULT
                                      ? faults_request(vcpu, gpr[VMX_RSI], gpr[VMX_RDX])
                                      : signals_request(gpr[VMX_RDI]));
        break;
    case ATOLL_CALL_START_VCPU:
        gpr[VMX_RAX] =
            (uint64_t)call_start_vcpu(vcpu, gpr[VMX_RDI], gpr[VMX_RSI], gpr[VMX_RDX]);
        break;
    case ATOLL_CALL_LINK_INFO:
        gpr[VMX_RAX] =
            (uint64_t)link_info(vcpu->vm, gpr[VMX_RDI], GPA(gpr[VMX_RSI]), gpr[VMX_RDX]);
        break;
    case ATOLL_CALL_LINK_VECTOR:
        gpr[VMX_RAX] = (uint64_t)link_set_vector(vcpu, gpr[VMX_RDI], gpr[VMX_RSI]);
        break;
    case ATOLL_CALL_LINK_RING:
        gpr[VMX_RAX] = (uint64_t)link_ring(vcpu->vm, gpr[VMX_RDI], gpr[VMX_RSI]);
        break;
    case ATOLL_CALL_LINK_POLL:
        gpr[VMX_RAX] = (uint64_t)link_poll(vcpu->vm, gpr[VMX_RDI]);
        break;
    case ATOLL_CALL_CONTROL:
        action = finish_or_retry(vcpu, number, call_control(vcpu, gpr[VMX_RDI], gpr[VMX_RSI]));
        break;
    case ATOLL_CALL_VM_STATE:
        action = finish_or_retry(
            vcpu, number, call_vm_state(vcpu, gpr[VMX_RDI], gpr[VMX_RSI], gpr[VMX_RDX]));
        break;
    case ATOLL_CALL_CONSOLE_READ:
        gpr[VMX_RAX] = (uint64_t)call_console_read(vcpu, gpr[VMX_RDI], gpr[VMX_RSI]);
        break;
    case ATOLL_CALL_CONSOLE_VECTOR:
        gpr[VMX_RAX] = (uint64_t)console_set_vector(vcpu, gpr[VMX_RDI]);
        break;
    case ATOLL_CALL_DEVICE_INFO:
        gpr[VMX_RAX] =
            (uint64_t)device_info(vcpu->vm, gpr[VMX_RDI], GPA(gpr[VMX_RSI]), gpr[VMX_RDX]);
        break;
    case ATOLL_CALL_BLOCK_READ:
    case ATOLL_CALL_BLOCK_WRITE:
        gpr[VMX_RAX] = (uint64_t)call_block(vcpu, number);
        break;
    case ATOLL_CALL_NET_READ:
    case ATOLL_CALL_NET_WRITE:
    case ATOLL_CALL_NET_VECTOR:
        gpr[VMX_RAX] = (uint64_t)call_net(vcpu, number);
        break;
    default:
        gpr[VMX_RAX] = (uint64_t)-ENOSYS;
        return unknown_call(vcpu, number);
    }
    vcpu->bad_calls = 0;
    return action;
}
