/* SPDX-License-Identifier: MIT */
/* The multiboot2 information: good ones in any order of tags, each refusal and its message, and
 * every prefix and every changed byte of a good one, in blocks of exactly their size. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/boot_info.h"

/* Information under construction. */
struct builder {
    uint8_t bytes[64 * KIB];
    size_t size;
    size_t tag; /* where the tag under construction starts */
};

static struct builder built;
static struct boot_info info;
static char error[BOOT_ERROR_MAX];

static const struct boot_range image = {0x100000, 0x200000};

static void put(const void *bytes, size_t size)
{
    assert_true(built.size + size <= sizeof(built.bytes));
    memcpy(built.bytes + built.size, bytes, size);
    built.size += size;
}

static void put_u32(uint32_t value)
{
    put(&value, sizeof(value));
}

static void put_u64(uint64_t value)
{
    put(&value, sizeof(value));
}

static void poke_u32(size_t offset, uint32_t value)
{
    memcpy(built.bytes + offset, &value, sizeof(value));
}

static void begin(void)
{
    built.size = 0;
    put_u64(0);
}

static void begin_tag(uint32_t type)
{
    while (built.size % 8)
        put("\xee", 1); /* padding means nothing */
    built.tag = built.size;
    put_u32(type);
    put_u32(0);
}

static void end_tag(void)
{
    poke_u32(built.tag + 4, (uint32_t)(built.size - built.tag));
}

static void finish(void)
{
    begin_tag(0);
    end_tag();
    poke_u32(0, (uint32_t)built.size);
}

static void tag_string(uint32_t type, const char *string)
{
    begin_tag(type);
    put(string, strlen(string) + 1);
    end_tag();
}

static void tag_module(uint32_t start, uint32_t end, const char *string)
{
    begin_tag(3);
    put_u32(start);
    put_u32(end);
    put(string, strlen(string) + 1);
    end_tag();
}

static void begin_memory(uint32_t entry_size)
{
    begin_tag(6);
    put_u32(entry_size);
    put_u32(0);
}

static void put_memory(uint64_t base, uint64_t length, uint32_t type)
{
    put_u64(base);
    put_u64(length);
    put_u32(type);
    put_u32(0);
}

static void tag_memory(void)
{
    begin_memory(24);
    put_memory(0, 0x9fc00, BOOT_MEMORY_AVAILABLE);
    put_memory(0xf0000, 0x10000, BOOT_MEMORY_RESERVED);
    put_memory(0x100000, 0x7ee0000, BOOT_MEMORY_AVAILABLE);
    put_memory(0xfffffffffffff000, 0x2000, 77);
    end_tag();
}

/* `rest` is the tag behind the number of bits: the type, two reserved bytes, the colours. */
static void tag_framebuffer_with(const char *rest, size_t size)
{
    begin_tag(8);
    put_u64(0xfd000000);
    put_u32(4096);
    put_u32(1024);
    put_u32(768);
    put("\x20", 1);
    put(rest, size);
    end_tag();
}

static void tag_framebuffer(void)
{
    tag_framebuffer_with("\x01\xee\xee\x10\x08\x09\x07\x00\x06", 9);
}

static void tag_rsdp(uint32_t type)
{
    begin_tag(type);
    put(type == 15 ? "RSD PTR 2...........................xxxx" : "RSD PTR 1...........",
        type == 15 ? 36 : 20);
    end_tag();
}

/* Parses `size` bytes at an odd address with nothing readable behind them. */
static int parse_bytes(const uint8_t *bytes, size_t size)
{
    uint8_t *block = malloc(size + 1);

    assert_non_null(block);
    memcpy(block + 1, bytes, size);
    memset(error, 0, sizeof(error));
    int result = boot_info_parse(block + 1, size, image, &info, error);

    if (result == 0) { /* every string and pointer lies within */
        const char *low = (char *)block + 1, *high = low + size;
        for (uint32_t i = 0; i < info.module_count; i++) {
            const char *string = info.modules[i].string;
            assert_true(string >= low && string + strlen(string) < high);
        }
        const char *line = info.command_line;
        assert_true(line[0] == 0 || (line >= low && line + strlen(line) < high));
        const char *rsdp = info.rsdp;
        assert_true(!rsdp || (rsdp >= low && rsdp + info.rsdp_size <= high));
    } else {
        assert_true(strlen(error) > 0 && strlen(error) < BOOT_ERROR_MAX - 1);
        assert_null(strchr(error, '\n'));
    }
    free(block);
    return result;
}

