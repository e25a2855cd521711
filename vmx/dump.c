/* SPDX-License-Identifier: MIT */
/* A guest's state in readable lines, and the auditor run over a VMCS that was refused. */
#include "kernel/lib/spinlock.h"
#include "kernel/log.h"
#include "vmx/audit.h"
#include "vmx/processor.h"
#include "vmx/vmcs.h"

typedef unsigned long long ull;

void vmx_dump_guest(const struct vmx_vcpu *v, const char *subject)
{
    const uint64_t *r = v->gpr;
    log_line(subject, "  rax=%016llx rbx=%016llx rcx=%016llx rdx=%016llx", (ull)r[VMX_RAX],
             (ull)r[VMX_RBX], (ull)r[VMX_RCX], (ull)r[VMX_RDX]);
    log_line(subject, "  rsi=%016llx rdi=%016llx rbp=%016llx rsp=%016llx", (ull)r[VMX_RSI],
             (ull)r[VMX_RDI], (ull)r[VMX_RBP], (ull)vmx_rsp(v));
    log_line(subject, "  r8 =%016llx r9 =%016llx r10=%016llx r11=%016llx", (ull)r[VMX_R8],
             (ull)r[VMX_R9], (ull)r[VMX_R10], (ull)r[VMX_R11]);
    log_line(subject, "  r12=%016llx r13=%016llx r14=%016llx r15=%016llx", (ull)r[VMX_R12],
             (ull)r[VMX_R13], (ull)r[VMX_R14], (ull)r[VMX_R15]);
    log_line(subject, "  cr0=%llx cr3=%llx cr4=%llx efer=%llx rflags=%llx cs=%x ss=%x cpl=%u",
             (ull)vmcs_readn(VMCS_GUEST_CR0), (ull)vmcs_readn(VMCS_GUEST_CR3),
             (ull)vmcs_readn(VMCS_GUEST_CR4), (ull)vmcs_read64(VMCS_GUEST_EFER),
             (ull)vmx_rflags(v), vmcs_read16(VMCS_GUEST_CS_SELECTOR),
             vmcs_read16(VMCS_GUEST_SS_SELECTOR), vmx_cpl(v));
}

static void report_rule(const char *section, const char *message, void *context)
{
    log_line(context, "  audit: SDM %s: %s", section, message);
}

void vmx_audit(const struct vmx_vcpu *v, const char *subject)
{
    static struct vmcs_image image; /* too large for a stack */
    static struct spinlock lock;
    (void)v;
    spin_lock(&lock);
    vmcs_capture(&image);
    unsigned broken = vmx_audit_image(&image, &vmx_common, report_rule, (void *)subject);
    spin_unlock(&lock);
    log_line(subject, "  audit: %u rule%s of SDM 26.2 and 26.3 broken", broken,
             broken == 1 ? "" : "s");
}
