/* SPDX-License-Identifier: MIT */
/* A guest with a little RAM, a disk and a network device, around the calls of an hvt guest: for the
 * unit test and the fuzz target. What the calls use of the hypervisor stands in plain models here.
 */
#ifndef TESTS_UNIT_HVT_MODEL_H
#define TESTS_UNIT_HVT_MODEL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define puts puts_of_call /* libc has another */
#include "kernel/vm/hvt_calls.c"
#undef puts

#define MODEL_PAGES     4
#define MODEL_RAM       (MODEL_PAGES * PAGE_SIZE)
#define MODEL_READ_ONLY 1 /* number of a page that the guest must not write */
#define MODEL_UNTOUCHED 2 /* of one that is not present yet */
#define MODEL_DISK      8192u
#define MODEL_FRAME     60u
#define MODEL_FRAME_MAX 1514u
#define MODEL_TIME      1767225600000000000ull
#define MODEL_TICKS     50000000ull /* a second */
#define DISK_HANDLE     1
#define NET_HANDLE      2

struct model {
    struct vm vm;
    struct vcpu vcpu;
    struct device devices[2]; /* a disk, and a network device */
    _Alignas(PAGE_SIZE) uint8_t ram[MODEL_RAM];
    uint64_t qualification; /* of the last exit */
    bool reachable;  /* structures are used where they lie */
    unsigned frames; /* that wait */
    unsigned stops;
    enum stop_reason reason;
    char detail[200];
    uint8_t console[MODEL_RAM];
    size_t console_size;
    bool waits;
    uint64_t wake;
};

static struct model model;

/* A guest that begins, with `ram_size` bytes of RAM. */
static inline void model_start(uint64_t ram_size, bool with_devices)
{
    memset(&model, 0, sizeof(model));
    model.vcpu.vm = &model.vm;
    model.vm.memory.size = ram_size;
    model.vm.hvt = true;
    model.reachable = true;
    model.devices[0].config.kind = DEVICE_BLOCK;
    model.devices[0].block.capacity = MODEL_DISK;
    model.devices[1].config.kind = DEVICE_NET;
    model.vm.hvt_handles = 1;
    if (!with_devices)
        return;
    model.vm.config.device_count = ARRAY_SIZE(model.devices);
    model.vm.hvt_handles = 3;
    model.vm.hvt_devices[0] = HVT_NO_DEVICE;
    model.vm.hvt_devices[DISK_HANDLE] = 0;
    model.vm.hvt_devices[NET_HANDLE] = 1;
}

/* The instruction that SDM table 27-5 describes, with that RAX. */
static inline enum exit_action model_io(uint16_t port, uint64_t kind, uint64_t rax)
{
    model.vcpu.vmx.gpr[VMX_RAX] = rax;
    model.qualification = kind | (uint64_t)port << 16;
    return hvt_io(&model.vcpu, model.qualification);
}

#define MODEL_OUT32 3u /* of `kind` */

static inline enum exit_action model_call(unsigned number, uint64_t address)
{
    return model_io((uint16_t)(HVT_PORT + number), MODEL_OUT32, address);
}

/* Solo5's rule, in numbers that do not wrap. */
static inline bool model_is_ram(uint64_t address, uint64_t length)
{
    return (unsigned __int128)address + length < model.vm.memory.size;
}

/* ---- What the calls use ---------------------------------------------------------------------- */

void vmx_exit_read(struct vmx_vcpu *vcpu, struct vm_exit *exit)
{
    (void)vcpu;
    *exit = (struct vm_exit){.reason = EXIT_IO, .qualification = model.qualification};
}

void vm_stop(struct vcpu *vcpu, enum stop_reason reason, const struct vm_exit *exit,
             const char *format, ...)
{
    va_list args;

    (void)vcpu;
    (void)exit;
    va_start(args, format);
    vsnprintf(model.detail, sizeof(model.detail), format, args);
    va_end(args);
    model.reason = reason;
    model.stops++;
}

void panic(const char *format, ...)
{
    fprintf(stderr, "panic: %s\n", format);
    abort();
}

