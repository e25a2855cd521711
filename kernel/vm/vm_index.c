/* SPDX-License-Identifier: MIT */
/* By number: pages of pointers, made as they are needed. By name: chains of those whose names have
 * one hash. */
#include "kernel/vm/vm_index.h"

#include <linux/errno.h>
#include <string.h>

#include "kernel/mm/frames.h"
#include "kernel/vm/vm.h"

#define OF_A_PAGE (PAGE_SIZE / sizeof(struct vm *))
#define CHAINS    1024

struct vm_list vms = STAILQ_HEAD_INITIALIZER(vms);
static struct vm **numbered[VM_COUNT_MAX / OF_A_PAGE];
static uint32_t vm_count;
static struct vm *chains[CHAINS];

int vm_index_add(struct vm *vm)
{
    struct vm ***page = &numbered[vm_count / OF_A_PAGE];
    if (vm_count == VM_COUNT_MAX)
        return -ENOMEM;
    if (!*page && !(*page = page_alloc()))
        return -ENOMEM;
    (*page)[vm_count % OF_A_PAGE] = vm;
    vm->id = vm_count++;
    STAILQ_INSERT_TAIL(&vms, vm, link);
    return 0;
}

struct vm *vm_by_id(uint64_t id)
{
    return id < vm_count ? numbered[id / OF_A_PAGE][id % OF_A_PAGE] : NULL;
}

/* FNV-1a, by Fowler, Noll and Vo. */
static struct vm **chain_of(const char *name, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)name[i]) * 16777619u;
    return &chains[hash % CHAINS];
}

struct vm *vm_by_name(const char *name, size_t length)
{
    for (struct vm *vm = *chain_of(name, length); vm; vm = vm->same_hash)
        if (strlen(vm->config.name) == length && !memcmp(vm->config.name, name, length))
            return vm;
    return NULL;
}

int vm_index_name(struct vm *vm)
{
    const char *name = vm->config.name;
    struct vm **chain = chain_of(name, strlen(name));
    if (vm_by_name(name, strlen(name)))
        return -EEXIST;
    vm->same_hash = *chain;
    *chain = vm;
    return 0;
}
