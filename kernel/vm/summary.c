/* SPDX-License-Identifier: MIT */
/* The tables at the end: guest, how it ended, run time, its share of all run time, the hypervisor's
 * memory for it, exits by reason; then, where there are any, the ports of switches. */
#include "kernel/vm/summary.h"

#include "kernel/cpu/time.h"
#include "kernel/lib/format.h"
#include "kernel/log.h"
#include "kernel/vm/switch.h"
#include "kernel/vm/vm.h"

#define EXITS_WIDTH 120

static uint64_t total_exits(const struct vm *vm)
{
    uint64_t total = 0;
    for (uint32_t reason = 0; reason < STAT_REASONS; reason++)
        total += vm->exits[reason];
    return total;
}

static void how_it_ended(const struct vm *vm, char *text, size_t size)
{
    if (vm->state == VM_REFUSED)
        snprintf(text, size, "refused");
    else if (vm->last_reason == STOP_GUEST_EXIT)
        snprintf(text, size, "status %u", vm->status);
    else
        snprintf(text, size, "%s", stop_reason_name(vm->last_reason));
}

/* "CPUID 12, VMCALL 40": as many lines as it takes. */
static void print_exits(const struct vm *vm)
{
    char line[EXITS_WIDTH];
    int used = 0;
    for (uint32_t reason = 0; reason < STAT_REASONS; reason++) {
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

static void print_port(const struct port *port)
{
    struct port_view view;
    port_look(port, &view);
    log_info("%-20s %-20s %-16s %10llu %8llu %10llu %8llu", view.vm->config.name, view.device,
             view.switch_name, (unsigned long long)view.received,
             (unsigned long long)view.received_dropped, (unsigned long long)view.sent,
             (unsigned long long)view.sent_dropped);
}

static void print_ports(void)
{
    const struct ethernet_switch *ethernet = switch_after(NULL);
    if (!ethernet)
        return;
    log_info("%-20s %-20s %-16s %10s %8s %10s %8s", "guest", "port", "switch", "received",
             "dropped", "sent", "dropped");
    for (; ethernet; ethernet = switch_after(ethernet)) {
        const struct port *port;
        for (uint32_t number = 0; (port = switch_port(ethernet, number)); number++)
            print_port(port);
    }
}

void summary_print(void)
{
    const struct vm *vm;
    uint32_t count = 0, good = 0;
    uint64_t all_ticks = 0;
    STAILQ_FOREACH(vm, &vms, link)
        all_ticks += vm->run_ticks;
    log_info("%-20s %-18s %12s %12s %7s %6s %7s %6s", "guest", "ended by", "run time", "exits",
             "weight", "share", "starts", "memory");
    STAILQ_FOREACH(vm, &vms, link) {
        char ended[32];
        how_it_ended(vm, ended, sizeof ended);
        uint64_t share = vm->run_ticks * 1000 / MAX(all_ticks, 1);
        log_info("%-20s %-18s %9llu us %12llu %7u %3llu.%llu%% %7u %3llu KiB", vm->config.name,
                 ended, (unsigned long long)(time_ticks_to_ns(vm->run_ticks) / 1000),
                 (unsigned long long)total_exits(vm), vm->config.weight,
                 (unsigned long long)(share / 10), (unsigned long long)(share % 10), vm->starts,
                 (unsigned long long)vm->overhead);
        print_exits(vm);
        count++;
        good += vm->state != VM_REFUSED && vm->last_reason == STOP_GUEST_EXIT && vm->status == 0;
    }
    print_ports();
    log_info("all guests ended: %u of %u with status 0", good, count);
}
