/* SPDX-License-Identifier: MIT */
/* The calls of an hvt guest: `out dx, eax`, EAX the address of a structure in its memory. It is
 * used where it lies: such a guest has one vCPU and shares no memory, so nobody changes it
 * meanwhile. A pointer that is not the guest's RAM stops the guest, as with Solo5's own tender (its
 * tenders/hvt/hvt.h). */
#include "kernel/lib/hot_path.h"

#include "kernel/vm/hvt.h"

#include <atoll/abi.h>
#include <atoll/hvt.h>
#include <linux/errno.h>

#include "kernel/cpu/time.h"
#include "kernel/lib/format.h"
#include "kernel/lib/x86.h"
#include "kernel/panic.h"
#include "kernel/vm/console.h"
#include "kernel/vm/devices.h"
#include "kernel/vm/sched.h"

#define PUTS_CHUNK  256
#define PUTS_A_TURN 4096 /* bytes before others have their turn */

/* All calls, by number. */
static const struct {
    const char *name;
    uint8_t size; /* of its structure */
    bool results; /* some of it are results */
} calls[] = {
    [HVT_CALL_WALLTIME] = {"WALLTIME", sizeof(struct hvt_walltime), true},
    [HVT_CALL_PUTS] = {"PUTS", sizeof(struct hvt_puts), false},
    [HVT_CALL_POLL] = {"POLL", sizeof(struct hvt_poll), true},
    [HVT_CALL_BLOCK_WRITE] = {"BLOCK_WRITE", sizeof(struct hvt_block), true},
    [HVT_CALL_BLOCK_READ] = {"BLOCK_READ", sizeof(struct hvt_block), true},
    [HVT_CALL_NET_WRITE] = {"NET_WRITE", sizeof(struct hvt_net), true},
    [HVT_CALL_NET_READ] = {"NET_READ", sizeof(struct hvt_net), true},
    [HVT_CALL_HALT] = {"HALT", sizeof(struct hvt_halt), false},
};

/* One call as it is carried out. */
struct call {
    struct vcpu *vcpu;
    uint32_t number;
    uint32_t address; /* of its structure */
};

/* Is it RAM? The byte before the end of RAM is the last that counts: Solo5's own rule. */
static bool is_ram(const struct vm *vm, uint64_t address, uint64_t length)
{
    return length < vm->memory.size && address < vm->memory.size - length;
}

static __attribute__((noinline, cold)) enum exit_action
bad_access(const struct call *call, uint64_t address, uint64_t length)
{
    struct vm_exit exit;
    vmx_exit_read(&call->vcpu->vmx, &exit);
    vm_stop(call->vcpu, STOP_BAD_HYPERCALL, &exit,
            "%s: Invalid guest access: 0x%llx bytes at 0x%llx", calls[call->number].name,
            (unsigned long long)length, (unsigned long long)address);
    return ACTION_STOP;
}

/* ---- Time, console, end ---------------------------------------------------------------------- */

static enum exit_action walltime(struct hvt_walltime *arguments)
{
    arguments->nanoseconds = time_wall_clock_ns();
    return ACTION_RESUME;
}

/* A long text goes out in parts, others having their turn in between: the call is made again for
 * each, and nobody can change the text meanwhile, since such a guest has one vCPU. */
static __attribute__((noinline)) enum exit_action puts_in_parts(const struct call *call,
                                                                const struct hvt_puts *arguments)
{
    struct vcpu *vcpu = call->vcpu;
    char chunk[PUTS_CHUNK];
    uint64_t end = MIN(vcpu->hvt_done + PUTS_A_TURN, arguments->length);
    while (vcpu->hvt_done < end) {
        uint64_t part = MIN(end - vcpu->hvt_done, sizeof chunk);
        if (guest_read(&vcpu->vm->memory, GPA(arguments->data + vcpu->hvt_done), chunk, part))
            return bad_access(call, arguments->data, arguments->length);
        console_write(vcpu->vm, chunk, part);
        vcpu->hvt_done += part;
    }
    if (end < arguments->length)
        return ACTION_RETRY;
    vcpu->hvt_done = 0;
    return ACTION_RESUME;
}

