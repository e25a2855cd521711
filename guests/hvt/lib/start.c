/* SPDX-License-Identifier: MIT */
/* What happens before and after an hvt guest's main, its console, time and devices. */
#include "guests/hvt/lib/guest.h"

#include "guests/hvt/lib/traps.h"

#define NS_PER_MS 1000000ull

_Noreturn void hvt_main(const struct hvt_boot_info *info); /* called by entry.asm */

HVT_NOTE_SECTION("abi")
static const struct {
    struct hvt_note note;
    struct hvt_abi abi;
} abi_note = {
    HVT_NOTE(HVT_NOTE_ABI, sizeof(struct hvt_abi)),
    {HVT_ABI_TARGET, HVT_ABI_VERSION, {0}},
};

static const struct hvt_boot_info *boot_info;

const struct hvt_boot_info *guest_boot_info(void)
{
    return boot_info;
}

const char *guest_command_line(void)
{
    return (const char *)boot_info->command_line;
}

int printf(const char *format, ...)
{
    char text[PRINTF_MAX];
    va_list args;

    va_start(args, format);
    int length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    hvt_puts(text, strlen(text));
    return length;
}

/* A frame that waits to be read ends each POLL at once. */
void sleep_ms(uint64_t ms)
{
    uint64_t now = now_ns(), end = now + ms * NS_PER_MS;

    for (; now < end; now = now_ns())
        hvt_poll(end - now);
}

uint64_t device_handle(const char *name, enum hvt_device_type type)
{
    const struct hvt_manifest *manifest = (const struct hvt_manifest *)boot_info->manifest;

    for (uint32_t i = 1; i < manifest->entries; i++) {
        if (manifest->entry[i].type == type && strcmp(manifest->entry[i].name, name) == 0)
            return i;
    }
    return 0;
}

const struct hvt_manifest_entry *device_info(uint64_t handle)
{
    return &((const struct hvt_manifest *)boot_info->manifest)->entry[handle];
}

_Noreturn void guest_exit(int status)
{
    hvt_halt(status, NULL);
}

_Noreturn void guest_abort(const char *reason)
{
    printf("ABORT: %s\n", reason);
    hvt_halt(HVT_ABORT, NULL);
}

_Noreturn void hvt_main(const struct hvt_boot_info *info)
{
    boot_info = info;
    traps_init();
    clock_start(info->tsc_hz);
    options_init();
    guest_exit(main());
}
