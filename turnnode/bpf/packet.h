// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
/* Read a datagram, decide whether it is relayed, and write its new headers.
 *
 * What is not clearly data of a live flow is left to userspace, which knows all rules: STUN, other channels, padded
 * ChannelData, IP options, extension headers, fragments, the last hop, no lease, no next hop, too large for it.
 */
#pragma once

#include "flow.h"

#define L4 sizeof(struct udphdr)
#define CHANNEL_HEADER 4
#define TAG 4
#define MAX_DATAGRAM 4096 /* a bound for the verifier, above any MTU that calls use */
#define DONT_FRAGMENT 0x4000
#define FRAGMENTED 0x3fff

struct packet {
	struct flow_key key;
	__u16 link_bytes; /* 14, or 18 with a tag */
	__u16 l3_bytes; /* 20 or 40 */
	__u16 udp_bytes; /* header and payload */
	__u16 data_bytes; /* without a channel header */
	__u16 checksum;
	__u16 identification, fragment; /* of IPv4 */
	__u8 traffic_class, hop_limit;
};

enum verdict { LEAVE, RELAY, DROP };

INLINE __u32 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

INLINE __u64 sum_address(const struct address *address)
{
	return (__u64)address->words[0] + address->words[1] + address->words[2] + address->words[3];
}

/* The sum of the pseudo header: the same for both versions of IP. */
INLINE __u32 sum_pseudo(const struct address *source, const struct address *destination, __u16 udp_bytes)
{
	return fold(sum_address(source) + sum_address(destination) + bpf_htons(udp_bytes) + bpf_htons(IPPROTO_UDP));
}

INLINE void map_ipv4(struct address *address, __be32 ipv4)
{
	address->words[0] = 0;
	address->words[1] = 0;
	address->words[2] = bpf_htonl(0xffff);
	address->words[3] = ipv4;
}

INLINE int is_served(__be16 port, const __be16 *ports)
{
	return port == ports[0] || port == ports[1] || port == ports[2] || port == ports[3];
}

INLINE int parse_udp(const struct udphdr *udp, const void *end, __u32 l3_payload_bytes, const __be16 *ports,
		     struct packet *packet)
{
	if ((const void *)(udp + 1) > end)
		return 0;
	packet->udp_bytes = bpf_ntohs(udp->len);
	if (packet->udp_bytes != l3_payload_bytes || packet->udp_bytes < L4)
		return 0;
	packet->checksum = udp->check;
	packet->key.source_port = udp->source;
	packet->key.destination_port = udp->dest;
	packet->key.channel = 0;
	packet->key.unused = 0;
	packet->data_bytes = packet->udp_bytes - L4;
	if (!is_served(udp->dest, ports))
		return 1;
	const __be16 *channel = (const void *)(udp + 1);
	if ((const void *)(channel + 2) > end)
		return 0;
	packet->key.channel = channel[0];
	if ((channel[0] & bpf_htons(0xf000)) != bpf_htons(0x4000))
		return 0;
	__u16 data_bytes = bpf_ntohs(channel[1]);
	if (data_bytes + CHANNEL_HEADER != packet->data_bytes)
		return 0;
	packet->data_bytes = data_bytes;
	return 1;
}

INLINE int parse_ipv4(const struct iphdr *ip, const void *end, const __be16 *ports, struct packet *packet)
{
	if ((const void *)(ip + 1) > end)
		return 0;
	if (ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_UDP)
		return 0;
	if (ip->frag_off & bpf_htons(FRAGMENTED))
		return 0;
	__u32 l3_bytes = bpf_ntohs(ip->tot_len);
	if (l3_bytes < sizeof(*ip))
		return 0;
	map_ipv4(&packet->key.source, ip->saddr);
	map_ipv4(&packet->key.destination, ip->daddr);
	packet->l3_bytes = sizeof(*ip);
	packet->identification = ip->id;
	packet->fragment = ip->frag_off;
	packet->traffic_class = ip->tos;
	packet->hop_limit = ip->ttl;
	return parse_udp((const void *)(ip + 1), end, l3_bytes - sizeof(*ip), ports, packet);
}

INLINE int parse_ipv6(const struct ipv6hdr *ip, const void *end, const __be16 *ports, struct packet *packet)
{
	if ((const void *)(ip + 1) > end)
		return 0;
	if (ip->version != 6 || ip->nexthdr != IPPROTO_UDP)
		return 0;
	__builtin_memcpy(&packet->key.source, &ip->saddr, sizeof(struct address));
	__builtin_memcpy(&packet->key.destination, &ip->daddr, sizeof(struct address));
	packet->l3_bytes = sizeof(*ip);
	packet->identification = 0;
	packet->fragment = bpf_htons(DONT_FRAGMENT);
	packet->traffic_class = (ip->priority << 4) | (ip->flow_lbl[0] >> 4);
	packet->hop_limit = ip->hop_limit;
	return parse_udp((const void *)(ip + 1), end, bpf_ntohs(ip->payload_len), ports, packet);
}