/* Parses what was built in place, so that the results can be read afterwards. */
static int parse(void)
{
    memset(error, 0, sizeof(error));
    return boot_info_parse(built.bytes, built.size, image, &info, error);
}

static void refused(int code, const char *words)
{
    int result = parse_bytes(built.bytes, built.size);

    if (result != code || !strstr(error, words))
        fail_msg("wanted %d and \"%s\", got %d and \"%s\"", code, words, result, error);
}

static void good_command_line(void)
{
    tag_string(1, "log=exits onidle=poweroff");
}

static void good_boot_loader(void)
{
    tag_string(2, "GRUB 2.06");
}

static void good_modules(void)
{
    tag_module(0x400000, 0x500000, "ring-a vcpus=1");
    tag_module(0x300000, 0x400000, ""); /* touches the first one, and has an empty string */
    tag_module(0x200000, 0x200000, "empty, touches the image");
    tag_module(0xfffff000, 0xffffffff, "at the very top");
}

static void good_rsdp_1(void)
{
    tag_rsdp(14);
}

static void good_rsdp_2(void)
{
    tag_rsdp(15);
}

static void good_unknown(void)
{
    tag_string(4711, "x");
    tag_string(4711, "a second one is no error");
}

static void (*const good_tags[])(void) = {
    good_command_line, good_boot_loader, good_modules, tag_memory,
    tag_framebuffer,   good_rsdp_1,      good_rsdp_2,  good_unknown,
};

#define GOOD ARRAY_SIZE(good_tags)

static void build_good(void)
{
    begin();
    for (size_t i = 0; i < GOOD; i++)
        good_tags[i]();
    finish();
}

static void check_good(void)
{
    if (parse() != 0)
        fail_msg("refused: %s", error);
    assert_string_equal(info.command_line, "log=exits onidle=poweroff");
    assert_string_equal(info.boot_loader, "GRUB 2.06");

    assert_int_equal(info.module_count, 4);
    assert_int_equal(info.modules[0].range.start, 0x400000);
    assert_int_equal(info.modules[0].range.end, 0x500000);
    assert_string_equal(info.modules[0].string, "ring-a vcpus=1");
    assert_string_equal(info.modules[1].string, "");
    assert_int_equal(info.modules[3].range.end, 0xffffffff);

    assert_int_equal(info.memory_count, 4);
    assert_int_equal(info.memory[0].range.end, 0x9fc00);
    assert_int_equal(info.memory[1].type, BOOT_MEMORY_RESERVED);
    assert_int_equal(info.memory[2].range.start, 0x100000);
    assert_int_equal(info.memory[2].range.end, 0x7fe0000);
    assert_int_equal(info.memory[3].range.end, UINT64_MAX);
    assert_int_equal(info.memory[3].type, 77);

    assert_true(info.has_framebuffer);
    assert_int_equal(info.framebuffer.address, 0xfd000000);
    assert_int_equal(info.framebuffer.pitch, 4096);
    assert_int_equal(info.framebuffer.width, 1024);
    assert_int_equal(info.framebuffer.height, 768);
    assert_int_equal(info.framebuffer.bits_per_pixel, 32);
    assert_int_equal(info.framebuffer.type, 1);
    assert_int_equal(info.framebuffer.red.position, 16);
    assert_int_equal(info.framebuffer.red.size, 8);
    assert_int_equal(info.framebuffer.green.position, 9);
    assert_int_equal(info.framebuffer.green.size, 7);
    assert_int_equal(info.framebuffer.blue.position, 0);
    assert_int_equal(info.framebuffer.blue.size, 6);

    assert_int_equal(info.rsdp_size, 36);
    assert_memory_equal(info.rsdp, "RSD PTR 2", 9);
}

