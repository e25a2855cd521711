/* SPDX-License-Identifier: MIT */
/* Which event the next entry injects: chosen already, then NMI, then interrupt. What waits on opens
 * its window. */
#include "vmx/injection.h"

#include "vmx/vmcs_fields.h"
#include "vmx/vmx.h"

#define SHADOW    (BLOCKING_STI | BLOCKING_MOV_SS)
#define INFO_NMI  (INFO_VALID | EVENT_NMI << INFO_TYPE_SHIFT | 2)
#define INFO_INTR (INFO_VALID | EVENT_EXTERNAL_INTERRUPT << INFO_TYPE_SHIFT)

/* What must not be set with an event that is delivered anew (SDM 26.3.1.5). An interrupt or NMI in
 * delivery had found no shadow: one that is set is left over from an instruction that was carried
 * out for the guest. An NMI in delivery has set blocking by NMI already, which the entry that
 * injects it sets again. */
static uint32_t forbidden(uint64_t event)
{
    switch (INFO_TYPE(event)) {
    case EVENT_EXTERNAL_INTERRUPT:
        return SHADOW;
    case EVENT_NMI:
        return SHADOW | BLOCKING_NMI;
    default:
        return 0;
    }
}

/* Some processors refuse to inject an NMI in the shadow of STI, so that it waits there, too. But
 * some open the NMI window there, and the exit would come again and again. The shadow lasts one
 * instruction and has RFLAGS.IF set: behind it is an interrupt window. Should that instruction
 * clear IF, the NMI waits for the next exit. */
static bool waits_for_sti(const struct vmx_injection_input *input)
{
    return !input->event && (input->interruptibility & (SHADOW | BLOCKING_NMI)) == BLOCKING_STI;
}

struct vmx_injection vmx_injection_choose(const struct vmx_injection_input *input)
{
    uint32_t blocking = input->interruptibility;
    struct vmx_injection r = {.event = input->event, .interruptibility = blocking};
    if (input->event) {
        r.interruptibility &= ~forbidden(input->event);
    } else if (input->nmi && !(blocking & (SHADOW | BLOCKING_NMI))) {
        r.event = INFO_NMI;
        r.nmi_taken = true;
    } else if (input->vector >= 0 && input->interrupts_on && !(blocking & SHADOW)) {
        r.event = INFO_INTR | ((unsigned)input->vector & INFO_VECTOR);
        r.interrupt_taken = true;
    }
    bool nmi_waits = input->nmi && !r.nmi_taken;
    r.nmi_window = nmi_waits && !waits_for_sti(input);
    r.interrupt_window = (input->vector >= 0 && !r.interrupt_taken) || (nmi_waits && !r.nmi_window);
    return r;
}
