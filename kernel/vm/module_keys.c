/* SPDX-License-Identifier: MIT */
/* What the keys of a module line mean: a table of names, one reader each (those of devices are in
 * module_devices.c). kernel/vm/module_line.h says what the values do. */
#include "kernel/vm/module_keys.h"
#include "kernel/lib/parse.h"
#include "kernel/vm/run_queue.h"

#include <atoll/abi.h>
#include <linux/errno.h>
#include <string.h>

#define RESTART_LIMIT_MAX     1000000
#define RESTART_LIMIT_DEFAULT 10
#define BACKOFF_MAX_MS        60000
#define BACKOFF_DEFAULT_MS    10
#define BOOT_ORDER_MAX        1000 /* and its negative the least */

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool module_is_name(const char *name, size_t length)
{
    if (length == 0 || !is_alphanumeric(name[0]))
        return false;
    for (size_t i = 1; i < length; i++) {
        if (!is_alphanumeric(name[i]) && name[i] != '.' && name[i] != '_' && name[i] != '-')
            return false;
    }
    return true;
}

int module_refuse_value(struct module_parser *parser, const char *expected)
{
    return module_refuse(parser, "%.*s=%.*s: expected %s", MODULE_SHOWN / 2, parser->key,
                         MODULE_SHOWN, parser->value, expected);
}

static int refuse_number(struct module_parser *parser, int minimum, int maximum)
{
    return module_refuse(parser, "%s=%.*s: expected a number from %d to %d", parser->key,
                         MODULE_SHOWN, parser->value, minimum, maximum);
}

bool module_number(struct text text, uint32_t minimum, uint32_t maximum, uint32_t *number)
{
    uint64_t value;

    if (parse_u64(text.bytes, text.length, &value) || value < minimum || value > maximum)
        return false;
    *number = (uint32_t)value;
    return true;
}

bool module_name(struct text text, char *name, size_t size)
{
    if (text.length >= size || !module_is_name(text.bytes, text.length))
        return false;
    memcpy(name, text.bytes, text.length);
    name[text.length] = '\0';
    return true;
}

static int read_vcpus(struct module_parser *parser, struct text value)
{
    if (!module_number(value, 1, VM_VCPUS_MAX, &parser->config->vcpus))
        return refuse_number(parser, 1, VM_VCPUS_MAX);
    return 0;
}

static int read_memory(struct module_parser *parser, struct text value)
{
    struct text size = text_cut(&value, ',');
    uint64_t memory;

    int error = parse_size(size.bytes, size.length, &memory);
    if (error == -ERANGE)
        return module_refuse(parser, "mem=%.*s: more than 64 bits hold", MODULE_SHOWN,
                             parser->value);
    if (error || (value.bytes && !text_equals(value, "eager")))
        return module_refuse_value(parser, "N[K|M|G] or N[K|M|G],eager");
    if (memory < VM_MEMORY_MIN)
        return module_refuse(parser, "mem=%.*s: less than %lluM", MODULE_SHOWN, parser->value,
                             VM_MEMORY_MIN / MIB);
    if (!IS_ALIGNED(memory, PAGE_SIZE))
        return module_refuse(parser, "mem=%.*s: not a multiple of %lluK", MODULE_SHOWN,
                             parser->value, PAGE_SIZE / KIB);
    parser->config->memory = memory;
    parser->config->eager = value.bytes != NULL;
    return 0;
}

static int read_command_line(struct module_parser *parser, struct text value)
{
    if (value.length >= VM_COMMAND_LINE_MAX)
        return module_refuse(parser, "cmdline=%.*s...: %zu bytes; %d is the limit", MODULE_SHOWN,
                             value.bytes, value.length, VM_COMMAND_LINE_MAX - 1);
    memcpy(parser->line->command_line, value.bytes, value.length + 1);
    return 0;
}

static int read_copies(struct module_parser *parser, struct text value)
{
    if (!module_number(value, 1, VM_COPIES_MAX, &parser->config->copies))
        return refuse_number(parser, 1, VM_COPIES_MAX);
    return 0;
}

static int read_weight(struct module_parser *parser, struct text value)
{
    if (!module_number(value, WEIGHT_MIN, WEIGHT_MAX, &parser->config->weight))
        return refuse_number(parser, WEIGHT_MIN, WEIGHT_MAX);
    return 0;
}

static int read_cap(struct module_parser *parser, struct text value)
{
    if (!module_number(value, 1, VM_CAP_MAX, &parser->config->cap))
        return refuse_number(parser, 1, VM_CAP_MAX);
    return 0;
}

