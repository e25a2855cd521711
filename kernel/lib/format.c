/* SPDX-License-Identifier: MIT */
/* snprintf and vsnprintf: a conversion is parsed into a record, then printed from it. The source of
 * truth is C11 7.21.6.1; no floating point, no %n, no locale. */
#include "kernel/lib/format.h"
#include "kernel/lib/types.h"

#include <limits.h>

struct output {
    char *buffer;
    size_t size;   /* of the buffer, with the NUL */
    size_t length; /* of the text so far, whether it fitted or not; saturates */
};

enum length_modifier {
    LENGTH_INT, LENGTH_CHAR, LENGTH_SHORT, LENGTH_LONG, LENGTH_LONG_LONG,
    LENGTH_SIZE, LENGTH_INTMAX, LENGTH_PTRDIFF,
};

struct conversion {
    bool left, zero, plus, blank, alternate;
    bool has_precision;
    size_t width;
    size_t precision;
    enum length_modifier length;
    char kind;
};

/* A number in pieces: sign or 0x, zeros that the precision asks for, digits. */
struct number {
    char prefix[2];
    size_t prefix_length;
    char digits[20]; /* of UINT64_MAX in decimal, the longest */
    size_t digit_count;
};

static void put_repeated(struct output *out, char c, size_t count)
{
    for (size_t i = 0; i < count && out->length + i + 1 < out->size; i++)
        out->buffer[out->length + i] = c;
    if (__builtin_add_overflow(out->length, count, &out->length))
        out->length = SIZE_MAX / 2;
}

static void put_bytes(struct output *out, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_repeated(out, bytes[i], 1);
}

static void put_padded(struct output *out, const struct conversion *conversion, const char *bytes,
                       size_t count)
{
    size_t padding = conversion->width > count ? conversion->width - count : 0;

    if (!conversion->left)
        put_repeated(out, ' ', padding);
    put_bytes(out, bytes, count);
    if (conversion->left)
        put_repeated(out, ' ', padding);
}

static void put_number(struct output *out, const struct conversion *conversion,
                       const struct number *number)
{
    size_t zeros = 0;
    if (conversion->has_precision && conversion->precision > number->digit_count)
        zeros = conversion->precision - number->digit_count;

    size_t length = number->prefix_length + zeros + number->digit_count;
    size_t padding = conversion->width > length ? conversion->width - length : 0;

    if (conversion->zero && !conversion->left && !conversion->has_precision) {
        zeros = padding;
        padding = 0;
    }

    if (!conversion->left)
        put_repeated(out, ' ', padding);
    put_bytes(out, number->prefix, number->prefix_length);
    put_repeated(out, '0', zeros);
    put_bytes(out, number->digits, number->digit_count);
    if (conversion->left)
        put_repeated(out, ' ', padding);
}

/* A precision of 0 prints the value 0 as no digits at all. */
static void set_digits(struct number *number, uint64_t value, unsigned base, const char *alphabet,
                       const struct conversion *conversion)
{
    if (value == 0 && conversion->has_precision && conversion->precision == 0)
        return;

    char reversed[sizeof(number->digits)];
    size_t count = 0;
    do {
        reversed[count++] = alphabet[value % base];
        value /= base;
    } while (value != 0);

    for (size_t i = 0; i < count; i++)
        number->digits[i] = reversed[count - 1 - i];
    number->digit_count = count;
}

static void put_signed(struct output *out, const struct conversion *conversion, int64_t value)
{
    struct number number = {.prefix_length = 0};
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    if (value < 0 || conversion->plus || conversion->blank) {
        number.prefix[0] = value < 0 ? '-' : conversion->plus ? '+' : ' ';
        number.prefix_length = 1;
    }
    set_digits(&number, magnitude, 10, "0123456789", conversion);
    put_number(out, conversion, &number);
}

static void put_hexadecimal(struct output *out, const struct conversion *conversion,
                            uint64_t value, bool prefixed)
{
    struct number number = {.prefix_length = 0};
    bool capital = conversion->kind == 'X';

    if (prefixed) {
        number.prefix[0] = '0';
        number.prefix[1] = capital ? 'X' : 'x';
        number.prefix_length = 2;
    }
    set_digits(&number, value, 16, capital ? "0123456789ABCDEF" : "0123456789abcdef", conversion);
    put_number(out, conversion, &number);
}

static void put_unsigned(struct output *out, const struct conversion *conversion, uint64_t value)
{
    if (conversion->kind != 'u') {
        put_hexadecimal(out, conversion, value, conversion->alternate && value != 0);
        return;
    }
    struct number number = {.prefix_length = 0};
    set_digits(&number, value, 10, "0123456789", conversion);
    put_number(out, conversion, &number);
}

static void put_string(struct output *out, const struct conversion *conversion, const char *text)
{
    if (!text)
        text = "(null)";

    size_t limit = conversion->has_precision ? conversion->precision : SIZE_MAX;
    size_t length = 0;
    while (length < limit && text[length])
        length++;
    put_padded(out, conversion, text, length);
}

static size_t parse_number(const char **format)
{
    size_t value = 0;
    for (; **format >= '0' && **format <= '9'; (*format)++)
        value = MIN(value * 10 + (size_t)(**format - '0'), (size_t)INT_MAX + 1);
    return value;
}

