/* SPDX-License-Identifier: MIT */
/* What block: and net: mean in a module line. kernel/vm/module_line.h says what the values do; that
 * modules and switches of these names exist is seen later, when all lines were read. */
#include "kernel/vm/module_keys.h"
#include "kernel/lib/parse.h"

#include <atoll/abi.h>
#include <linux/errno.h>
#include <string.h>

#define RAM_PREFIX    "ram"
#define MAC_MULTICAST 1 /* in its first byte */

/* A further device with the name that stands behind the colon of the key; NULL when it is refused.
 */
static struct device_config *add_device(struct module_parser *parser, enum device_kind kind)
{
    struct vm_config *config = parser->config;
    const char *name = strchr(parser->key, ':') + 1;
    struct device_config *device = &parser->line->devices[config->device_count];

    if (config->device_count == VM_DEVICES_MAX) {
        (void)module_refuse(parser, "%.*s: more than %d devices", MODULE_SHOWN, parser->key,
                            VM_DEVICES_MAX);
        return NULL;
    }
    *device =
        (struct device_config){.kind = kind, .block_size = BLOCK_SIZE_DEFAULT, .mtu = MTU_DEFAULT};
    if (!module_name((struct text){name, strlen(name)}, device->name, DEVICE_NAME_MAX)) {
        (void)module_refuse(parser,
                            "%.*s: \"%.*s\" is no name of a device, at most %d letters, "
                            "digits and . _ -",
                            MODULE_SHOWN, parser->key, MODULE_SHOWN / 2, name, DEVICE_NAME_MAX - 1);
        return NULL;
    }
    for (uint32_t i = 0; i < config->device_count; i++) {
        if (strcmp(parser->line->devices[i].name, device->name) == 0) {
            (void)module_refuse(parser, "%.*s: a device of this name stands there twice",
                                MODULE_SHOWN, parser->key);
            return NULL;
        }
    }
    config->device_count++;
    return device;
}

/* ---- block:NAME=MODULE|ram:SIZE[,ro][,sectors=BYTES] ----------------------------------------- */

static bool get_source(struct text text, struct device_config *device)
{
    struct text name = text_cut(&text, ':');

    if (!text.bytes)
        return module_name(name, device->source, sizeof device->source);
    return text_equals(name, RAM_PREFIX) && parse_size(text.bytes, text.length, &device->size) == 0;
}

static bool get_block_detail(struct text detail, struct device_config *device)
{
    struct text name = text_cut(&detail, '=');

    if (text_equals(name, "ro") && !detail.bytes)
        return device->read_only = true;
    return text_equals(name, "sectors") && detail.bytes &&
           module_number(detail, 0, UINT32_MAX, &device->block_size);
}

static int check_block(struct module_parser *parser, const struct device_config *device)
{
    uint32_t size = device->block_size;

    if (size < BLOCK_SIZE_DEFAULT || size > BLOCK_SIZE_MAX || (size & (size - 1)))
        return module_refuse(parser,
                             "%.*s: Block size must be a multiple of 2 greater than or "
                             "equal 512 (a power of two up to %d), not %u",
                             MODULE_SHOWN, parser->key, BLOCK_SIZE_MAX, size);
    if (!device->source[0] && (device->size == 0 || !IS_ALIGNED(device->size, size)))
        return module_refuse(parser,
                             "%.*s: Backing storage size must be block aligned: %llu "
                             "bytes in blocks of %u",
                             MODULE_SHOWN, parser->key, (unsigned long long)device->size, size);
    return 0;
}

int module_read_block(struct module_parser *parser, struct text value)
{
    struct device_config *device = add_device(parser, DEVICE_BLOCK);

    if (!device)
        return -EINVAL;
    bool good = get_source(text_cut(&value, ','), device);
    while (good && value.bytes)
        good = get_block_detail(text_cut(&value, ','), device);
    if (!good)
        return module_refuse_value(parser, "MODULE or ram:SIZE, then ,ro and ,sectors=BYTES");
    return check_block(parser, device);
}

/* ---- net:NAME=SWITCH[,mac=XX:XX:XX:XX:XX:XX][,mtu=N] ----------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool get_mac(struct text text, struct device_config *device)
{
    static const uint8_t none[MAC_SIZE];

    for (size_t i = 0; i < MAC_SIZE; i++) {
        struct text byte = text_cut(&text, ':');
        if (byte.length != 2 || hex_digit(byte.bytes[0]) < 0 || hex_digit(byte.bytes[1]) < 0)
            return false;
        device->mac[i] = (uint8_t)(hex_digit(byte.bytes[0]) << 4 | hex_digit(byte.bytes[1]));
    }
    device->has_mac = true;
    return !text.bytes && !(device->mac[0] & MAC_MULTICAST) &&
           memcmp(device->mac, none, MAC_SIZE) != 0;
}

static bool get_net_detail(struct text detail, struct device_config *device)
{
    struct text name = text_cut(&detail, '=');
    uint32_t mtu;

    if (!detail.bytes)
        return false;
    if (text_equals(name, "mac"))
        return get_mac(detail, device);
    if (!text_equals(name, "mtu") || !module_number(detail, MTU_MIN, ATOLL_MTU_MAX, &mtu))
        return false;
    device->mtu = (uint16_t)mtu;
    return true;
}

int module_read_net(struct module_parser *parser, struct text value)
{
    struct device_config *device = add_device(parser, DEVICE_NET);

    if (!device)
        return -EINVAL;
    bool good = module_name(text_cut(&value, ','), device->source, sizeof device->source);
    while (good && value.bytes)
        good = get_net_detail(text_cut(&value, ','), device);
    if (!good)
        return module_refuse(parser,
                             "%.*s=%.*s: expected SWITCH, then ,mac=XX:XX:XX:XX:XX:XX (unicast) "
                             "and ,mtu=N from %d to %u",
                             MODULE_SHOWN / 2, parser->key, MODULE_SHOWN / 2, parser->value,
                             MTU_MIN, ATOLL_MTU_MAX);
    return 0;
}