/* One item of cpus=: a number or a range. */
static bool add_cpus(struct vm_config *config, struct text item)
{
    uint32_t from, to;

    if (!module_number(text_cut(&item, '-'), 0, VM_CORES_MAX - 1, &from))
        return false;
    to = from;
    if (item.bytes && !module_number(item, from, VM_CORES_MAX - 1, &to))
        return false;
    for (uint32_t cpu = from; cpu <= to; cpu++)
        config->cpus[cpu / 64] |= BIT(cpu % 64);
    return true;
}

static int read_cpus(struct module_parser *parser, struct text value)
{
    parser->config->pinned = true;
    while (value.bytes) {
        if (!add_cpus(parser->config, text_cut(&value, ',')))
            return module_refuse(parser, "cpus=%.*s: expected cores from 0 to %d, such as 0,2-3",
                                 MODULE_SHOWN, parser->value, VM_CORES_MAX - 1);
    }
    return 0;
}

static bool get_restart_policy(struct text text, enum restart_policy *policy)
{
    static const char *const names[] = {
        [RESTART_NEVER] = "never",
        [RESTART_ON_FAILURE] = "on-failure",
        [RESTART_ALWAYS] = "always",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (text_equals(text, names[i])) {
            *policy = (enum restart_policy)i;
            return true;
        }
    }
    return false;
}

/* What may stand behind the policy: limit=N and backoff=MS, once each. `*seen` has their bits. */
static int read_restart_detail(struct module_parser *parser, struct text detail, uint32_t *seen)
{
    struct vm_config *config = parser->config;
    const struct {
        const char *name;
        uint32_t maximum, *number;
    } details[] = {
        {"limit", RESTART_LIMIT_MAX, &config->restart_limit},
        {"backoff", BACKOFF_MAX_MS, &config->restart_backoff_ms},
    };

    struct text name = text_cut(&detail, '=');
    for (size_t i = 0; i < ARRAY_SIZE(details); i++) {
        if (!text_equals(name, details[i].name))
            continue;
        if (*seen & BIT(i))
            return module_refuse(parser, "restart=%.*s: %s stands there twice", MODULE_SHOWN,
                                 parser->value, details[i].name);
        *seen |= (uint32_t)BIT(i);
        if (!module_number(detail, 0, details[i].maximum, details[i].number))
            return module_refuse(parser, "restart=%.*s: expected %s=N with N from 0 to %u",
                                 MODULE_SHOWN, parser->value, details[i].name, details[i].maximum);
        return 0;
    }
    return module_refuse_value(parser, "only ,limit=N and ,backoff=MS behind the policy");
}

static int read_restart(struct module_parser *parser, struct text value)
{
    uint32_t seen = 0;

    if (!get_restart_policy(text_cut(&value, ','), &parser->config->restart))
        return module_refuse_value(parser, "never, on-failure or always");
    while (value.bytes) {
        int error = read_restart_detail(parser, text_cut(&value, ','), &seen);
        if (error)
            return error;
    }
    return 0;
}

static int read_boot_order(struct module_parser *parser, struct text value)
{
    bool negative = value.length > 0 && value.bytes[0] == '-';
    uint32_t number;

    if (negative)
        value = (struct text){value.bytes + 1, value.length - 1};
    if (!module_number(value, 0, BOOT_ORDER_MAX, &number))
        return refuse_number(parser, -BOOT_ORDER_MAX, BOOT_ORDER_MAX);
    parser->config->boot_order = negative ? -(int32_t)number : (int32_t)number;
    return 0;
}

static int read_after(struct module_parser *parser, struct text value)
{
    if (!module_name(value, parser->config->after, VM_NAME_MAX) || text_equals(value, "atoll"))
        return module_refuse_value(parser, "the name of another guest");
    return 0;
}

/* NAME[:PAGES][,ro] */
static bool get_link(struct text value, struct link_config *link)
{
    struct text place = text_cut(&value, ',');
    struct text name = text_cut(&place, ':');

    link->read_only = value.bytes != NULL;
    if (value.bytes && !text_equals(value, "ro"))
        return false;
    if (place.bytes && !module_number(place, 1, ATOLL_LINK_PAGES, &link->pages))
        return false;
    return module_name(name, link->name, LINK_NAME_MAX);
}

static int read_link(struct module_parser *parser, struct text value)
{
    struct vm_config *config = parser->config;
    struct link_config link = {0};

    if (!get_link(value, &link))
        return module_refuse(parser,
                             "link=%.*s: expected NAME[:PAGES][,ro] with PAGES from 1 to %u",
                             MODULE_SHOWN, parser->value, ATOLL_LINK_PAGES);
    for (uint32_t i = 0; i < config->link_count; i++) {
        if (strcmp(config->links[i].name, link.name) == 0)
            return module_refuse(parser, "link=%.*s: the link %s stands there twice", MODULE_SHOWN,
                                 parser->value, link.name);
    }
    if (config->link_count == VM_LINKS_MAX)
        return module_refuse(parser, "link=%.*s: more than %d links", MODULE_SHOWN, parser->value,
                             VM_LINKS_MAX);
    parser->line->links[config->link_count++] = link;
    return 0;
}

