/* SPDX-License-Identifier: MIT */
/* Module lines: names, keys, the quoting of GRUB, each refusal, every prefix of a line. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/vm/module_line.h"

static struct module_line given;
static char error[MODULE_LINE_ERROR_MAX];

/* Parses the line in a block of exactly its size. */
static int parse(const char *line)
{
    size_t size = strlen(line) + 1;
    char *copy = malloc(size);

    assert_non_null(copy);
    memcpy(copy, line, size);
    memset(&given, 0x5a, sizeof(given));
    memset(error, 0, sizeof(error));
    int result = module_line_parse(copy, &given, error);
    free(copy);

    assert_true(strlen(error) < MODULE_LINE_ERROR_MAX - 1); /* whole, not cut */
    assert_null(strchr(error, '\n'));
    assert_non_null(memchr(given.config.name, 0, sizeof(given.config.name)));
    assert_true(result == 0 || result == -EINVAL);
    assert_int_equal(result == 0, error[0] == '\0');
    return result;
}

static void accepted(const char *line)
{
    if (parse(line) != 0)
        fail_msg("refused: %s: %s", line, error);
}

static void refused(const char *line, const char *name, const char *words)
{
    int result = parse(line);

    if (result == 0 || !strstr(error, words))
        fail_msg("%.100s: wanted \"%s\", got %d and \"%s\"", line, words, result, error);
    assert_string_equal(given.config.name, name);
}

static void test_defaults(void **state)
{
    (void)state;
    accepted("ring-a");
    assert_string_equal(given.config.name, "ring-a");
    assert_string_equal(given.config.command_line, "");
    assert_int_equal(given.config.memory, VM_MEMORY_DEFAULT);
    assert_false(given.config.eager);
    assert_false(given.config.control);
    assert_int_equal(given.config.vcpus, 1);
    assert_int_equal(given.config.copies, 1);
    assert_int_equal(given.config.weight, 100);
    assert_int_equal(given.config.cap, 0);
    assert_false(given.config.pinned);
    for (size_t i = 0; i < ARRAY_SIZE(given.config.cpus); i++)
        assert_int_equal(given.config.cpus[i], 0);
    assert_int_equal(given.config.restart, RESTART_NEVER);
    assert_int_equal(given.config.restart_limit, 10);
    assert_int_equal(given.config.restart_backoff_ms, 10);
    assert_int_equal(given.config.boot_order, 0);
    assert_string_equal(given.config.after, "");
    assert_int_equal(given.config.link_count, 0);
}

static void test_all_keys_in_any_order(void **state)
{
    static const char *const lines[] = {
        "ring-a vcpus=1 mem=4M cmdline=n=5",
        "ring-a mem=4M cmdline=n=5 vcpus=1",
        "ring-a cmdline=n=5 vcpus=0x1 mem=0x400000",
        "  ring-a\tmem=4096K   vcpus=1  cmdline=n=5\t ",
        "\"ring-a\" \"mem=4M\" \"vcpus=1\" \"cmdline=n=5\"",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        accepted(lines[i]);
        assert_string_equal(given.config.name, "ring-a");
        assert_string_equal(given.config.command_line, "n=5");
        assert_int_equal(given.config.memory, 4 * MIB);
        assert_int_equal(given.config.vcpus, 1);
    }
}

static void test_all_keys_together(void **state)
{
    (void)state;
    accepted("control-1 link=ring:4,ro control vcpus=2 mem=4M,eager cap=150 weight=300 "
             "cpus=1,8-9 restart=on-failure,limit=3,backoff=250 boot_order=-5 after=store "
             "link=log cmdline=\"a b\"");
    assert_string_equal(given.config.name, "control-1");
    assert_true(given.config.control);
    assert_int_equal(given.config.vcpus, 2);
    assert_int_equal(given.config.memory, 4 * MIB);
    assert_true(given.config.eager);
    assert_int_equal(given.config.cap, 150);
    assert_int_equal(given.config.weight, 300);
    assert_true(given.config.pinned);
    assert_int_equal(given.config.cpus[0], BIT(1) | BIT(8) | BIT(9));
    assert_int_equal(given.config.restart, RESTART_ON_FAILURE);
    assert_int_equal(given.config.restart_limit, 3);
    assert_int_equal(given.config.restart_backoff_ms, 250);
    assert_int_equal(given.config.boot_order, -5);
    assert_string_equal(given.config.after, "store");
    assert_int_equal(given.config.link_count, 2);
    assert_string_equal(given.config.command_line, "a b");
}

