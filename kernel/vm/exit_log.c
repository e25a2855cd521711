/* SPDX-License-Identifier: MIT */
/* The exit log: which reasons are wanted, and what a line says. */
#include "kernel/vm/exit_log.h"

#include "kernel/log.h"

bool exit_log_on;
static bool wanted[EXIT_REASONS];

/* Names are compared without regard to case, and to "-", "_" and " " between their words. */
static char fold(char c)
{
    if (c >= 'a' && c <= 'z')
        return (char)(c - 'a' + 'A');
    return c == '_' || c == ' ' ? '-' : c;
}

static bool same_name(const char *a, const char *b)
{
    while (*a && fold(*a) == fold(*b)) {
        a++;
        b++;
    }
    return *a == *b;
}

static bool want(const char *name)
{
    bool found = false;
    for (uint32_t reason = 0; reason < EXIT_REASONS; reason++)
        if (same_name(name, vmx_exit_name(reason)))
            found = wanted[reason] = true;
    return found;
}

void exit_log_init(const struct options *options)
{
    exit_log_on = options->log_exits;
    for (uint32_t reason = 0; reason < EXIT_REASONS; reason++)
        wanted[reason] = options->log_name_count == 0;
    for (uint32_t i = 0; i < options->log_name_count; i++)
        if (!want(options->log_names[i]))
            log_info("option log=exits: no exit reason is called \"%s\"", options->log_names[i]);
}

bool exit_log_wants(uint32_t reason)
{
    return reason >= EXIT_REASONS || wanted[reason];
}

static const char *action_text(enum exit_action action)
{
    static const char *const texts[] = {
        [ACTION_RESUME] = "resume",      [ACTION_UD] = "inject #UD",
        [ACTION_GP] = "inject #GP(0)",   [ACTION_REFLECT] = "reflect to the guest",
        [ACTION_SLEEP] = "sleep",        [ACTION_YIELD] = "yield",
        [ACTION_HOST] = "the host's own, resume", [ACTION_STOP] = "stop",
    };
    return texts[action];
}

void exit_log_line(const struct vcpu *vcpu, const struct vm_exit *exit,
                   const uint64_t gpr[VMX_REGISTERS], enum exit_action action, uint64_t ticks)
{
    char decoded[LOG_LINE_MAX];
    int length = vmx_exit_describe(decoded, sizeof decoded, exit, gpr);
    log_line(vcpu->name, "exit %u %s rip=0x%llx%s%s -> %s (%llu ticks)", exit->reason,
             vmx_exit_name(exit->reason), (unsigned long long)exit->rip, length > 0 ? " " : "",
             decoded, action_text(action), (unsigned long long)ticks);
}
