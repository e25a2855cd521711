/* SPDX-License-Identifier: MIT */
/* Images of Solo5 hvt guests: a good one, built here byte by byte, then each rule broken alone, and
 * every prefix of the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/errno.h>
#include <cmocka.h>

#include "kernel/vm/hvt_image.h"

#define RAM_SIZE      (4 * MIB)
#define CODE_OFFSET   0x1000u
#define FILE_SIZE     0x3000u
#define DEVICES       2u
#define MANIFEST_SIZE (8 + (1 + DEVICES) * sizeof(struct hvt_manifest_entry))

/* As a linker lays it out. */
enum { TEXT, RODATA, DATA, TLS, BSS, ABI, MANIFEST, HEADERS };

struct good {
    Elf64_Ehdr header;
    Elf64_Phdr program[HEADERS];
    struct {
        Elf64_Nhdr note;
        char name[8];
        struct hvt_abi content;
    } abi;
    struct {
        Elf64_Nhdr note;
        char name[8];
        uint32_t padding;
        uint32_t version, entries;
        struct hvt_manifest_entry entry[1 + DEVICES];
    } __attribute__((packed)) manifest;
};

static struct good good;
static struct hvt_image image;
static char error[ELF_ERROR_MAX];

static Elf64_Phdr segment(uint32_t flags, uint64_t address, uint64_t offset, uint64_t file_size,
                          uint64_t memory_size)
{
    return (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = flags, .p_offset = offset,
                        .p_vaddr = address, .p_paddr = 0x77, .p_filesz = file_size,
                        .p_memsz = memory_size, .p_align = PAGE_SIZE};
}

static Elf64_Phdr notes(uint64_t offset, uint64_t size)
{
    return (Elf64_Phdr){.p_type = PT_NOTE, .p_flags = PF_R, .p_offset = offset,
                        .p_filesz = size, .p_memsz = size, .p_align = 4};
}

static int make_good(void **state)
{
    (void)state;
    memset(&good, 0, sizeof good);
    good.header = (Elf64_Ehdr){
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
        .e_entry = HVT_IMAGE_START + 0x20, .e_phoff = offsetof(struct good, program),
        .e_ehsize = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = HEADERS,
    };
    good.program[TEXT] = segment(PF_X, HVT_IMAGE_START, CODE_OFFSET, 0x800, 0x800);
    good.program[RODATA] = segment(PF_R, HVT_IMAGE_START + 0x1000, CODE_OFFSET, 0x10, 0x10);
    good.program[DATA] = segment(PF_R | PF_W, HVT_IMAGE_START + 0x2000, 0x2000, 0x10, 0x1234);
    good.program[TLS] = segment(PF_R, 0, 0, 0, 0);
    good.program[BSS] = segment(PF_R | PF_W | PF_X, 0, 0, 0, UINT64_MAX); /* not looked at */
    good.program[ABI] = notes(offsetof(struct good, abi), sizeof good.abi);
    good.program[MANIFEST] = notes(offsetof(struct good, manifest), sizeof good.manifest);
    good.abi.note = (Elf64_Nhdr){6, sizeof good.abi.content, HVT_NOTE_ABI};
    memcpy(good.abi.name, HVT_NOTE_NAME, sizeof HVT_NOTE_NAME);
    good.abi.content = (struct hvt_abi){HVT_ABI_TARGET, HVT_ABI_VERSION, {0, 0}};
    good.manifest.note = (Elf64_Nhdr){6, 4 + MANIFEST_SIZE, HVT_NOTE_MANIFEST};
    memcpy(good.manifest.name, HVT_NOTE_NAME, sizeof HVT_NOTE_NAME);
    good.manifest.version = HVT_MANIFEST_VERSION;
    good.manifest.entries = 1 + DEVICES;
    good.manifest.entry[0].type = HVT_DEVICE_RESERVED;
    good.manifest.entry[1].type = HVT_DEVICE_BLOCK;
    strcpy(good.manifest.entry[1].name, "storage");
    good.manifest.entry[2].type = HVT_DEVICE_NET;
    memset(good.manifest.entry[2].name, 'n', HVT_NAME_MAX - 1);
    return 0;
}

