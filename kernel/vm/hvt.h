/* SPDX-License-Identifier: MIT */
/* Guests of Solo5's hvt target: how they are loaded and started (hvt_load.c), and what their calls
 * do (hvt_calls.c). include/atoll/hvt.h has the interface, hvt_image.h the images. Such a guest has
 * one vCPU; what is neither a call nor handled by the processor stops it, with status 1 as Solo5's
 * own tender would. */
#ifndef KERNEL_VM_HVT_H
#define KERNEL_VM_HVT_H

#include "kernel/vm/exits.h"
#include "kernel/vm/vm.h"

#define HVT_NO_DEVICE 0xff

/* Builds the memory of a VM, with its devices made, from an image for which hvt_image_is says true;
 * the pool has `extra` frames for the caller. Sets vm->hvt_devices. Returns 0 and the
 * entry, or a negative errno with one line in `error`, and nothing is kept. */
MUST_CHECK int hvt_load(struct vm *vm, uint64_t extra, gpa_t *entry, char error[VMX_ERROR_MAX]);

/* Gives the vCPU the state of the entry. */
void hvt_start(struct vcpu *vcpu, uint64_t entry);

/* An I/O instruction, by its exit qualification: a call, or the guest's end. */
enum exit_action hvt_io(struct vcpu *vcpu, uint64_t qualification);

/* An instruction that such a guest must not execute (HLT, VMCALL) ends it. */
enum exit_action hvt_refuse(struct vcpu *vcpu, const struct vm_exit *exit);

/* Has one of its network devices a frame? From any core. */
bool hvt_ready(const struct vm *vm);

/* The end of a POLL's wait: its results go into the guest's memory. */
void hvt_poll_done(struct vcpu *vcpu);

#endif
