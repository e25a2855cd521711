/* SPDX-License-Identifier: MIT */
/* The screen as a sink of the log. It works in passes: read the new lines, at most the last
 * screenful of them, then paint what has changed. A pass is done in steps, one a call, none of
 * which takes long; passes have a pause between them, since all moves when text scrolls. */
#include "kernel/screen/screen.h"

#include "kernel/cpu/time.h"
#include "kernel/lib/spinlock.h"
#include "kernel/lib/x86.h"
#include "kernel/mm/frames.h"
#include "kernel/mm/paging.h"
#include "kernel/mm/phys.h"
#include "kernel/screen/canvas.h"
#include "kernel/screen/cells.h"
#include "kernel/screen/font.h"
#include "kernel/screen/psf.h"

#define PASS_US    40000 /* 25 passes a second */
#define STEP_COST  3000  /* of painting, in instructions: a guest waits for it */
#define STEP_LINES 2     /* of reading */
#define LOOK_COST  6     /* instructions for a cell that has not changed */

#define CRTC_INDEX        0x3d4 /* of the VGA */
#define CRTC_DATA         0x3d5
#define CRTC_CURSOR_START 0x0a
#define CURSOR_OFF        0x20

enum phase { WAITING, READING, PAINTING };

static struct canvas canvas;
static struct cells cells;
static bool alone;

/* A pass, under the lock. */
static struct spinlock lock;
static enum phase phase;
static uint64_t pass_start; /* TSC */
static uint32_t pass_lines; /* read in this pass */
static bool pass_jumped;
static uint32_t paint_column, paint_row; /* the next cell to look at */
static struct log_reader reader;
static char line[LOG_BUFFER]; /* read, and not yet in the cells */
static size_t line_size;

/* ---- Painting -------------------------------------------------------------------------------- */

/* Paints the cells that have changed in the row, from `paint_column` on, until that has cost `cost`
 * instructions. Returns what is left of them; 0: there may be more to do. */
static uint32_t paint_cells(uint32_t cost)
{
    const char *wanted = cells_row(&cells, paint_row);
    char *shown = cells.shown + (size_t)paint_row * cells.columns;
    uint32_t draw_cost = canvas_draw_cost(&canvas);
    for (; paint_column < cells.columns && cost > 0; paint_column++) {
        char c = wanted[paint_column];
        uint32_t price = LOOK_COST;
        if (c != shown[paint_column]) {
            canvas_draw(&canvas, paint_column, paint_row, c);
            shown[paint_column] = c;
            price += draw_cost;
        }
        cost -= MIN(cost, price);
    }
    return cost;
}

/* Goes on with painting, for `cost` instructions. Returns true when all rows are done. */
static bool paint(uint32_t cost)
{
    while (paint_row < cells.rows && cost > 0) {
        cost = paint_cells(cost);
        if (paint_column == cells.columns) {
            paint_column = 0;
            paint_row++;
        }
    }
    store_fence(); /* the video memory is write-combining */
    return paint_row == cells.rows;
}

