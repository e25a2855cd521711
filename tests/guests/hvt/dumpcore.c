/* SPDX-License-Identifier: MIT */
/* An abort without an exception. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES();

int main(void)
{
    guest_abort("on purpose");
}
