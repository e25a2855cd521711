/* SPDX-License-Identifier: MIT */
/* From a vector to its handler, and EOI behind it (SDM Vol. 3A 10.8.5). */
#include "guests/lib/guest.h"

#include "guests/lib/vcpu.h"

#define VECTORS 256

static void (*_Atomic handlers[VECTORS])(unsigned vector);

void interrupt_handler_set(unsigned vector, void (*handler)(unsigned vector))
{
    if (vector >= APIC_VECTOR_FIRST && vector < VECTORS)
        atomic_store(&handlers[vector], handler);
}

bool interrupt_dispatch(unsigned vector)
{
    if (vector < APIC_VECTOR_FIRST)
        return false;
    if (vector == APIC_SPURIOUS_VECTOR)
        return true; /* it is not in service: no EOI (SDM 10.9) */
    void (*handler)(unsigned) = atomic_load(&handlers[vector]);
    if (!handler)
        return false;
    handler(vector);
    apic_end_of_interrupt();
    return true;
}
