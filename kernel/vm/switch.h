/* SPDX-License-Identifier: MIT */
/* Virtual Ethernet switches (IEEE 802.1D's learning and forwarding, without spanning tree), and
 * their ports: the far end of a guest's network device. A switch lives as long as the machine; a
 * port, too, but it carries frames only while its VM lives. A frame is copied once, from the
 * sender's memory into the queue of each receiver, which is bounded: what finds no room is dropped
 * and counted, and no sender waits. */
#ifndef KERNEL_VM_SWITCH_H
#define KERNEL_VM_SWITCH_H

#include "kernel/vm/guest_memory.h"
#include "kernel/vm/module_line.h"

struct vm;
struct vcpu;
struct port;
struct ethernet_switch;

#define SWITCH_PORTS_MAX  64
#define FRAME_HEADER      14u /* destination, source, type */
#define PORT_QUEUE_FRAMES 16  /* 4 KiB frames that each port's queue takes */

/* At boot: a new port for a network device of `vm` (its `device`-th), on the switch that the
 * configuration names, which is made when it is new. Without mac= it gets a locally administered
 * address that no other port has. 0; -EINVAL (too many ports; the MAC address is another port's on
 * this switch) or -ENOMEM with one line in `error`. */
MUST_CHECK int port_create(struct vm *vm, uint32_t device, const struct device_config *config,
                           struct port **port, char error[MODULE_LINE_ERROR_MAX]);

/* The VM starts: its vCPUs are made, its queue is empty, and frames may come. */
void port_open(struct port *port);

/* The VM stops: when this returns, no frame comes any more, and nobody posts to its vCPUs for one.
 * What waits in the queue is dropped, what was learned is forgotten. Does nothing to a port that is
 * closed. */
void port_close(struct port *port);

/* The VM stopped for good, or never starts: no frame comes from it, and who sleeps until one does
 * looks again. */
void port_give_up(struct port *port);

/* Sends the frame of `length` bytes at `frame`. 0; -EINVAL for a length below FRAME_HEADER or above
 * that and the port's MTU; -EFAULT. Its source address is learned, the last eight of a port; one
 * that is another port's own or a group's is a lie, and the frame is dropped. A frame for a known
 * address goes to that port alone (nowhere if it is closed or the sender), any other one to all
 * other ports that are open. */
MUST_CHECK int port_send(struct port *port, const struct guest_memory *memory, gpa_t frame,
                         uint64_t length);

/* Takes the oldest frame in the queue: as much of it as `size` bytes hold goes to `buffer`, the
 * rest is lost. Returns how many bytes that were; -EAGAIN: there is none; -EFAULT: the buffer is
 * not RAM, or not the guest's to write, and the frame stays. */
MUST_CHECK int64_t port_receive(struct port *port, struct guest_memory *memory, gpa_t buffer,
                                uint64_t size);

/* Is there a frame in the queue? From any core, without a lock. For who goes to sleep until one
 * comes: with vcpus[0]->waits_for_frame set before this look (seq_cst), none is missed. */
bool port_has_frame(const struct port *port);

/* Frames interrupt `vcpu` with `vector` (32 to 255; 0: nobody): the first one, or this call if
 * there is one, and then again the first behind a port_receive that found none. `vcpu` is running.
 * 0, -EINVAL. */
MUST_CHECK int port_set_vector(struct port *port, struct vcpu *vcpu, uint64_t vector);

/* Can a frame still come from another VM that wakes a vCPU of this one by an interrupt? */
bool port_can_wake(const struct port *port);

/* ---- For calls and for the operator */

struct port_view {
    const struct vm *vm;
    const char *device; /* its name in the module line */
    const char *switch_name;
    uint8_t mac[MAC_SIZE];
    uint16_t mtu;
    bool open;
    uint32_t queued; /* frames in the queue; the rest as in struct atoll_device_info: */
    uint64_t received, received_dropped, sent, sent_dropped;
};
void port_look(const struct port *port, struct port_view *view);

/* The switch made after this one, NULL: the first. NULL: there is none. Switches stay for ever. */
struct ethernet_switch *switch_after(const struct ethernet_switch *ethernet);
const char *switch_name(const struct ethernet_switch *ethernet);

/* Its ports by number, in the order of their creation; NULL: there are no more. */
struct port *switch_port(const struct ethernet_switch *ethernet, uint32_t number);

#endif
