/* SPDX-License-Identifier: MIT */
/* From a Solo5 hvt image to a guest's memory: RAM in one piece, the image's pages with the rights
 * that it asks for, page tables that map all of it to itself, the boot information. What no segment
 * covers (stack, heap, and segments that have no bytes in the file) is readable and writable. */
#include "kernel/vm/hvt.h"

#include <linux/errno.h>
#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/format.h"
#include "kernel/lib/x86_bits.h"
#include "kernel/mm/frames.h"
#include "kernel/vm/devices.h"
#include "kernel/vm/hvt_image.h"

#define MEMORY_UNIT   (2 * MIB)
#define MEMORY_MAX    (4 * GIB)
#define TABLE_ENTRIES 512
#define GDT_CODE      0x00af99000000ffffull /* as ACCESS_CODE_LONG in vmx/vcpu_start.c */
#define GDT_DATA      0x00cf93000000ffffull
#define GDT_ENTRIES   3

/* ---- Devices: the manifest's against those of the module line -------------------------------- */

static enum device_kind kind_of(const struct hvt_manifest_entry *entry)
{
    return entry->type == HVT_DEVICE_BLOCK ? DEVICE_BLOCK : DEVICE_NET;
}

static const char *key_of(enum device_kind kind)
{
    return kind == DEVICE_BLOCK ? "block" : "net";
}

/* The number of the device that the entry asks for; HVT_NO_DEVICE: there is none. */
static uint8_t find_device(const struct vm *vm, const struct hvt_manifest_entry *entry)
{
    for (uint32_t i = 0; i < vm->config.device_count; i++) {
        const struct device_config *config = &vm->devices->device[i].config;
        if (config->kind == kind_of(entry) && strcmp(config->name, entry->name) == 0)
            return (uint8_t)i;
    }
    return HVT_NO_DEVICE;
}

/* Adds "block:NAME " to a list that says with "..." that it goes on. */
static void add_missing(char *list, size_t size, const struct hvt_manifest_entry *entry)
{
    size_t used = strlen(list), left = size - used;
    if (used > 3 && strcmp(list + used - 3, "...") == 0)
        return;
    if ((size_t)snprintf(list + used, left, " %s:%s", key_of(kind_of(entry)), entry->name) + 4 >=
        left)
        snprintf(list + used, left, " ...");
}

/* A device that the manifest does not declare is a mistake in the line, as for Solo5's tenders. */
static int check_declared(const struct vm *vm, uint64_t declared, char error[VMX_ERROR_MAX])
{
    for (uint32_t i = 0; i < vm->config.device_count; i++) {
        const struct device_config *config = &vm->devices->device[i].config;
        if (declared & BIT(i))
            continue;
        snprintf(error, VMX_ERROR_MAX, "%s:%s: the image's manifest declares no such device",
                 key_of(config->kind), config->name);
        return -EINVAL;
    }
    return 0;
}

