/* SPDX-License-Identifier: MIT */
/* What guests/echo has as an hvt guest on two networks. */
#include "guests/hvt/lib/guest.h"

HVT_DEVICES(HVT_NET("service0"), HVT_NET("service1"));
