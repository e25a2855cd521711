/* SPDX-License-Identifier: MIT */
/* snprintf and the string functions under other names, compared with those of libc: chosen cases,
 * then random ones from a fixed seed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Compiled into this file, as the names would collide with libc's. */
#define snprintf  atoll_snprintf
#define vsnprintf atoll_vsnprintf
#include "kernel/lib/format.c"
#undef snprintf
#undef vsnprintf

void *atoll_memcpy(void *restrict to, const void *restrict from, size_t size);
void *atoll_memset(void *to, int value, size_t size);
void *atoll_memmove(void *to, const void *from, size_t size);
int atoll_memcmp(const void *left, const void *right, size_t size);
size_t atoll_strlen(const char *text);
size_t atoll_strnlen(const char *text, size_t limit);
int atoll_strcmp(const char *left, const char *right);
int atoll_strncmp(const char *left, const char *right, size_t limit);
char *atoll_strchr(const char *text, int wanted);
void *atoll_memchr(const void *memory, int wanted, size_t size);

#define memcpy  atoll_memcpy
#define memset  atoll_memset
#define memmove atoll_memmove
#define memcmp  atoll_memcmp
#define strlen  atoll_strlen
#define strnlen atoll_strnlen
#define strcmp  atoll_strcmp
#define strncmp atoll_strncmp
#define strchr  atoll_strchr
#define memchr  atoll_memchr
#include "kernel/lib/string.c"
#undef memcpy
#undef memset
#undef memmove
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef memchr