static int attach_devices(struct vm *vm, const struct hvt_image *image, char error[VMX_ERROR_MAX])
{
    char missing[100] = "";
    uint64_t declared = 0;
    vm->hvt_devices[0] = HVT_NO_DEVICE;
    vm->hvt_handles = (uint8_t)image->entries;
    for (uint32_t handle = 1; handle < image->entries; handle++) {
        struct hvt_manifest_entry entry = hvt_image_entry(image, handle);
        uint8_t number = find_device(vm, &entry);
        vm->hvt_devices[handle] = number;
        if (number == HVT_NO_DEVICE)
            add_missing(missing, sizeof missing, &entry);
        else
            declared |= BIT(number);
    }
    if (missing[0]) {
        snprintf(error, VMX_ERROR_MAX, "the image needs devices that its line does not attach:%s",
                 missing);
        return -ENODEV;
    }
    return check_declared(vm, declared, error);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static int check_config(const struct vm_config *config, char error[VMX_ERROR_MAX])
{
    if (config->vcpus != 1 || config->link_count) {
        snprintf(error, VMX_ERROR_MAX, "%s: an hvt guest has one vCPU and no links",
                 config->link_count ? "link=" : "vcpus=");
        return -EINVAL;
    }
    /* Beyond 3 GiB the identity map stands in the way that such a processor needs there. */
    uint64_t most = vmx_features_of_all()->unrestricted_guest ? MEMORY_MAX : GUEST_HOLE_START;
    if (config->memory % MEMORY_UNIT || config->memory > most) {
        snprintf(error, VMX_ERROR_MAX,
                 "mem=%lluK: an hvt guest has a multiple of 2 MiB, at most %llu GiB",
                 (unsigned long long)(config->memory / KIB), (unsigned long long)(most / GIB));
        return -EINVAL;
    }
    return 0;
}

static uint8_t access_of(const struct hvt_segment *segment)
{
    if (segment->writable)
        return EPT_RW;
    if (!segment->executable)
        return EPT_READ;
    bool alone = !segment->readable && vmx_features_of_all()->ept_execute_only;
    return alone ? EPT_EXECUTE : EPT_RX;
}

static int set_rights(struct guest_memory *memory, const struct hvt_image *image)
{
    struct guest_region regions[HVT_SEGMENTS_MAX];
    _Static_assert(HVT_SEGMENTS_MAX <= GUEST_REGIONS_MAX, "each segment gets its region");
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct hvt_segment *segment = &image->segments[i];
        regions[i] = (struct guest_region){segment->start, segment->end, access_of(segment)};
    }
    return guest_memory_set_regions(memory, regions, image->segment_count, EPT_RW);
}

static int load_segments(struct guest_memory *memory, const struct hvt_image *image,
                         const char *file)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct hvt_segment *segment = &image->segments[i];
        int error = guest_load_bytes(memory, segment->address, file + segment->file_offset,
                                     segment->file_size);
        if (error)
            return error;
    }
    return 0;
}

/* The first 64 KiB are not mapped, and up to the image all is read-only. */
static void write_page_table(struct guest_memory *memory)
{
    uint64_t *table = guest_load_page(memory, GPA(HVT_PT));
    for (uint64_t i = HVT_BOOT_INFO / PAGE_SIZE; i < HVT_IMAGE_START / PAGE_SIZE; i++)
        table[i] = i * PAGE_SIZE | PTE_PRESENT;
    for (uint64_t i = HVT_IMAGE_START / PAGE_SIZE; i < TABLE_ENTRIES; i++)
        table[i] = i * PAGE_SIZE | PTE_PRESENT | PTE_WRITABLE;
}

static void write_tables(struct guest_memory *memory)
{
    const uint64_t table = PTE_PRESENT | PTE_WRITABLE;
    uint64_t *pml4 = guest_load_page(memory, GPA(HVT_PML4));
    uint64_t *pdpt = guest_load_page(memory, GPA(HVT_PDPT));
    pml4[0] = HVT_PDPT | table;
    for (uint64_t start = 0; start < memory->size; start += GIB) {
        uint64_t at = HVT_PD + start / GIB * PAGE_SIZE;
        uint64_t *directory = guest_load_page(memory, GPA(at));
        uint64_t count = MIN(memory->size - start, GIB) / MEMORY_UNIT;
        pdpt[start / GIB] = at | table;
        for (uint64_t i = 0; i < count; i++)
            directory[i] = (start + i * MEMORY_UNIT) | table | PTE_LARGE;
        if (start == 0)
            directory[0] = HVT_PT | table;
    }
    write_page_table(memory);
}

static void write_gdt(struct guest_memory *memory)
{
    uint64_t *gdt = guest_load_page(memory, GPA(HVT_GDT));
    gdt[SELECTOR_CODE / sizeof *gdt] = GDT_CODE;
    gdt[SELECTOR_DATA / sizeof *gdt] = GDT_DATA;
}

/* ---- Boot information ------------------------------------------------------------------------ */

