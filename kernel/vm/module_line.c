/* SPDX-License-Identifier: MIT */
/* The line of a GRUB module becomes a guest's configuration. The line is cut into words as GRUB
 * quotes them (grub_create_loader_cmdline in its grub-core/lib/cmdline.c: a word with a blank
 * stands in double quotes, and a backslash stands before \, " and '); module_keys.c says what they
 * mean. */
#include "kernel/vm/module_line.h"
#include "kernel/vm/module_keys.h"

#include <linux/errno.h>
#include <string.h>

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
static int next_word(struct module_parser *parser)
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
            return module_refuse(parser, "control byte 0x%02x behind \"%.*s\"", (unsigned char)*at,
                                 (int)MIN(length, (size_t)MODULE_SHOWN), parser->word);
        if (length == MODULE_WORD_MAX - 1)
            return module_refuse(parser, "a word of more than %d bytes: \"%.*s...\"",
                                 MODULE_WORD_MAX - 1, MODULE_SHOWN, parser->word);
        parser->word[length++] = *at;
    }
    parser->word[length] = '\0';
    parser->at = at;
    if (quoted)
        return module_refuse(parser, "no closing quote behind \"%.*s\"", MODULE_SHOWN,
                             parser->word);
    return 1;
}

static int read_name(struct module_parser *parser)
{
    const char *name = parser->word;

    int result = next_word(parser);
    if (result < 0)
        return result;
    if (result == 0)
        return module_refuse(parser, "an empty line: it must begin with the guest's name");
    if (!module_is_name(name, strlen(name)))
        return module_refuse(
            parser, "\"%.*s\" is no guest's name: a letter or digit, then those and . _ -",
            MODULE_SHOWN, name);
    size_t length = strlen(name);
    if (length >= VM_NAME_MAX)
        return module_refuse(parser, "the guest's name \"%.*s\" has %zu bytes; %d is the limit",
                             MODULE_SHOWN, name, length, VM_NAME_MAX - 1);
    if (strcmp(name, "atoll") == 0)
        return module_refuse(parser, "\"atoll\" is no guest's name: the hypervisor has it");
    memcpy(parser->config->name, name, length + 1);
    return 0;
}

int module_line_parse(const char *string, struct module_line *line,
                      char error[MODULE_LINE_ERROR_MAX])
{
    struct module_parser parser = {
        .at = string, .line = line, .config = &line->config, .error = error};

    line->config = (struct vm_config){.command_line = line->command_line, .links = line->links};
    line->command_line[0] = '\0';
    module_keys_default(&line->config);

    int result = read_name(&parser);
    while (!result && (result = next_word(&parser)) > 0)
        result = module_keys_read(&parser);
    if (!result)
        result = module_keys_check(&parser);
    if (result)
        line->config.copies = 1;
    return result;
}