/* The first `size` bytes of the file, in a block of exactly that size. */
static int parse_part(size_t size)
{
    uint8_t *file = malloc(size ? size : 1), whole[FILE_SIZE] = {0};
    memcpy(whole, &good, sizeof good);
    memcpy(file, whole, size);
    memset(&image, 0x5a, sizeof image);
    memset(error, 0x5a, sizeof error);
    int result = hvt_image_parse(file, size, RAM_SIZE, &image, error);
    assert_non_null(memchr(error, 0, sizeof error));
    assert_int_equal(result == 0, error[0] == '\0');
    (void)hvt_image_is(file, size);
    if (result == 0) /* the manifest's names are inside the block */
        for (uint32_t i = 0; i < image.entries; i++)
            (void)hvt_image_entry(&image, i);
    free(file);
    return result;
}

static void refused(const char *words)
{
    int result = parse_part(FILE_SIZE);
    if (result != -EINVAL || !strstr(error, words))
        fail_msg("wanted \"%s\", got %d and \"%s\"", words, result, error);
    assert_int_equal(make_good(NULL), 0);
}

static void a_good_one_is_read(void **state)
{
    (void)state;
    assert_int_equal(parse_part(FILE_SIZE), 0);
    assert_int_equal(image.entry, HVT_IMAGE_START + 0x20);
    assert_int_equal(image.segment_count, 3);
    assert_int_equal(image.segments[0].start, HVT_IMAGE_START);
    assert_int_equal(image.segments[0].end, HVT_IMAGE_START + 0x1000);
    assert_true(image.segments[0].executable && !image.segments[0].readable);
    assert_true(image.segments[1].readable && !image.segments[1].writable);
    assert_true(image.segments[2].readable && image.segments[2].writable);
    assert_int_equal(image.segments[2].end, HVT_IMAGE_START + 0x4000);
    assert_int_equal(image.segments[2].file_size, 0x10);
    assert_int_equal(image.kernel_end, HVT_IMAGE_START + 0x4000);
    assert_int_equal(image.entries, 3);
    assert_true(hvt_image_is(&good, sizeof good));
    good.program[ABI].p_type = good.program[MANIFEST].p_type = PT_NULL;
    assert_false(hvt_image_is(&good, sizeof good));
}

static void segments_obey_the_rules(void **state)
{
    Elf64_Phdr *text = &good.program[TEXT], *rodata = &good.program[RODATA];
    (void)state;
    text->p_flags |= PF_W;
    refused("is writable and executable");
    text->p_vaddr = HVT_IMAGE_START - 1;
    refused("is below 0x100000");
    text->p_align = 0x3000;
    refused("is no power of two");
    text->p_filesz = 0x801;
    refused("has 0x801 bytes in the file, but 0x800 in memory");
    text->p_offset = FILE_SIZE - 0x7ff;
    refused("lie outside the file");
    text->p_offset = UINT64_MAX;
    refused("lie outside the file");
    text->p_memsz = RAM_SIZE;
    refused("lie outside RAM");
    text->p_memsz = UINT64_MAX;
    refused("lie outside RAM");
    text->p_vaddr = RAM_SIZE;
    refused("lie outside RAM");
    text->p_align = BIT(63);
    refused("lie outside RAM");
    text->p_align = 4 * MIB; /* rounded down it is below 1 MiB */
    refused("are not within 0x100000");
    text->p_align = 16;
    text->p_memsz = 0x808;
    refused("are no whole pages");
    rodata->p_vaddr = HVT_IMAGE_START + 0xfff; /* its page is the text's */
    refused("is not behind the one before it");
    rodata->p_vaddr = HVT_IMAGE_START;
    refused("is not behind the one before it");
    text->p_vaddr = HVT_IMAGE_START + 0x8000;
    refused("is not behind the one before it");
    text->p_filesz = rodata->p_filesz = good.program[DATA].p_filesz = 0;
    refused("no segment to load");
    good.header.e_entry = HVT_IMAGE_START - 1;
    refused("entry 0xfffff is not within");
    good.header.e_entry = RAM_SIZE;
    refused("entry 0x400000 is not within");
}