static void paint_from_the_top(void)
{
    paint_column = 0;
    paint_row = 0;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Makes sure that `line` has the next line; false: there is none. */
static bool look_ahead(void)
{
    if (line_size == 0)
        line_size = log_read(&reader, line);
    if (line_size == 0 && alone)
        (void)log_pass_over();
    return line_size > 0;
}

/* To the newest screenful, unless that has been read in part already. */
static void jump(void)
{
    struct log_reader newest = reader;
    log_reader_back(&newest, cells.rows);
    pass_jumped = true;
    pass_lines = 0;
    if (newest.position < reader.position)
        return;
    reader = newest;
    line_size = 0;
    if (alone)
        (void)log_pass_over();
}

/* Goes on with reading. Returns true when a pass needs no more: all is read, or a screenful after
 * the jump. */
static bool read_lines(void)
{
    for (uint32_t i = 0; i < STEP_LINES; i++) {
        if (pass_lines == cells.rows && !pass_jumped)
            jump();
        if (pass_lines == cells.rows || !look_ahead())
            return true;
        cells_put(&cells, line, line_size);
        line_size = 0;
        pass_lines++;
    }
    return false;
}

/* ---- The sink -------------------------------------------------------------------------------- */

static void begin_pass(void)
{
    phase = READING;
    pass_start = rdtsc();
    pass_lines = 0;
    pass_jumped = false;
    paint_from_the_top();
}

/* Returns true when all of the log is on the screen. */
static bool step(void)
{
    if (phase == READING && read_lines())
        phase = PAINTING;
    else if (phase == PAINTING && paint(STEP_COST))
        phase = WAITING;
    return phase == WAITING && !look_ahead();
}

static bool screen_drain(void)
{
    if (!spin_trylock(&lock))
        return false; /* another core is at it */
    bool done;
    if (phase == WAITING && !look_ahead())
        done = true;
    else if (phase == WAITING && rdtsc() - pass_start < time_us_to_ticks(PASS_US))
        done = false;
    else {
        if (phase == WAITING)
            begin_pass();
        done = step();
    }
    spin_unlock(&lock);
    return done;
}

/* Ends the pass under way and makes one more, whatever has been written meanwhile. */
static void screen_flush(void)
{
    spin_lock(&lock);
    while (phase != WAITING)
        (void)step();
    begin_pass();
    while (phase != WAITING)
        (void)step();
    spin_unlock(&lock);
}

/* Without the lock: who has it is stopped, and wherever that was, the cells are fit to go on. */
static void screen_panic(const char *bytes, size_t size)
{
    cells_put(&cells, bytes, size);
    paint_from_the_top();
    (void)paint(UINT32_MAX);
}

const struct log_sink screen_sink = {screen_drain, screen_flush, screen_panic};

/* ---- Start ----------------------------------------------------------------------------------- */

/* Memory that may be handed out, or that the firmware has its tables in, is no framebuffer. */
static bool overlaps_memory(const struct boot_info *info, uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < info->memory_count; i++) {
        const struct boot_memory *memory = &info->memory[i];
        bool is_memory = memory->type >= BOOT_MEMORY_AVAILABLE && memory->type <= BOOT_MEMORY_BAD &&
                         memory->type != BOOT_MEMORY_RESERVED;
        if (is_memory && MAX(memory->range.start, start) < MIN(memory->range.end, end))
            return true;
    }
    return false;
}

static const char *map_framebuffer(const struct boot_info *info)
{
    uint64_t start = info->framebuffer.address, size = canvas_size(&info->framebuffer);
    if (start == 0 || start + size < start)
        return "its address cannot be right";
    if (overlaps_memory(info, start, start + size))
        return "it overlaps memory";
    canvas.memory = paging_map_video(HPA(start), size);
    return canvas.memory ? NULL : "it cannot be mapped";
}

static bool make_cells(void)
{
    unsigned order = 0;
    hpa_t frame;
    while (PAGE_SIZE << order < 2ull * canvas.columns * canvas.rows)
        order++;
    if (frame_alloc(order, &frame))
        return false;
    cells_init(&cells, canvas.columns, canvas.rows, phys_to_virt(frame));
    return true;
}

static const char *start(const struct boot_info *info, char error[CANVAS_ERROR_MAX])
{
    struct psf_font font;
    if (!info->has_framebuffer)
        return "the boot loader names none";
    if (psf_parse(screen_font, screen_font_size, &font))
        return "its font cannot be read";
    if (canvas_init(&canvas, &info->framebuffer, &font, error))
        return error;
    const char *reason = map_framebuffer(info);
    if (reason)
        return reason;
    return make_cells() ? NULL : "no memory for its text";
}

static void hide_cursor(void)
{
    outb(CRTC_INDEX, CRTC_CURSOR_START);
    outb(CRTC_DATA, CURSOR_OFF);
}

bool screen_init(const struct boot_info *info, bool without_terminal)
{
    char error[CANVAS_ERROR_MAX];
    const struct boot_framebuffer *framebuffer = &info->framebuffer;
    const char *reason = start(info, error);
    if (reason) {
        log_info("no screen: %s", reason);
        return false;
    }
    alone = without_terminal;
    canvas_clear(&canvas);
    if (canvas.text)
        hide_cursor();
    log_info("screen: %s of %u times %u at 0x%llx, text of %u times %u",
             canvas.text ? "EGA text" : "pixels", framebuffer->width, framebuffer->height,
             (unsigned long long)framebuffer->address, canvas.columns, canvas.rows);
    screen_flush(); /* should the boot end here, this is what is seen */
    return true;
}
