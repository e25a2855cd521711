/* SPDX-License-Identifier: MIT */
/* Links: found by name when guests are created, entered at each start, left at each end. What peers
 * see of one another is kept under the link's lock, and so is ringing: behind links_leave no
 * interrupt is posted to the VM any more. */
#include "kernel/lib/hot_path.h"

#include "kernel/vm/link.h"

#include <linux/errno.h>
#include <string.h>
#include <sys/queue.h>

#include "kernel/lib/format.h"
#include "kernel/lib/spinlock.h"
#include "kernel/mm/frames.h"
#include "kernel/vm/interrupts.h"
#include "kernel/vm/sched.h"
#include "kernel/vm/trace.h"

struct peer {
    struct vm *vm;
    uint32_t generation; /* starts of the VM so far */
    bool alive, writable;
    bool gone;           /* for good, unless the operator starts it again */
    uint64_t rung;       /* bit n: peer n rang, came or died since this one last polled */
};

struct link {
    char name[LINK_NAME_MAX];
    uint32_t pages;
    hpa_t memory;        /* the pages, in one block */
    struct spinlock lock; /* of all below */
    uint32_t peer_count;
    struct peer peers[ATOLL_LINK_PEERS];
    STAILQ_ENTRY(link) next;
};
_Static_assert(sizeof(struct link) <= PAGE_SIZE, "the record of a link is one page");

static STAILQ_HEAD(, link) links = STAILQ_HEAD_INITIALIZER(links); /* grows at boot only */

/* ---- At boot --------------------------------------------------------------------------------- */

static struct link *find(const char *name)
{
    struct link *link;
    STAILQ_FOREACH(link, &links, next)
        if (!strcmp(link->name, name))
            return link;
    return NULL;
}

static unsigned order_of(uint32_t pages)
{
    unsigned order = 0;
    while (1u << order < pages)
        order++;
    return order;
}

static struct link *make(const struct link_config *config)
{
    struct link *link = page_alloc();
    if (!link)
        return NULL;
    link->pages = MAX(config->pages, 1);
    memcpy(link->name, config->name, sizeof link->name);
    if (frame_alloc(order_of(link->pages), &link->memory)) {
        page_free(link);
        return NULL;
    }
    STAILQ_INSERT_TAIL(&links, link, next);
    return link;
}

/* May the VM have this link? Nothing is changed. */
static int check(const struct link_config *config, char error[MODULE_LINE_ERROR_MAX])
{
    const struct link *link = find(config->name);
    if (!link)
        return 0;
    if (config->pages && config->pages != link->pages) {
        snprintf(error, MODULE_LINE_ERROR_MAX,
                 "link=%s:%u: another guest made this link with %u pages", config->name,
                 config->pages, link->pages);
        return -EINVAL;
    }
    if (link->peer_count == ATOLL_LINK_PEERS) {
        snprintf(error, MODULE_LINE_ERROR_MAX, "link=%s: %u guests are on it, which is the limit",
                 config->name, link->peer_count);
        return -EINVAL;
    }
    return 0;
}

int links_join(struct vm *vm, char error[MODULE_LINE_ERROR_MAX])
{
    const struct vm_config *config = &vm->config;
    struct link *found[VM_LINKS_MAX];
    for (uint32_t i = 0; i < config->link_count; i++)
        if (check(&config->links[i], error))
            return -EINVAL;
    for (uint32_t i = 0; i < config->link_count; i++) {
        found[i] = find(config->links[i].name);
        if (!found[i])
            found[i] = make(&config->links[i]);
        if (!found[i]) {
            snprintf(error, MODULE_LINE_ERROR_MAX, "link=%s: no memory for %u pages",
                     config->links[i].name, MAX(config->links[i].pages, 1));
            return -ENOMEM;
        }
    }
    for (uint32_t i = 0; i < config->link_count; i++) {
        struct link *link = found[i];
        vm->links[i] = (struct link_place){.link = link, .peer = link->peer_count};
        link->peers[link->peer_count++] =
            (struct peer){.vm = vm, .writable = !config->links[i].read_only};
    }
    return 0;
}

uint64_t links_tables(const struct vm_config *config)
{
    const uint64_t in_a_table = 512 * PAGE_SIZE / ATOLL_LINK_STRIDE;
    return (config->link_count + in_a_table - 1) / in_a_table;
}

/* ---- Life and death -------------------------------------------------------------------------- */

/* With the link's lock: `from` has something to tell `to`. */
static void notify(struct link *link, uint32_t from, uint32_t to)
{
    struct peer *peer = &link->peers[to];
    if (!peer->alive || from == to)
        return;
    peer->rung |= 1ull << from;
    if (trace_is_on())
        trace_doorbell(link->peers[from].vm, peer->vm);
    for (uint32_t slot = 0; slot < peer->vm->config.link_count; slot++) {
        const struct link_place *place = &peer->vm->links[slot];
        if (place->link == link && place->vector)
            interrupts_post(place->vcpu, (uint8_t)place->vector);
    }
}

