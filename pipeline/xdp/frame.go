package xdp

import (
	"encoding/binary"
	"net/netip"
)

// Where the fields of a frame are that has a datagram.
const (
	ethernetSize = 14
	ipSize       = 20
	udpSize      = 8
	headers      = ethernetSize + ipSize + udpSize

	typeAt        = 12
	versionAt     = ethernetSize
	lengthAt      = ethernetSize + 2
	fragmentAt    = ethernetSize + 6
	protocolAt    = ethernetSize + 9
	sourceAt      = ethernetSize + 12
	destinationAt = ethernetSize + 16
	fromPortAt    = ethernetSize + ipSize
	toPortAt      = fromPortAt + 2
	udpLengthAt   = fromPortAt + 4

	typeIPv4       = 0x0800
	withoutOptions = 0x45   // version 4, a header of 20 bytes
	fragmented     = 0x3fff // more follow, or not the first
	protocolUDP    = 17

	// longest is what an Ethernet frame has at most. Longer ones are left to the kernel.
	longest = ethernetSize + 1500
)

// payload returns what a frame carries from one address to another, where it is a whole
// datagram. The program at the interface has looked already, and not at lengths. The
// checksum is not looked at: packets of a virtual link have none yet, and whoever wants to
// know whether something was changed on its way looks for a code.
func payload(frame []byte, local, remote netip.AddrPort) ([]byte, bool) {
	if len(frame) < headers {
		return nil, false
	}
	half := binary.BigEndian.Uint16
	total := int(half(frame[lengthAt:]))
	switch {
	case half(frame[typeAt:]) != typeIPv4,
		frame[versionAt] != withoutOptions,
		half(frame[fragmentAt:])&fragmented != 0,
		frame[protocolAt] != protocolUDP,
		netip.AddrFrom4([4]byte(frame[sourceAt:])) != remote.Addr(),
		netip.AddrFrom4([4]byte(frame[destinationAt:])) != local.Addr(),
		half(frame[fromPortAt:]) != remote.Port(),
		half(frame[toPortAt:]) != local.Port(),
		total < ipSize+udpSize || total > len(frame)-ethernetSize,
		int(half(frame[udpLengthAt:])) != total-ipSize:
		return nil, false
	}
	return frame[headers : ethernetSize+total], true
}
