/* SPDX-License-Identifier: MIT */
/* The dump of the trace when the machine ends. */
#ifndef KERNEL_MONITOR_TRACE_END_H
#define KERNEL_MONITOR_TRACE_END_H

#include "kernel/options.h"

/* Where trace= says. Nothing runs any more; waits for the line. */
void trace_dump_at_end(const struct options *options);

#endif