bool guest_range_ok(const struct guest_memory *memory, gpa_t guest, uint64_t length)
{
    return length <= memory->size && guest.value <= memory->size - length;
}

static inline bool model_writable(uint64_t address, uint64_t length)
{
    const uint64_t start = MODEL_READ_ONLY * PAGE_SIZE;

    return length == 0 || address + length <= start || address >= start + PAGE_SIZE;
}

/* What guest_reach asks for a page that was not used lately: here, always. */
void *guest_reach_far(const struct guest_memory *memory, gpa_t guest, uint8_t access)
{
    uint64_t page = guest.value / PAGE_SIZE;
    bool good = model.reachable && guest_range_ok(memory, guest, 1) && page != MODEL_UNTOUCHED &&
                (!(access & EPT_WRITE) || page != MODEL_READ_ONLY);

    return good ? model.ram + guest.value : NULL;
}

int guest_read(const struct guest_memory *memory, gpa_t guest, void *to, uint64_t length)
{
    if (!guest_range_ok(memory, guest, length))
        return -EFAULT;
    memcpy(to, model.ram + guest.value, length);
    return 0;
}

int guest_write(struct guest_memory *memory, gpa_t guest, const void *from, uint64_t length)
{
    if (!guest_range_ok(memory, guest, length) || !model_writable(guest.value, length))
        return -EFAULT;
    memcpy(model.ram + guest.value, from, length);
    return 0;
}

void console_write(struct vm *vm, const char *text, size_t size)
{
    (void)vm;
    if (size > sizeof(model.console) - model.console_size)
        abort(); /* more than the guest has RAM */
    memcpy(model.console + model.console_size, text, size);
    model.console_size += size;
}

uint64_t time_wall_clock_ns(void)
{
    return MODEL_TIME;
}

uint64_t time_ns_to_ticks(uint64_t ns)
{
    unsigned __int128 ticks = (unsigned __int128)ns * MODEL_TICKS / 1000000000;

    return ticks > UINT64_MAX ? UINT64_MAX : (uint64_t)ticks;
}

void sched_wait_frame(struct vcpu *vcpu, uint64_t tsc)
{
    (void)vcpu;
    model.waits = true;
    model.wake = tsc;
}

struct device *device_at(const struct vm *vm, uint64_t number, enum device_kind kind)
{
    if (number >= vm->config.device_count || model.devices[number].config.kind != kind)
        return NULL;
    return &model.devices[number];
}

int block_copy_out(const struct block *block, struct guest_memory *memory, uint64_t offset,
                   gpa_t data, uint64_t length)
{
    static uint8_t bytes[MODEL_DISK];

    (void)block;
    (void)offset;
    memset(bytes, 'd', sizeof(bytes));
    return guest_write(memory, data, bytes, length);
}

int block_copy_in(struct block *block, struct guest_memory *memory, uint64_t offset, gpa_t data,
                  uint64_t length)
{
    static uint8_t bytes[MODEL_DISK];

    (void)block;
    (void)offset;
    return guest_read(memory, data, bytes, length);
}

int port_send(struct port *port, const struct guest_memory *memory, gpa_t frame, uint64_t length)
{
    static uint8_t bytes[MODEL_FRAME_MAX];

    (void)port;
    if (length < FRAME_HEADER || length > sizeof(bytes))
        return -EINVAL;
    return guest_read(memory, frame, bytes, length);
}

int64_t port_receive(struct port *port, struct guest_memory *memory, gpa_t buffer, uint64_t size)
{
    static uint8_t bytes[MODEL_FRAME];
    uint64_t length = MIN(size, sizeof(bytes));

    (void)port;
    if (model.frames == 0)
        return -EAGAIN;
    memset(bytes, 'f', sizeof(bytes));
    if (guest_write(memory, buffer, bytes, length))
        return -EFAULT;
    model.frames--;
    return (int64_t)length;
}

bool port_has_frame(const struct port *port)
{
    (void)port;
    return model.frames > 0;
}

#endif
