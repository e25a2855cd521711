/* SPDX-License-Identifier: MIT */
/* Any bytes as a module's line: it is refused in one line, or what it says is within its limits and
 * is the same when it is printed, quoted as GRUB does, and read again. */
#include "tests/fuzz/input.h"

#include <linux/errno.h>

#include "kernel/vm/module_keys.h"

#include <atoll/abi.h>

#define PRINTED_MAX (64 * KIB)

static int parse(const char *string, size_t size, struct module_line *line)
{
    char *copy = string_copy(string, size), error[MODULE_LINE_ERROR_MAX] = "";

    memset(line, 0x5a, sizeof(*line));
    int result = module_line_parse(copy, line, error);
    free(copy);
    require(result == 0 || result == -EINVAL, "a result of its own");
    require_line(error, sizeof(error));
    require((result == 0) == (error[0] == '\0'), "an error without words, or words without one");
    return result;
}

static bool is_name(const char *name, size_t size)
{
    size_t length = strnlen(name, size);

    return length < size && module_is_name(name, length);
}

static bool is_between(uint64_t number, uint64_t minimum, uint64_t maximum)
{
    return number >= minimum && number <= maximum;
}

static void check_device(const struct device_config *device)
{
    require(is_name(device->name, sizeof(device->name)), "a device's name");
    require(device->source[0] ? is_name(device->source, sizeof(device->source))
                              : device->kind == DEVICE_BLOCK,
            "the source of a device");
    require(is_between(device->block_size, 512, BLOCK_SIZE_MAX) &&
                (device->block_size & (device->block_size - 1)) == 0,
            "the size of a sector");
    if (device->kind == DEVICE_BLOCK && !device->source[0])
        require(device->size > 0 && device->size % device->block_size == 0, "the size of a disk");
    require(is_between(device->mtu, MTU_MIN, ATOLL_MTU_MAX), "an MTU");
    require(!device->has_mac || !(device->mac[0] & 1), "the address of many");
}

static void check_config(const struct vm_config *config, const struct device_config *devices)
{
    require(is_name(config->name, sizeof(config->name)) && strcmp(config->name, "atoll") != 0,
            "the name");
    require(memchr(config->command_line, '\0', VM_COMMAND_LINE_MAX), "the command line");
    require(config->memory >= VM_MEMORY_MIN && config->memory % PAGE_SIZE == 0, "memory");
    require(is_between(config->vcpus, 1, VM_VCPUS_MAX), "vCPUs");
    require(is_between(config->copies, 1, VM_COPIES_MAX), "copies");
    require(is_between(config->weight, 1, 1000), "a weight");
    require(config->cap <= 100 * config->vcpus, "a cap");
    require((unsigned)config->restart <= RESTART_ALWAYS && config->restart_limit <= 1000000 &&
                config->restart_backoff_ms <= 60000,
            "restarts");
    require(config->boot_order >= -1000 && config->boot_order <= 1000, "the order");
    require(!config->after[0] || is_name(config->after, sizeof(config->after)), "after=");
    require(config->link_count <= VM_LINKS_MAX && config->device_count <= VM_DEVICES_MAX,
            "more than there is room for");
    for (uint32_t i = 0; i < config->link_count; i++) {
        require(is_name(config->links[i].name, LINK_NAME_MAX), "a link's name");
        require(config->links[i].pages <= ATOLL_LINK_PAGES, "a link's pages");
        for (uint32_t j = 0; j < i; j++)
            require(strcmp(config->links[i].name, config->links[j].name) != 0, "a link twice");
    }
    for (uint32_t i = 0; i < config->device_count; i++) {
        check_device(&devices[i]);
        for (uint32_t j = 0; j < i; j++)
            require(strcmp(devices[i].name, devices[j].name) != 0, "a device twice");
    }
}

static bool has_cpu(const struct vm_config *config, unsigned cpu)
{
    return cpu < VM_CORES_MAX && config->cpus[cpu / 64] & BIT(cpu % 64);
}

