/* SPDX-License-Identifier: MIT */
/* INVEPT and INVVPID in the kinds that the processor has (SDM 28.3.3, 30.3). */
#include "vmx/invalidate.h"

#include "kernel/panic.h"
#include "vmx/processor.h"

#define EPTP_WALK_4    (3ull << 3)
#define INVEPT_SINGLE  1
#define INVEPT_ALL     2
#define INVVPID_SINGLE 1
#define INVVPID_ALL    2

uint64_t vmx_ept_pointer(const struct ept *ept)
{
    return ept->root.value | EPTP_WALK_4 | EPT_WB;
}

static void invept(uint64_t type, uint64_t eptp)
{
    const uint64_t descriptor[2] = {eptp, 0};
    bool failed;
    __asm__ volatile("invept %1, %2" : "=@ccbe"(failed) : "m"(descriptor), "r"(type) : "memory");
    if (failed)
        panic("INVEPT type %llu of 0x%llx failed", (unsigned long long)type,
              (unsigned long long)eptp);
}

static void invvpid(uint64_t type, uint16_t vpid)
{
    const uint64_t descriptor[2] = {vpid, 0};
    bool failed;
    __asm__ volatile("invvpid %1, %2" : "=@ccbe"(failed) : "m"(descriptor), "r"(type) : "memory");
    if (failed)
        panic("INVVPID type %llu of VPID %u failed", (unsigned long long)type, vpid);
}

void vmx_flush(struct vmx_vcpu *v)
{
    const struct vmx_features *f = &vmx_common_features;
    v->flush = false;
    if (f->invept_single)
        invept(INVEPT_SINGLE, vmx_ept_pointer(v->ept));
    else if (f->invept_all)
        invept(INVEPT_ALL, 0);
    if (v->vpid && f->invvpid_single)
        invvpid(INVVPID_SINGLE, v->vpid);
    else if (v->vpid && f->invvpid_all)
        invvpid(INVVPID_ALL, 0);
}
