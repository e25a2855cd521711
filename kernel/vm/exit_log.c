/* SPDX-License-Identifier: MIT */
/* The exit log: which reasons are wanted, and what a line says. */
#include "kernel/vm/exit_log.h"

#include <linux/errno.h>
#include <stdatomic.h>
#include <string.h>

#include "kernel/log.h"
#include "kernel/vm/trace.h"

/* Written by the operator while all cores read: relaxed, a line more or less is no harm. */
static _Atomic bool wanted[EXIT_REASONS];

/* Names are compared without regard to case, and to "-", "_" and " " between their words. */
static char fold(char c)
{
    if (c >= 'a' && c <= 'z')
        return (char)(c - 'a' + 'A');
    return c == '_' || c == ' ' ? '-' : c;
}

static bool same_name(struct text name, const char *reason)
{
    size_t i = 0;
    while (i < name.length && reason[i] && fold(name.bytes[i]) == fold(reason[i]))
        i++;
    return i == name.length && reason[i] == '\0';
}

/* The numbers that the SDM does not define share a name. */
static bool find(struct text name, bool found[EXIT_REASONS])
{
    bool any = false;
    for (uint32_t reason = 0; reason < EXIT_REASONS; reason++)
        if (same_name(name, vmx_exit_name(reason)))
            any = found[reason] = true;
    return any;
}

static void set(const bool which[EXIT_REASONS])
{
    for (uint32_t reason = 0; reason < EXIT_REASONS; reason++)
        atomic_store_explicit(&wanted[reason], which[reason], memory_order_relaxed);
}

/* Bits of exits_watched have several writers. */
static void watch(bool on)
{
    if (on)
        __atomic_fetch_or(&exits_watched, WATCH_LOG, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&exits_watched, ~WATCH_LOG, __ATOMIC_RELAXED);
}

void exit_log_init(const struct options *options)
{
    bool found[EXIT_REASONS] = {false};
    for (uint32_t i = 0; i < options->log_name_count; i++) {
        const char *name = options->log_names[i];
        if (!find((struct text){name, strlen(name)}, found))
            log_info("option log=exits: no exit reason is called \"%s\"", name);
    }
    if (options->log_name_count)
        set(found);
    else
        exit_log_all();
    watch(options->log_exits);
}

void exit_log_all(void)
{
    bool all[EXIT_REASONS];
    memset(all, true, sizeof all);
    set(all);
    watch(true);
}

void exit_log_off(void)
{
    watch(false);
}

int exit_log_only(const char *names, struct text *unknown)
{
    bool found[EXIT_REASONS] = {false};
    struct text rest = {names, strlen(names)};
    while (rest.bytes) {
        *unknown = text_cut(&rest, ',');
        if (!find(*unknown, found))
            return -EINVAL;
    }
    set(found);
    watch(true);
    return 0;
}

bool exit_log_is_on(void)
{
    return exits_watched & WATCH_LOG;
}

bool exit_log_wants(uint32_t reason)
{
    return reason >= EXIT_REASONS ||
           atomic_load_explicit(&wanted[reason], memory_order_relaxed);
}

static const char *action_text(enum exit_action action)
{
    static const char *const texts[] = {
        [ACTION_RESUME] = "resume",      [ACTION_UD] = "inject #UD",
        [ACTION_GP] = "inject #GP(0)",   [ACTION_REFLECT] = "reflect to the guest",
        [ACTION_RETRY] = "again",
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
