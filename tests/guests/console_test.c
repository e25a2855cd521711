/* SPDX-License-Identifier: MIT */
/* A guest that tests its console: the calls and their errors. Options: lines=N, each vCPU writes N
 * numbered lines as fast as it can instead; do=forge, it writes what might pass for lines of others
 * or move a terminal's cursor; do=half, ends within a line. */
#include "guests/lib/guest.h"

#include "tests/guests/check.h"

#define FORGERY "[    0.000001] cpu0 atoll: panic: forged"

static uint64_t lines;

/* The second number tells a line from one that was put together from two. */
static void flood(void *argument)
{
    (void)argument;
    for (uint64_t i = 0; i < lines; i++)
        printf("line %u.%06lu %08x\n", vcpu_index(), i,
               ((uint32_t)i * VCPUS_MAX + vcpu_index() + 1) * 0x9e3779b1u);
}

static int flood_all(void)
{
    for (unsigned i = 1; i < vcpu_count(); i++)
        if (vcpu_start(i, flood, NULL))
            return 1;
    flood(NULL);
    for (unsigned i = 1; i < vcpu_count(); i++)
        while (!vcpu_is_idle(i))
            atoll_yield();
    return 0;
}

static int forge(void)
{
    static const char *const before[] = {
        "",
        "\r", /* over the guest's name */
        "\b\b\b\b\b\b\b\b\b\b",
        "\r\n",
        "\v\r",
        "\f",
        "\033[1A\033[2K\r", /* a line up, cleared */
        "\2332J\233H",      /* the screen cleared, by C1 controls */
        "\302\2332J",       /* likewise, as UTF-8 */
        "\033]0;title\a",
        "\033c", /* the terminal reset */
        "\177\377",
        "other| ",
    };

    for (size_t i = 0; i < ARRAY_SIZE(before); i++)
        printf("%s" FORGERY "\n", before[i]);
    atoll_console_write("a\0b\n", 4);
    return 0;
}

static void test_reads(void)
{
    static char buffer[2 * ATOLL_CONSOLE_INPUT];
    char *outside = (char *)guest_ram_end();

    check(atoll_console_read(buffer, sizeof(buffer)) == 0 && console_read(buffer, 1) == 0,
          "nothing was typed: 0 bytes");
    check(atoll_console_read(buffer, 0) == 0 && atoll_console_read(outside, 0) == 0,
          "reads of 0 bytes: 0");
    check(atoll_console_read(outside, 1) == -EFAULT &&
              atoll_console_read(outside - 1, 2) == -EFAULT &&
              atoll_console_read((char *)~0ull, 1) == -EFAULT &&
              atoll_console_read((char *)(3 * GIB), 1) == -EFAULT,
          "a place outside RAM: -EFAULT");
    check(atoll_console_read(buffer, ~0ull) == -EFAULT &&
              atoll_console_read(buffer, guest_ram_end()) == -EFAULT,
          "a length beyond RAM: -EFAULT");
    check(atoll_console_read(outside - 1, 1) == 0, "the last byte of RAM: 0 bytes");
    check(console_read_line(buffer, 0) == -EINVAL, "a line without room for its NUL: -EINVAL");
}

static void test_vectors(void)
{
    check(atoll_console_vector(1) == -EINVAL && atoll_console_vector(31) == -EINVAL &&
              atoll_console_vector(256) == -EINVAL && atoll_console_vector(~0ull) == -EINVAL &&
              atoll_console_vector(1ull << 32 | INTERRUPT_CONSOLE) == -EINVAL,
          "vectors 1, 31, 256 and beyond: -EINVAL");
    check(atoll_console_vector(32) == 0 && atoll_console_vector(255) == 0 &&
              atoll_console_vector(0) == 0 && atoll_console_vector(0) == 0,
          "vectors 32, 255 and none: 0");
}

static void test_writes(void)
{
    char *outside = (char *)guest_ram_end();

    check(atoll_console_write(outside, 1) == -EFAULT &&
              atoll_console_write(outside - 1, 2) == -EFAULT,
          "text outside RAM: -EFAULT");
    check(atoll_console_write((char *)0, ATOLL_CONSOLE_MAX + 1) == -EINVAL,
          "more than a call may write: -EINVAL");
    check(atoll_console_write(outside, 0) == 0, "no text: 0");
}

static void test_version(void)
{
    struct atoll_vm_info info = {0};

    check(atoll_vm_info(&info) == sizeof(info) && info.abi_version == ATOLL_ABI_VERSION &&
              cpuid(ATOLL_CPUID_INFO, 0).eax == ATOLL_ABI_VERSION && ATOLL_ABI_VERSION >= 3,
          "ABI version %u, by call and by CPUID", info.abi_version);
}

int main(void)
{
    const char *what = guest_option("do");

    lines = guest_option_number("lines", 0);
    if (lines)
        return flood_all();
    if (what && strcmp(what, "forge") == 0)
        return forge();
    if (what && strcmp(what, "half") == 0) {
        printf("first\nthe rest waits for its newline");
        return 0;
    }
    test_version();
    test_reads();
    test_vectors();
    test_writes();
    return checks_done("console_test");
}
