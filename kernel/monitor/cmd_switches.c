/* SPDX-License-Identifier: MIT */
/* What the operator sees of the Ethernet switches: their ports, and what became of frames. */
#include "kernel/lib/format.h"
#include "kernel/monitor/vm_view.h"
#include "kernel/vm/switch.h"

#define MAC_TEXT  18
#define PORT_TEXT (VM_NAME_MAX + DEVICE_NAME_MAX)

static const struct column switch_columns[] = {{"SWITCH", "switch", -6},
                                               {"VM.DEVICE", "port", -16},
                                               {"MAC", "mac", -17},
                                               {"OPEN", "open", -4},
                                               {"QUEUE", "queued", 5},
                                               {"IN", "received", 7},
                                               {"DROPS", "received_dropped", 5},
                                               {"OUT", "sent", 7},
                                               {"DROPS", "sent_dropped", 5}};

static void port_row(struct output *out, const struct port_view *port)
{
    char name[PORT_TEXT], mac[MAC_TEXT];
    const uint8_t *m = port->mac;
    snprintf(name, sizeof name, "%s.%s", port->vm->config.name, port->device);
    snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    row_begin(out, switch_columns, ARRAY_SIZE(switch_columns));
    row_text(out, port->switch_name);
    row_text(out, name);
    row_text(out, mac);
    row_text(out, port->open ? "yes" : "no");
    row_number(out, port->queued);
    row_number(out, port->received);
    row_number(out, port->received_dropped);
    row_number(out, port->sent);
    row_number(out, port->sent_dropped);
    row_end(out);
}

/* state[0]: the switch (switches stay), [1]: its next port. */
static enum command_result switches_step(struct invocation *call)
{
    if (call->cancelled)
        return COMMAND_DONE;
    struct ethernet_switch *ethernet = (struct ethernet_switch *)(uintptr_t)call->state[0];
    if (call->at++ == 0) {
        output_header(&call->out, switch_columns, ARRAY_SIZE(switch_columns));
        ethernet = switch_after(NULL);
    }
    for (unsigned rows = 0; ethernet && rows < COMMAND_ROWS;) {
        const struct port *port = switch_port(ethernet, (uint32_t)call->state[1]++);
        struct port_view view;
        if (port) {
            port_look(port, &view);
            port_row(&call->out, &view);
            rows++;
        } else {
            ethernet = switch_after(ethernet);
            call->state[1] = 0;
        }
    }
    call->state[0] = (uintptr_t)ethernet;
    return ethernet ? COMMAND_MORE : COMMAND_DONE;
}

const struct command command_switches = {
    .name = "switches",
    .usage = "",
    .help = "all Ethernet switches, and the ports on them",
    .more = "A port is open while its VM lives. QUEUE are the frames that wait for it, IN\n"
            "those that it took, OUT those that it sent. Frames are dropped on their way in\n"
            "when the queue is full, they are too long or the VM ends before it took them,\n"
            "on their way out when nobody is there or the source address is not its own.\n",
    .step = switches_step,
    .lists = true,
};
