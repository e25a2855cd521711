/* SPDX-License-Identifier: MIT */
/* `log`: reads the log again, and says what of it is shown and which exits come into it. */
#include <string.h>

#include "kernel/lib/format.h"
#include "kernel/log.h"
#include "kernel/monitor/command.h"
#include "kernel/monitor/terminal.h"
#include "kernel/vm/exit_log.h"

#define REPLAY_DEFAULT 20
#define REPLAY_LINES   6 /* of a step, */
#define REPLAY_OBJECTS 1 /* with -j: all its bytes may be escaped */
#define BACK_LINES     16 /* that a step goes back */

/* ---- log, log N, log all --------------------------------------------------------------------- */

static const struct column line_columns[] = {{"LINE", "line", 0}};

static void show_line(struct invocation *call, char line[LOG_BUFFER], size_t length)
{
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
        length--;
    line[length] = '\0';
    if (!call->json) {
        output_text(&call->out, "%s\n", line);
        return;
    }
    row_begin(&call->out, line_columns, ARRAY_SIZE(line_columns));
    row_text(&call->out, line);
    row_end(&call->out);
}

/* Where a replay is: call->at is 1 and the position. */
enum {
    REPLAY_END,   /* state: where the log ended when the command began, for guests write on */
    REPLAY_BACK,  /* lines that it has yet to go back */
    REPLAY_SHOWN, /* one was */
};

/* `lines` from the end, 0: all. */
static void begin_replay(struct invocation *call, uint64_t lines)
{
    struct log_reader reader = {0};
    log_reader_end(&reader);
    call->state[REPLAY_END] = reader.position;
    call->state[REPLAY_BACK] = lines;
    call->at = lines ? 1 + reader.position : 1;
}

static void go_back(struct invocation *call)
{
    struct log_reader reader = {.position = call->at - 1};
    for (unsigned i = 0; i < BACK_LINES && call->state[REPLAY_BACK] > 0; i++)
        call->state[REPLAY_BACK] =
            log_reader_previous(&reader) ? call->state[REPLAY_BACK] - 1 : 0;
    call->at = 1 + reader.position;
}

static enum command_result show_lines(struct invocation *call)
{
    char line[LOG_BUFFER];
    struct log_reader reader = {.position = call->at - 1};
    unsigned most = call->json ? REPLAY_OBJECTS : REPLAY_LINES;
    for (unsigned i = 0; i < most; i++) {
        size_t length =
            reader.position < call->state[REPLAY_END] ? log_read(&reader, line) : 0;
        if (length == 0)
            return COMMAND_DONE;
        if (reader.missed && call->state[REPLAY_SHOWN] && !call->json)
            output_text(&call->out, "(%llu bytes were overwritten meanwhile)\n",
                        (unsigned long long)reader.missed);
        reader.missed = 0;
        show_line(call, line, length);
        call->state[REPLAY_SHOWN] = true;
    }
    call->at = 1 + reader.position;
    return COMMAND_MORE;
}

static enum command_result replay(struct invocation *call, uint64_t lines)
{
    if (call->at == 0)
        begin_replay(call, lines);
    if (call->state[REPLAY_BACK] == 0)
        return show_lines(call);
    go_back(call);
    return COMMAND_MORE;
}

static enum command_result replay_word(struct invocation *call, const char *word)
{
    uint64_t lines = 0;
    if (call->argc > 2)
        return command_fail(call, "log %s: expected nothing behind it", word);
    if (strcmp(word, "all") && (words_number(word, &lines) || lines == 0))
        return command_fail(call, "log %s: expected a number of lines, all, show, only or exits",
                            word);
    return replay(call, lines);
}

/* ---- log show, log only ---------------------------------------------------------------------- */

static const char *const show_names[] = {
    [SHOW_NOTHING] = "nothing", [SHOW_HOST] = "host", [SHOW_ALL] = "all"};

static const struct column setting_columns[] = {
    {"SHOW", "show", -8}, {"ONLY", "only", -16}, {"EXITS", "exits", 0}};