static int read_control(struct module_parser *parser, struct text value)
{
    (void)value;
    parser->config->control = true;
    return 0;
}

enum key_form {
    KEY_ONCE,     /* key=value */
    KEY_REPEATED, /* key=value, any number of times */
    KEY_NAMED,    /* the same, but the key goes on: key:name=value */
    KEY_ALONE,    /* a word without a value */
};

static const struct key {
    const char *name;
    enum key_form form;
    int (*read)(struct module_parser *parser, struct text value);
} keys[] = {
    {"vcpus",      KEY_ONCE,     read_vcpus},
    {"copies",     KEY_ONCE,     read_copies},
    {"mem",        KEY_ONCE,     read_memory},
    {"cmdline",    KEY_ONCE,     read_command_line},
    {"weight",     KEY_ONCE,     read_weight},
    {"cap",        KEY_ONCE,     read_cap},
    {"cpus",       KEY_ONCE,     read_cpus},
    {"restart",    KEY_ONCE,     read_restart},
    {"boot_order", KEY_ONCE,     read_boot_order},
    {"after",      KEY_ONCE,     read_after},
    {"link",       KEY_REPEATED, read_link},
    {"control",    KEY_ALONE,    read_control},
    {"block:",     KEY_NAMED,    module_read_block},
    {"net:",       KEY_NAMED,    module_read_net},
};

static bool is_key(const struct key *key, const char *word)
{
    if (key->form == KEY_NAMED)
        return strncmp(key->name, word, strlen(key->name)) == 0;
    return strcmp(key->name, word) == 0;
}

static const struct key *find_key(const char *word)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (is_key(&keys[i], word))
            return &keys[i];
    }
    return NULL;
}

/* Has the word the form of its key, and is it the first of it? `value` is NULL without a =. */
static int check_form(struct module_parser *parser, const struct key *key, const char *value)
{
    const char *word = parser->word;
    if (!value && (!key || key->form != KEY_ALONE))
        return module_refuse(parser, "\"%.*s\" is not key=value", MODULE_SHOWN, word);
    if (!key)
        return module_refuse(parser, "unknown key \"%.*s\" in %.*s=%.*s", MODULE_SHOWN / 2, word,
                             MODULE_SHOWN / 2, word, MODULE_SHOWN / 2, value);
    if (value && key->form == KEY_ALONE)
        return module_refuse(parser, "%s=%.*s: expected %s alone, without a value", key->name,
                             MODULE_SHOWN, value, key->name);

    uint32_t bit = (uint32_t)BIT(key - keys);
    if ((parser->seen & bit) && key->form != KEY_REPEATED && key->form != KEY_NAMED)
        return module_refuse(parser, "%s%s%.*s: %s stands there twice", key->name,
                             value ? "=" : "", MODULE_SHOWN, value ? value : "", key->name);
    parser->seen |= bit;
    return 0;
}

void module_keys_default(struct vm_config *config)
{
    config->memory = VM_MEMORY_DEFAULT;
    config->vcpus = 1;
    config->copies = 1;
    config->weight = WEIGHT_DEFAULT;
    config->restart_limit = RESTART_LIMIT_DEFAULT;
    config->restart_backoff_ms = BACKOFF_DEFAULT_MS;
}

int module_keys_read(struct module_parser *parser)
{
    char *value = strchr(parser->word, '=');
    if (value)
        *value++ = '\0';

    const struct key *key = find_key(parser->word);
    int error = check_form(parser, key, value);
    if (error)
        return error;
    parser->key = parser->word;
    parser->value = value;
    return key->read(parser, (struct text){value, value ? strlen(value) : 0});
}

int module_keys_check(struct module_parser *parser)
{
    const struct vm_config *config = parser->config;
    uint32_t cap_max = 100 * config->vcpus;
    char last[VM_NAME_MAX];

    if (config->cap > cap_max)
        return module_refuse(parser, "cap=%u: expected at most %u, 100 for each vCPU (vcpus=%u)",
                             config->cap, cap_max, config->vcpus);
    if (config->copies > 1 && snprintf(last, sizeof last, "%s%u", config->name,
                                       config->copies - 1) >= (int)sizeof last)
        return module_refuse(parser, "copies=%u: the name \"%s\" leaves no room for a number",
                             config->copies, config->name);
    return 0;
}
