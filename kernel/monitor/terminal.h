/* SPDX-License-Identifier: MIT */
/* The one serial line, shared: log lines, the prompt below them, what a command writes, an attached
 * guest's console. It is the log's first sink. Whole lines only change places; nothing waits for
 * the line. Writers of this file are the monitor's core; any core may move bytes out. */
#ifndef KERNEL_MONITOR_TERMINAL_H
#define KERNEL_MONITOR_TERMINAL_H

#include "kernel/log.h"

struct vm;

extern const struct log_sink terminal_sink;

/* What makes a terminal usable again that a guest has had, and leaves the cursor in an empty last
 * line: ends a string that was not ended (ECMA-48 8.3.143); 7-bit controls, no printer; the normal
 * screen, all of it scrolls, no mouse, no bracketed paste; the keyboard not locked, replacing, no
 * local echo; plain keys and colours, ASCII. */
#define TERMINAL_SANE                                                                             \
    "\x1b\\\x1b F\x1b[4i\x1b[?1049l\x1b[r\x1b[?1;5;6;9;69;1000;1001;1002l"                        \
    "\x1b[?1003;1004;1005;1006;1015;2004l\x1b[2;4;20l\x1b[12h\x1b[?7;25h\x1b>\x1b(B\x1b)B\x0f"     \
    "\x1b[0m\x1b[999;1H\r\n"

/* Where the bytes go and come from: the UART's functions. */
struct terminal_line {
    size_t (*put)(const char *bytes, size_t size); /* how many it took, without waiting */
    void (*flush)(void);
    bool (*get)(uint8_t *byte);
};
void terminal_init(const struct terminal_line *line);

/* The buffer of what commands write; without it there is no monitor. */
#define TERMINAL_OUTPUT_SIZE (32 * KIB)
void terminal_use_buffer(char *memory);

/* What is typed; false: nothing more. */
bool terminal_key(uint8_t *byte);

/* What commands write: bytes, "\n" becomes "\r\n". All of it is taken; terminal_room says how much
 * may be written. */
void terminal_write(void *context, const char *bytes, size_t size);
size_t terminal_room(void);
bool terminal_is_empty(void); /* all of it is on the line */

/* The prompt with what was typed so far stays below the log: `drawn` is what draws it. NULL takes
 * it away. While somebody is `typing` log lines wait, until TYPING_US behind the last key. */
#define TYPING_US 2000000
void terminal_prompt(const char *drawn, size_t size, bool typing);

/* Who has the line. */
enum terminal_mode {
    TERMINAL_LOG,     /* the log, and the prompt if there is one */
    TERMINAL_COMMAND, /* a command writes: log lines wait */
    TERMINAL_SCREEN,  /* the whole screen: log lines are passed over, and counted */
    TERMINAL_GUEST,   /* a guest is attached: likewise */
};
void terminal_set_mode(enum terminal_mode mode, struct vm *vm);

/* Which log lines are shown: `log` command. */
enum terminal_show { SHOW_NOTHING, SHOW_HOST, SHOW_ALL };
struct terminal_filter {
    enum terminal_show show;
    char only[32]; /* the VM whose lines are shown, "": all */
};
extern struct terminal_filter terminal_filter;

#endif
