/* SPDX-License-Identifier: MIT */
/* F22: INIT to itself, n= of the ways. Expected: GUEST_RESET, and nobody else's core is reset. */
#include "tests/hostile/hostile.h"

CASE(f22)
{
    farewell();
    switch (variant()) {
    case 0:
        apic_write(APIC_ICR, APIC_ICR_INIT | APIC_ICR_ASSERT | APIC_ICR_TO(apic_id()));
        break;
    case 1:
        apic_write(APIC_ICR, APIC_ICR_INIT | APIC_ICR_ASSERT | APIC_ICR_TO(APIC_BROADCAST));
        break;
    case 2:
        apic_write(APIC_ICR, APIC_ICR_INIT | APIC_ICR_ASSERT | APIC_ICR_ALL);
        break;
    }
    spin_us(100000);
}
