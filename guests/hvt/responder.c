/* SPDX-License-Identifier: MIT */
/* What guests/echo has as an hvt guest. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES(HVT_NET("service0"));
