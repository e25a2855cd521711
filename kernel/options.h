/* SPDX-License-Identifier: MIT */
/* The hypervisor's options, from the `multiboot2` line of the GRUB menu. Pure. */
#ifndef KERNEL_OPTIONS_H
#define KERNEL_OPTIONS_H

#include "kernel/lib/types.h"

#define OPTIONS_ERROR_MAX 160
#define OPTIONS_LOG_NAMES 16
#define OPTIONS_NAME_MAX  32

/* Without onidle=, the machine powers off when all guests have ended, and halts after a refusal or
 * a panic, so that what was said can be read. */
enum onidle { ONIDLE_DEFAULT, ONIDLE_HALT, ONIDLE_POWEROFF, ONIDLE_REBOOT, ONIDLE_MONITOR };
enum trace_wish { TRACE_OFF, TRACE_PORT, TRACE_FRAMED };
enum selftest {
    SELFTEST_NONE,
    SELFTEST_PANIC,
    SELFTEST_EXCEPTION,
    SELFTEST_STACK,
    SELFTEST_HOSTILE,
    SELFTEST_FAULTS,
};

struct options {
    bool log_exits;           /* log=exits: a line for each exit ... */
    uint32_t log_name_count;  /* ... log=exits:NAME,...: of these exit reasons only (0: all) */
    char log_names[OPTIONS_LOG_NAMES][OPTIONS_NAME_MAX];
    uint32_t max_cpus;        /* cpus=N: use at most N cores (0: all) */
    enum onidle onidle;       /* onidle=halt|poweroff|reboot|monitor: when all guests have ended;
                                 monitor: wait for the operator */
    uint16_t com_port;        /* com=PORT, PORT also com1 ... com4: the UART (default 0x3f8);
                                 0: none (com=none) */
    uint32_t com_baud;        /* com=PORT,BAUD (default 115200) */
    uint8_t escape;           /* escape=X: Ctrl-X leaves a guest's console (default o) */
    uint32_t console_rate;    /* conrate=N: lines a second of each guest's console in the log
                                 (default 100, 0: any number) */
    enum trace_wish trace;    /* trace=PORT, as com=; trace=log: from the start on, writing ... */
    uint16_t trace_port;      /* ... the dump to this UART, or framed into the log, at the end */
    uint64_t tsc_hz;          /* tsc=MHZ: the TSC's frequency, not calibrated (0: calibrate) */
    uint32_t slice_us;        /* slice=US: time slice in microseconds (default 1000) */
    bool apicv;               /* apicv=on|off: use the processor's APIC virtualisation where it has
                                 it (default on) */
    enum selftest selftest;   /* selftest=panic|exception|stack: Atoll breaks itself once all cores
                                 are up, to show how it reports its own bugs; hostile: it plants a
                                 secret in all memory and audits who owns frames; faults: besides,
                                 guests may have it break itself */
    bool shuffle;             /* shuffle: every slice ends with a move to another core (a test) */
    bool tour;                /* tour: the host's half of the tour runs before the guests, and
                                 guests may ask for an INIT and so on (ATOLL_CALL_PROBE) */
};

/* Where options_parse reports: one line a bad word; what it names is left at its default. */
typedef void options_report_fn(const char *message);

/* Reads the words of `command_line`, separated by blanks. An unknown option, a bad value or a
 * duplicate is reported, naming the word and what was expected; the others count. */
void options_parse(const char *command_line, struct options *options, options_report_fn *report);

#endif
