/* SPDX-License-Identifier: MIT */
/* Guest images: a good one, then every way in which it can be bad. Each file is parsed from a copy
 * that is exactly as long as it says and lies unaligned, so that ASan and UBSan see each slip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <elf.h>
#include <linux/errno.h>
#include <xen/elfnote.h>
#include "kernel/vm/elf_image.h"

#define RAM_SIZE  (4 * MIB)
#define TEXT      0x100000ull
#define RODATA    0x101000ull
#define DATA      0x102000ull
#define DATA_SIZE 0x1800ull /* in memory */

enum { P_NOTE, P_DATA, P_TEXT, P_STACK, P_RODATA, PROGRAMS };

struct note {
    Elf64_Nhdr header;
    char name[4];
    uint32_t description[2];
};

/* The last byte of the file belongs to a segment: no truncation goes unnoticed. */
struct file {
    Elf64_Ehdr header;
    Elf64_Phdr program[PROGRAMS];
    struct note note[2];
    uint8_t text[48];
    uint8_t rodata[16];
    uint8_t data[24];
};

_Static_assert(sizeof(struct file) == 0x1e0, "the words of refusals name offsets");

static struct file good_file(void)
{
    struct file file = {
        .header = {
            .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
            .e_type = ET_EXEC,
            .e_machine = EM_X86_64,
            .e_version = EV_CURRENT,
            .e_phoff = offsetof(struct file, program),
            .e_ehsize = sizeof(Elf64_Ehdr),
            .e_phentsize = sizeof(Elf64_Phdr),
            .e_phnum = PROGRAMS,
        },
        .program = {
            [P_NOTE] = {PT_NOTE, PF_R, offsetof(struct file, note), 0, 0,
                        sizeof(file.note), sizeof(file.note), 4},
            [P_DATA] = {PT_LOAD, PF_R | PF_W, offsetof(struct file, data), 0, DATA,
                        sizeof(file.data), DATA_SIZE, 1},
            [P_TEXT] = {PT_LOAD, PF_R | PF_X, offsetof(struct file, text), 0, TEXT,
                        sizeof(file.text), sizeof(file.text), 1},
            [P_STACK] = {.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W | PF_X},
            [P_RODATA] = {PT_LOAD, PF_R, offsetof(struct file, rodata), 0, RODATA,
                          sizeof(file.rodata), sizeof(file.rodata), 1},
        },
        .note = {
            {{4, 8, NT_GNU_ABI_TAG}, "GNU", {0, 0}},
            {{4, 8, XEN_ELFNOTE_PHYS32_ENTRY}, "Xen", {TEXT + 16, 0}},
        },
    };
    return file;
}

static int parse(const void *file, size_t size, uint64_t ram_size, struct elf_image *image,
                 char error[ELF_ERROR_MAX])
{
    uint8_t *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy + 1, file, size);
    memset(image, 0xa5, sizeof(*image));
    memset(error, 0xa5, ELF_ERROR_MAX);
    int result = elf_image_parse(copy + 1, size, ram_size, image, error);
    free(copy);
    return result;
}

static void assert_good(const struct file *file, uint64_t entry)
{
    struct elf_image image;
    char error[ELF_ERROR_MAX];
    int result = parse(file, sizeof(*file), RAM_SIZE, &image, error);
    assert_string_equal(error, "");
    assert_int_equal(result, 0);
    assert_int_equal(image.entry.value, entry);
}

static void assert_refused(const struct file *file, const char *words)
{
    struct elf_image image;
    char error[ELF_ERROR_MAX];
    assert_int_equal(parse(file, sizeof(*file), RAM_SIZE, &image, error), -EINVAL);
    assert_string_equal(error, words);
}