/* Formats are made at run time, or wrong on purpose. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-zero-length"
#pragma GCC diagnostic ignored "-Wformat-overflow"
#pragma GCC diagnostic ignored "-Wformat-truncation"

#define TEXT_MAX 400

/* Both write into blocks of exactly `size` bytes; the result, the text and the NUL must agree. */
#define SAME(size, format, ...)                                                      \
    do {                                                                             \
        char *ours_ = malloc((size) + 1), *theirs_ = malloc((size) + 1);             \
        assert_true(ours_ && theirs_);                                               \
        memset(ours_, '~', (size) + 1);                                              \
        memset(theirs_, '~', (size) + 1);                                            \
        int got_ = atoll_snprintf(ours_, (size), (format), ##__VA_ARGS__);           \
        int wanted_ = snprintf(theirs_, (size), (format), ##__VA_ARGS__);            \
        size_t used_ = MIN((size_t)(wanted_ + 1), (size_t)(size));                   \
        if (got_ != wanted_ || memcmp(ours_, theirs_, used_) || ours_[size] != '~')  \
            fail_msg("format \"%s\", size %zu: got %d \"%.*s\", libc %d \"%.*s\"",   \
                     (format), (size_t)(size), got_, (int)used_, ours_, wanted_,     \
                     (int)used_, theirs_);                                           \
        free(ours_);                                                                 \
        free(theirs_);                                                               \
    } while (0)

static void test_plain_text_and_percent(void **state)
{
    (void)state;
    SAME(TEXT_MAX, "");
    SAME(TEXT_MAX, "plain");
    SAME(TEXT_MAX, "100%%|%d", 5);
    SAME(TEXT_MAX, "[%c%5c%-5c]", 'a', 'b', 'c');
    SAME(TEXT_MAX, "[%c]", '\0');
}

static void test_strings(void **state)
{
    char unterminated[3] = {'a', 'b', 'c'};

    (void)state;
    SAME(TEXT_MAX, "[%s]", "text");
    SAME(TEXT_MAX, "[%10s|%-10s|%2s]", "text", "text", "text");
    SAME(TEXT_MAX, "[%.2s|%.0s|%.s|%.9s]", "text", "text", "text", "text");
    SAME(TEXT_MAX, "[%*.*s|%*s]", 6, 3, "text", -6, "text");
    SAME(TEXT_MAX, "[%.*s]", -1, "text");
    SAME(TEXT_MAX, "[%.3s]", unterminated);
    SAME(TEXT_MAX, "[%s]", (char *)NULL);
}

static void test_pointers(void **state)
{
    char text[32];

    (void)state;
    SAME(TEXT_MAX, "[%p|%20p|%-20p]", (void *)0x1234abcd, (void *)1, (void *)UINTPTR_MAX);
    assert_int_equal(atoll_snprintf(text, sizeof(text), "%p", NULL), 3);
    assert_string_equal(text, "0x0");
}

static void test_lengths(void **state)
{
    (void)state;
    SAME(TEXT_MAX, "%hhd %hd %d %ld %lld", -129, -32769, INT_MIN, LONG_MIN, LLONG_MIN);
    SAME(TEXT_MAX, "%hhu %hu %u %lu %llu", 257, 65537, UINT_MAX, ULONG_MAX, ULLONG_MAX);
    SAME(TEXT_MAX, "%zu %jd %td %zx", SIZE_MAX, INTMAX_MIN, PTRDIFF_MIN, SIZE_MAX);
    SAME(TEXT_MAX, "%lX %hhx %#hx", ULONG_MAX, -1, 0x1beef);
}

/* Seven arguments pass in registers, the rest on the stack. */
static void test_many_arguments(void **state)
{
    (void)state;
    SAME(TEXT_MAX, "%d %s %ld %c %x %s %llu %d %s %hhd %s", 1, "two", 3L, '4', 5, "six", 7ull, 8,
         "nine", 10, "eleven");
}

static void test_every_buffer_size(void **state)
{
    (void)state;
    for (size_t size = 0; size < 40; size++) {
        SAME(size, "ab%5d%-6scd%#x", 42, "xyz", 0xbeef);
        SAME(size, "%030d", -7);
    }
    assert_int_equal(atoll_snprintf(NULL, 0, "%s", "length only"), 11);
}

static void test_huge_widths_cost_nothing(void **state)
{
    char text[8];

    (void)state;
    assert_int_equal(atoll_snprintf(text, sizeof(text), "%2147483647d", 1), INT_MAX);
    assert_string_equal(text, "       ");
    assert_int_equal(atoll_snprintf(text, sizeof(text), "%2147483647d!", 1), -1);
    assert_int_equal(atoll_snprintf(text, sizeof(text), "%2147483648d", 1), -1);
    assert_int_equal(atoll_snprintf(text, sizeof(text), "%.99999999999999999999d", 1), -1);
    assert_int_equal(atoll_snprintf(text, sizeof(text), "%*d", INT_MIN, 1), -1);
    assert_string_equal(text, "1      ");
}

static void test_unknown_conversions_stand_for_themselves(void **state)
{
    static const char *const formats[] = {"%", "%5", "%-+.3l", "%o", "%n", "%f %s", "%y%d"};
    char text[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        assert_int_equal(atoll_snprintf(text, sizeof(text), formats[i], 1, 2), strlen(formats[i]));
        assert_string_equal(text, formats[i]);
    }
    atoll_snprintf(text, sizeof(text), "%d %n %s", 5, 6, 7);
    assert_string_equal(text, "5 %n %s");
}

/* A random format of one conversion between two marks. */
static void random_format(char *format, const char *length, char kind)
{
    char *at = format;

    *at++ = '<';
    *at++ = '%';
    for (int i = rand() % 4; i > 0; i--)
        *at++ = "-0+ #"[rand() % 5];
    if (rand() % 2)
        at += sprintf(at, "%d", rand() % 70 + 1);
    if (rand() % 2)
        at += sprintf(at, rand() % 4 ? ".%d" : ".", rand() % 40);
    sprintf(at, "%s%c>", length, kind);
}

static uint64_t random_value(void)
{
    uint64_t value = (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();

    return rand() % 8 ? value >> rand() % 64 : 0 - (uint64_t)(rand() % 3);
}

static void test_random_integers(void **state)
{
    static const char *const lengths[] = {"hh", "h", "", "l", "ll", "z", "j", "t"};
    char format[64];

    (void)state;
    srand(1);
    for (int i = 0; i < 200000; i++) {
        const char *length = lengths[rand() % 8];
        size_t size = rand() % 4 ? 100 : (size_t)(rand() % 100);
        uint64_t value = random_value();

        random_format(format, length, "diuxX"[rand() % 5]);
        if (length[0] == 'h' || length[0] == '\0')
            SAME(size, format, (int)value);
        else
            SAME(size, format, value);
    }
}

static void test_random_strings(void **state)
{
    static const char text[] = "The quick brown fox jumps over the lazy dog, twice or thrice.";
    char format[64];

    (void)state;
    srand(2);
    for (int i = 0; i < 50000; i++) {
        size_t size = (size_t)(rand() % 100), from = (size_t)rand() % sizeof(text);
        random_format(format, "", 's');
        SAME(size, format, text + from);
    }
}

static void test_string_functions_against_libc(void **state)
{
    char ours[64], theirs[64], other[64];

    (void)state;
    srand(3);
    for (int i = 0; i < 100000; i++) {
        for (size_t j = 0; j < sizeof(ours); j++) {
            ours[j] = theirs[j] = "ab\0\xff"[rand() % 40 / 13];
            other[j] = rand() % 20 ? ours[j] : 'c';
        }
        size_t size = (size_t)(rand() % 32);
        size_t to = (size_t)(rand() % 32), from = (size_t)(rand() % 32);
        int wanted = "abc\0\xff"[rand() % 5];

#define SIGN(x) (((x) > 0) - ((x) < 0))
        assert_int_equal(SIGN(atoll_memcmp(ours, other, size)), SIGN(memcmp(ours, other, size)));
        assert_int_equal(SIGN(atoll_strncmp(ours, other, size)), SIGN(strncmp(ours, other, size)));
        assert_int_equal(atoll_strnlen(ours + from, size), strnlen(ours + from, size));
        assert_ptr_equal(atoll_memchr(ours + from, wanted | 0x100, size),
                         memchr(ours + from, wanted, size));

        ours[63] = theirs[63] = other[63] = '\0';
        assert_int_equal(atoll_strlen(ours + from), strlen(ours + from));
        assert_ptr_equal(atoll_strchr(ours, wanted), strchr(ours, wanted));
        assert_int_equal(SIGN(atoll_strcmp(ours, other)), SIGN(strcmp(ours, other)));

        assert_ptr_equal(atoll_memmove(ours + to, ours + from, size), ours + to);
        memmove(theirs + to, theirs + from, size);
        assert_memory_equal(ours, theirs, 64);
        assert_ptr_equal(atoll_memcpy(ours + to, other + from, size), ours + to);
        memcpy(theirs + to, other + from, size);
        assert_memory_equal(ours, theirs, 64);
        assert_ptr_equal(atoll_memset(ours + to, wanted | 0x100, size), ours + to);
        memset(theirs + to, wanted, size);
        assert_memory_equal(ours, theirs, 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_text_and_percent),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_many_arguments),
        cmocka_unit_test(test_every_buffer_size),
        cmocka_unit_test(test_huge_widths_cost_nothing),
        cmocka_unit_test(test_unknown_conversions_stand_for_themselves),
        cmocka_unit_test(test_random_integers),
        cmocka_unit_test(test_random_strings),
        cmocka_unit_test(test_string_functions_against_libc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
