/* SPDX-License-Identifier: MIT */
/* 4 KB in one call: lines that say how many bytes the text has up to their end. */
#include "guests/hvt/lib/guest.h"

#define LINE      "................................................%5zu bytes\n"
#define LINE_SIZE 60
#define LINES     70

HVT_DEVICES();

int main(void)
{
    static char text[LINES * LINE_SIZE + 1];

    for (size_t i = 0; i < LINES; i++)
        snprintf(text + i * LINE_SIZE, LINE_SIZE + 1, LINE, (i + 1) * LINE_SIZE);
    hvt_puts(text, LINES * LINE_SIZE);
    return 0;
}
