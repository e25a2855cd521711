/* SPDX-License-Identifier: MIT */
/* A guest to talk to: reads lines that are typed at its console, and does what they say.
 * Option: ms=N, how long it waits for the first line (for ever). */
#include "guests/lib/guest.h"

#define LINE_MAX     80
#define TIMER_VECTOR 0x40

static int help(const char *rest);

static int echo(const char *rest)
{
    printf("%s\n", rest);
    return 0;
}

static int tell_time(const char *rest)
{
    int64_t ns = atoll_wall_clock();

    (void)rest;
    if (ns < 0)
        return (int)ns;
    struct date_time t = date_time_utc((uint64_t)ns / 1000000000);
    printf("%04u-%02u-%02u %02u:%02u:%02u UTC, up %lu ms\n", t.year, t.month, t.day, t.hour,
           t.minute, t.second, now_ns() / 1000000);
    return 0;
}

static int tell_cpu(const char *rest)
{
    struct atoll_vm_info info = {0};
    char brand[49] = {0};

    (void)rest;
    if (atoll_vm_info(&info) < 0)
        return -EIO;
    for (uint32_t i = 0; i < 3; i++) {
        struct cpuid r = cpuid(0x80000002u + i, 0);
        memcpy(brand + 16 * i, &r, 16);
    }
    printf("%s\n", brand);
    printf("vCPU %u of %u of VM %u, on core %u; TSC %lu MHz\n", vcpu_index(), info.vcpus, info.vm,
           info.physical_cpu, tsc_hz() / 1000000);
    return 0;
}

static int leave(const char *rest)
{
    unsigned status = 0;

    for (; *rest >= '0' && *rest <= '9' && status <= 255; rest++)
        status = status * 10 + (unsigned)(*rest - '0');
    if (*rest || status > 255)
        return -EINVAL;
    printf("good-bye\n");
    guest_exit((int)status);
}

static const struct command {
    const char *name, *usage, *says;
    int (*run)(const char *rest); /* 0 or a negative errno */
} commands[] = {
    {"help", "", "this list", help},
    {"echo", "TEXT", "says TEXT", echo},
    {"time", "", "the time of day, and since the start", tell_time},
    {"cpu", "", "the processor, and which part of it this is", tell_cpu},
    {"exit", "[N]", "ends this guest with status N, 0 to 255", leave},
};

static int help(const char *rest)
{
    (void)rest;
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        printf("%-4s %-5s %s\n", commands[i].name, commands[i].usage, commands[i].says);
    return 0;
}

/* Cuts the first word off; returns what is behind it. */
static char *cut_word(char *line)
{
    while (*line && *line != ' ')
        line++;
    if (*line)
        *line++ = '\0';
    while (*line == ' ')
        line++;
    return line;
}

static void obey(char *line)
{
    while (*line == ' ')
        line++;
    char *rest = cut_word(line);

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (strcmp(line, commands[i].name) != 0)
            continue;
        int error = commands[i].run(rest);
        if (error)
            printf("%s: error %d; usage: %s %s\n", line, error, line, commands[i].usage);
        return;
    }
    if (*line)
        printf("%s: unknown; help lists what I know\n", line);
}

static void nobody_typed(unsigned vector)
{
    (void)vector;
    printf("\nNobody typed. Good-bye.\n");
    guest_exit(0);
}

int main(void)
{
    struct atoll_vm_info info = {0};
    char line[LINE_MAX];
    uint64_t wait_ms = guest_option_number("ms", 0);

    if (atoll_vm_info(&info) < 0)
        return 1;
    printf("This is %s. Type help.\n", info.name);
    if (wait_ms > 0) {
        interrupt_handler_set(TIMER_VECTOR, nobody_typed);
        apic_timer_deadline(TIMER_VECTOR, rdtsc() + wait_ms * (tsc_hz() / 1000));
    }
    for (;;) {
        printf("%s> ", info.name);
        if (console_read_line(line, sizeof(line)) < 0)
            return 1;
        apic_timer_stop();
        obey(line);
    }
}
