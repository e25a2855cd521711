/* SPDX-License-Identifier: MIT */
/* A fault of memory in a VMCS, for self tests: what a VM entry, or Atoll, makes of it. */
#include "vmx/vmcs.h"

const char *vmx_flip(uint16_t encoding, unsigned bit)
{
    for (unsigned i = 0; i < VMCS_FIELDS; i++) {
        if (vmcs_fields[i].encoding != encoding)
            continue;
        vmcs_raw_write(encoding, vmcs_raw_read(encoding) ^ BIT(bit));
        return vmcs_fields[i].name;
    }
    return NULL;
}