/* Heap's algorithm. */
static void permute(size_t *order, size_t count)
{
    if (count == 1) {
        begin();
        for (size_t i = 0; i < GOOD; i++)
            good_tags[order[i]]();
        finish();
        check_good();
        return;
    }
    for (size_t i = 0; i < count; i++) {
        permute(order, count - 1);
        size_t other = count % 2 ? 0 : i;
        size_t swapped = order[other];
        order[other] = order[count - 1];
        order[count - 1] = swapped;
    }
}

static void test_any_order_of_tags(void **state)
{
    size_t order[GOOD];

    (void)state;
    for (size_t i = 0; i < GOOD; i++)
        order[i] = i;
    permute(order, GOOD);
}

static void test_only_a_memory_map(void **state)
{
    (void)state;
    begin();
    tag_memory();
    finish();
    assert_int_equal(parse(), 0);
    assert_string_equal(info.command_line, "");
    assert_string_equal(info.boot_loader, "");
    assert_int_equal(info.module_count, 0);
    assert_null(info.rsdp);
    assert_int_equal(info.rsdp_size, 0);
    assert_false(info.has_framebuffer);
}

/* Nor are they read out of the tag of another type, where they mean something else. */
static void test_a_framebuffer_without_colours(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } rests[] = {{"\x01", 1},
                 {"\x01\0\0\x10\x08\x08\x08\x00", 8}, /* one byte short */
                 {"\x00\0\0\x10\x08\x08\x08\x00\x08", 9},
                 {"\x02\0\0\x10\x08\x08\x08\x00\x08", 9}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rests); i++) {
        begin();
        tag_memory();
        tag_framebuffer_with(rests[i].bytes, rests[i].size);
        finish();
        assert_int_equal(parse(), 0);
        assert_true(info.has_framebuffer);
        assert_int_equal(info.framebuffer.type, rests[i].bytes[0]);
        assert_int_equal(info.framebuffer.red.size, 0);
        assert_int_equal(info.framebuffer.green.size, 0);
        assert_int_equal(info.framebuffer.blue.size, 0);
    }
}

static void test_the_older_rsdp_when_it_is_the_only_one(void **state)
{
    (void)state;
    begin();
    tag_memory();
    tag_rsdp(14);
    finish();
    assert_int_equal(parse(), 0);
    assert_int_equal(info.rsdp_size, 20);
    assert_memory_equal(info.rsdp, "RSD PTR 1", 9);
}

static void test_nothing_behind_the_end_tag_is_read(void **state)
{
    (void)state;
    build_good();
    put("\x03\0\0\0\xff\xff\xff\xff", 8);
    poke_u32(0, (uint32_t)built.size);
    check_good();
}

static void test_more_bytes_than_the_information_claims(void **state)
{
    (void)state;
    build_good();
    put("rubbish", 7);
    check_good();
}

static void test_entries_of_a_later_version_are_larger(void **state)
{
    (void)state;
    begin();
    begin_memory(32);
    put_memory(0x1000, 0x2000, 1);
    put_u64(~0ull);
    put_memory(0x5000, 0x1000, 2);
    put_u64(~0ull);
    end_tag();
    finish();
    assert_int_equal(parse(), 0);
    assert_int_equal(info.memory_count, 2);
    assert_int_equal(info.memory[1].range.start, 0x5000);
    assert_int_equal(info.memory[1].type, 2);
}

static void test_every_prefix_is_refused(void **state)
{
    (void)state;
    build_good();
    assert_int_equal(parse_bytes(built.bytes, built.size), 0);
    for (size_t size = 0; size < built.size; size++)
        assert_int_equal(parse_bytes(built.bytes, size), -EINVAL);

    for (size_t size = 0; size < built.size; size++) { /* the same, with a total that agrees */
        if (size >= 4)
            poke_u32(0, (uint32_t)size);
        assert_int_equal(parse_bytes(built.bytes, size), -EINVAL);
    }
}