static void notify_all(struct link *link, uint32_t from)
{
    for (uint32_t to = 0; to < link->peer_count; to++)
        notify(link, from, to);
}

/* With the link's lock: all vCPUs of a living peer look whether they sleep for good now. */
static void have_look(const struct peer *peer)
{
    for (uint32_t i = 0; peer->alive && i < peer->vm->config.vcpus; i++)
        sched_post(peer->vm->vcpus[i], REQUEST_LOOK);
}

struct frame_share link_share(const struct vm *vm, uint32_t slot)
{
    const struct link_place *place = &vm->links[slot];
    return (struct frame_share){
        .guest = GPA(ATOLL_LINK_BASE + slot * ATOLL_LINK_STRIDE),
        .host = place->link->memory,
        .size = place->link->pages * PAGE_SIZE,
        .access = place->link->peers[place->peer].writable ? EPT_RW : EPT_READ,
    };
}

void links_claim(struct frame_ledger *ledger)
{
    const struct link *link;
    STAILQ_FOREACH(link, &links, next)
        ledger_claim(ledger, link->memory, link->pages * PAGE_SIZE, LEDGER_SHARED, 0);
}

static int map(struct vm *vm, uint32_t slot)
{
    const struct frame_share share = link_share(vm, slot);
    for (uint64_t offset = 0; offset < share.size; offset += PAGE_SIZE) {
        int error = ept_map(&vm->memory.ept, GPA(share.guest.value + offset),
                            HPA(share.host.value + offset), FRAME_ORDER_4K, share.access, EPT_WB);
        if (error)
            return error;
    }
    return 0;
}

int links_enter(struct vm *vm)
{
    for (uint32_t slot = 0; slot < vm->config.link_count; slot++) {
        int error = map(vm, slot);
        if (error)
            return error;
    }
    for (uint32_t slot = 0; slot < vm->config.link_count; slot++) {
        struct link_place *place = &vm->links[slot];
        struct link *link = place->link;
        struct peer *peer = &link->peers[place->peer];
        spin_lock(&link->lock);
        place->vector = 0;
        peer->rung = 0;
        peer->alive = true;
        peer->gone = false;
        peer->generation++;
        notify_all(link, place->peer);
        spin_unlock(&link->lock);
    }
    return 0;
}

void links_leave(struct vm *vm)
{
    for (uint32_t slot = 0; slot < vm->config.link_count; slot++) {
        struct link_place *place = &vm->links[slot];
        struct link *link = place->link;
        spin_lock(&link->lock);
        place->vector = 0;
        link->peers[place->peer].alive = false;
        notify_all(link, place->peer);
        spin_unlock(&link->lock);
    }
}

void links_give_up(struct vm *vm)
{
    for (uint32_t slot = 0; slot < vm->config.link_count; slot++) {
        struct link *link = vm->links[slot].link;
        if (!link)
            return; /* refused before it joined any */
        spin_lock(&link->lock);
        link->peers[vm->links[slot].peer].gone = true;
        for (uint32_t to = 0; to < link->peer_count; to++)
            have_look(&link->peers[to]);
        spin_unlock(&link->lock);
    }
}

/* Without locks: a peer that comes or goes at this moment makes the VM's vCPUs look again. */
bool links_can_wake(const struct vm *vm)
{
    for (uint32_t slot = 0; slot < vm->config.link_count; slot++) {
        const struct link_place *place = &vm->links[slot];
        for (uint32_t i = 0; place->vector && i < place->link->peer_count; i++)
            if (i != place->peer && !place->link->peers[i].gone)
                return true;
    }
    return false;
}

/* ---- For the operator ------------------------------------------------------------------------ */

struct link *link_after(const struct link *link)
{
    return link ? STAILQ_NEXT(link, next) : STAILQ_FIRST(&links);
}

void link_look(struct link *link, struct link_view *view)
{
    *view = (struct link_view){.name = link->name, .pages = link->pages};
    spin_lock(&link->lock);
    view->peers = link->peer_count;
    for (uint32_t i = 0; i < link->peer_count; i++)
        view->alive += link->peers[i].alive;
    spin_unlock(&link->lock);
}

/* With the link's lock: the vector of a VM's place in it. */
static uint32_t vector_of(const struct link *link, const struct vm *vm)
{
    for (uint32_t slot = 0; slot < vm->config.link_count; slot++)
        if (vm->links[slot].link == link)
            return vm->links[slot].vector;
    return 0;
}

static uint32_t count_bits(uint64_t bits)
{
    uint32_t count = 0;
    for (; bits; bits &= bits - 1)
        count++;
    return count;
}

