/* SPDX-License-Identifier: MIT */
/* What vcpu.c needs of events when it takes a vCPU off a processor. */
#ifndef VMX_EVENT_H
#define VMX_EVENT_H

#include "vmx/vmx.h"

/* The vCPU is current: notes whether the handler of an injected NMI has ended. */
void vmx_look_after_nmis(struct vmx_vcpu *vcpu);

#endif
