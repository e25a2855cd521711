/* SPDX-License-Identifier: MIT */
/* The auditor's frame: the order in which a VM entry checks a VMCS (SDM 26.2, 26.3) and the shapes
 * of rule that the sections share. */
#include "vmx/audit_rules.h"

#include "kernel/lib/format.h"
#include "kernel/lib/x86_bits.h"

#define MESSAGE_MAX 200

unsigned vmx_audit_image(const struct vmcs_image *image,
                         const struct vmx_capabilities *capabilities,
                         vmx_audit_report_fn *report, void *context)
{
    struct audit audit = {
        .image = image, .capabilities = capabilities, .report = report, .context = context,
    };

    audit_controls(&audit);
    audit_host(&audit);
    audit_guest(&audit);
    audit_guest_segments(&audit);
    return audit.broken;
}

/* ---- Controls -------------------------------------------------------------------------------- */

bool audit_pin(const struct audit *audit, enum vmx_pin bit)
{
    return audit_value(audit, INDEX_PIN_CONTROLS) & bit;
}

bool audit_processor(const struct audit *audit, enum vmx_processor bit)
{
    return audit_value(audit, INDEX_PROCESSOR_CONTROLS) & bit;
}

bool audit_secondary(const struct audit *audit, enum vmx_secondary bit)
{
    return audit_processor(audit, PROC_SECONDARY_CONTROLS) &&
           (audit_value(audit, INDEX_SECONDARY_CONTROLS) & bit);
}

bool audit_exit(const struct audit *audit, enum vmx_exit_control bit)
{
    return audit_value(audit, INDEX_EXIT_CONTROLS) & bit;
}

bool audit_entry(const struct audit *audit, enum vmx_entry_control bit)
{
    return audit_value(audit, INDEX_ENTRY_CONTROLS) & bit;
}

/* ---- Shapes of rules ------------------------------------------------------------------------- */

void audit_rule(struct audit *audit, const char *section, enum vmcs_index field, bool holds,
                const char *expected)
{
    char message[MESSAGE_MAX];

    if (holds)
        return;
    audit->broken++;
    snprintf(message, sizeof message, "%s = 0x%lx: %s", vmcs_fields[field].name,
             audit_value(audit, field), expected);
    audit->report(section, message, audit->context);
}

/* `word` gives the bits their names; VMX_CONTROL_WORDS: they have none. */
static void fixed_bits(struct audit *audit, const char *section, enum vmcs_index field,
                       uint64_t must_be_1, uint64_t may_be_1, enum vmx_control_word word)
{
    uint64_t value = audit_value(audit, field);

    for (unsigned bit = 0; bit < 64; bit++) {
        bool set = value & BIT(bit);
        bool missing = !set && (must_be_1 & BIT(bit));
        bool excess = set && !(may_be_1 & BIT(bit));
        const char *name = vmx_control_name(word, bit);
        char expected[96];

        if (!missing && !excess)
            continue;
        snprintf(expected, sizeof expected, "bit %u%s%s%s must be %u", bit, name ? " (" : "",
                 name ? name : "", name ? ")" : "", missing);
        audit_rule(audit, section, field, false, expected);
    }
}

void audit_fixed_bits(struct audit *audit, const char *section, enum vmcs_index field,
                      uint64_t must_be_1, uint64_t may_be_1)
{
    fixed_bits(audit, section, field, must_be_1, may_be_1, VMX_CONTROL_WORDS);
}

void audit_control_word(struct audit *audit, const char *section, enum vmcs_index field,
                        enum vmx_control_word word)
{
    uint64_t allowed = audit->capabilities->controls[word];

    fixed_bits(audit, section, field, (uint32_t)allowed, allowed >> 32, word);
}

/* Bits that a physical address may have. */
static uint64_t physical_mask(const struct audit *audit)
{
    return BIT(audit->capabilities->physical_address_bits) - 1;
}

/* The same for the structures that VMX itself reads (IA32_VMX_BASIC bit 48). */
static uint64_t structure_mask(const struct audit *audit)
{
    uint64_t mask = physical_mask(audit);
    return (audit->capabilities->basic & BASIC_32BIT_ADDRESSES) ? mask & UINT32_MAX : mask;
}

void audit_physical_width(struct audit *audit, const char *section, enum vmcs_index field)
{
    audit_rule(audit, section, field, !(audit_value(audit, field) & ~physical_mask(audit)),
               "no bits beyond the physical-address width");
}

void audit_address(struct audit *audit, const char *section, enum vmcs_index field,
                   uint64_t alignment)
{
    uint64_t address = audit_value(audit, field);
    char expected[64];

    snprintf(expected, sizeof expected, "must be aligned to %lu bytes", alignment);
    audit_rule(audit, section, field, IS_ALIGNED(address, alignment), expected);
    audit_rule(audit, section, field, !(address & ~structure_mask(audit)),
               "no bits beyond the physical-address width");
}

void audit_msr_area(struct audit *audit, const char *section, enum vmcs_index address,
                    enum vmcs_index count)
{
    const uint64_t entry_size = 16; /* 24.7.2 */
    uint64_t size = audit_value(audit, count) * entry_size;
    uint64_t mask = structure_mask(audit);

    if (size == 0)
        return;
    audit_address(audit, section, address, entry_size);
    if (audit_value(audit, address) <= mask) /* else it is reported already */
        audit_rule(audit, section, count, size - 1 <= mask - audit_value(audit, address),
                   "the area must end within the physical-address width");
}

/* Bits 63:N-1 are the same, N being the linear-address width: 57 where CR4.LA57 may be set. */
bool audit_is_canonical(const struct audit *audit, uint64_t address)
{
    unsigned width = (audit->capabilities->cr4_fixed1 & CR4_LA57) ? 57 : 48;
    uint64_t top = address >> (width - 1);

    return top == 0 || top == UINT64_MAX >> (width - 1);
}

void audit_canonical(struct audit *audit, const char *section, enum vmcs_index field)
{
    audit_rule(audit, section, field, audit_is_canonical(audit, audit_value(audit, field)),
               "must be a canonical address");
}

/* Memory types of IA32_PAT: UC, WC, WT, WP, WB, UC- (SDM Vol. 3A, 11.12.2). */
void audit_pat(struct audit *audit, const char *section, enum vmcs_index field)
{
    static const bool valid[8] = {[0] = true, [1] = true, [4] = true,
                                  [5] = true, [6] = true, [7] = true};
    uint64_t pat = audit_value(audit, field);
    bool holds = true;

    for (unsigned shift = 0; shift < 64; shift += 8) {
        unsigned type = pat >> shift & 0xff;
        holds = holds && type < ARRAY_SIZE(valid) && valid[type];
    }
    audit_rule(audit, section, field, holds, "each byte must be 0, 1, 4, 5, 6 or 7");
}