static void test_changed_bytes_are_survived(void **state)
{
    static const uint8_t values[] = {0x00, 0x01, 0x07, 0x7f, 0x80, 0xff};

    (void)state;
    build_good();
    for (size_t i = 0; i < built.size; i++) {
        uint8_t original = built.bytes[i];
        for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
            built.bytes[i] = values[j];
            int result = parse_bytes(built.bytes, built.size);
            assert_true(result == 0 || result == -EINVAL);
        }
        built.bytes[i] = original;
    }
    check_good();
}

static void test_total_size(void **state)
{
    static uint8_t large[BOOT_INFO_MAX_SIZE + 8];

    (void)state;
    build_good();
    poke_u32(0, (uint32_t)built.size + 1);
    refused(-EINVAL, "claims");
    poke_u32(0, 0);
    refused(-EINVAL, "no end tag");
    poke_u32(0, 8);
    refused(-EINVAL, "no end tag");

    build_good();
    memcpy(large, built.bytes, built.size);
    *(uint32_t *)(void *)large = BOOT_INFO_MAX_SIZE;
    assert_int_equal(parse_bytes(large, sizeof(large)), 0);
    *(uint32_t *)(void *)large = BOOT_INFO_MAX_SIZE + 1;
    assert_int_equal(parse_bytes(large, sizeof(large)), -EINVAL);
    assert_non_null(strstr(error, "0x40000 are the limit"));
}

static void test_tag_sizes(void **state)
{
    static const struct {
        uint32_t type;
        size_t body; /* one byte less than it needs */
    } short_tags[] = {{1, 0}, {2, 0}, {3, 8}, {6, 7}, {8, 21}, {14, 19}, {15, 35}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(short_tags); i++) {
        begin();
        begin_tag(short_tags[i].type);
        for (size_t j = 0; j < short_tags[i].body; j++)
            put("", 1);
        end_tag();
        tag_memory();
        finish();
        refused(-EINVAL, "too short");
    }

    for (uint32_t size = 0; size < 8; size++) {
        begin();
        tag_memory();
        tag_string(99, "x");
        poke_u32(built.tag + 4, size);
        finish();
        refused(-EINVAL, "tag 99 at");
    }

    begin();
    tag_memory();
    tag_string(99, "x");
    poke_u32(built.tag + 4, 0xfffffff8);
    finish();
    refused(-EINVAL, "claims 0xfffffff8 bytes");
}

static void test_strings_without_their_end(void **state)
{
    (void)state;
    for (uint32_t type = 1; type <= 3; type++) {
        begin();
        tag_memory();
        begin_tag(type);
        put_u64(0x3030303030303030); /* a module from 0x30303030 to there */
        put_u64(0x3030303030303030);
        end_tag();
        finish();
        refused(-EINVAL, "not NUL-terminated");
    }
}

static void test_second_tags(void **state)
{
    static const size_t once[] = {0, 1, 3, 4, 5, 6}; /* of good_tags */

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(once); i++) {
        begin();
        tag_memory();
        good_tags[once[i]]();
        if (once[i] != 3)
            good_tags[once[i]]();
        finish();
        refused(-EINVAL, "a second tag");
    }
}