static inline enum exit_action puts(const struct call *call, const struct hvt_puts *arguments)
{
    struct vm *vm = call->vcpu->vm;
    if (!is_ram(vm, arguments->data, arguments->length))
        return bad_access(call, arguments->data, arguments->length);
    const char *text = guest_reach(&vm->memory, GPA(arguments->data), arguments->length, EPT_READ);
    if (!text) /* it does not lie in one page */
        return puts_in_parts(call, arguments);
    console_write(vm, text, arguments->length);
    return ACTION_RESUME;
}

/* A cookie is looked at whatever the status, as Solo5 does; an abort's is a trap and printed. */
static enum exit_action halt(const struct call *call, const struct hvt_halt *arguments)
{
    struct vcpu *vcpu = call->vcpu;
    struct hvt_trap trap;
    uint64_t cookie = arguments->cookie;
    if (cookie && (!is_ram(vcpu->vm, cookie, HVT_COOKIE_SIZE) ||
                   guest_read(&vcpu->vm->memory, GPA(cookie), &trap, sizeof trap)))
        return bad_access(call, cookie, HVT_COOKIE_SIZE);
    vcpu->exit_status = (uint8_t)arguments->exit_status;
    if (vcpu->exit_status != HVT_ABORT)
        vm_stop(vcpu, STOP_GUEST_EXIT, NULL, "status %u", vcpu->exit_status);
    else if (!cookie)
        vm_stop(vcpu, STOP_GUEST_EXIT, NULL, "status %u, an abort", HVT_ABORT);
    else
        vm_stop(vcpu, STOP_GUEST_EXIT, NULL,
                "status %u, an abort: trap rip=0x%llx cs=0x%llx rflags=0x%llx rsp=0x%llx "
                "ss=0x%llx cr2=0x%llx error=0x%llx", HVT_ABORT, (unsigned long long)trap.rip,
                (unsigned long long)trap.cs, (unsigned long long)trap.rflags,
                (unsigned long long)trap.rsp, (unsigned long long)trap.ss,
                (unsigned long long)trap.cr2, (unsigned long long)trap.error_code);
    return ACTION_STOP;
}

/* ---- Poll ------------------------------------------------------------------------------------ */

static struct device *find(const struct vm *vm, uint64_t handle, enum device_kind kind)
{
    return handle < vm->hvt_handles ? device_at(vm, vm->hvt_devices[handle], kind) : NULL;
}

static uint64_t ready_set(const struct vm *vm, uint32_t *count)
{
    uint64_t ready = 0;
    *count = 0;
    for (uint32_t handle = 1; handle < vm->hvt_handles; handle++) {
        const struct device *device = find(vm, handle, DEVICE_NET);
        if (!device || !port_has_frame(device->port))
            continue;
        ready |= BIT(handle);
        ++*count;
    }
    return ready;
}

bool hvt_ready(const struct vm *vm)
{
    uint32_t count;
    return ready_set(vm, &count) != 0;
}

static void fill_poll(const struct vm *vm, struct hvt_poll *poll)
{
    uint32_t count;
    poll->ready = ready_set(vm, &count);
    poll->result = (int32_t)count;
}

void hvt_poll_done(struct vcpu *vcpu)
{
    struct hvt_poll poll;
    const uint64_t start = offsetof(struct hvt_poll, ready);
    const uint64_t end = offsetof(struct hvt_poll, result) + sizeof poll.result;
    fill_poll(vcpu->vm, &poll);
    if (guest_write(&vcpu->vm->memory, GPA(vcpu->hvt_poll + start), &poll.ready, end - start))
        panic("%s: its poll was writable before it slept", vcpu->name);
}

