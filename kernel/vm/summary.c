/* SPDX-License-Identifier: MIT */
/* The table at the end: guest, how it ended, run time, exits by reason. */
#include "kernel/vm/summary.h"

#include "kernel/cpu/time.h"
#include "kernel/lib/format.h"
#include "kernel/log.h"
#include "kernel/vm/vm.h"

#define EXITS_WIDTH 120

static uint64_t total_exits(const struct vm *vm)
{
    uint64_t total = 0;
    for (uint32_t reason = 0; reason < EXIT_REASONS; reason++)
        total += vm->exits[reason];
    return total;
}

static void how_it_ended(const struct vm *vm, char *text, size_t size)
{
    if (vm->refused)
        snprintf(text, size, "refused");
    else if (vm->stop_reason == STOP_GUEST_EXIT)
        snprintf(text, size, "status %u", vm->status);
    else
        snprintf(text, size, "%s", stop_reason_name(vm->stop_reason));
}

/* "CPUID 12, VMCALL 40": as many lines as it takes. */
static void print_exits(const struct vm *vm)
{
    char line[EXITS_WIDTH];
    int used = 0;
    for (uint32_t reason = 0; reason < EXIT_REASONS; reason++) {
        if (vm->exits[reason] == 0)
            continue;
        used += snprintf(line + used, sizeof line - (size_t)used, "%s%s %llu", used ? ", " : "",
                         vmx_exit_name(reason), (unsigned long long)vm->exits[reason]);
        if (used > EXITS_WIDTH - 48) {
            log_info("    %s", line);
            used = 0;
        }
    }
    if (used)
        log_info("    %s", line);
}

void summary_print(void)
{
    const struct vm *vm;
    uint32_t count = 0, good = 0;
    log_info("%-20s %-18s %12s %12s", "guest", "ended by", "run time", "exits");
    STAILQ_FOREACH(vm, &vms, link) {
        char ended[32];
        how_it_ended(vm, ended, sizeof ended);
        log_info("%-20s %-18s %9llu us %12llu", vm->config.name, ended,
                 (unsigned long long)(time_ticks_to_ns(vm->run_ticks) / 1000),
                 (unsigned long long)total_exits(vm));
        print_exits(vm);
        count++;
        good += !vm->refused && vm->stop_reason == STOP_GUEST_EXIT && vm->status == 0;
    }
    log_info("all guests ended: %u of %u with status 0", good, count);
}
