/* SPDX-License-Identifier: MIT */
/* The operator's side of the serial line: reads what is typed, edits lines, runs commands step by
 * step, hands keys to an attached guest or to `top`. It lives on the boot processor: a timer of its
 * scheduler calls it every MONITOR_POLL_US, between two exits. */
#ifndef KERNEL_MONITOR_MONITOR_H
#define KERNEL_MONITOR_MONITOR_H

#include "kernel/options.h"
#include "kernel/vm/vm.h"

#define MONITOR_POLL_US 1000

/* On the boot processor, behind sched_init and once the terminal has its line; not called without a
 * UART. The options must stay. */
void monitor_start(struct options *options);

/* ---- For commands */

/* The hypervisor's options. */
const struct options *monitor_options(void);

/* The terminal belongs to this VM from the end of the command on, until the escape key. */
void monitor_attach(struct vm *vm);

/* The name of the escape key: "Ctrl-O". */
const char *monitor_escape_name(void);

/* The whole screen is the command's, and keys go to `key`, until it is done. */
void monitor_take_screen(void (*key)(uint8_t byte));

/* Ends all guests and then the machine, by ONIDLE_POWEROFF or ONIDLE_REBOOT. */
void monitor_end(enum onidle how);

#endif
