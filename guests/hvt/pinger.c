/* SPDX-License-Identifier: MIT */
/* What guests/pinger has as an hvt guest. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES(HVT_NET("net"));
