/* SPDX-License-Identifier: MIT */
/* Which event goes into the guest at the next entry, and which window is to be opened for the one
 * that must wait (SDM 26.3.1.5, 26.5, 26.6; windows: 25.2). Pure: tests go over all inputs. */
#ifndef VMX_INJECTION_H
#define VMX_INJECTION_H

#include "kernel/lib/types.h"

struct vmx_injection_input {
    uint64_t event;            /* chosen already (exception, event to be delivered anew): entry-
                                  interruption information, error code << 32; 0: none */
    uint32_t interruptibility; /* as the VMCS has it */
    bool interrupts_on;        /* RFLAGS.IF */
    bool nmi;                  /* an NMI waits */
    int vector;                /* of the interrupt that waits, by priority; -1: none */
};

struct vmx_injection {
    uint64_t event;            /* to inject; 0: none */
    uint32_t interruptibility; /* to write back where it differs: an NMI that is delivered anew must
                                  not find itself blocked (26.3.1.5) */
    bool nmi_taken, interrupt_taken; /* what waited is in `event` */
    bool nmi_window, interrupt_window; /* what waits still: exit as soon as it can be delivered. An
                                          NMI behind STI alone opens the interrupt window */
};

/* What is chosen already comes first, then an NMI, then an interrupt. */
struct vmx_injection vmx_injection_choose(const struct vmx_injection_input *input);

#endif