static void test_quoting(void **state)
{
    static const struct {
        const char *line, *command_line;
    } cases[] = {
        {"g cmdline=\"a b\"", "a b"},
        {"g \"cmdline=a b\"", "a b"},
        {"g cmdline=a\" \"b", "a b"},
        {"g cmdline=\"\"", ""},
        {"g cmdline=", ""},
        {"g cmdline=\"a\tb\"", "a\tb"},
        {"g cmdline=\"say \\\"hi\\\"\"", "say \"hi\""},
        {"g \"cmdline=C:\\\\dir it\\'s\"", "C:\\dir it's"},
        {"g cmdline=say=\\\"hi\\\"", "say=\"hi\""}, /* GRUB escapes outside quotes, too */
        {"g cmdline=a\\b\\n", "a\\b\\n"},           /* no escape: stands for itself */
        {"g cmdline=end\\", "end\\"},
        {"g cmdline=mem=1 mem=2M", "mem=1"},
        {"g cmdline=\"mem=1 vcpus=9\"", "mem=1 vcpus=9"},
        {"g cmdline=\xc3\xa9", "\xc3\xa9"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        accepted(cases[i].line);
        assert_string_equal(given.config.command_line, cases[i].command_line);
    }
}

static void test_names(void **state)
{
    static const char *const wrong[] = {
        "-a", ".a", "_a", "a/b", "a:b", "a|b", "mem=4M", "\"a b\"", "\"\"", "\xc3\xa9", "a\\b",
    };

    (void)state;
    accepted("a");
    accepted("7");
    accepted("A-b_c.9");
    accepted("atoll2");
    accepted("1234567890123456789012345678901");
    assert_int_equal(strlen(given.config.name), VM_NAME_MAX - 1);
    refused("12345678901234567890123456789012", "", "has 32 bytes; 31 is the limit");
    refused("atoll mem=4M", "", "the hypervisor has it");
    refused("", "", "empty");
    refused(" \t ", "", "empty");
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        refused(wrong[i], "", "is no guest's name");
}

static void test_vcpus(void **state)
{
    (void)state;
    accepted("g vcpus=2");
    assert_int_equal(given.config.vcpus, 2);
    accepted("g vcpus=64");
    assert_int_equal(given.config.vcpus, VM_VCPUS_MAX);
    refused("g vcpus=65", "g", "vcpus=65: expected a number from 1 to 64");
    refused("g vcpus=4294967297", "g", "vcpus=4294967297: expected");
    refused("g vcpus=18446744073709551617", "g", "vcpus=18446744073709551617: expected");
    refused("g vcpus=0", "g", "vcpus=0: expected a number from 1");
    refused("g vcpus=", "g", "vcpus=: expected");
    refused("g vcpus=one", "g", "vcpus=one: expected");
    refused("g vcpus=-1", "g", "vcpus=-1: expected");
    refused("g vcpus=1K", "g", "vcpus=1K: expected");
}

static void test_memory(void **state)
{
    (void)state;
    accepted("g mem=1M");
    assert_int_equal(given.config.memory, VM_MEMORY_MIN);
    accepted("g mem=1028K");
    assert_int_equal(given.config.memory, MIB + 4 * KIB);
    accepted("g mem=64G");
    assert_int_equal(given.config.memory, 64 * GIB);

    refused("g mem=0", "g", "mem=0: less than 1M");
    refused("g mem=1023K", "g", "mem=1023K: less than 1M");
    refused("g mem=4", "g", "mem=4: less than 1M");
    refused("g mem=1026K", "g", "mem=1026K: not a multiple of 4K");
    refused("g mem=1048577", "g", "mem=1048577: not a multiple of 4K");
    refused("g mem=17179869184G", "g", "mem=17179869184G: more than 64 bits hold");
    refused("g mem=4T", "g", "mem=4T: expected N[K|M|G]");
    refused("g mem=", "g", "mem=: expected");
    refused("g mem=M", "g", "mem=M: expected");
}

static void test_eager(void **state)
{
    (void)state;
    accepted("g mem=4M,eager");
    assert_int_equal(given.config.memory, 4 * MIB);
    assert_true(given.config.eager);
    accepted("g mem=4M");
    assert_false(given.config.eager);

    refused("g mem=4M,", "g", "mem=4M,: expected N[K|M|G] or N[K|M|G],eager");
    refused("g mem=4M,lazy", "g", "mem=4M,lazy: expected");
    refused("g mem=4M,eager,", "g", "mem=4M,eager,: expected");
    refused("g mem=4M,eager,eager", "g", "mem=4M,eager,eager: expected");
    refused("g mem=,eager", "g", "mem=,eager: expected");
    refused("g mem=eager", "g", "mem=eager: expected");
    refused("g mem=0,eager", "g", "mem=0,eager: less than 1M");
    refused("g eager", "g", "\"eager\" is not key=value");
    refused("g eager=1", "g", "unknown key \"eager\"");
}

static void test_weight(void **state)
{
    (void)state;
    accepted("g weight=1");
    assert_int_equal(given.config.weight, 1);
    accepted("g weight=1000");
    assert_int_equal(given.config.weight, 1000);
    refused("g weight=0", "g", "weight=0: expected a number from 1 to 1000");
    refused("g weight=1001", "g", "weight=1001: expected");
    refused("g weight=4294967297", "g", "weight=4294967297: expected");
    refused("g weight=", "g", "weight=: expected");
    refused("g weight=-1", "g", "weight=-1: expected");
    refused("g weight=5%", "g", "weight=5%: expected");
    refused("g weight=1 weight=2", "g", "weight=2: weight stands there twice");
}

static void test_cap(void **state)
{
    (void)state;
    accepted("g cap=1");
    assert_int_equal(given.config.cap, 1);
    accepted("g cap=100");
    assert_int_equal(given.config.cap, 100);
    accepted("g cap=200 vcpus=2");
    assert_int_equal(given.config.cap, 200);
    accepted("g vcpus=64 cap=6400");
    assert_int_equal(given.config.cap, VM_CAP_MAX);
    refused("g cap=101", "g", "cap=101: expected at most 100, 100 for each vCPU (vcpus=1)");
    refused("g cap=201 vcpus=2", "g", "cap=201: expected at most 200");
    refused("g vcpus=2 cap=201", "g", "cap=201: expected at most 200");
    refused("g cap=0", "g", "cap=0: expected a number from 1 to 6400");
    refused("g vcpus=64 cap=6401", "g", "cap=6401: expected a number from 1 to 6400");
    refused("g cap=4294967297", "g", "cap=4294967297: expected");
    refused("g cap=", "g", "cap=: expected");
    refused("g cap=half", "g", "cap=half: expected");
    refused("g cap=1 cap=1", "g", "cap=1: cap stands there twice");
}

/* cpus= with `list` gives exactly the cores in `low` and from 448 on in `high`. */
static void check_cpus(const char *list, uint64_t low, uint64_t high)
{
    char line[128] = "g cpus=";

    accepted(strcat(line, list));
    assert_true(given.config.pinned);
    assert_int_equal(given.config.cpus[0], low);
    for (size_t i = 1; i < 7; i++)
        assert_int_equal(given.config.cpus[i], 0);
    assert_int_equal(given.config.cpus[7], high);
}

static void test_cpus(void **state)
{
    static const char *const wrong[] = {
        "", ",", "0,", ",0", "0,,1", "-", "0-", "-1", "3-2", "1-2-3", "512", "0-512", "600-601",
        "4294967296", "18446744073709551616", "x", "0;1", "0,all", "0x", "1 -2", "+1", "0-x",
    };
    char line[128];

    (void)state;
    check_cpus("0", BIT(0), 0);
    check_cpus("0,2-3", BIT(0) | BIT(2) | BIT(3), 0);
    check_cpus("3-3", BIT(3), 0);
    check_cpus("5,1,5", BIT(5) | BIT(1), 0);
    check_cpus("63,511", BIT(63), BIT(63));
    check_cpus("0x3f,448", BIT(63), BIT(0));
    accepted("g cpus=0-511");
    for (size_t i = 0; i < ARRAY_SIZE(given.config.cpus); i++)
        assert_int_equal(given.config.cpus[i], ~0ull);
    accepted("g cpus=60-68");
    assert_int_equal(given.config.cpus[0], 0xfull << 60);
    assert_int_equal(given.config.cpus[1], 0x1f);

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        strcat(strcat(strcpy(line, "g \"cpus="), wrong[i]), "\"");
        refused(line, "g", ": expected cores from 0 to 511, such as 0,2-3");
    }
    refused("g cpus=0 cpus=1", "g", "cpus=1: cpus stands there twice");
    refused("g cpus=0, 1", "g", "cpus=0,: expected");
}

