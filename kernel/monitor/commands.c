/* SPDX-License-Identifier: MIT */
/* The table of all commands, and what they have in common: looking one up, failing with one line,
 * finding the VM or the vCPU that a word names, `help`. */
#include <linux/errno.h>
#include <stdarg.h>
#include <string.h>

#include "kernel/lib/format.h"
#include "kernel/monitor/command.h"

#define LINE_MAX 160

const struct command *const commands[] = {
    &command_console,
    &command_cpus,
    &command_ept,
    &command_exits,
    &command_help,
    &command_info,
    &command_links,
    &command_list,
    &command_log,
    &command_memory,
    &command_pause,
    &command_peek,
    &command_poweroff,
    &command_reboot,
    &command_regs,
    &command_restart,
    &command_resume,
    &command_start,
    &command_stop,
    &command_switches,
    &command_top,
    &command_trace,
    &command_version,
    &command_vmcs,
};
const size_t commands_count = ARRAY_SIZE(commands);

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < commands_count; i++)
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    return NULL;
}

static const struct column error_columns[] = {{"ERROR", "error", 0}};

enum command_result command_fail(struct invocation *call, const char *format, ...)
{
    char line[LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (!call->json) {
        output_text(&call->out, "%s\n", line);
        return COMMAND_DONE;
    }
    row_begin(&call->out, error_columns, ARRAY_SIZE(error_columns));
    row_text(&call->out, line);
    row_end(&call->out);
    return COMMAND_DONE;
}

struct vm *command_vm(struct invocation *call, const char *word)
{
    struct vm *vm = vm_by_name(word, strlen(word));
    if (!vm)
        command_fail(call, "no VM \"%s\"; list shows them all", word);
    return vm;
}

/* A name may itself end in ".N": it is taken as a whole when nothing has the name before it. */
struct vcpu *command_vcpu(struct invocation *call, const char *word)
{
    size_t length;
    uint32_t index;
    struct vm *vm = NULL;
    if (words_vcpu(word, &length, &index) == 0)
        vm = vm_by_name(word, length);
    if (!vm) {
        index = 0;
        vm = command_vm(call, word);
    }
    if (!vm)
        return NULL;
    if (index >= vm->config.vcpus) {
        command_fail(call, "no vCPU \"%s\": expected %s.0 to %s.%u", word, vm->config.name,
                     vm->config.name, vm->config.vcpus - 1);
        return NULL;
    }
    if (!vm_hold(vm)) {
        command_fail(call, "%s: expected a VM that lives; list shows their states",
                     vm->config.name);
        return NULL;
    }
    return vm->vcpus[index];
}

/* ---- help ------------------------------------------------------------------------------------ */

#define HELP_ROWS 8

static const struct column help_columns[] = {
    {"COMMAND", "command", -28}, {"WHAT IT DOES", "help", 0}};

static enum command_result help_list(struct invocation *call)
{
    if (call->at == 0)
        output_header(&call->out, help_columns, ARRAY_SIZE(help_columns));
    for (unsigned row = 0; row < HELP_ROWS && call->at < commands_count; row++) {
        const struct command *command = commands[call->at++];
        char synopsis[LINE_MAX];
        snprintf(synopsis, sizeof synopsis, "%s%s%s", command->name, *command->usage ? " " : "",
                 command->usage);
        row_begin(&call->out, help_columns, ARRAY_SIZE(help_columns));
        row_text(&call->out, synopsis);
        row_text(&call->out, command->help);
        row_end(&call->out);
    }
    if (call->at < commands_count)
        return COMMAND_MORE;
    if (!call->json)
        output_text(&call->out, "help COMMAND says more. Ctrl-C ends a command, Tab completes.\n");
    return COMMAND_DONE;
}

static enum command_result help_one(struct invocation *call)
{
    const struct command *command = command_find(call->argv[1]);
    if (!command)
        return command_fail(call, "no command \"%s\"; help lists them all", call->argv[1]);
    output_text(&call->out, "%s%s%s%s\n    %s\n", command->name, *command->usage ? " " : "",
                command->usage, command->lists ? " [-j]" : "", command->help);
    if (command->lists)
        output_text(&call->out, "    -j: one JSON object a line.\n");
    if (command->more) /* longer than what output_text takes */
        call->out.put(call->out.context, command->more, strlen(command->more));
    return COMMAND_DONE;
}

static enum command_result help_step(struct invocation *call)
{
    return call->argc > 1 ? help_one(call) : help_list(call);
}

const struct command command_help = {
    .name = "help",
    .usage = "[COMMAND]",
    .help = "all commands, or all about one",
    .more = "    help\n    help log\n",
    .step = help_step,
    .arguments = {ARGUMENT_TEXT},
    .most = 1,
    .lists = true,
};
