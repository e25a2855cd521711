/* SPDX-License-Identifier: MIT */
/* A VM's devices: one record for all of them, for all lives of the VM. */
#include "kernel/vm/devices.h"

#include <atoll/abi.h>
#include <linux/errno.h>
#include <string.h>

#include "kernel/lib/format.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/phys.h"
#include "kernel/vm/disks.h"
#include "kernel/vm/vm.h"

/* ---- At boot --------------------------------------------------------------------------------- */

static int create_block(struct device *device, char error[MODULE_LINE_ERROR_MAX])
{
    const struct device_config *config = &device->config;
    struct block *block = &device->block;
    block->block_size = config->block_size;
    block->read_only = config->read_only;
    block->capacity = config->size;
    if (!config->source[0])
        return 0;
    uint64_t size;
    block->image = disk_contents(config->source, &size);
    if (!block->image) {
        snprintf(error, MODULE_LINE_ERROR_MAX, "block:%.32s=%s: no module of this name",
                 config->name, config->source);
        return -EINVAL;
    }
    if (size == 0 || !IS_ALIGNED(size, block->block_size)) {
        snprintf(error, MODULE_LINE_ERROR_MAX, "block:%.32s=%s: Backing storage size must be "
                 "block aligned: %llu bytes in blocks of %u", config->name, config->source,
                 (unsigned long long)size, block->block_size);
        return -EINVAL;
    }
    block->capacity = size;
    return 0;
}

static struct devices *make(uint32_t count)
{
    unsigned order = 0;
    hpa_t frames;
    while (PAGE_SIZE << order < sizeof(struct devices) + count * sizeof(struct device))
        order++;
    return frame_alloc(order, &frames) ? NULL : phys_to_virt(frames);
}

int devices_create(struct vm *vm, const struct device_config *configs,
                   char error[MODULE_LINE_ERROR_MAX])
{
    uint32_t count = vm->config.device_count;
    if (count == 0)
        return 0;
    vm->devices = make(count);
    if (!vm->devices) {
        snprintf(error, MODULE_LINE_ERROR_MAX, "no memory for its %u devices", count);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct device *device = &vm->devices->device[i];
        device->config = configs[i];
        int status = configs[i].kind == DEVICE_BLOCK
                         ? create_block(device, error)
                         : port_create(vm, i, &device->config, &device->port, error);
        if (status)
            return status;
        vm->devices->count++;
    }
    return 0;
}

/* ---- A life ---------------------------------------------------------------------------------- */

static uint64_t frames_of(const struct devices *devices)
{
    uint64_t frames = 0;
    for (uint32_t i = 0; i < devices->count; i++)
        if (devices->device[i].config.kind == DEVICE_BLOCK)
            frames += block_frames(&devices->device[i].block);
    return frames;
}

static int start_disks(struct devices *devices)
{
    for (uint32_t i = 0; i < devices->count; i++) {
        struct device *device = &devices->device[i];
        if (device->config.kind != DEVICE_BLOCK)
            continue;
        int error = block_start(&device->block, &devices->pool, &devices->lock);
        if (error)
            return error;
    }
    return 0;
}

int devices_start(struct vm *vm)
{
    struct devices *devices = vm->devices;
    if (!devices)
        return 0;
    int error = frame_pool_create(&devices->pool, frames_of(devices));
    if (!error)
        error = start_disks(devices);
    if (error)
        devices_free(vm);
    return error;
}

static void for_each_port(struct vm *vm, void (*act)(struct port *port))
{
    for (uint32_t i = 0; vm->devices && i < vm->devices->count; i++)
        if (vm->devices->device[i].port)
            act(vm->devices->device[i].port);
}

void devices_open(struct vm *vm)
{
    for_each_port(vm, port_open);
}

void devices_stop(struct vm *vm)
{
    for_each_port(vm, port_close);
}

void devices_give_up(struct vm *vm)
{
    for_each_port(vm, port_give_up);
}

void devices_free(struct vm *vm)
{
    if (!vm->devices)
        return;
    for (uint32_t i = 0; i < vm->devices->count; i++)
        block_stop(&vm->devices->device[i].block);
    frame_pool_destroy(&vm->devices->pool);
    vm->devices->pool = (struct frame_pool){0};
}

/* ---- Use ------------------------------------------------------------------------------------- */

struct device *device_at(const struct vm *vm, uint64_t number, enum device_kind kind)
{
    if (!vm->devices || number >= vm->devices->count)
        return NULL;
    struct device *device = &vm->devices->device[number];
    return device->config.kind == kind ? device : NULL;
}

bool devices_can_wake(const struct vm *vm)
{
    for (uint32_t i = 0; vm->devices && i < vm->devices->count; i++)
        if (vm->devices->device[i].port && port_can_wake(vm->devices->device[i].port))
            return true;
    return false;
}

static void describe_port(const struct port *port, struct atoll_device_info *info)
{
    struct port_view view;
    port_look(port, &view);
    memcpy(info->mac, view.mac, sizeof view.mac);
    info->mtu = view.mtu;
    info->received = view.received;
    info->received_dropped = view.received_dropped;
    info->sent = view.sent;
    info->sent_dropped = view.sent_dropped;
}

int64_t device_info(struct vm *vm, uint64_t number, gpa_t address, uint64_t size)
{
    struct atoll_device_info info;
    if (!vm->devices || number >= vm->devices->count)
        return -ENOENT;
    const struct device *device = &vm->devices->device[number];
    memset(&info, 0, sizeof info);
    memcpy(info.name, device->config.name, sizeof device->config.name);
    if (device->port) {
        info.kind = ATOLL_DEVICE_NET;
        describe_port(device->port, &info);
    } else {
        info.kind = ATOLL_DEVICE_BLOCK;
        info.block_size = device->block.block_size;
        info.capacity = device->block.capacity;
        info.read_only = device->block.read_only;
    }
    uint64_t length = MIN(size, sizeof info);
    int error = guest_write(&vm->memory, address, &info, length);
    return error ? error : (int64_t)length;
}