static void check_restart(const char *line, enum restart_policy policy, uint32_t limit,
                          uint32_t backoff)
{
    accepted(line);
    assert_int_equal(given.config.restart, policy);
    assert_int_equal(given.config.restart_limit, limit);
    assert_int_equal(given.config.restart_backoff_ms, backoff);
}

static void test_restart(void **state)
{
    static const char *const policies[] = {
        "", "Always", "al", "alwayss", ",limit=1", "limit=1", "on_failure", "1",
    };
    static const char *const details[] = {
        ",", ",x", ",limits=1", ",limit=1,", ",,limit=1", ",=1", ",always",
    };
    char line[128];

    (void)state;
    check_restart("g restart=never", RESTART_NEVER, 10, 10);
    check_restart("g restart=on-failure", RESTART_ON_FAILURE, 10, 10);
    check_restart("g restart=always", RESTART_ALWAYS, 10, 10);
    check_restart("g restart=always,limit=0", RESTART_ALWAYS, 0, 10);
    check_restart("g restart=always,backoff=0", RESTART_ALWAYS, 10, 0);
    check_restart("g restart=always,limit=1000000,backoff=60000", RESTART_ALWAYS, 1000000, 60000);
    check_restart("g restart=always,backoff=7,limit=8", RESTART_ALWAYS, 8, 7);

    for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
        refused(strcat(strcpy(line, "g restart="), policies[i]), "g",
                ": expected never, on-failure or always");
    for (size_t i = 0; i < ARRAY_SIZE(details); i++)
        refused(strcat(strcpy(line, "g restart=always"), details[i]), "g",
                ": expected only ,limit=N and ,backoff=MS behind the policy");
    refused("g restart=never restart=never", "g", "restart=never: restart stands there twice");
}