/* "off", "all", or how many reasons are logged. */
static void exits_text(char *text, size_t size)
{
    uint32_t count = 0;
    for (uint32_t reason = 0; reason < EXIT_REASONS; reason++)
        count += exit_log_wants(reason);
    if (!exit_log_is_on())
        snprintf(text, size, "off");
    else if (count == EXIT_REASONS)
        snprintf(text, size, "all");
    else
        snprintf(text, size, "%u reasons", count);
}

static enum command_result show_settings(struct invocation *call)
{
    char exits[16];
    exits_text(exits, sizeof exits);
    output_header(&call->out, setting_columns, ARRAY_SIZE(setting_columns));
    row_begin(&call->out, setting_columns, ARRAY_SIZE(setting_columns));
    row_text(&call->out, show_names[terminal_filter.show]);
    if (*terminal_filter.only)
        row_text(&call->out, terminal_filter.only);
    else
        row_none(&call->out);
    row_text(&call->out, exits);
    row_end(&call->out);
    return COMMAND_DONE;
}

static enum command_result set_show(struct invocation *call)
{
    if (call->argc == 2)
        return show_settings(call);
    for (unsigned show = 0; show < ARRAY_SIZE(show_names); show++) {
        if (strcmp(call->argv[2], show_names[show]))
            continue;
        terminal_filter.show = (enum terminal_show)show;
        return show_settings(call);
    }
    return command_fail(call, "log show %s: expected nothing, host or all", call->argv[2]);
}

static enum command_result set_only(struct invocation *call)
{
    const struct vm *vm = NULL;
    _Static_assert(sizeof terminal_filter.only >= VM_NAME_MAX, "a name fits");
    if (call->argc > 2 && !(vm = command_vm(call, call->argv[2])))
        return COMMAND_DONE;
    snprintf(terminal_filter.only, sizeof terminal_filter.only, "%s", vm ? vm->config.name : "");
    return show_settings(call);
}

/* ---- log exits ------------------------------------------------------------------------------- */

static enum command_result set_exits(struct invocation *call)
{
    struct text unknown;
    const char *word = call->argc > 2 ? call->argv[2] : "";
    if (!strcmp(word, "on"))
        exit_log_all();
    else if (!strcmp(word, "off"))
        exit_log_off();
    else if (*word == '\0')
        return command_fail(call, "log exits: expected on, off or names of exit reasons");
    else if (exit_log_only(word, &unknown))
        return command_fail(call, "log exits: no exit reason is called \"%.*s\"; help log has some",
                            (int)MIN(unknown.length, 32u), unknown.bytes);
    return show_settings(call);
}

/* ---- */

static enum command_result log_step(struct invocation *call)
{
    const char *word = call->argc > 1 ? call->argv[1] : NULL;
    if (call->cancelled)
        return COMMAND_DONE;
    if (!word)
        return replay(call, REPLAY_DEFAULT);
    if (!strcmp(word, "show"))
        return set_show(call);
    if (!strcmp(word, "only"))
        return set_only(call);
    if (!strcmp(word, "exits"))
        return set_exits(call);
    return replay_word(call, word);
}

static const char *const log_choices[] = {"all", "exits", "host", "nothing", "off",
                                          "on",  "only",  "show", NULL};

const struct command command_log = {
    .name = "log",
    .usage = "[N|all|show|only|exits]",
    .help = "the log once more; what of it is shown",
    .more = "    log                      the last 20 lines\n"
            "    log 100                  the last 100\n"
            "    log all                  all that the ring still has\n"
            "    log show                 what is shown as it comes\n"
            "    log show nothing|host|all\n"
            "                             nothing; no guest's console; all\n"
            "    log only VM              lines about one VM; `log only` takes it back\n"
            "    log exits on|off         a line for each exit\n"
            "    log exits CPUID,EPT-violation\n"
            "                             for some: names of the SDM, a - for each blank\n"
            "Names of exit reasons are those of `exits`.\n",
    .step = log_step,
    .arguments = {ARGUMENT_WORD, ARGUMENT_WORD},
    .choices = log_choices,
    .most = 2,
    .lists = true,
};
