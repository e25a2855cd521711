/* SPDX-License-Identifier: MIT */
/* Module lines: names, keys, the quoting of GRUB, each refusal, every prefix of a line. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/vm/module_line.h"

static struct vm_config config;
static char error[MODULE_LINE_ERROR_MAX];

/* Parses the line in a block of exactly its size. */
static int parse(const char *line)
{
    size_t size = strlen(line) + 1;
    char *copy = malloc(size);

    assert_non_null(copy);
    memcpy(copy, line, size);
    memset(&config, 0x5a, sizeof(config));
    memset(error, 0, sizeof(error));
    int result = module_line_parse(copy, &config, error);
    free(copy);

    assert_true(strlen(error) < MODULE_LINE_ERROR_MAX - 1); /* whole, not cut */
    assert_null(strchr(error, '\n'));
    assert_non_null(memchr(config.name, 0, sizeof(config.name)));
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
    assert_string_equal(config.name, name);
}

static void test_defaults(void **state)
{
    (void)state;
    accepted("ring-a");
    assert_string_equal(config.name, "ring-a");
    assert_string_equal(config.command_line, "");
    assert_int_equal(config.memory, VM_MEMORY_DEFAULT);
    assert_int_equal(config.vcpus, 1);
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
        assert_string_equal(config.name, "ring-a");
        assert_string_equal(config.command_line, "n=5");
        assert_int_equal(config.memory, 4 * MIB);
        assert_int_equal(config.vcpus, 1);
    }
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
        assert_string_equal(config.command_line, cases[i].command_line);
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
    assert_int_equal(strlen(config.name), VM_NAME_MAX - 1);
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
    refused("g vcpus=2", "g", "vcpus=2: only 1 vCPU is supported so far");
    refused("g vcpus=4294967297", "g", "vcpus=4294967297: only 1 vCPU");
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
    assert_int_equal(config.memory, VM_MEMORY_MIN);
    accepted("g mem=1028K");
    assert_int_equal(config.memory, MIB + 4 * KIB);
    accepted("g mem=64G");
    assert_int_equal(config.memory, 64 * GIB);

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

static void test_keys(void **state)
{
    (void)state;
    refused("g meme=4M", "g", "unknown key \"meme\" in meme=4M");
    refused("g MEM=4M", "g", "unknown key \"MEM\"");
    refused("g =4M", "g", "unknown key \"\"");
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
            assert_int_equal(strlen(config.command_line), length);
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
        "ring-a vcpus=1 \"cmdline=a \\\"b\\\" \\\\c\" mem=0x400000 mem=8M x";
    char line[sizeof(whole)];

    (void)state;
    for (size_t length = 0; length < sizeof(whole); length++) {
        memcpy(line, whole, length);
        line[length] = '\0';
        parse(line);
        assert_string_equal(config.name, length < 6 ? line : "ring-a");
    }
}

static void test_random_lines_are_survived(void **state)
{
    static const char *const pieces[] = {
        "g", " ", "\"", "\\", "=", "mem", "vcpus", "cmdline", "1", "4M", "\t", "'", "x y", "\n",
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
        cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_vcpus),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_broken_words),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_every_prefix_is_survived),
        cmocka_unit_test(test_random_lines_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