static void test_restart_limit_and_backoff(void **state)
{
    static const char *const limits[] = {"=1000001", "=", "", "=-1", "=4294967296", "=x", "=1=2"};
    static const char *const backoffs[] = {"=60001", "=", "", "=-1", "=4294967296", "=1s", "=1=2"};
    char line[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        refused(strcat(strcpy(line, "g restart=always,limit"), limits[i]), "g",
                ": expected limit=N with N from 0 to 1000000");
    for (size_t i = 0; i < ARRAY_SIZE(backoffs); i++)
        refused(strcat(strcpy(line, "g restart=always,backoff"), backoffs[i]), "g",
                ": expected backoff=N with N from 0 to 60000");
    refused("g restart=always,limit=1,limit=1", "g",
            "restart=always,limit=1,limit=1: limit stands there twice");
    refused("g restart=always,backoff=1,limit=2,backoff=3", "g", ": backoff stands there twice");
}

static void test_copies(void **state)
{
    static const char *const wrong[] = {"0", "4097", "", "-1", "x", "2,", "4294967298"};
    char line[128];

    (void)state;
    accepted("g copies=1");
    assert_int_equal(given.config.copies, 1);
    accepted("g copies=4096");
    assert_int_equal(given.config.copies, 4096);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        refused(strcat(strcpy(line, "g copies="), wrong[i]), "g",
                ": expected a number from 1 to 4096");
    refused("g copies=2 copies=3", "g", "copies stands there twice");
    refused("g copies=7 x=1", "g", "unknown key");
    assert_int_equal(given.config.copies, 1);

    /* The name has 31 bytes at most, with the number of the last one. */
    accepted("twenty-eight-bytes-of-a-name copies=1000");
    accepted("thirty-one-bytes-of-a-nice-name copies=1");
    refused("thirty-one-bytes-of-a-nice-name copies=2", "thirty-one-bytes-of-a-nice-name",
            "copies=2: the name \"thirty-one-bytes-of-a-nice-name\" leaves no room for a number");
    refused("twenty-eight-bytes-of-a-name copies=1001", "twenty-eight-bytes-of-a-name",
            "leaves no room");
}

static void test_boot_order(void **state)
{
    static const struct {
        const char *line;
        int order;
    } good[] = {
        {"g boot_order=0", 0},         {"g boot_order=-0", 0},    {"g boot_order=1000", 1000},
        {"g boot_order=-1000", -1000}, {"g boot_order=-7", -7},
    };
    static const char *const wrong[] = {
        "1001", "-1001", "", "-", "--1", "+1", "4294967295", "-4294967297", "first", "1-",
        "-18446744073709551617",
    };
    char line[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        accepted(good[i].line);
        assert_int_equal(given.config.boot_order, good[i].order);
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        refused(strcat(strcpy(line, "g boot_order="), wrong[i]), "g",
                ": expected a number from -1000 to 1000");
    refused("g boot_order=1 boot_order=1", "g", "boot_order stands there twice");
}

static void test_after(void **state)
{
    static const char *const wrong[] = {
        "", "-a", "a,b", "a/b", "\"a b\"", "atoll", "12345678901234567890123456789012",
    };
    char line[128];

    (void)state;
    accepted("g after=1234567890123456789012345678901");
    assert_string_equal(given.config.after, "1234567890123456789012345678901");
    accepted("g after=g"); /* start_order.c refuses this */
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        refused(strcat(strcpy(line, "g after="), wrong[i]), "g",
                ": expected the name of another guest");
    refused("g after=a after=b", "g", "after=b: after stands there twice");
}

static void test_link(void **state)
{
    static const struct {
        const char *line;
        const char *name;
        uint32_t pages;
        bool read_only;
    } good[] = {
        {"g link=a", "a", 0, false},
        {"g link=a,ro", "a", 0, true},
        {"g link=a:1", "a", 1, false},
        {"g link=a:256,ro", "a", 256, true},
        {"g link=A-b_c.9:0x10", "A-b_c.9", 16, false},
        {"g link=1234567890123456789012345678901", "1234567890123456789012345678901", 0, false},
    };
    static const char *const wrong[] = {
        "", ":1", ",ro", "a:", "a:0", "a:257", "a:x", "a:1:2", "a:4294967297", "a,", "a,rw",
        "a,ro,", "a,ro,ro", "a,ro:1", "-a", "a/b", "12345678901234567890123456789012",
    };
    char line[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        accepted(good[i].line);
        assert_int_equal(given.config.link_count, 1);
        assert_string_equal(given.config.links[0].name, good[i].name);
        assert_int_equal(given.config.links[0].pages, good[i].pages);
        assert_int_equal(given.config.links[0].read_only, good[i].read_only);
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        refused(strcat(strcpy(line, "g link="), wrong[i]), "g",
                ": expected NAME[:PAGES][,ro] with PAGES from 1 to 256");
}

static void test_several_links(void **state)
{
    (void)state;
    accepted("g link=a link=b:2 link=c link=d link=e mem=4M link=f link=g link=h:9,ro");
    assert_int_equal(given.config.link_count, VM_LINKS_MAX);
    assert_string_equal(given.config.links[0].name, "a");
    assert_string_equal(given.config.links[1].name, "b");
    assert_int_equal(given.config.links[1].pages, 2);
    assert_false(given.config.links[1].read_only);
    assert_string_equal(given.config.links[7].name, "h");
    assert_int_equal(given.config.links[7].pages, 9);
    assert_true(given.config.links[7].read_only);

    refused("g link=a link=b link=c link=d link=e link=f link=g link=h link=i:2", "g",
            "link=i:2: more than 8 links");
    refused("g link=a link=b link=a:2,ro", "g", "link=a:2,ro: the link a stands there twice");
    accepted("g link=a link=ab"); /* a prefix is not the same */
}

static void test_control(void **state)
{
    (void)state;
    accepted("g control");
    assert_true(given.config.control);
    accepted("g mem=4M \"control\" vcpus=1");
    assert_true(given.config.control);
    refused("g control=", "g", "control=: expected control alone, without a value");
    refused("g control=on", "g", "control=on: expected control alone");
    refused("g control control", "g", "control: control stands there twice");
    refused("g Control", "g", "\"Control\" is not key=value");
}

static void test_keys(void **state)
{
    (void)state;
    refused("g meme=4M", "g", "unknown key \"meme\" in meme=4M");
    refused("g MEM=4M", "g", "unknown key \"MEM\"");
    refused("g =4M", "g", "unknown key \"\"");
    refused("g boot-order=1", "g", "unknown key \"boot-order\"");
    refused("g mem", "g", "\"mem\" is not key=value");
    refused("g mem=4M debug", "g", "\"debug\" is not key=value");
    refused("g \"\"", "g", "\"\" is not key=value");
    refused("g mem=4M mem=8M", "g", "mem=8M: mem stands there twice");
    refused("g vcpus=1 mem=4M vcpus=1", "g", "vcpus stands there twice");
    refused("g cmdline= cmdline=", "g", "cmdline stands there twice");
}

static void test_broken_words(void **state)
{
    (void)state;
    refused("g cmdline=\"a b", "g", "no closing quote behind \"cmdline=a b\"");
    refused("g \"", "g", "no closing quote");
    refused("\"g", "", "no closing quote");
    refused("g cmdline=\"a\\\"", "g", "no closing quote");
    refused("g cmdline=a\nb", "g", "control byte 0x0a behind \"cmdline=a\"");
    refused("g cmdline=\"\x1b[2J\"", "g", "control byte 0x1b");
    refused("g\x7f", "", "control byte 0x7f");
}

static void test_long_lines(void **state)
{
    static char line[8192];

    (void)state;
    for (size_t length = VM_COMMAND_LINE_MAX - 3; length < VM_COMMAND_LINE_MAX + 20; length++) {
        strcpy(line, "g cmdline=");
        memset(line + 10, 'x', length);
        line[10 + length] = '\0';
        if (length < VM_COMMAND_LINE_MAX) {
            accepted(line);
            assert_int_equal(strlen(given.config.command_line), length);
        } else if (length + 8 < VM_COMMAND_LINE_MAX + 16) {
            refused(line, "g", "1023 is the limit");
        } else {
            refused(line, "g", "a word of more than 1039 bytes");
        }
    }
    memset(line, 'n', 8000);
    line[8000] = '\0';
    refused(line, "", "a word of more than");
    line[1000] = '\0';
    refused(line, "", "has 1000 bytes");
    line[1] = ' ';
    refused(line, "n", "is not key=value");
    line[500] = '=';
    refused(line, "n", "unknown key");
}

static void test_every_prefix_is_survived(void **state)
{
    static const char whole[] =
        "ring-a vcpus=1 \"cmdline=a \\\"b\\\" \\\\c\" mem=0x400000,eager weight=10 cap=50 "
        "cpus=0,2-3 restart=always,limit=1,backoff=2 boot_order=-1 after=b link=l:4,ro control "
        "copies=2 mem=8M x";
    char line[sizeof(whole)];

    (void)state;
    for (size_t length = 0; length < sizeof(whole); length++) {
        memcpy(line, whole, length);
        line[length] = '\0';
        parse(line);
        assert_string_equal(given.config.name, length < 6 ? line : "ring-a");
    }
}

static const struct device_config *device_of(const char *line)
{
    accepted(line);
    assert_int_equal(given.config.device_count, 1);
    return &given.devices[0];
}

static void test_block(void **state)
{
    static const char *const wrong[] = {
        "", ",ro", "d,rw", "d,ro=1", "d,", "d,sectors", "d,sectors=", "d,sectors=x", "ram:",
        "ram:x", "ram:4K,", "rom:4K", "d:4K", "-d", "12345678901234567890123456789012",
        "d,sectors=512x", "ram:-4K", "d,sectors=-512",
    };
    char line[128];
    const struct device_config *device;

    (void)state;
    device = device_of("g block:storage=disk0");
    assert_int_equal(device->kind, DEVICE_BLOCK);
    assert_string_equal(device->name, "storage");
    assert_string_equal(device->source, "disk0");
    assert_int_equal(device->block_size, 512);
    assert_false(device->read_only);
    device = device_of("g block:a=b,sectors=4096,ro");
    assert_int_equal(device->block_size, 4096);
    assert_true(device->read_only);
    device = device_of("g block:a=ram:64K,sectors=32768");
    assert_string_equal(device->source, "");
    assert_int_equal(device->size, 64 * KIB);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        refused(strcat(strcpy(line, "g block:a="), wrong[i]), "g",
                ": expected MODULE or ram:SIZE, then ,ro and ,sectors=BYTES");
}

static void test_block_sizes(void **state)
{
    static const char *const sizes[] = {"0",   "1",   "256",   "511",
                                        "513", "768", "65536", "4294967295"};
    static const char *const unaligned[] = {"ram:0", "ram:513", "ram:4K,sectors=8192", "ram:1"};
    char line[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        refused(strcat(strcpy(line, "g block:a=d,sectors="), sizes[i]), "g",
                "Block size must be a multiple of 2 greater than or equal 512");
    for (size_t i = 0; i < ARRAY_SIZE(unaligned); i++)
        refused(strcat(strcpy(line, "g block:a="), unaligned[i]), "g",
                "Backing storage size must be block aligned");
}

static void test_net(void **state)
{
    static const uint8_t mac[MAC_SIZE] = {0x02, 0xab, 0xCD, 0, 1, 0xff};
    static const char *const wrong[] = {
        "", ",mtu=1500", "s,", "s,mtu", "s,mtu=", "s,mtu=67", "s,mtu=9001", "s,mtu=x", "s,mac=",
        "s,mac=02:00:00:00:00", "s,mac=02:00:00:00:00:01:02", "s,mac=2:0:0:0:0:1",
        "s,mac=03:00:00:00:00:01", "s,mac=00:00:00:00:00:00", "s,mac=02:00:00:00:00:0g",
        "s,mac=0200:00:00:00:01", "s,ro", "s/x", "s,mac=ff:ff:ff:ff:ff:ff",
    };
    char line[128];
    const struct device_config *device;

    (void)state;
    device = device_of("g net:service0=lan");
    assert_int_equal(device->kind, DEVICE_NET);
    assert_string_equal(device->name, "service0");
    assert_string_equal(device->source, "lan");
    assert_int_equal(device->mtu, 1500);
    assert_false(device->has_mac);
    device = device_of("g net:a=b,mtu=9000,mac=02:ab:CD:00:01:ff");
    assert_int_equal(device->mtu, 9000);
    assert_true(device->has_mac);
    assert_memory_equal(device->mac, mac, MAC_SIZE);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        refused(strcat(strcpy(line, "g net:a="), wrong[i]), "g", ": expected SWITCH, then ,mac=");
}

/* Block and network devices share their names; 63 is the limit. */
static void test_device_names(void **state)
{
    char line[4096] = "g";

    (void)state;
    refused("g block:=d", "g", "is no name of a device");
    refused("g net:-=d", "g", "is no name of a device");
    refused("g net:a:b=d", "g", "is no name of a device");
    refused("g block:a=d net:a=s", "g", "net:a: a device of this name stands there twice");
    refused("g block:12345678901234567890123456789012345678901234567890123456789012345678=d", "g",
            "is no name of a device, at most 67");
    accepted("g block:1234567890123456789012345678901234567890123456789012345678901234567=d");
    refused("g block:a", "g", "\"block:a\" is not key=value");
    for (int i = 0; i < VM_DEVICES_MAX; i++)
        sprintf(line + strlen(line), " %s:d%d=x", i % 2 ? "net" : "block", i);
    accepted(line);
    assert_int_equal(given.config.device_count, VM_DEVICES_MAX);
    assert_string_equal(given.devices[62].name, "d62");
    refused(strcat(line, " net:last=x"), "g", "net:last: more than 63 devices");
}

static void test_random_lines_are_survived(void **state)
{
    static const char *const pieces[] = {
        "g", " ", "\"", "\\", "=", "mem", "vcpus", "cmdline", "1", "4M", "\t", "'", "x y", "\n",
        "cap", "cpus", "restart", "always", ",", "limit", "boot_order", "-", "after", "link", ":",
        "ro", "control", "block:a", "net:b", "ram:", "sectors", "512", "mac", "02:00", "mtu",
    };
    char line[512];

    (void)state;
    srand(1);
    for (int i = 0; i < 50000; i++) {
        line[0] = '\0';
        for (int j = rand() % 30; j > 0; j--)
            strcat(line, pieces[rand() % (int)ARRAY_SIZE(pieces)]);
        parse(line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_all_keys_in_any_order),
        cmocka_unit_test(test_all_keys_together),
        cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_vcpus),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_eager),
        cmocka_unit_test(test_weight),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_cpus),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_restart_limit_and_backoff),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_boot_order),
        cmocka_unit_test(test_after),
        cmocka_unit_test(test_link),
        cmocka_unit_test(test_several_links),
        cmocka_unit_test(test_control),
        cmocka_unit_test(test_block),
        cmocka_unit_test(test_block_sizes),
        cmocka_unit_test(test_net),
        cmocka_unit_test(test_device_names),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_broken_words),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_every_prefix_is_survived),
        cmocka_unit_test(test_random_lines_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