static void test_modules(void **state)
{
    static const struct {
        uint32_t start, end;
        const char *words; /* of the refusal, or NULL */
    } cases[] = {
        {0x3000000, 0x2ffffff, "ends at 0x2ffffff, before its start"},
        {0xfffff000, 0, "before its start"},
        {0x0ff000, 0x100000, NULL},
        {0x0ff000, 0x100001, "overlaps the hypervisor at 0x100000-0x200000"},
        {0x1fffff, 0x300000, "overlaps the hypervisor"},
        {0x150000, 0x160000, "overlaps the hypervisor"},
        {0x000000, 0xffffffff, "overlaps the hypervisor"},
        {0x100000, 0x200000, "overlaps the hypervisor"},
        {0x150000, 0x150000, NULL}, /* empty */
        {0x200000, 0x400000, NULL},
        {0x3ff000, 0x400001, "overlaps the module at 0x400000-0x500000"},
        {0x4fffff, 0x500001, "overlaps the module"},
        {0x400000, 0x500000, "overlaps the module"},
        {0x450000, 0x460000, "overlaps the module"},
        {0x300000, 0x600000, "overlaps the module"},
        {0x500000, 0x600000, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        begin();
        tag_module(0x400000, 0x500000, "first");
        tag_memory();
        tag_module(cases[i].start, cases[i].end, "second");
        finish();
        if (cases[i].words)
            refused(-EINVAL, cases[i].words);
        else if (parse() != 0)
            fail_msg("case %zu refused: %s", i, error);
    }
}

static void test_number_of_modules(void **state)
{
    (void)state;
    begin();
    tag_memory();
    for (uint32_t i = 0; i < BOOT_MODULES_MAX; i++)
        tag_module(0x1000000 + i * 0x1000, 0x1001000 + i * 0x1000, "m");
    size_t end = built.size;
    finish();
    assert_int_equal(parse(), 0);
    assert_int_equal(info.module_count, BOOT_MODULES_MAX);

    built.size = end;
    tag_module(0x8000000, 0x8001000, "m");
    finish();
    refused(-E2BIG, "more than 1024 modules");
}

static void memory_map_of(uint32_t entries)
{
    begin();
    begin_memory(24);
    for (uint32_t i = 0; i < entries; i++)
        put_memory(i * 0x1000ull, 0x1000, 1);
    end_tag();
    finish();
}

static void test_number_of_memory_entries(void **state)
{
    (void)state;
    memory_map_of(BOOT_MEMORY_MAX);
    assert_int_equal(parse(), 0);
    assert_int_equal(info.memory_count, BOOT_MEMORY_MAX);
    memory_map_of(BOOT_MEMORY_MAX + 1);
    refused(-E2BIG, "513 entries");
    memory_map_of(0);
    refused(-EINVAL, "no available memory");
}

static void test_memory_map_shapes(void **state)
{
    static const uint32_t wrong_sizes[] = {0, 8, 16, 23, 25, 28, 0xfffffff8};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong_sizes); i++) {
        begin();
        begin_memory(wrong_sizes[i]);
        put_memory(0, 0x1000, 1);
        end_tag();
        finish();
        refused(-EINVAL, wrong_sizes[i] == 0xfffffff8 ? "a memory map of" : "entries of");
    }

    begin();
    begin_memory(24);
    put_memory(0, 0x1000, 1);
    put_u64(0);
    end_tag();
    finish();
    refused(-EINVAL, "a memory map of 0x20 bytes with entries of 24 bytes");
}

static void test_no_usable_memory_map(void **state)
{
    (void)state;
    begin();
    tag_string(1, "x");
    finish();
    refused(-EINVAL, "no memory map");

    begin();
    begin_memory(24);
    put_memory(0, 0x1000, 0);
    put_memory(0, 0x1000, 2);
    put_memory(0x1000, 0, 1); /* available, but empty */
    end_tag();
    finish();
    refused(-EINVAL, "no available memory among 3 entries");
}

static void test_no_end_tag(void **state)
{
    (void)state;
    begin();
    tag_memory();
    poke_u32(0, (uint32_t)built.size);
    refused(-EINVAL, "no end tag");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order_of_tags),
        cmocka_unit_test(test_only_a_memory_map),
        cmocka_unit_test(test_a_framebuffer_without_colours),
        cmocka_unit_test(test_the_older_rsdp_when_it_is_the_only_one),
        cmocka_unit_test(test_nothing_behind_the_end_tag_is_read),
        cmocka_unit_test(test_more_bytes_than_the_information_claims),
        cmocka_unit_test(test_entries_of_a_later_version_are_larger),
        cmocka_unit_test(test_every_prefix_is_refused),
        cmocka_unit_test(test_changed_bytes_are_survived),
        cmocka_unit_test(test_total_size),
        cmocka_unit_test(test_tag_sizes),
        cmocka_unit_test(test_strings_without_their_end),
        cmocka_unit_test(test_second_tags),
        cmocka_unit_test(test_modules),
        cmocka_unit_test(test_number_of_modules),
        cmocka_unit_test(test_number_of_memory_entries),
        cmocka_unit_test(test_memory_map_shapes),
        cmocka_unit_test(test_no_usable_memory_map),
        cmocka_unit_test(test_no_end_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
