/* SPDX-License-Identifier: MIT */
/* The boot story: from the boot loader's hand-over to the last guest's end. */
#include <string.h>

#include "drivers/serial/uart16550.h"
#include "kernel/acpi.h"
#include "kernel/boot_info.h"
#include "kernel/cpu/apic.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/power.h"
#include "kernel/cpu/smp.h"
#include "kernel/cpu/time.h"
#include "kernel/lib/x86.h"
#include "kernel/log.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/memory.h"
#include "kernel/mm/paging.h"
#include "kernel/mm/phys.h"
#include "kernel/mm/secret.h"
#include "kernel/monitor/monitor.h"
#include "kernel/monitor/terminal.h"
#include "kernel/monitor/trace_end.h"
#include "kernel/options.h"
#include "kernel/panic.h"
#include "kernel/screen/screen.h"
#include "kernel/vm/console.h"
#include "kernel/vm/cores.h"
#include "kernel/vm/exit_log.h"
#include "kernel/vm/exits.h"
#include "kernel/vm/faults.h"
#include "kernel/vm/frame_audit.h"
#include "kernel/vm/guests.h"
#include "kernel/vm/sched.h"
#include "kernel/vm/signals.h"
#include "kernel/vm/summary.h"
#include "kernel/vm/trace.h"

#define ERROR_MAX 200
#define LOG_ORDER 6 /* 256 KiB */
_Static_assert(ERROR_MAX >= VMX_ERROR_MAX && ERROR_MAX >= MEMORY_ERROR_MAX, "any error fits");

void kernel_main(uint32_t magic, uint32_t information);

extern char image_start[], image_end[]; /* physical: kernel.ld */

static struct boot_info boot_info;
static struct options options;
static struct acpi_info acpi;

/* The end of everything, once the log is out: what the user asked for, else `otherwise`. */
static _Noreturn void end(enum onidle otherwise)
{
    enum onidle wanted = options.onidle == ONIDLE_DEFAULT ? otherwise : options.onidle;
    log_flush();
    if (wanted == ONIDLE_POWEROFF)
        power_off();
    if (wanted == ONIDLE_REBOOT)
        power_reboot();
    halt_forever();
}

static void end_panic(void)
{
    end(ONIDLE_HALT);
}

/* The machine cannot run guests. Not a bug: one line that says why. */
static _Noreturn void refuse(const char *reason)
{
    log_info("refused: %s", reason);
    end(ONIDLE_HALT);
}

/* The boot loader's information lies in memory that is to be handed out: work on a copy. */
static const char *read_boot_info(uint32_t magic, uint32_t address)
{
    static char copy[BOOT_INFO_MAX_SIZE] __attribute__((aligned(8)));
    static char error[BOOT_ERROR_MAX];
    if (magic != MULTIBOOT2_BOOTLOADER_MAGIC)
        return "not started by a multiboot2 boot loader";
    const struct boot_range image = {(uint64_t)image_start, (uint64_t)image_end};
    const void *information = phys_to_virt(HPA(address));
    uint32_t size;
    memcpy(&size, information, sizeof size);
    if (size > sizeof copy || (uint64_t)address + size > 4 * GIB)
        return "the multiboot2 information is larger than 256 KiB";
    memcpy(copy, information, size);
    return boot_info_parse(copy, sizeof copy, image, &boot_info, error) ? error : NULL;
}

static void report_option(const char *message)
{
    log_info("%s", message);
}

static struct uart serial;

static size_t serial_put(const char *bytes, size_t size)
{
    return uart_put(&serial, bytes, size);
}

static void serial_flush(void)
{
    uart_flush(&serial);
}

static bool serial_get(uint8_t *byte)
{
    return uart_get(&serial, byte);
}

/* The serial port first: whoever is refused wants to read why. */
static void start_log(void)
{
    static const struct terminal_line line = {serial_put, serial_flush, serial_get};
    options_parse(boot_info.command_line ? boot_info.command_line : "", &options, report_option);
    if (uart_init(&serial, options.com_port, options.com_baud) == 0) {
        terminal_init(&line);
        log_add_sink(&terminal_sink);
    }
    log_info("Atoll " ATOLL_VERSION ", %s", boot_info.boot_loader ? boot_info.boot_loader : "");
}