static void a_good_image_is_read(void **state)
{
    (void)state;
    const struct elf_segment wanted[] = {
        {GPA(TEXT), offsetof(struct file, text), 48, 48, false, true},
        {GPA(RODATA), offsetof(struct file, rodata), 16, 16, false, false},
        {GPA(DATA), offsetof(struct file, data), 24, DATA_SIZE, true, false},
    };
    struct file file = good_file();
    struct elf_image image;
    char error[ELF_ERROR_MAX];
    assert_int_equal(parse(&file, sizeof(file), RAM_SIZE, &image, error), 0);
    assert_string_equal(error, "");
    assert_int_equal(image.entry.value, TEXT + 16);
    assert_int_equal(image.segment_count, ARRAY_SIZE(wanted));
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        assert_int_equal(image.segments[i].address.value, wanted[i].address.value);
        assert_int_equal(image.segments[i].file_offset, wanted[i].file_offset);
        assert_int_equal(image.segments[i].file_size, wanted[i].file_size);
        assert_int_equal(image.segments[i].memory_size, wanted[i].memory_size);
        assert_int_equal(image.segments[i].writable, wanted[i].writable);
        assert_int_equal(image.segments[i].executable, wanted[i].executable);
    }
}

/* A field of struct file and what to write there. */
struct poke {
    size_t offset, size;
    uint64_t value;
};

#define POKE(member, to) {offsetof(struct file, member), sizeof(((struct file *)0)->member), to}

static struct file poked(const struct poke *pokes, size_t count)
{
    struct file file = good_file();
    for (size_t i = 0; i < count; i++)
        memcpy((uint8_t *)&file + pokes[i].offset, &pokes[i].value, pokes[i].size);
    return file;
}

#define POKES_MAX 4