static void notes_obey_the_rules(void **state)
{
    (void)state;
    good.abi.content.target = 2;
    refused("ABI1 note: target 2, version 2");
    good.abi.content.version = 1;
    refused("ABI1 note: target 1, version 1");
    good.abi.note.n_descsz = 0;
    refused("ABI1 note: note does not fall within valid size");
    good.abi.note.n_descsz = 17;
    refused("ABI1 note: note does not fall within valid size");
    good.abi.note.n_descsz = 12;
    refused("ABI1 note has 0xc bytes");
    good.program[ABI].p_filesz = sizeof good.abi - 1;
    refused("ABI1 note: note does not fall within valid size");
    good.program[ABI].p_filesz = 11;
    refused("too few for a note");
    good.abi.note.n_type = 1;
    refused("no ABI1 note");
    good.manifest.name[0] = 's';
    refused("no MFT1 note");
    good.manifest.note.n_descsz = 1;
    refused("MFT1 note: note does not fall within valid size");
    good.manifest.note.n_descsz = 4;
    refused("MFT1 note: note does not fall within valid size");
    good.manifest.note.n_descsz = UINT32_MAX;
    refused("MFT1 note: note does not fall within valid size");
    good.program[MANIFEST].p_filesz--;
    refused("MFT1 note: note does not fall within valid size");
    good.program[MANIFEST].p_offset = FILE_SIZE - 40; /* zeroes: no note of Solo5's */
    refused("no MFT1 note");
}

static void manifests_obey_the_rules(void **state)
{
    (void)state;
    good.manifest.version = 2;
    refused("manifest version 2");
    good.manifest.entries = 0;
    refused("manifest of 0 entries");
    good.manifest.entries = HVT_MANIFEST_MAX + 1;
    refused("manifest of 65 entries");
    good.manifest.entries = 2;
    refused("has 2 entries, which take");
    good.manifest.note.n_descsz -= 1;
    refused("has 3 entries, which take");
    good.manifest.note.n_descsz = 4 + 7;
    refused("has no header");
    good.manifest.entry[0].type = HVT_DEVICE_BLOCK;
    refused("manifest entry 0 has type 0x1");
    good.manifest.entry[0].name[0] = 'x';
    refused("manifest entry 0 has type 0x40000000 and name \"x\"");
    good.manifest.entry[1].type = HVT_DEVICE_RESERVED;
    refused("manifest entry 1 has the unknown type 0x40000000");
    good.manifest.entry[2].type = 3;
    refused("manifest entry 2 has the unknown type 0x3");
    good.manifest.entry[2].name[HVT_NAME_MAX - 1] = 'n';
    refused("manifest entry 2: its name has no NUL");
    good.manifest.entry[1].name[0] = '\0';
    refused("manifest entry 1: the name \"\" is empty or taken");
    strcpy(good.manifest.entry[2].name, "storage");
    refused("manifest entry 2: the name \"storage\" is empty or taken");
    good.manifest.entry[1].attached = 1;
    refused("manifest entry 1 is attached");
}

static void every_prefix_is_survived(void **state)
{
    (void)state;
    for (size_t size = 0; size < FILE_SIZE; size++) {
        int result = parse_part(size);
        assert_true(size >= 0x2010 ? result == 0 : result < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_good_one_is_read, make_good),
        cmocka_unit_test_setup(segments_obey_the_rules, make_good),
        cmocka_unit_test_setup(notes_obey_the_rules, make_good),
        cmocka_unit_test_setup(manifests_obey_the_rules, make_good),
        cmocka_unit_test_setup(every_prefix_is_survived, make_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
