/* SPDX-License-Identifier: MIT */
/* The line of a GRUB module becomes a guest's configuration. The line is cut into words as GRUB
 * quotes them (grub_create_loader_cmdline in its grub-core/lib/cmdline.c: a word with a blank
 * stands in double quotes, and a backslash stands before \, " and '); a table says what the keys
 * mean. */
#include "kernel/vm/module_line.h"
#include "kernel/lib/format.h"
#include "kernel/lib/parse.h"

#include <linux/errno.h>
#include <string.h>

#define WORD_MAX (VM_COMMAND_LINE_MAX + 16) /* the longest word: cmdline=TEXT */
#define SHOWN    64                         /* bytes of a word that a message shows */

struct parser {
    const char *at; /* the rest of the line */
    struct vm_config *config;
    char *error;
    uint32_t seen; /* bit n: keys[n] was there */
    char word[WORD_MAX];
};

/* Writes the line that says what is wrong and returns -EINVAL. */
#define refuse(parser, ...) \
    (snprintf((parser)->error, MODULE_LINE_ERROR_MAX, __VA_ARGS__), -EINVAL)

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

/* Reads the next word into `parser->word`, without its quotes. Returns 1, 0 at the end of the line,
 * or -EINVAL. */
static int next_word(struct parser *parser)
{
    const char *at = parser->at;
    size_t length = 0;
    bool quoted = false;

    while (is_blank(*at))
        at++;
    if (*at == '\0')
        return 0;

    for (; *at && (quoted || !is_blank(*at)); at++) {
        if (*at == '"') {
            quoted = !quoted;
            continue;
        }
        if (at[0] == '\\' && (at[1] == '"' || at[1] == '\\' || at[1] == '\''))
            at++;
        if (is_control(*at) && *at != '\t')
            return refuse(parser, "control byte 0x%02x behind \"%.*s\"", (unsigned char)*at,
                          (int)MIN(length, (size_t)SHOWN), parser->word);
        if (length == WORD_MAX - 1)
            return refuse(parser, "a word of more than %d bytes: \"%.*s...\"", WORD_MAX - 1, SHOWN,
                          parser->word);
        parser->word[length++] = *at;
    }
    parser->word[length] = '\0';
    parser->at = at;
    if (quoted)
        return refuse(parser, "no closing quote behind \"%.*s\"", SHOWN, parser->word);
    return 1;
}

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_name(const char *name)
{
    if (!is_alphanumeric(name[0]))
        return false;
    for (size_t i = 1; name[i]; i++) {
        if (!is_alphanumeric(name[i]) && name[i] != '.' && name[i] != '_' && name[i] != '-')
            return false;
    }
    return true;
}

static int read_name(struct parser *parser)
{
    const char *name = parser->word;

    int result = next_word(parser);
    if (result < 0)
        return result;
    if (result == 0)
        return refuse(parser, "an empty line: it must begin with the guest's name");
    if (!is_name(name))
        return refuse(parser,
                      "\"%.*s\" is no guest's name: a letter or digit, then those and . _ -", SHOWN,
                      name);
    size_t length = strlen(name);
    if (length >= VM_NAME_MAX)
        return refuse(parser, "the guest's name \"%.*s\" has %zu bytes; %d is the limit", SHOWN,
                      name, length, VM_NAME_MAX - 1);
    if (strcmp(name, "atoll") == 0)
        return refuse(parser, "\"atoll\" is no guest's name: the hypervisor has it");
    memcpy(parser->config->name, name, length + 1);
    return 0;
}

static int read_vcpus(struct parser *parser, const char *value)
{
    uint64_t vcpus;

    if (parse_u64(value, strlen(value), &vcpus) || vcpus == 0)
        return refuse(parser, "vcpus=%.*s: expected a number from 1", SHOWN, value);
    if (vcpus > 1)
        return refuse(parser, "vcpus=%.*s: only 1 vCPU is supported so far", SHOWN, value);
    parser->config->vcpus = (uint32_t)vcpus;
    return 0;
}

static int read_memory(struct parser *parser, const char *value)
{
    uint64_t memory;

    int error = parse_size(value, strlen(value), &memory);
    if (error == -ERANGE)
        return refuse(parser, "mem=%.*s: more than 64 bits hold", SHOWN, value);
    if (error)
        return refuse(parser, "mem=%.*s: expected N[K|M|G]", SHOWN, value);
    if (memory < VM_MEMORY_MIN)
        return refuse(parser, "mem=%.*s: less than %lluM", SHOWN, value, VM_MEMORY_MIN / MIB);
    if (!IS_ALIGNED(memory, PAGE_SIZE))
        return refuse(parser, "mem=%.*s: not a multiple of %lluK", SHOWN, value, PAGE_SIZE / KIB);
    parser->config->memory = memory;
    return 0;
}

static int read_command_line(struct parser *parser, const char *value)
{
    size_t length = strlen(value);

    if (length >= VM_COMMAND_LINE_MAX)
        return refuse(parser, "cmdline=%.*s...: %zu bytes; %d is the limit", SHOWN, value, length,
                      VM_COMMAND_LINE_MAX - 1);
    memcpy(parser->config->command_line, value, length + 1);
    return 0;
}

static const struct key {
    const char *name;
    int (*read)(struct parser *parser, const char *value);
} keys[] = {
    {"vcpus",   read_vcpus},
    {"mem",     read_memory},
    {"cmdline", read_command_line},
};

/* The word in `parser->word`: key=value. */
static int read_key(struct parser *parser)
{
    char *value = strchr(parser->word, '=');
    if (!value)
        return refuse(parser, "\"%.*s\" is not key=value", SHOWN, parser->word);
    *value++ = '\0';

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (strcmp(keys[i].name, parser->word) != 0)
            continue;
        if (parser->seen & BIT(i))
            return refuse(parser, "%s=%.*s: %s stands there twice", keys[i].name, SHOWN, value,
                          keys[i].name);
        parser->seen |= (uint32_t)BIT(i);
        return keys[i].read(parser, value);
    }
    return refuse(parser, "unknown key \"%.*s\" in %.*s=%.*s", SHOWN / 2, parser->word, SHOWN / 2,
                  parser->word, SHOWN / 2, value);
}

int module_line_parse(const char *line, struct vm_config *config,
                      char error[MODULE_LINE_ERROR_MAX])
{
    struct parser parser = {.at = line, .config = config, .error = error};

    memset(config, 0, sizeof(*config));
    config->memory = VM_MEMORY_DEFAULT;
    config->vcpus = 1;

    int result = read_name(&parser);
    if (result)
        return result;
    while ((result = next_word(&parser)) > 0) {
        int key_error = read_key(&parser);
        if (key_error)
            return key_error;
    }
    return result;
}