static void describe(const struct vm *vm, uint32_t handle, struct hvt_manifest_entry *entry)
{
    const struct device *device = &vm->devices->device[vm->hvt_devices[handle]];
    entry->host_private = 0;
    entry->attached = 1;
    if (entry->type == HVT_DEVICE_BLOCK) {
        entry->block.capacity = device->block.capacity;
        entry->block.block_size = (uint16_t)device->block.block_size;
        return;
    }
    struct port_view view;
    port_look(device->port, &view);
    memcpy(entry->net.mac, view.mac, sizeof entry->net.mac);
    entry->net.mtu = view.mtu;
}

static int write_manifest(struct vm *vm, const struct hvt_image *image, uint64_t address)
{
    const struct hvt_manifest head = {HVT_MANIFEST_VERSION, image->entries};
    int error = guest_load_bytes(&vm->memory, GPA(address), &head, sizeof head);
    for (uint32_t handle = 0; handle < image->entries && !error; handle++) {
        struct hvt_manifest_entry entry = hvt_image_entry(image, handle);
        if (handle > 0)
            describe(vm, handle, &entry);
        else
            entry.attached = 1;
        uint64_t at = address + sizeof head + handle * sizeof entry;
        error = guest_load_bytes(&vm->memory, GPA(at), &entry, sizeof entry);
    }
    return error;
}

static int write_boot_info(struct vm *vm, const struct hvt_image *image)
{
    const uint64_t manifest = HVT_BOOT_INFO + sizeof(struct hvt_boot_info);
    const struct hvt_boot_info info = {
        .mem_size = vm->memory.size,
        .kernel_end = image->kernel_end,
        .tsc_hz = time_tsc_hz(),
        .command_line = manifest + sizeof(struct hvt_manifest) +
                        image->entries * sizeof(struct hvt_manifest_entry),
        .manifest = manifest,
    };
    _Static_assert(VM_COMMAND_LINE_MAX <= HVT_COMMAND_LINE_MAX, "the command line fits");
    int error = guest_load_bytes(&vm->memory, GPA(HVT_BOOT_INFO), &info, sizeof info);
    if (!error)
        error = write_manifest(vm, image, manifest);
    if (!error) /* RAM is zeroed: a NUL stands behind it */
        error = guest_load_bytes(&vm->memory, GPA(info.command_line), vm->config.command_line,
                                 strlen(vm->config.command_line));
    return error;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static int fill(struct vm *vm, const struct hvt_image *image)
{
    int error = set_rights(&vm->memory, image);
    if (error)
        return error;
    if (vm->config.eager)
        guest_memory_map_all(&vm->memory);
    write_gdt(&vm->memory);
    write_tables(&vm->memory);
    error = load_segments(&vm->memory, image, vm->file);
    return error ? error : write_boot_info(vm, image);
}

int hvt_load(struct vm *vm, uint64_t extra, gpa_t *entry, char error[VMX_ERROR_MAX])
{
    struct hvt_image image;
    const struct vm_config *config = &vm->config;
    int status = check_config(config, error);
    if (!status)
        status = hvt_image_parse(vm->file, vm->file_size, config->memory, &image, error);
    if (!status)
        status = attach_devices(vm, &image, error);
    if (status)
        return status;
    status = guest_memory_create(&vm->memory, config->memory, GUEST_FLAT, vmx_ept_max_order(),
                                 extra);
    if (!status)
        status = fill(vm, &image);
    if (status) {
        guest_memory_destroy(&vm->memory);
        snprintf(error, VMX_ERROR_MAX, "mem=%lluK: not enough memory, %llu KiB are free",
                 (unsigned long long)(config->memory / KIB),
                 (unsigned long long)(frames_available_count() * PAGE_SIZE / KIB));
        return status;
    }
    *entry = GPA(image.entry);
    return 0;
}

void hvt_start(struct vcpu *vcpu, uint64_t entry)
{
    const struct vmx_long_start start = {
        .entry = entry,
        .rsp = vcpu->vm->memory.size - sizeof(uint64_t),
        .rdi = HVT_BOOT_INFO,
        .cr3 = HVT_PML4,
        .gdt = HVT_GDT,
        .gdt_limit = GDT_ENTRIES * sizeof(uint64_t) - 1,
    };
    vcpu->exit_status = 1; /* of every end but a HALT */
    vmx_start_long(&vcpu->vmx, &start);
}
