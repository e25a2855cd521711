/* SPDX-License-Identifier: MIT */
/* printf onto the guest's console (ATOLL_CALL_CONSOLE_WRITE). */
#include <stdarg.h>

#include "guests/lib/guest.h"

#define LINE_MAX 512

static char line[LINE_MAX];
static size_t line_length;

void console_flush(void)
{
    if (line_length > 0)
        atoll_console_write(line, line_length);
    line_length = 0;
}

static void console_put(char c)
{
    line[line_length++] = c;
    if (c == '\n' || line_length == LINE_MAX)
        console_flush();
}

int printf(const char *format, ...)
{
    char text[LINE_MAX];
    va_list args;

    va_start(args, format);
    int length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (const char *c = text; *c; c++)
        console_put(*c);
    return length;
}
