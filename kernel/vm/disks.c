/* SPDX-License-Identifier: MIT */
/* Which modules are disks: all modules' lines are read once before guests are made of them. */
#include "kernel/vm/disks.h"

#include <string.h>

#include "kernel/log.h"
#include "kernel/mm/paging.h"
#include "kernel/vm/module_line.h"

static const struct boot_info *boot;
static bool is_disk[BOOT_MODULES_MAX];

bool disks_have(uint32_t module)
{
    return is_disk[module];
}

static bool is_named(const char *string, const char *name)
{
    size_t length = strlen(name);
    while (*string == ' ' || *string == '\t')
        string++;
    return strncmp(string, name, length) == 0 && strchr(" \t", string[length]);
}

/* The first module of that name; BOOT_MODULES_MAX: there is none. */
static uint32_t find(const char *name)
{
    for (uint32_t i = 0; i < boot->module_count; i++)
        if (is_named(boot->modules[i].string, name))
            return i;
    return BOOT_MODULES_MAX;
}

static void find_those_of(const struct device_config *devices, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (devices[i].kind != DEVICE_BLOCK || !devices[i].source[0])
            continue;
        uint32_t module = find(devices[i].source);
        if (module == BOOT_MODULES_MAX || is_disk[module])
            continue; /* the guest is refused later, or another one has it too */
        is_disk[module] = true;
        const struct boot_range *range = &boot->modules[module].range;
        log_line(devices[i].source, "a disk of %llu bytes",
                 (unsigned long long)(range->end - range->start));
    }
}

void disks_find(const struct boot_info *info)
{
    static struct module_line line;
    char error[MODULE_LINE_ERROR_MAX];
    boot = info;
    for (uint32_t i = 0; i < info->module_count; i++)
        if (!module_line_parse(info->modules[i].string, &line, error))
            find_those_of(line.devices, line.config.device_count);
}

const uint8_t *disk_contents(const char *name, uint64_t *size)
{
    uint32_t module = find(name);
    if (module == BOOT_MODULES_MAX)
        return NULL;
    const struct boot_range *range = &boot->modules[module].range;
    *size = range->end - range->start;
    return paging_map_readable(HPA(range->start), *size);
}
