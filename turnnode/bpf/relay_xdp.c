// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
/* Relay in the driver (native XDP), or before the network stack (generic XDP). */
#include "packet.h"

SEC("xdp")
int relay_xdp(struct xdp_md *context)
{
	void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
	__u32 first = 0;
	struct packet packet;
	struct control *settings = bpf_map_lookup_elem(&control, &first);
	if (!settings || !parse(data, end, end - data, settings->ports, &packet))
		return XDP_PASS;
	/* A sender on this machine may have left the sum to its network card, which there is none. About one in
	 * 65,536 others looks the same, and takes the slow way, too.
	 */
	if (packet.checksum == sum_pseudo(&packet.key.source, &packet.key.destination, packet.udp_bytes))
		return XDP_PASS;
	const struct flow *flow = bpf_map_lookup_elem(&flows, &packet.key);
	if (!flow)
		return XDP_PASS;
	const struct hop *hop;
	struct state *state;
	switch (admit(&packet, flow, settings, &hop, &state)) {
	case LEAVE:
		return XDP_PASS;
	case DROP:
		return XDP_DROP;
	case RELAY:
		break;
	}
	__be16 tag = hop->tag;
	int growth = (tag ? ETH_HLEN + TAG : ETH_HLEN) - packet.link_bytes;
	growth += (int)l3_bytes_of(flow) - packet.l3_bytes + channel_growth(&packet, flow);
	if (growth && bpf_xdp_adjust_head(context, -growth))
		return XDP_PASS; /* the driver leaves no room before the frame */
	data = (void *)(long)context->data;
	end = (void *)(long)context->data_end;
	if (!write_headers(data, end, &packet, flow, hop, tag, update_checksum(&packet, flow)))
		return XDP_DROP;
	count_relayed(state, &packet);
	return bpf_redirect(hop->interface, 0);
}

char _license[] SEC("license") = "Dual MIT/GPL";