static void parse_flags(const char **format, struct conversion *conversion)
{
    for (;; (*format)++) {
        switch (**format) {
        case '-': conversion->left = true; break;
        case '0': conversion->zero = true; break;
        case '+': conversion->plus = true; break;
        case ' ': conversion->blank = true; break;
        case '#': conversion->alternate = true; break;
        default: return;
        }
    }
}

static enum length_modifier parse_length(const char **format)
{
    static const struct {
        char text[3];
        enum length_modifier length;
    } modifiers[] = { /* the longer ones first */
        {"hh", LENGTH_CHAR}, {"h", LENGTH_SHORT},  {"ll", LENGTH_LONG_LONG}, {"l", LENGTH_LONG},
        {"z", LENGTH_SIZE},  {"j", LENGTH_INTMAX}, {"t", LENGTH_PTRDIFF},
    };

    for (size_t i = 0; i < ARRAY_SIZE(modifiers); i++) {
        const char *text = modifiers[i].text;
        if ((*format)[0] != text[0] || (text[1] && (*format)[1] != text[1]))
            continue;
        *format += text[1] ? 2 : 1;
        return modifiers[i].length;
    }
    return LENGTH_INT;
}

/* va_list is an array type: a pointer to it cannot be made from a parameter, only from a member. */
struct arguments {
    va_list list;
};

static void parse_width(const char **format, struct conversion *conversion, struct arguments *args)
{
    if (**format != '*') {
        conversion->width = parse_number(format);
        return;
    }
    (*format)++;
    int width = va_arg(args->list, int);
    if (width < 0)
        conversion->left = true;
    conversion->width = width < 0 ? 0 - (size_t)width : (size_t)width;
}

static void parse_precision(const char **format, struct conversion *conversion,
                            struct arguments *args)
{
    if (**format != '.')
        return;
    (*format)++;
    conversion->has_precision = true;
    if (**format != '*') {
        conversion->precision = parse_number(format);
        return;
    }
    (*format)++;
    int precision = va_arg(args->list, int);
    conversion->has_precision = precision >= 0; /* a negative one counts as none */
    conversion->precision = precision < 0 ? 0 : (size_t)precision;
}

/* Reads what follows a '%', up to and with the letter of the conversion. */
static struct conversion parse_conversion(const char **format, struct arguments *args)
{
    struct conversion conversion = {.kind = 0};

    parse_flags(format, &conversion);
    parse_width(format, &conversion, args);
    parse_precision(format, &conversion, args);
    conversion.length = parse_length(format);
    conversion.kind = **format;
    if (conversion.kind)
        (*format)++;
    return conversion;
}

static int64_t signed_argument(enum length_modifier length, struct arguments *args)
{
    switch (length) {
    case LENGTH_INT: return va_arg(args->list, int);
    case LENGTH_CHAR: return (signed char)va_arg(args->list, int);
    case LENGTH_SHORT: return (short)va_arg(args->list, int);
    default: return va_arg(args->list, int64_t); /* all others have 64 bits on x86-64 */
    }
}

static uint64_t unsigned_argument(enum length_modifier length, struct arguments *args)
{
    switch (length) {
    case LENGTH_INT: return va_arg(args->list, unsigned);
    case LENGTH_CHAR: return (unsigned char)va_arg(args->list, unsigned);
    case LENGTH_SHORT: return (unsigned short)va_arg(args->list, unsigned);
    default: return va_arg(args->list, uint64_t);
    }
}

_Static_assert(sizeof(long) == 8 && sizeof(size_t) == 8 && sizeof(ptrdiff_t) == 8 &&
               sizeof(intmax_t) == 8, "one va_arg for all long lengths");

/* Returns false, with nothing written, when the conversion is unknown. */
static bool put_conversion(struct output *out, const struct conversion *conversion,
                           struct arguments *args)
{
    switch (conversion->kind) {
    case 'd':
    case 'i':
        put_signed(out, conversion, signed_argument(conversion->length, args));
        return true;
    case 'u':
    case 'x':
    case 'X':
        put_unsigned(out, conversion, unsigned_argument(conversion->length, args));
        return true;
    case 'p':
        put_hexadecimal(out, conversion, (uintptr_t)va_arg(args->list, void *), true);
        return true;
    case 'c':
        put_padded(out, conversion, &(char){(char)va_arg(args->list, int)}, 1);
        return true;
    case 's':
        put_string(out, conversion, va_arg(args->list, const char *));
        return true;
    case '%':
        put_repeated(out, '%', 1);
        return true;
    default:
        return false;
    }
}

static void put_format(struct output *out, const char *format, struct arguments *args)
{
    while (*format) {
        if (*format != '%') {
            put_repeated(out, *format++, 1);
            continue;
        }
        const char *start = format++;
        struct conversion conversion = parse_conversion(&format, args);
        if (put_conversion(out, &conversion, args))
            continue;
        for (format = start; *format; format++)
            put_repeated(out, *format, 1);
    }
}

int vsnprintf(char *restrict buffer, size_t size, const char *restrict format, va_list args)
{
    struct output out = {.buffer = buffer, .size = size};
    struct arguments arguments;

    va_copy(arguments.list, args);
    put_format(&out, format, &arguments);
    va_end(arguments.list);

    if (size > 0)
        buffer[MIN(out.length, size - 1)] = '\0';
    return out.length > INT_MAX ? -1 : (int)out.length;
}

int snprintf(char *restrict buffer, size_t size, const char *restrict format, ...)
{
    va_list args;

    va_start(args, format);
    int length = vsnprintf(buffer, size, format, args);
    va_end(args);
    return length;
}
