/* SPDX-License-Identifier: MIT */
/* Any changes to a VMCS that a processor enters (those of the unit test, which is included): the
 * audit ends, each finding is one whole line that names its section and a field, as many are
 * counted as are reported, and what passes obeys some rules that are written out here again. An
 * input is which VMCS, then changes: a field, a way, a value. */
#define main unit_test
#include "tests/unit/test_audit.c"
#undef main

#include "tests/fuzz/input.h"

static make_fn *const makers[] = {long_mode, real_mode, paged, v86, pae};
static unsigned reports;

static void check_report(const char *section, const char *message, void *context)
{
    bool named = false;

    (void)context;
    reports++;
    require(strncmp(section, "26.", 3) == 0, "no section of VM entry");
    require_line(message, 200);
    require(strlen(message) < 199, "a line that was cut");
    for (unsigned i = 0; i < VMCS_FIELDS && !named; i++)
        named = strncmp(message, vmcs_fields[i].name, strlen(vmcs_fields[i].name)) == 0;
    require(named, "no field is named");
}

static void change(struct vmcs_image *image, struct input *input)
{
    uint64_t *value = &image->value[draw(input, 1) % VMCS_FIELDS];
    uint8_t how = (uint8_t)draw(input, 1);

    if (how & 0x80)
        *value ^= 1ull << (how & 63);
    else if (how & 0x40)
        *value = draw(input, 8);
    else
        *value += draw(input, 1) - 128;
}

static bool is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static void check_passed(const struct vmcs_image *image)
{
    const uint64_t *value = image->value;
    bool long_guest = value[INDEX_ENTRY_CONTROLS] & ENTRYC_IA32E_GUEST;
    uint64_t cr0 = value[INDEX_GUEST_CR0], cr4 = value[INDEX_GUEST_CR4];
    uint64_t rflags = value[INDEX_GUEST_RFLAGS];

    require(value[INDEX_HOST_TR_SELECTOR] && value[INDEX_HOST_CS_SELECTOR] &&
                !(value[INDEX_HOST_TR_SELECTOR] & 7) && !(value[INDEX_HOST_CS_SELECTOR] & 7),
            "passed: the host's selectors");
    require(is_canonical(value[INDEX_HOST_GS_BASE]) && is_canonical(value[INDEX_HOST_RIP]),
            "passed: the host's addresses");
    require(cr4 & CR4_VMXE && (!(cr0 & CR0_PG) || cr0 & CR0_PE), "passed: CR0 and CR4");
    require(!long_guest || (cr0 & CR0_PG && cr4 & CR4_PAE), "passed: IA-32e mode without paging");
    require((rflags & (RFLAGS_FIXED | RFLAGS_VM)) == RFLAGS_FIXED || !long_guest,
            "passed: RFLAGS");
    require(!(rflags >> 22) && rflags & RFLAGS_FIXED, "passed: reserved bits of RFLAGS");
    require(long_guest ? is_canonical(value[INDEX_GUEST_RIP]) : !(value[INDEX_GUEST_RIP] >> 32) ||
                value[INDEX_GUEST_CS_ACCESS] & ACCESS_L,
            "passed: RIP");
    require(value[INDEX_GUEST_ACTIVITY] <= 3 && (value[INDEX_VMCS_LINK_POINTER] == UINT64_MAX ||
                                                 value[INDEX_VMCS_LINK_POINTER] % PAGE_SIZE == 0),
            "passed: activity or link pointer");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct vmx_capabilities capabilities = model;
    uint8_t which = (uint8_t)draw(&input, 1);
    struct vmcs_image image = makers[which % ARRAY_SIZE(makers)]();

    reports = 0;
    require(vmx_audit_image(&image, &capabilities, check_report, NULL) == 0, "a good one");
    if (which & 0x80)
        for (unsigned word = 0; word < VMX_CONTROL_WORDS; word++)
            capabilities.controls[word] = draw(&input, 8);
    while (input.left > 0)
        change(&image, &input);
    unsigned broken = vmx_audit_image(&image, &capabilities, check_report, NULL);
    require(broken == reports, "findings that were not reported");
    if (broken == 0)
        check_passed(&image);
    return 0;
}