static void still_good(void **state)
{
    (void)state;
    static const struct {
        uint64_t entry;
        struct poke pokes[POKES_MAX];
    } cases[] = {
        /* the entry's ends */
        {TEXT, {POKE(note[1].description[0], TEXT)}},
        {TEXT + 47, {POKE(note[1].description[0], TEXT + 47)}},
        /* 4 bytes of entry, the rest ignored */
        {TEXT + 16, {POKE(note[1].header.n_descsz, 4), POKE(note[1].description[1], 1)}},
        /* notes aligned to 8, where the first has 4 bytes and 4 of padding */
        {TEXT + 16, {POKE(note[0].header.n_descsz, 4), POKE(program[P_NOTE].p_align, 8)}},
        /* more notes behind those with the entry */
        {TEXT + 16, {POKE(program[P_STACK].p_type, PT_NOTE)}},
        /* up to RAM's last byte; a .bss whose offset is anywhere; an empty segment anywhere */
        {TEXT + 16, {POKE(program[P_DATA].p_paddr, RAM_SIZE - DATA_SIZE)}},
        {TEXT + 16, {POKE(program[P_DATA].p_filesz, 0), POKE(program[P_DATA].p_offset, ~0ull)}},
        {TEXT + 16, {POKE(program[P_RODATA].p_filesz, 0), POKE(program[P_RODATA].p_memsz, 0),
                     POKE(program[P_RODATA].p_paddr, ~0ull)}},
        /* segments that touch, and a page that is read-only and executable */
        {TEXT + 16, {POKE(program[P_RODATA].p_paddr, TEXT + 48)}},
        /* what the loader has no use for */
        {TEXT + 16, {POKE(header.e_entry, ~0ull), POKE(header.e_shoff, ~0ull),
                     POKE(header.e_ident[EI_OSABI], 255), POKE(program[P_TEXT].p_vaddr, ~0ull)}},
        {TEXT + 16, {POKE(header.e_shnum, 0xffff), POKE(header.e_flags, 0xffffffff),
                     POKE(program[P_TEXT].p_align, ~0ull), POKE(program[P_STACK].p_offset, ~0ull)}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct file file = poked(cases[i].pokes, POKES_MAX);
        assert_good(&file, cases[i].entry);
    }
}

static void offset_of_nothing_is_zero(void **state)
{
    (void)state;
    struct file file = good_file();
    struct elf_image image;
    char error[ELF_ERROR_MAX];
    file.program[P_DATA].p_filesz = 0;
    file.program[P_DATA].p_offset = UINT64_MAX;
    assert_int_equal(parse(&file, sizeof(file), RAM_SIZE, &image, error), 0);
    assert_int_equal(image.segments[2].file_offset, 0);
}

static void each_refusal_has_its_words(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        struct poke pokes[POKES_MAX];
    } cases[] = {
        {"ELF class is 0x1, must be 0x2", {POKE(header.e_ident[EI_CLASS], ELFCLASS32)}},
        {"ELF byte order is 0x2, must be 0x1", {POKE(header.e_ident[EI_DATA], ELFDATA2MSB)}},
        {"ELF identification version is 0x0, must be 0x1", {POKE(header.e_ident[EI_VERSION], 0)}},
        {"ELF type is 0x3, must be 0x2", {POKE(header.e_type, ET_DYN)}},
        {"ELF machine is 0xb7, must be 0x3e", {POKE(header.e_machine, EM_AARCH64)}},
        {"ELF version is 0x2, must be 0x1", {POKE(header.e_version, 2)}},
        {"ELF header size is 0x34, must be 0x40", {POKE(header.e_ehsize, 0x34)}},
        {"ELF program header size is 0x39, must be 0x38", {POKE(header.e_phentsize, 0x39)}},
        {"65535 program headers, more than 64", {POKE(header.e_phnum, PN_XNUM)}},
        {"65 program headers, more than 64", {POKE(header.e_phnum, 65)}},
        {"64 program headers at 0x40 lie outside the file of 0x1e0 bytes",
         {POKE(header.e_phnum, 64)}},
        {"5 program headers at 0xc9 lie outside the file of 0x1e0 bytes",
         {POKE(header.e_phoff, sizeof(struct file) - 5 * sizeof(Elf64_Phdr) + 1)}},
        {"5 program headers at 0xffffffffffffffff lie outside the file of 0x1e0 bytes",
         {POKE(header.e_phoff, ~0ull)}},
        {"segment 2 has 0x30 bytes in the file, but 0x2f in memory",
         {POKE(program[P_TEXT].p_memsz, 47)}},
        {"segment 2 has 0x30 bytes in the file, but 0x0 in memory",
         {POKE(program[P_TEXT].p_memsz, 0)}},
        {"segment 1: 0x18 bytes at 0x1c9 lie outside the file of 0x1e0",
         {POKE(program[P_DATA].p_offset, offsetof(struct file, data) + 1)}},
        {"segment 1: 0x19 bytes at 0x1c8 lie outside the file of 0x1e0",
         {POKE(program[P_DATA].p_filesz, 25)}},
        {"segment 1: 0x18 bytes at 0xfffffffffffffff0 lie outside the file of 0x1e0",
         {POKE(program[P_DATA].p_offset, ~0ull << 4)}},
        {"segment 1: 0x1800 bytes at 0x3fe801 lie outside RAM of 0x400000 bytes",
         {POKE(program[P_DATA].p_paddr, RAM_SIZE - DATA_SIZE + 1)}},
        {"segment 1: 0x1800 bytes at 0x400000 lie outside RAM of 0x400000 bytes",
         {POKE(program[P_DATA].p_paddr, RAM_SIZE)}},
        {"segment 1: 0xffffffffffefe000 bytes at 0x102000 lie outside RAM of 0x400000 bytes",
         {POKE(program[P_DATA].p_memsz, 0 - DATA)}},
        {"segment 1: 0x1800 bytes at 0xfffffffffffff000 lie outside RAM of 0x400000 bytes",
         {POKE(program[P_DATA].p_paddr, ~PAGE_MASK)}},
        {"segment 2 at 0x100000 is writable and executable",
         {POKE(program[P_TEXT].p_flags, PF_R | PF_W | PF_X)}},
        {"segment 2 at 0x100000 is writable and executable",
         {POKE(program[P_TEXT].p_flags, PF_W | PF_X)}},
        {"segments at 0x100000 and 0x10002f overlap", {POKE(program[P_RODATA].p_paddr, TEXT + 47)}},
        {"segments at 0x101000 and 0x102000 overlap", {POKE(program[P_RODATA].p_memsz, 0x1001)}},
        {"segments at 0x100000 and 0x100000 overlap", {POKE(program[P_RODATA].p_paddr, TEXT)}},
        {"page 0x100000 would be writable and executable",
         {POKE(program[P_DATA].p_paddr, TEXT + 0xfff)}},
        {"page 0x103000 would be writable and executable",
         {POKE(program[P_TEXT].p_paddr, DATA + DATA_SIZE)}},
        {"page 0x100000 would be writable and executable", /* with a read-only one between */
         {POKE(program[P_RODATA].p_paddr, TEXT + 48), POKE(program[P_DATA].p_paddr, TEXT + 64)}},
        {"notes 0: 0x30 bytes at 0x1b1 lie outside the file of 0x1e0",
         {POKE(program[P_NOTE].p_offset, sizeof(struct file) - 0x2f)}},
        {"notes 0: 0xffffffffffffffff bytes at 0x158 lie outside the file of 0x1e0",
         {POKE(program[P_NOTE].p_filesz, ~0ull)}},
        {"note at 0x158 reaches beyond its segment's end at 0x188",
         {POKE(note[0].header.n_namesz, 0xffffffff)}},
        {"note at 0x158 reaches beyond its segment's end at 0x188",
         {POKE(note[0].header.n_descsz, 0xffffffff)}},
        {"note at 0x158 reaches beyond its segment's end at 0x188",
         {POKE(note[0].header.n_descsz, 0x21)}},
        {"note at 0x170 reaches beyond its segment's end at 0x187",
         {POKE(program[P_NOTE].p_filesz, 2 * sizeof(struct note) - 1)}},
        {"PHYS32_ENTRY note has 0x0 bytes, must have 4 or 8", {POKE(note[1].header.n_descsz, 0)}},
        {"PHYS32_ENTRY note has 0x5 bytes, must have 4 or 8", {POKE(note[1].header.n_descsz, 5)}},
        {"entry 0x100100010 of the PHYS32_ENTRY note is beyond 32 bits",
         {POKE(note[1].description[1], 1)}},
        {"entry 0xfffff lies in no executable segment", {POKE(note[1].description[0], TEXT - 1)}},
        {"entry 0x100030 lies in no executable segment", {POKE(note[1].description[0], TEXT + 48)}},
        {"entry 0x101000 lies in no executable segment", {POKE(note[1].description[0], RODATA)}},
        {"entry 0x102000 lies in no executable segment", {POKE(note[1].description[0], DATA)}},
        {"entry 0x100010 lies in no executable segment", {POKE(program[P_TEXT].p_flags, PF_R)}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct file file = poked(cases[i].pokes, POKES_MAX);
        assert_refused(&file, cases[i].words);
    }
}

static void an_entry_must_be_found(void **state)
{
    (void)state;
    static const char words[] =
        "no PVH entry: no PT_NOTE has a Xen note of type 18 (PHYS32_ENTRY)";
    static const struct poke cases[] = {
        POKE(header.e_phnum, 0),
        POKE(program[P_NOTE].p_type, PT_NULL),
        POKE(program[P_NOTE].p_filesz, 0),
        POKE(program[P_NOTE].p_filesz, sizeof(struct note)),
        POKE(program[P_NOTE].p_filesz, sizeof(struct note) + 11), /* not even a note's header */
        POKE(note[1].header.n_type, XEN_ELFNOTE_ENTRY),
        POKE(note[1].header.n_namesz, 3), /* without its NUL */
        POKE(note[1].name[0], 'x'),
        POKE(note[1].name[3], '!'),
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct file file = poked(&cases[i], 1);
        assert_refused(&file, words);
    }
}

static void the_first_entry_counts(void **state)
{
    (void)state;
    struct file file = good_file();
    file.note[0] = file.note[1];
    file.note[0].description[0] = TEXT + 32;
    assert_good(&file, TEXT + 32);
}

/* An image of `count` segments of one byte each, in descending order, a page apart. */
static int parse_many(unsigned count, struct elf_image *image, char error[ELF_ERROR_MAX])
{
    static struct {
        struct file file;
        Elf64_Phdr program[64];
    } many;
    many.file = good_file();
    many.file.header.e_phoff = sizeof(many.file);
    many.file.header.e_phnum = (Elf64_Half)(count + 1);
    many.program[0] = many.file.program[P_NOTE];
    for (unsigned i = 1; i <= count; i++) {
        many.program[i] = many.file.program[P_TEXT];
        many.program[i].p_paddr += (count - i) * PAGE_SIZE;
    }
    size_t size = sizeof(many.file) + (count + 1) * sizeof(Elf64_Phdr);
    return parse(&many, size, RAM_SIZE, image, error);
}

static void segments_have_a_limit(void **state)
{
    (void)state;
    struct elf_image image;
    char error[ELF_ERROR_MAX];
    assert_int_equal(parse_many(ELF_SEGMENTS_MAX, &image, error), 0);
    assert_int_equal(image.segment_count, ELF_SEGMENTS_MAX);
    for (unsigned i = 0; i < ELF_SEGMENTS_MAX; i++)
        assert_int_equal(image.segments[i].address.value, TEXT + i * PAGE_SIZE);
    assert_int_equal(parse_many(ELF_SEGMENTS_MAX + 1, &image, error), -EINVAL);
    assert_string_equal(error, "segment 17: more than 16 segments to load");
    assert_int_equal(parse_many(63, &image, error), -EINVAL);
}

static void what_is_no_elf_file_is_said_so(void **state)
{
    (void)state;
    struct elf_image image;
    char error[ELF_ERROR_MAX];
    static const char *const files[] = {"", "\x7f", "\x7f" "EL", "\x7f" "ELf", "#!/bin/sh\n"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        assert_int_equal(parse(files[i], strlen(files[i]), RAM_SIZE, &image, error), -ENOEXEC);
        assert_string_equal(error, "not an ELF file");
    }
    assert_int_equal(parse("\x7f" "ELF", 4, RAM_SIZE, &image, error), -EINVAL);
    assert_string_equal(error, "file of 0x4 bytes is shorter than an ELF header");
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct file file = good_file();
    struct elf_image image;
    char error[ELF_ERROR_MAX];
    for (size_t size = 0; size < sizeof(file); size++) {
        int result = parse(&file, size, RAM_SIZE, &image, error);
        assert_int_equal(result, size < SELFMAG ? -ENOEXEC : -EINVAL);
        assert_true(strlen(error) > 0);
    }
}

static void every_smaller_ram_is_refused(void **state)
{
    (void)state;
    struct file file = good_file();
    struct elf_image image;
    char error[ELF_ERROR_MAX];
    assert_int_equal(parse(&file, sizeof(file), DATA + DATA_SIZE, &image, error), 0);
    for (uint64_t ram_size = 0; ram_size < DATA + DATA_SIZE; ram_size += 0x7ff)
        assert_int_equal(parse(&file, sizeof(file), ram_size, &image, error), -EINVAL);
    assert_int_equal(parse(&file, sizeof(file), DATA + DATA_SIZE - 1, &image, error), -EINVAL);
    assert_int_equal(parse(&file, sizeof(file), UINT64_MAX, &image, error), 0);
}

/* Whatever the file, the outcome is an image that keeps all promises, or one line of words. */
static void assert_promises(const struct file *file)
{
    struct elf_image image;
    char error[ELF_ERROR_MAX];
    if (parse(file, sizeof(*file), RAM_SIZE, &image, error) != 0) {
        size_t length = strnlen(error, ELF_ERROR_MAX);
        assert_in_range(length, 1, ELF_ERROR_MAX - 1);
        for (size_t i = 0; i < length; i++)
            assert_in_range(error[i], ' ', '~');
        return;
    }
    bool entered = false;
    uint64_t last_end = 0;
    assert_in_range(image.segment_count, 1, ELF_SEGMENTS_MAX);
    for (uint32_t i = 0; i < image.segment_count; i++) {
        const struct elf_segment *segment = &image.segments[i];
        uint64_t start = segment->address.value;
        assert_true(start >= last_end && start <= RAM_SIZE);
        assert_in_range(segment->memory_size, 1, RAM_SIZE - start);
        assert_true(segment->file_size <= segment->memory_size);
        assert_true(segment->file_offset <= sizeof(*file));
        assert_true(segment->file_size <= sizeof(*file) - segment->file_offset);
        assert_false(segment->writable && segment->executable);
        last_end = start + segment->memory_size;
        entered |= segment->executable && image.entry.value >= start &&
                   image.entry.value < last_end;
    }
    assert_true(entered);
}

/* Values at which a check of a field may break. */
static uint64_t pick_value(void)
{
    static const uint64_t edges[] = {
        0, 1, 2, 4, 8, 0x7f, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32,
        1ull << 63, UINT64_MAX, sizeof(struct file), sizeof(Elf64_Phdr), sizeof(struct note),
        offsetof(struct file, note), offsetof(struct file, text), TEXT, RODATA, DATA, RAM_SIZE,
        RAM_SIZE - DATA, PAGE_SIZE, 0 - PAGE_SIZE,
    };
    return edges[(size_t)random() % ARRAY_SIZE(edges)] + (uint64_t)(random() % 5) - 2;
}

static void every_field_may_be_wrong(void **state)
{
    (void)state;
    const size_t end = offsetof(struct file, text);
    static const struct {
        size_t size;
        unsigned values;
    } widths[] = {{1, 32}, {2, 64}, {4, 64}, {8, 64}};
    srandom(1);
    for (size_t width = 0; width < ARRAY_SIZE(widths); width++)
        for (size_t offset = 0; offset + widths[width].size <= end; offset += widths[width].size)
            for (unsigned i = 0; i < widths[width].values; i++) {
                struct poke poke = {offset, widths[width].size, pick_value()};
                struct file file = poked(&poke, 1);
                assert_promises(&file);
            }
}

static void several_fields_may_be_wrong(void **state)
{
    (void)state;
    /* past e_ident and the rest that only one value passes */
    const size_t start = offsetof(struct file, program);
    const size_t words = (offsetof(struct file, text) - start) / 4;
    srandom(2);
    for (int step = 0; step < 100000; step++) {
        struct poke pokes[POKES_MAX];
        for (size_t i = 0; i < POKES_MAX; i++) {
            size_t size = random() % 2 ? 4 : 8;
            pokes[i] = (struct poke){start + (size_t)random() % (words - 1) * 4, size,
                                     pick_value()};
        }
        struct file file = poked(pokes, 1 + (size_t)random() % POKES_MAX);
        assert_promises(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_image_is_read),
        cmocka_unit_test(still_good),
        cmocka_unit_test(offset_of_nothing_is_zero),
        cmocka_unit_test(each_refusal_has_its_words),
        cmocka_unit_test(an_entry_must_be_found),
        cmocka_unit_test(the_first_entry_counts),
        cmocka_unit_test(segments_have_a_limit),
        cmocka_unit_test(what_is_no_elf_file_is_said_so),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_smaller_ram_is_refused),
        cmocka_unit_test(every_field_may_be_wrong),
        cmocka_unit_test(several_fields_may_be_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