/* Tell whether the frame from `data` to `end` may be data of a flow; `frame_bytes` may be more than lie there. */
INLINE int parse(const void *data, const void *end, __u32 frame_bytes, const __be16 *ports, struct packet *packet)
{
	const struct ethhdr *ethernet = data;
	if ((const void *)(ethernet + 1) > end)
		return 0;
	const void *network = ethernet + 1;
	__be16 protocol = ethernet->h_proto;
	packet->link_bytes = ETH_HLEN;
	if (protocol == bpf_htons(ETH_P_8021Q)) { /* of XDP alone: before TC, the kernel has taken it off */
		const __be16 *tag = network;
		if ((const void *)(tag + 2) > end)
			return 0;
		protocol = tag[1];
		network = tag + 2;
		packet->link_bytes += TAG;
	}
	int is_udp = 0;
	if (protocol == bpf_htons(ETH_P_IP))
		is_udp = parse_ipv4(network, end, ports, packet);
	else if (protocol == bpf_htons(ETH_P_IPV6))
		is_udp = parse_ipv6(network, end, ports, packet);
	if (!is_udp || packet->hop_limit <= 1 || packet->udp_bytes > MAX_DATAGRAM)
		return 0;
	return frame_bytes >= packet->link_bytes + packet->l3_bytes + packet->udp_bytes;
}