static enum exit_action poll(const struct call *call, struct hvt_poll *arguments)
{
    struct vcpu *vcpu = call->vcpu;
    uint64_t now = rdtsc(), ticks = time_ns_to_ticks(arguments->timeout);
    fill_poll(vcpu->vm, arguments);
    if (arguments->timeout == 0 || arguments->result > 0)
        return ACTION_RESUME;
    vcpu->hvt_poll = call->address;
    sched_wait_frame(vcpu, now + ticks < now ? UINT64_MAX : now + ticks);
    return ACTION_SLEEP;
}

/* ---- Devices --------------------------------------------------------------------------------- */

static int32_t result_of(int error)
{
    switch (error) {
    case 0:
        return HVT_OK;
    case -EAGAIN:
        return HVT_AGAIN;
    case -EROFS:
        return HVT_UNSPECIFIED;
    default:
        return HVT_INVALID;
    }
}

/* A handle that is none of that kind is an error of the call; a call for a guest without any such
 * device is none at all, and its end. */
static enum exit_action no_device(const struct call *call, enum device_kind kind, int32_t *result)
{
    struct vm *vm = call->vcpu->vm;
    for (uint32_t i = 0; i < vm->config.device_count; i++) {
        if (device_at(vm, i, kind)) {
            *result = HVT_INVALID;
            return ACTION_RESUME;
        }
    }
    struct vm_exit exit;
    vmx_exit_read(&call->vcpu->vmx, &exit);
    vm_stop(call->vcpu, STOP_BAD_HYPERCALL, &exit, "%s: no such device is attached",
            calls[call->number].name);
    return ACTION_STOP;
}

/* Solo5 looks at the device first, then at the place on it, then at the address. */
static inline enum exit_action block(const struct call *call, struct hvt_block *arguments,
                                     bool write)
{
    struct vm *vm = call->vcpu->vm;
    struct device *device = find(vm, arguments->handle, DEVICE_BLOCK);
    if (!device)
        return no_device(call, DEVICE_BLOCK, &arguments->result);
    const gpa_t data = GPA(arguments->data);
    const uint64_t offset = arguments->offset, length = arguments->length;
    int error = block_check(&device->block, offset, length, write);
    if (!error && !is_ram(vm, data.value, length))
        return bad_access(call, data.value, length);
    if (!error)
        error = write ? block_copy_in(&device->block, &vm->memory, offset, data, length)
                      : block_copy_out(&device->block, &vm->memory, offset, data, length);
    if (__builtin_expect(!error, 1)) {
        arguments->result = HVT_OK;
        return ACTION_RESUME;
    }
    if (error == -EFAULT)
        return bad_access(call, data.value, length);
    arguments->result = result_of(error);
    return ACTION_RESUME;
}

static enum exit_action net(const struct call *call, struct hvt_net *arguments, bool write)
{
    struct vm *vm = call->vcpu->vm;
    const struct device *device = find(vm, arguments->handle, DEVICE_NET);
    if (!device)
        return no_device(call, DEVICE_NET, &arguments->result);
    const gpa_t data = GPA(arguments->data);
    const uint64_t length = arguments->length;
    if (!is_ram(vm, data.value, length))
        return bad_access(call, data.value, length);
    int64_t done = write ? port_send(device->port, &vm->memory, data, length)
                         : port_receive(device->port, &vm->memory, data, length);
    if (done == -EFAULT)
        return bad_access(call, data.value, length);
    arguments->result = result_of(done < 0 ? (int)done : 0);
    if (!write && done >= 0)
        arguments->length = (uint64_t)done;
    return ACTION_RESUME;
}

/* ---- Dispatch -------------------------------------------------------------------------------- */

union arguments {
    struct hvt_walltime walltime;
    struct hvt_puts puts;
    struct hvt_poll poll;
    struct hvt_block block;
    struct hvt_net net;
    struct hvt_halt halt;
};