static char *print_cpus(char *at, const struct vm_config *config)
{
    char separator = '=';

    at += sprintf(at, " cpus");
    for (unsigned from = 0, to; from < VM_CORES_MAX; from = to + 1) {
        for (to = from; has_cpu(config, to + 1) && has_cpu(config, from);)
            to++;
        if (!has_cpu(config, from))
            continue;
        at += sprintf(at, from == to ? "%c%u" : "%c%u-%u", separator, from, to);
        separator = ',';
    }
    require(separator == ',', "pinned to no core");
    return at;
}

static char *print_device(char *at, const struct device_config *device)
{
    const uint8_t *mac = device->mac;

    if (device->kind == DEVICE_BLOCK) {
        at += sprintf(at, " block:%s=", device->name);
        at += device->source[0] ? sprintf(at, "%s", device->source)
                                : sprintf(at, "ram:%lu", device->size);
        return at + sprintf(at, "%s,sectors=%u", device->read_only ? ",ro" : "",
                            device->block_size);
    }
    at += sprintf(at, " net:%s=%s,mtu=%u", device->name, device->source, device->mtu);
    if (device->has_mac)
        at += sprintf(at, ",mac=%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
                      mac[4], mac[5]);
    return at;
}

static void print(const struct vm_config *config, const struct device_config *devices, char *at)
{
    static const char *const policies[] = {"never", "on-failure", "always"};

    at += sprintf(at, "%s mem=%lu%s vcpus=%u weight=%u restart=%s,limit=%u,backoff=%u%s",
                  config->name, config->memory, config->eager ? ",eager" : "", config->vcpus,
                  config->weight, policies[config->restart], config->restart_limit,
                  config->restart_backoff_ms, config->control ? " control" : "");
    at += sprintf(at, " boot_order=%d copies=%u", config->boot_order, config->copies);
    if (config->cap)
        at += sprintf(at, " cap=%u", config->cap);
    if (config->pinned)
        at = print_cpus(at, config);
    if (config->after[0])
        at += sprintf(at, " after=%s", config->after);
    for (uint32_t i = 0; i < config->link_count; i++) {
        const struct link_config *link = &config->links[i];
        at += sprintf(at, " link=%s", link->name);
        at += link->pages ? sprintf(at, ":%u", link->pages) : 0;
        at += link->read_only ? sprintf(at, ",ro") : 0;
    }
    for (uint32_t i = 0; i < config->device_count; i++)
        at = print_device(at, &devices[i]);
    at += sprintf(at, " \"cmdline=");
    for (const char *c = config->command_line; *c; c++)
        at += sprintf(at, "%s%c", strchr("\\\"'", *c) ? "\\" : "", *c);
    strcpy(at, "\"");
}

static void require_same(struct module_line *one, struct module_line *other)
{
    require(memcmp(one->devices, other->devices,
                   one->config.device_count * sizeof(*one->devices)) == 0, "other devices");
    require(memcmp(one->links, other->links, one->config.link_count * sizeof(*one->links)) == 0,
            "other links");
    require(strcmp(one->command_line, other->command_line) == 0, "another command line");
    one->config.links = other->config.links = NULL;
    one->config.command_line = other->config.command_line = NULL;
    require(memcmp(&one->config, &other->config, sizeof(one->config)) == 0,
            "printed and read, it is another");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct module_line line, again;
    static char printed[PRINTED_MAX];
    const struct vm_config *config = &line.config;

    if (parse((const char *)data, size, &line) != 0) {
        require(!config->name[0] || is_name(config->name, sizeof(config->name)), "a refused name");
        require(config->copies == 1, "copies of what is refused");
        return 0;
    }
    check_config(config, line.devices);
    print(config, line.devices, printed);
    require(parse(printed, strlen(printed), &again) == 0, "what was printed is not accepted");
    require_same(&line, &again);
    return 0;
}