INLINE __u32 l3_bytes_of(const struct flow *flow)
{
	return flow->version == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

/* By how much the part from UDP on grows: a channel header is added, removed, or replaced. */
INLINE int channel_growth(const struct packet *packet, const struct flow *flow)
{
	return (flow->channel ? CHANNEL_HEADER : 0) - (packet->key.channel ? CHANNEL_HEADER : 0);
}

/* Take a packet's cost from its credential's bucket. When another processor was faster, the packet is free. */
INLINE int is_within_rate(struct bucket *bucket, __u32 bytes, __u64 now_ns)
{
	__u64 ns_per_kib = bucket->ns_per_kib;
	if (!ns_per_kib)
		return 1;
	__u64 full_at_ns = bucket->full_at_ns;
	__u64 next = (full_at_ns > now_ns ? full_at_ns : now_ns) + ((bytes * ns_per_kib) >> 10);
	if (next > now_ns + bucket->tolerance_ns)
		return 0;
	__sync_val_compare_and_swap(&bucket->full_at_ns, full_at_ns, next);
	return 1;
}

/* Both clients of a call between two pay, and the node's data is then counted twice, as in userspace. */
INLINE int is_within_rates(const struct packet *packet, const struct flow *flow, struct bucket *bucket,
			   struct bucket *all, __u64 now_ns)
{
	__u32 other = flow->other_bucket, bytes = packet->data_bytes;
	if (!is_within_rate(bucket, bytes, now_ns))
		return 0;
	if (other) {
		bucket = bpf_map_lookup_elem(&buckets, &other);
		if (!bucket || !is_within_rate(bucket, bytes, now_ns))
			return 0;
	}
	return is_within_rate(all, packet->key.channel && flow->channel ? 2 * bytes : bytes, now_ns);
}

/* Decide; `hop` and `state` are set if the verdict is RELAY. The coarse clock steps by the tick, a few milliseconds:
 * little beside a lease of seconds, and half a second's worth in each bucket.
 */
INLINE enum verdict admit(const struct packet *packet, const struct flow *flow, struct control *control,
			  const struct hop **hop, struct state **state)
{
	__u32 slot = flow->slot, place = flow->hop, credential = flow->bucket;
	*state = bpf_map_lookup_elem(&states, &slot);
	*hop = bpf_map_lookup_elem(&hops, &place);
	struct bucket *bucket = bpf_map_lookup_elem(&buckets, &credential);
	if (!*state || !*hop || !bucket || !(*hop)->interface)
		return LEAVE;
	__u64 now_ns = bpf_ktime_get_coarse_ns();
	if (now_ns >= (*state)->expires_at_ns || now_ns >= control->lease_until_ns)
		return LEAVE;
	if (l3_bytes_of(flow) + packet->udp_bytes + channel_growth(packet, flow) > (*hop)->mtu)
		return LEAVE; /* userspace sends it, and the kernel fragments it or says why not */
	if (!packet->checksum && flow->version == 6)
		return LEAVE; /* IPv6 needs one, and here is nobody to sum up all data */
	if (!is_within_rates(packet, flow, bucket, &control->all, now_ns)) {
		__sync_fetch_and_add(&(*state)->dropped, 1);
		return DROP;
	}
	return RELAY;
}

/* Count a packet that leaves: not before, because a frame without room is userspace's, which counts it, too. */
INLINE void count_relayed(struct state *state, const struct packet *packet)
{
	__sync_fetch_and_add(&state->relayed, PACKET + packet->data_bytes);
}

/* The new checksum by what changes (RFC 1624). The length stands in UDP's header and in the pseudo header. */
INLINE __u16 update_checksum(const struct packet *packet, const struct flow *flow)
{
	if (!packet->checksum)
		return 0;
	int growth = channel_growth(packet, flow);
	__u64 sum = (__u16)~packet->checksum + (__u64)flow->checksum_delta;
	sum += 2 * (__u64)(__u16)~bpf_htons(packet->udp_bytes);
	sum += 2 * (__u64)bpf_htons(packet->udp_bytes + growth);
	if (growth < 0)
		sum += (__u16)~bpf_htons(packet->data_bytes);
	if (growth > 0)
		sum += bpf_htons(packet->data_bytes);
	__u16 checksum = ~fold(sum);
	return checksum ? checksum : 0xffff;
}

INLINE void write_udp(struct udphdr *udp, const struct packet *packet, const struct flow *flow, __u16 checksum)
{
	udp->source = flow->source_port;
	udp->dest = flow->destination_port;
	udp->len = bpf_htons(packet->udp_bytes + channel_growth(packet, flow));
	udp->check = checksum;
}

INLINE int write_channel(struct udphdr *udp, const void *end, const struct packet *packet, const struct flow *flow)
{
	__be16 *channel = (void *)(udp + 1);
	if (!flow->channel)
		return 1;
	if ((void *)(channel + 2) > end)
		return 0;
	channel[0] = flow->channel;
	channel[1] = bpf_htons(packet->data_bytes);
	return 1;
}

/* DSCP, ECN and DF go through, and the hop limit goes down (RFC 8656 section 14). From IPv6, DF is set: an
 * identification would have to be unique, and nothing is fragmented that its sender did not want to be.
 */
INLINE void write_ipv4(struct iphdr *ip, const struct packet *packet, const struct flow *flow)
{
	*(__u8 *)ip = 0x45;
	ip->tos = packet->traffic_class;
	ip->tot_len = bpf_htons(sizeof(*ip) + packet->udp_bytes + channel_growth(packet, flow));
	ip->id = packet->identification;
	ip->frag_off = packet->fragment;
	ip->ttl = packet->hop_limit - 1;
	ip->protocol = IPPROTO_UDP;
	ip->saddr = flow->source.words[3];
	ip->daddr = flow->destination.words[3];
	__u64 sum = (__u64)ip->saddr + ip->daddr + ip->tot_len + ip->id + ip->frag_off;
	sum += bpf_htons(0x4500 | ip->tos) + bpf_htons(ip->ttl << 8 | IPPROTO_UDP);
	ip->check = ~fold(sum);
}

INLINE void write_ipv6(struct ipv6hdr *ip, const struct packet *packet, const struct flow *flow)
{
	*(__be32 *)ip = bpf_htonl(0x60000000 | (__u32)packet->traffic_class << 20);
	ip->payload_len = bpf_htons(packet->udp_bytes + channel_growth(packet, flow));
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = packet->hop_limit - 1;
	__builtin_memcpy(&ip->saddr, &flow->source, sizeof(struct address));
	__builtin_memcpy(&ip->daddr, &flow->destination, sizeof(struct address));
}

/* Write all headers into a frame that has room for them; 0 if it has not. */
INLINE int write_headers(void *data, const void *end, const struct packet *packet, const struct flow *flow,
			 const struct hop *hop, __be16 tag, __u16 checksum)
{
	struct ethhdr *ethernet = data;
	void *network = ethernet + 1;
	__be16 protocol = flow->version == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	struct udphdr *udp;
	if (tag) {
		__be16 *tags = network;
		if ((void *)(tags + 2) > end)
			return 0;
		tags[0] = tag;
		tags[1] = protocol;
		protocol = bpf_htons(ETH_P_8021Q);
		network = tags + 2;
	}
	if (flow->version == 4) {
		struct iphdr *ip = network;
		udp = (void *)(ip + 1);
		if ((void *)(udp + 1) > end)
			return 0;
		write_ipv4(ip, packet, flow);
		write_udp(udp, packet, flow, checksum);
		if (!write_channel(udp, end, packet, flow))
			return 0;
	} else {
		struct ipv6hdr *ip = network;
		udp = (void *)(ip + 1);
		if ((void *)(udp + 1) > end)
			return 0;
		write_ipv6(ip, packet, flow);
		write_udp(udp, packet, flow, checksum);
		if (!write_channel(udp, end, packet, flow))
			return 0;
	}
	__builtin_memcpy(ethernet->h_dest, hop->destination, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, hop->source, ETH_ALEN);
	ethernet->h_proto = protocol;
	return 1;
}