static enum exit_action carry_out(const struct call *call, union arguments *arguments)
{
    switch (call->number) {
    case HVT_CALL_WALLTIME:
        return walltime(&arguments->walltime);
    case HVT_CALL_PUTS:
        return puts(call, &arguments->puts);
    case HVT_CALL_POLL:
        return poll(call, &arguments->poll);
    case HVT_CALL_BLOCK_WRITE:
    case HVT_CALL_BLOCK_READ:
        return block(call, &arguments->block, call->number == HVT_CALL_BLOCK_WRITE);
    case HVT_CALL_NET_WRITE:
    case HVT_CALL_NET_READ:
        return net(call, &arguments->net, call->number == HVT_CALL_NET_WRITE);
    default:
        return halt(call, &arguments->halt);
    }
}

enum exit_action hvt_refuse(struct vcpu *vcpu, const struct vm_exit *exit)
{
    vm_stop(vcpu, STOP_BAD_INSTRUCTION, exit, "an hvt guest must not execute %s",
            vmx_exit_name(exit->reason));
    return ACTION_STOP;
}

/* A structure that is not aligned, lies across two pages or on one that was not touched yet is
 * copied in and out. */
static enum exit_action carry_out_copy(const struct call *call)
{
    struct guest_memory *memory = &call->vcpu->vm->memory;
    uint64_t size = calls[call->number].size;
    bool results = calls[call->number].results;
    union arguments arguments;
    if (guest_read(memory, GPA(call->address), &arguments, size) ||
        (results && guest_write(memory, GPA(call->address), &arguments, size)))
        return bad_access(call, call->address, size);
    enum exit_action action = carry_out(call, &arguments);
    if (results && action != ACTION_STOP &&
        guest_write(memory, GPA(call->address), &arguments, size))
        return bad_access(call, call->address, size);
    return action;
}

/* Where the structure lies, if it can be used there. */
static inline void *arguments_of(const struct call *call, uint64_t size, uint8_t access)
{
    const struct vm *vm = call->vcpu->vm;
    return is_ram(vm, call->address, size) && IS_ALIGNED(call->address, _Alignof(union arguments))
               ? guest_reach(&vm->memory, GPA(call->address), size, access)
               : NULL;
}

static enum exit_action no_call(struct vcpu *vcpu)
{
    struct vm_exit exit;
    vmx_exit_read(&vcpu->vmx, &exit);
    struct vmx_io io = vmx_exit_io(exit.qualification);
    vm_stop(vcpu, STOP_BAD_IO_PORT, &exit, "an hvt guest has no port 0x%x (%s, %u bytes)", io.port,
            io.in ? "in" : "out", io.size);
    return ACTION_STOP;
}

static __attribute__((noinline)) enum exit_action any_call(struct vcpu *vcpu, uint32_t number,
                                                           uint32_t address)
{
    const struct call call = {vcpu, number, address};
    if (number >= ARRAY_SIZE(calls) || !calls[number].name)
        return no_call(vcpu);
    uint32_t size = calls[number].size;
    if (!is_ram(vcpu->vm, address, size))
        return bad_access(&call, address, size);
    union arguments *arguments =
        arguments_of(&call, size, calls[number].results ? EPT_RW : EPT_READ);
    return arguments ? carry_out(&call, arguments) : carry_out_copy(&call);
}

/* Those that are made most, where nothing is unusual about them, have a way of their own. */
enum exit_action hvt_io(struct vcpu *vcpu, uint64_t qualification)
{
    const uint32_t number = VMX_IO_PORT(qualification) - HVT_PORT; /* wraps below it */
    const struct call call = {vcpu, number, (uint32_t)vcpu->vmx.gpr[VMX_RAX]};
    void *arguments;
    if (!VMX_IO_IS_OUT32(qualification))
        return no_call(vcpu);
    if (number == HVT_CALL_PUTS &&
        (arguments = arguments_of(&call, sizeof(struct hvt_puts), EPT_READ)))
        return puts(&call, arguments);
    if ((number == HVT_CALL_BLOCK_READ || number == HVT_CALL_BLOCK_WRITE) &&
        (arguments = arguments_of(&call, sizeof(struct hvt_block), EPT_RW)))
        return block(&call, arguments, number == HVT_CALL_BLOCK_WRITE);
    return any_call(vcpu, number, call.address);
}
