/* SPDX-License-Identifier: MIT */
/* Power-off by ACPI S5 (ACPI 6.4, 4.8.3.2) and reset by the ACPI reset register, the chipset, the
 * keyboard controller, and a triple fault. */
#include "kernel/cpu/power.h"

#include <string.h>

#include "kernel/cpu/time.h"
#include "kernel/lib/x86.h"

#define PM1_SLEEP_TYPE_SHIFT 10
#define PM1_SLEEP_TYPE_MASK  (7u << PM1_SLEEP_TYPE_SHIFT)
#define PM1_SLEEP_ENABLE     (1u << 13)
#define BOCHS_SHUTDOWN_PORT  0x8900
#define SETTLE_US            50000

static struct {
    bool bochs;
    bool has_s5, has_reset;
    uint16_t pm1a, pm1b, reset_port;
    uint8_t type_a, type_b, reset_value;
    bool i8042_absent;
} ways;

void power_init(const struct acpi_info *acpi)
{
    /* Bochs and QEMU share this OEM id; QEMU has nothing at Bochs' port. Real machines have
     * another id, and the port is left alone there. */
    ways.bochs = !strcmp(acpi->oem_id, "BOCHS ") || !strcmp(acpi->oem_id, "BOCHS");
    ways.has_s5 = acpi->has_s5 && acpi->pm1a_control_port;
    ways.pm1a = (uint16_t)acpi->pm1a_control_port;
    ways.pm1b = (uint16_t)acpi->pm1b_control_port;
    ways.type_a = acpi->s5_sleep_type_a;
    ways.type_b = acpi->s5_sleep_type_b;
    ways.has_reset = acpi->has_reset_register;
    ways.reset_port = (uint16_t)acpi->reset_port;
    ways.reset_value = acpi->reset_value;
    ways.i8042_absent = acpi->i8042_absent;
}

static void sleep_s5(uint16_t port, uint8_t type)
{
    uint16_t control = (uint16_t)(inw(port) & ~(PM1_SLEEP_TYPE_MASK | PM1_SLEEP_ENABLE));
    outw(port, (uint16_t)(control | (uint16_t)(type << PM1_SLEEP_TYPE_SHIFT) | PM1_SLEEP_ENABLE));
}

_Noreturn void power_off(void)
{
    if (ways.bochs)
        for (const char *c = "Shutdown"; *c; c++)
            outb(BOCHS_SHUTDOWN_PORT, (uint8_t)*c);
    if (ways.has_s5) {
        sleep_s5(ways.pm1a, ways.type_a);
        if (ways.pm1b)
            sleep_s5(ways.pm1b, ways.type_b);
    }
    halt_forever();
}

_Noreturn void power_reboot(void)
{
    if (ways.has_reset) {
        outb(ways.reset_port, ways.reset_value);
        time_delay_us(SETTLE_US);
    }
    outb(0xcf9, 0x02); /* reset control register: hard reset ... */
    outb(0xcf9, 0x06); /* ... now */
    time_delay_us(SETTLE_US);
    if (!ways.i8042_absent) {
        outb(0x64, 0xfe);
        time_delay_us(SETTLE_US);
    }
    const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) no_idt = {0, 0};
    __asm__ volatile("lidt %0; int3" : : "m"(no_idt));
    halt_forever();
}
