/* SPDX-License-Identifier: MIT */
/* The VM-instruction error numbers (SDM 30.4) by name. */
#ifndef VMX_INSTRUCTION_ERROR_H
#define VMX_INSTRUCTION_ERROR_H

#include <stdint.h>

/* The SDM's words for a VM-instruction error; "reserved" for a number that has none. */
const char *vmx_instruction_error_name(uint32_t number);

#endif