static void enlarge_log(void)
{
    hpa_t ring;
    if (frame_alloc(LOG_ORDER, &ring) == 0)
        log_use_ring(phys_to_virt(ring), PAGE_SIZE << LOG_ORDER);
}

static void read_acpi(void)
{
    static char error[ACPI_ERROR_MAX];
    if (acpi_parse(boot_info.rsdp, boot_info.rsdp_size, paging_map_readable, &acpi, error)) {
        log_info("ACPI: %s; one core only", error);
        acpi.cpu_count = 0;
    }
    power_init(&acpi);
}

static const char *start_time(uint64_t boot)
{
    const char *how = time_init(options.tsc_hz, acpi.pm_timer_port);
    if (!how)
        return "the frequency of the TSC cannot be found; give it by the option tsc=MHZ";
    log_set_clock(time_tsc_hz(), boot);
    bool clock = time_read_rtc();
    log_info("TSC at %llu.%03llu MHz, %s%s", (unsigned long long)(time_tsc_hz() / 1000000),
             (unsigned long long)(time_tsc_hz() / 1000 % 1000), how,
             clock ? "" : "; no real-time clock");
    apic_timer_calibrate(time_tsc_hz());
    return NULL;
}

static const char *start_apic(void)
{
    if (apic_setup(acpi.local_apic_address))
        return "the processor has no local APIC";
    apic_enable();
    this_cpu()->apic_id = apic_id();
    return NULL;
}

/* A host bug on purpose: what a panic says must be seen to work. */
static void selftest(void)
{
    switch (options.selftest) {
    case SELFTEST_NONE:
        return;
    case SELFTEST_PANIC:
        panic("selftest=panic");
    case SELFTEST_EXCEPTION:
        *(volatile char *)(uintptr_t)kernel_main = 0; /* text is not writable */
        return;
    case SELFTEST_STACK:
        __asm__ volatile("1: pushq %rax; jmp 1b"); /* the guard page below ends it */
        return;
    case SELFTEST_FAULTS:
        faults_enable();
        __attribute__((fallthrough));
    case SELFTEST_HOSTILE:
        if (!frame_audit_init())
            refuse("no memory for the audit of frames");
        secret_plant();
        return;
    }
}

void kernel_main(uint32_t magic, uint32_t information)
{
    static char error[ERROR_MAX];
    hpa_t low_page;
    const char *reason;
    uint64_t boot = rdtsc();

    cpu_init_boot();
    reason = read_boot_info(magic, information);
    start_log();
    if (reason)
        refuse(reason);
    const struct boot_range image = {(uint64_t)image_start, (uint64_t)image_end};
    if (memory_init(&boot_info, image, &low_page, error))
        refuse(error);
    if (cpu_stacks(this_cpu(), false))
        refuse("no memory for the boot processor's stacks");
    cpu_protect();
    enlarge_log();
    if (screen_init(&boot_info, !serial.base))
        log_add_sink(&screen_sink);
    read_acpi();
    panic_set_hooks(smp_stop_others, end_panic);
    if ((reason = start_apic()) || (reason = start_time(boot)))
        refuse(reason);
    cores_start(&acpi, &options, low_page);
    selftest();
    vmx_use_apicv(options.apicv);
    if (options.tour)
        cores_tour();
    if (cores_enable_vmx(error))
        refuse(error);
    if (cores_prepare(&options))
        refuse("no memory for the run queues");
    if (options.shuffle)
        sched_shuffle();
    cpuid_init();
    exit_log_init(&options);
    console_set_rate(options.console_rate);
    if (trace_init(options.trace != TRACE_OFF))
        log_info("no memory for the trace");
    if (serial.base)
        monitor_start(&options);
    if (options.tour)
        signals_enable();
    guests_create(&boot_info);
    frame_audit();
    cores_run();
    frame_audit();
    if (options.selftest >= SELFTEST_HOSTILE) {
        guests_recount();
        frame_audit_summary();
    }
    log_flush(); /* room for the summary, however much the guests have said */
    trace_dump_at_end(&options); /* before the last word: whoever reads that may switch off */
    summary_print();
    end(ONIDLE_POWEROFF);
}
