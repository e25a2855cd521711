/* SPDX-License-Identifier: MIT */
/* A command of the monitor. It is called again and again and does a little each time, so that no
 * guest waits for it longer than for a slice, however much it prints: a few rows, at most
 * COMMAND_STEP_MAX bytes; about 20,000 instructions. */
#ifndef KERNEL_MONITOR_COMMAND_H
#define KERNEL_MONITOR_COMMAND_H

#include "kernel/monitor/output.h"
#include "kernel/monitor/words.h"
#include "kernel/vm/vm.h"

#define COMMAND_STEP_MAX 2048

enum command_result {
    COMMAND_MORE, /* call it again as soon as the terminal has taken what was written */
    COMMAND_WAIT, /* call it again a little later: it waits for another core */
    COMMAND_DONE,
};

/* A command while it runs. */
struct invocation {
    const struct command *command;
    struct output out;
    unsigned argc;                /* without -j */
    const char *argv[WORDS_MAX];  /* argv[0] is the name of the command */
    bool json;                    /* -j */
    bool cancelled;               /* Ctrl-C: the last call; let go of what is held */
    uint64_t at;                  /* 0 at the first call; the command's own */
    uint64_t state[8];            /* likewise */
};

/* What the words behind a command are: for completion, and checked before it is called. */
enum argument {
    ARGUMENT_NONE,
    ARGUMENT_VM,     /* the name of a VM */
    ARGUMENT_VCPU,   /* VM.N */
    ARGUMENT_WORD,   /* one of `choices` */
    ARGUMENT_NUMBER,
    ARGUMENT_TEXT,
};
#define ARGUMENTS_MAX 3

struct command {
    const char *name;
    const char *usage;    /* the words behind the name: "VM GPA [LENGTH]" */
    const char *help;     /* one line */
    const char *more;     /* what `help NAME` adds, lines that end in "\n", or NULL */
    enum command_result (*step)(struct invocation *);
    enum argument arguments[ARGUMENTS_MAX];
    const char *const *choices; /* of ARGUMENT_WORD, NULL-terminated */
    uint8_t least, most;  /* how many words may stand behind the name */
    bool lists;           /* knows -j */
};

/* All of them, by name. */
extern const struct command *const commands[];
extern const size_t commands_count;
const struct command *command_find(const char *name);

/* One line that says what is wrong and what was expected; the command is done. */
enum command_result command_fail(struct invocation *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The VM that a word names, or NULL behind command_fail("no VM ..."). */
struct vm *command_vm(struct invocation *call, const char *word);

/* The vCPU that a word names ("a.1"; "a" is "a.0"). NULL behind command_fail when there is none or
 * its VM does not live now; else the VM is held (vm_hold) and must be let go by vm_put. */
struct vcpu *command_vcpu(struct invocation *call, const char *word);

/* ---- The commands, by the file that has them */

/* cmd_vms.c */
extern const struct command command_list, command_info, command_pause, command_resume, command_stop,
    command_start, command_restart, command_links, command_console;
/* commands.c */
extern const struct command command_help;
/* cmd_machine.c */
extern const struct command command_cpus, command_memory, command_version, command_reboot,
    command_poweroff;
/* cmd_log.c, cmd_switches.c, cmd_trace.c */
extern const struct command command_log, command_switches, command_trace;
/* cmd_state.c */
extern const struct command command_regs, command_vmcs, command_ept, command_peek;
/* cmd_exits.c, top.c */
extern const struct command command_exits, command_top;

#endif