bool link_look_at_peer(struct link *link, uint32_t number, struct link_peer_view *view)
{
    spin_lock(&link->lock);
    bool there = number < link->peer_count;
    if (there) {
        const struct peer *peer = &link->peers[number];
        *view = (struct link_peer_view){
            .vm = peer->vm,
            .generation = peer->generation,
            .alive = peer->alive,
            .writable = peer->writable,
            .gone = peer->gone,
            .vector = vector_of(link, peer->vm),
            .pending = count_bits(peer->rung),
        };
    }
    spin_unlock(&link->lock);
    return there;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static struct link_place *place_at(struct vm *vm, uint64_t slot)
{
    return slot < vm->config.link_count ? &vm->links[slot] : NULL;
}

/* With the link's lock. */
static struct atoll_link_peer describe(const struct peer *peer)
{
    struct atoll_link_peer result = {
        .vm = peer->vm->id,
        .generation = peer->generation,
        .alive = peer->alive,
        .writable = peer->writable,
    };
    _Static_assert(sizeof result.name == VM_NAME_MAX, "the name is copied whole");
    memcpy(result.name, peer->vm->config.name, sizeof result.name);
    return result;
}

/* Writes what of [offset, offset + length) of the structure lies within the guest's buffer. */
static int put(struct vm *vm, gpa_t address, uint64_t size, uint64_t offset, const void *part,
               uint64_t length)
{
    return guest_write(&vm->memory, GPA(address.value + offset), part, MIN(length, size - offset));
}

int64_t link_info(struct vm *vm, uint64_t slot, gpa_t address, uint64_t size)
{
    const struct link_place *place = place_at(vm, slot);
    if (!place)
        return -ENOENT;
    size = MIN(size, sizeof(struct atoll_link_info));
    if (!guest_range_ok(&vm->memory, address, size))
        return -EFAULT;
    struct link *link = place->link;
    struct {
        char name[LINK_NAME_MAX];
        uint64_t address;
        uint32_t pages, self, peers, writable;
    } head = {
        .address = ATOLL_LINK_BASE + slot * ATOLL_LINK_STRIDE,
        .pages = link->pages,
        .self = place->peer,
        .peers = link->peer_count,
        .writable = link->peers[place->peer].writable,
    };
    _Static_assert(sizeof head == offsetof(struct atoll_link_info, peer), "the head of the ABI's");
    memcpy(head.name, link->name, sizeof head.name);
    int error = put(vm, address, size, 0, &head, sizeof head);
    for (uint32_t i = 0; i < ATOLL_LINK_PEERS && !error; i++) {
        struct atoll_link_peer peer = {0};
        uint64_t offset = offsetof(struct atoll_link_info, peer) + i * sizeof peer;
        if (offset >= size)
            break;
        spin_lock(&link->lock);
        if (i < link->peer_count)
            peer = describe(&link->peers[i]);
        spin_unlock(&link->lock);
        error = put(vm, address, size, offset, &peer, sizeof peer);
    }
    return error ? error : (int64_t)size;
}

int64_t link_set_vector(struct vcpu *vcpu, uint64_t slot, uint64_t vector)
{
    struct link_place *place = place_at(vcpu->vm, slot);
    if (!place)
        return -ENOENT;
    if (!interrupts_may_ask_for(vector))
        return -EINVAL;
    spin_lock(&place->link->lock);
    /* A VM that was stopped meanwhile is left alone: nothing may be posted to it. */
    if (place->link->peers[place->peer].alive) {
        place->vcpu = vcpu;
        place->vector = (uint32_t)vector;
        if (vector == 0)
            have_look(&place->link->peers[place->peer]);
    }
    spin_unlock(&place->link->lock);
    return 0;
}

int64_t link_ring(struct vm *vm, uint64_t slot, uint64_t peer)
{
    const struct link_place *place = place_at(vm, slot);
    if (!place)
        return -ENOENT;
    struct link *link = place->link;
    int64_t result = 0;
    spin_lock(&link->lock);
    if (peer == ATOLL_LINK_ALL)
        notify_all(link, place->peer);
    else if (peer >= link->peer_count || link->peers[peer].generation == 0)
        result = -EINVAL;
    else if (!link->peers[peer].alive)
        result = -EPIPE;
    else
        notify(link, place->peer, (uint32_t)peer);
    spin_unlock(&link->lock);
    return result;
}

int64_t link_poll(struct vm *vm, uint64_t slot)
{
    const struct link_place *place = place_at(vm, slot);
    if (!place)
        return -ENOENT;
    spin_lock(&place->link->lock);
    uint64_t rung = place->link->peers[place->peer].rung;
    place->link->peers[place->peer].rung = 0;
    spin_unlock(&place->link->lock);
    return (int64_t)rung;
}
